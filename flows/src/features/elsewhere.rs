//! Guests as every hypervisor knows them that has a guest on their network, or routes to it: whoever asks for one of their
//! addresses is answered, and what is for them is sent to where they are.

use super::neighbor::AddressOwner;
use super::{arp, held, neighbor, routing, switching};
use crate::flow::Flow;
use crate::pipeline::Stage;
use crate::shared::Same;
use crate::view::{Presence, Tunnel, View};
use sextant_model::{Answering, MacAddr, Network, Port, PortId};
use std::net::IpAddr;
use std::sync::Arc;

/// What the flows for a guest's addresses depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GuestAddresses {
    network: Same<Network>,
    port: Same<Port>,
    presence: Presence,
    answering: Answering,
    /// The addresses that it has from its pairs.
    held: Vec<(IpAddr, MacAddr)>,
}

/// What the flows for a guest on another hypervisor depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GuestElsewhere {
    pub(crate) guest: GuestAddresses,
    /// How frames get there. `None`: not at all, or outside.
    pub(crate) way: Option<Tunnel>,
}

impl GuestAddresses {
    pub(crate) fn of(
        view: &View<'_>,
        network: &Arc<Network>,
        presence: Presence,
        port: &Arc<Port>,
    ) -> Self {
        Self {
            network: Same(network.clone()),
            port: Same(port.clone()),
            presence,
            answering: view.answering(),
            held: view.facts.held_by(port.id).collect(),
        }
    }

    pub(crate) fn port(&self) -> PortId {
        self.port.id
    }

    pub(crate) fn flows(&self) -> Vec<Flow> {
        let (network, port) = (&*self.network, &*self.port);
        let owner = AddressOwner::Guest;
        let mut flows = answers(network, self.presence, self.answering, port, owner);
        flows.extend(routing::next_hop(network, port));
        flows.extend(held::next_hops(network, port, &self.held));
        flows
    }
}

impl GuestElsewhere {
    pub(crate) fn flows(&self) -> Vec<Flow> {
        let mut flows = self.guest.flows();
        let (network, port) = (&self.guest.network, &self.guest.port);
        flows.extend(self.way.map(|way| switching::onward(network, port, way)));
        flows
    }
}

/// Answers who asks for addresses of a port. Guests of a network that is only routed to are elsewhere, so nobody asks for
/// addresses of it here.
pub(crate) fn answers(
    network: &Network,
    presence: Presence,
    answering: Answering,
    port: &Port,
    owner: AddressOwner,
) -> Vec<Flow> {
    match presence {
        Presence::Local => [
            neighbor::known(answering, network, port, owner),
            arp::known(Stage::Neighbor, network, port),
        ]
        .concat(),
        Presence::Routed => vec![],
    }
}
