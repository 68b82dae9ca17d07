//! Translates IPv4 of guests to the address of their router's gateway (`enable_snat`, RFC 3022). IPv6 is never
//! translated.
//!
//! A packet is translated last, once it is known to leave. An error to the guest then quotes the packet as the guest
//! sent it.

use crate::exit::Gateway;
use crate::features::{fragments, ipv4, routing};
use crate::flow::Flow;
use crate::pipeline::{
    ARRIVED, Holding, LONGER, NETWORK, NEXT_MTU, PROBLEM, ROUTER, Stage, outside, problem, router,
    switch, translate,
};
use crate::view::View;
use rust_openflow::{Action, Ct, Field, Nat, NatKind, Zone};
use std::net::Ipv4Addr;

/// Zones of routers are above those of guests' ports, which are low OpenFlow port numbers.
const ZONES: u16 = 0x8000;

/// `+trk+inv` (ovs-fields(7), `ct_state`).
const INVALID: u32 = 0x30;

/// How a router translates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Translation {
    /// The address that stands for all guests outside.
    pub(super) address: Ipv4Addr,
    zone: u16,
}

/// How a router translates, if it does.
pub(super) fn of(gateway: &Gateway<'_>) -> Option<Translation> {
    if !gateway.router.external_gateway?.enable_snat {
        return None;
    }
    let (_, address) = gateway.port.ipv4_addresses().next()?;
    let zone = ZONES | (gateway.router.key.0 & u32::from(!ZONES)) as u16;
    Some(Translation { address, zone })
}

/// Translates what a router sends outside. Packets that came from outside and go back belong to no guest. Packets that
/// the connection tracker cannot place still have the guest's address, so they are dropped.
pub(super) fn leaving(view: &View<'_>, gateway: &Gateway<'_>) -> Vec<Flow> {
    let Some(translation) = of(gateway) else {
        return vec![];
    };
    let network = gateway.network.key.0;
    let leaving = ipv4()
        .holding(NETWORK, network)
        .holding(ROUTER, gateway.router.key.0);
    let goes_back = leaving.clone().holding(ARRIVED, network);
    let invalid = leaving.clone().masked(Field::CT_STATE, INVALID, INVALID);
    let translated = Flow::new(Stage::Translate, translate::LEAVING, leaving)
        .apply(vec![translation.outwards(Stage::Switch)]);
    let translated = fragments::before_lookup(translated, meter(view, gateway));
    [
        Flow::new(Stage::Translate, translate::BACK, goes_back).goto(Stage::Switch),
        Flow::new(Stage::Switch, switch::INVALID, invalid),
    ]
    .into_iter()
    .chain(translated)
    .collect()
}

/// The meter of fragments that are put together before they leave. Fragments from outside pass the meter of the port
/// where they come in.
pub(super) fn meter(view: &View<'_>, gateway: &Gateway<'_>) -> Option<u32> {
    of(gateway).and_then(|translation| fragments::meter_of_zone(view, translation.zone))
}

/// Refuses what is too long for a guest's network before the guest's address is put back: the sender outside knows only
/// the gateway's (RFC 5508 §7.1). The guest's network is not known yet, so the least MTU counts.
pub(super) fn too_big(view: &View<'_>, gateway: &Gateway<'_>) -> Vec<Flow> {
    let inside = view.interfaces(gateway.router);
    let inside = inside.filter(|(_, port)| port.ipv4_addresses().next().is_some());
    let least = inside.map(|(network, _)| view.mtu(network)).min();
    let Some((translation, mtu)) = of(gateway).zip(least) else {
        return vec![];
    };
    let to_gateway = ipv4().with(Field::IPV4_DST, translation.address.to_bits());
    let arriving = routing::to_port(gateway.network, gateway.port, to_gateway);
    let looked_at = Flow::new(Stage::Outside, outside::TRANSLATED, arriving.clone())
        .apply(vec![routing::check(mtu)])
        .goto(Stage::Router);
    let refused = [
        routing::entered(gateway.network, gateway.router),
        vec![PROBLEM.set(problem::TOO_BIG), NEXT_MTU.set(mtu)],
    ]
    .concat();
    let too_long = arriving.holding(LONGER, 1u8);
    let refuse = Flow::new(Stage::Router, router::TOO_BIG, too_long)
        .apply(refused)
        .goto(Stage::Refuse);
    vec![looked_at, refuse]
}

impl Translation {
    /// Gives what a guest sends the gateway's address. The packet goes on to that stage.
    fn outwards(self, next: Stage) -> Action {
        Action::Ct(Ct {
            commit: true,
            exec: vec![Action::Nat(Nat::to(NatKind::Source, self.address))],
            ..self.track(next)
        })
    }

    /// Gives an answer the guest's address back.
    pub(super) fn inwards(self, next: Stage) -> Action {
        Action::Ct(Ct {
            exec: vec![Action::Nat(Nat::default())],
            ..self.track(next)
        })
    }

    fn track(self, next: Stage) -> Ct {
        Ct {
            zone: Zone::Value(self.zone),
            table: Some(next.table()),
            ..Ct::default()
        }
    }
}
