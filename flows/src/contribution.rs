//! What each object contributes to a hypervisor's flows. It is a pure function of that object.

use crate::advertisement::advertised_link;
use crate::features::elsewhere::{GuestAddresses, GuestElsewhere};
use crate::features::neighbor::AddressOwner;
use crate::features::replication::ReceiverShard;
use crate::features::security::MemberMatch;
use crate::features::{
    arp, arrival, capture, elsewhere, external, extra_routes, fragments, guard, guest, held,
    icmp_error, metadata, neighbor, provider, punt, routing, security, switching, tunnel,
};
use crate::flow::Flow;
use crate::link::Interface;
use crate::pipeline::Stage;
use crate::shared::SharedSource;
use crate::uplink::{self, uplink};
use crate::view::{Presence, View};
use crate::withheld::Withheld;
use sextant_model::{
    AdvertisedLink, Binding, ChassisId, MacAddr, MemberAddress, Network, NetworkId, Port, PortId,
    Router, RouterId, SecurityGroupId, Uplink,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// What flows are computed from, one object at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PipelineObject {
    /// The flows that every hypervisor has.
    Base,
    /// Another hypervisor.
    Peer(ChassisId),
    /// A network.
    Network(NetworkId),
    /// A shard of the members of a network, where these are many.
    Members(NetworkId, ReceiverShard),
    /// A port, of a guest or of a router.
    Port(PortId),
    /// A guest that is expected here, by its port.
    Expected(PortId),
    /// A router and its routes.
    Router(RouterId),
    /// A MAC that ports of a network may use besides their own.
    SharedMac(NetworkId, MacAddr),
    /// A set of security groups that ports here are under.
    Policy(BTreeSet<SecurityGroupId>),
    /// An address of a port as a member of its security groups.
    Member(MemberAddress),
}

impl PipelineObject {
    pub(crate) fn port(&self) -> Option<PortId> {
        match self {
            Self::Port(port) => Some(*port),
            Self::Base
            | Self::Peer(_)
            | Self::Network(_)
            | Self::Members(..)
            | Self::SharedMac(..)
            | Self::Expected(_)
            | Self::Router(_)
            | Self::Policy(_)
            | Self::Member(_) => None,
        }
    }

    pub(crate) fn network(&self) -> Option<NetworkId> {
        match self {
            Self::Network(network) => Some(*network),
            Self::Base
            | Self::Peer(_)
            | Self::Members(..)
            | Self::Port(_)
            | Self::SharedMac(..)
            | Self::Expected(_)
            | Self::Router(_)
            | Self::Policy(_)
            | Self::Member(_) => None,
        }
    }
}

impl fmt::Display for PipelineObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base => f.write_str("every hypervisor"),
            Self::Peer(chassis) => write!(f, "the tunnel to {chassis}"),
            Self::Network(id) => write!(f, "network {id}"),
            Self::Members(id, _) => write!(f, "members of network {id}"),
            Self::Port(id) => write!(f, "port {id}"),
            Self::Expected(id) => write!(f, "the guest of port {id}, which is expected"),
            Self::Router(id) => write!(f, "router {id}"),
            Self::SharedMac(network, mac) => write!(f, "MAC {mac} of network {network}"),
            Self::Policy(groups) => {
                let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
                write!(f, "ports under security groups {}", groups.join("+"))
            }
            Self::Member(_) => f.write_str("members of security groups"),
        }
    }
}

/// Every object that has flows on a hypervisor, but ports and members of groups.
pub(crate) fn all_but_ports(
    view: &View<'_>,
    present: &BTreeMap<NetworkId, Presence>,
    members: &BTreeSet<ChassisId>,
) -> BTreeSet<PipelineObject> {
    let networks = present.keys();
    let gateways = networks.flat_map(|network| view.gateways_around(*network));
    let peers = members.iter().chain(gateways).cloned();
    let peers = peers.map(PipelineObject::Peer);
    let ports = present
        .keys()
        .flat_map(|network| view.intent.ports_of(*network))
        .flat_map(|port| around_port(port));
    [PipelineObject::Base]
        .into_iter()
        .chain(peers)
        .chain(present.keys().copied().map(PipelineObject::Network))
        .chain(
            present
                .keys()
                .flat_map(|network| member_shards(view, *network)),
        )
        .chain(ports)
        .chain(
            view.facts
                .expected_on(view.chassis)
                .map(PipelineObject::Expected),
        )
        .chain(policies(view))
        .collect()
}

/// The shards of a network's members, where it has guests here and so many members that there are several.
pub(crate) fn member_shards(view: &View<'_>, id: NetworkId) -> Vec<PipelineObject> {
    let shards = local(view, id).map_or_else(Vec::new, |network| switching::shards(view, network));
    let shards = shards.into_iter();
    shards
        .map(|shard| PipelineObject::Members(id, shard))
        .collect()
}

/// The sets of groups that ports here are under, and the members of groups that their rules are about.
pub(crate) fn secured(view: &View<'_>) -> BTreeSet<PipelineObject> {
    let named = named_groups(view).into_iter();
    let members = named.flat_map(|group| members(view, group));
    policies(view).chain(members).collect()
}

/// The sets of groups that ports here are under.
fn policies(view: &View<'_>) -> impl Iterator<Item = PipelineObject> {
    let on_here = view.facts.groups_on(view.chassis);
    let ports = on_here
        .into_iter()
        .filter_map(|(_, port)| view.intent.ports.get(&port));
    ports.map(|port| PipelineObject::Policy(port.security_groups.clone()))
}

/// The groups that rules of ports here are about.
pub(crate) fn named_groups(view: &View<'_>) -> BTreeSet<SecurityGroupId> {
    let groups: BTreeSet<_> = view
        .facts
        .groups_on(view.chassis)
        .into_iter()
        .map(|(group, _)| group)
        .collect();
    let rules = groups
        .into_iter()
        .flat_map(|group| view.intent.rules_of(group));
    rules
        .filter_map(|rule| security::group_of(rule.remote))
        .collect()
}

/// The members of a group.
pub(crate) fn members<'a>(
    view: &View<'a>,
    group: SecurityGroupId,
) -> impl Iterator<Item = PipelineObject> + use<'a> {
    let ports = view.intent.ports_under(group);
    ports.flat_map(|port| members_at(port))
}

/// The addresses of a port as a member of its groups.
pub(crate) fn members_at(port: &Port) -> impl Iterator<Item = PipelineObject> + use<> {
    let groups = port.security_groups.first();
    let members = groups.map(|_| port.member_addresses());
    members.into_iter().flatten().map(PipelineObject::Member)
}

/// The objects that a port is part of: itself, those around it, and its addresses as a member of groups.
pub(crate) fn of_one_port(port: &Port) -> impl Iterator<Item = PipelineObject> + use<> {
    let itself = [PipelineObject::Port(port.id)].into_iter();
    itself.chain(around_port(port)).chain(members_at(port))
}

/// The MACs that a port may use besides its own, and its router.
fn around_port(port: &Port) -> impl Iterator<Item = PipelineObject> + use<> {
    let network = port.network_id;
    let shared = port.other_macs().into_iter();
    let router = port.router().or(port.gateway_of());
    shared
        .map(move |mac| PipelineObject::SharedMac(network, mac))
        .chain(router.map(PipelineObject::Router))
}

/// What one object contributes.
#[derive(Default)]
pub(crate) struct Contribution {
    /// What flows come from that other hypervisors have, too.
    pub(crate) shared: Option<SharedSource>,
    /// Its other flows.
    pub(crate) flows: Vec<Flow>,
    /// The meters that its flows pass.
    pub(crate) meters: Vec<u32>,
    pub(crate) link: Option<AdvertisedLink>,
    pub(crate) interface: Option<Interface>,
    pub(crate) uplink: Option<Uplink>,
    pub(crate) withheld: Vec<Withheld>,
}

impl From<Option<SharedSource>> for Contribution {
    fn from(shared: Option<SharedSource>) -> Self {
        Self {
            shared,
            ..Self::default()
        }
    }
}

impl From<Vec<Flow>> for Contribution {
    fn from(flows: Vec<Flow>) -> Self {
        Self {
            flows,
            ..Self::default()
        }
    }
}

/// What an object contributes at present. Nothing if it does not exist or has no part here.
pub(crate) fn contribution(view: &View<'_>, object: &PipelineObject) -> Contribution {
    match object {
        PipelineObject::Base => Contribution {
            shared: Some(SharedSource::Base),
            flows: [
                tunnel::arrive(view),
                tunnel::unknown(view),
                tunnel::probed(view),
                metadata::classify(view),
            ]
            .concat(),
            meters: tunnel::meters(view),
            ..Contribution::default()
        },
        PipelineObject::Peer(peer) => tunnel::heard(view, peer).map(SharedSource::Peer).into(),
        PipelineObject::Network(id) => of_network(view, *id),
        PipelineObject::Members(id, shard) => local(view, *id)
            .and_then(|network| switching::multicast_shard(view, network, *shard))
            .map_or_else(Vec::new, |flow| vec![flow])
            .into(),
        PipelineObject::SharedMac(id, mac) => present(view, *id)
            .map_or_else(Vec::new, |network| switching::shared(view, network, *mac))
            .into(),
        PipelineObject::Policy(groups) => security::policy(view, groups).into(),
        PipelineObject::Member(address) => {
            let found = MemberMatch::of(view, *address);
            found.map(SharedSource::Member).into()
        }
        PipelineObject::Expected(id) => of_expected(view, *id),
        PipelineObject::Router(id) => of_router(view, *id).into(),
        PipelineObject::Port(id) => view
            .intent
            .ports
            .get(id)
            .map(|port| of_port(view, port))
            .unwrap_or_default(),
    }
}

fn of_network(view: &View<'_>, id: NetworkId) -> Contribution {
    let Some((network, presence)) = view.network(id).zip(view.presence(id)) else {
        return Contribution::default();
    };
    let uplink = uplink(view, network);
    let is_local = presence == Presence::Local;
    let mut flows: Vec<Flow> = provider::way_out(view, network).into_iter().collect();
    if is_local {
        flows.extend(switching::multicast(view, network));
        flows.extend(metadata::resolved(view, network));
    }
    let mut meters = uplink.as_ref().map_or_else(Vec::new, uplink::meters);
    // Where routers use the network here, its frames come in by the patch port even without a guest of the network.
    if is_local || uplink.is_some() {
        flows.extend(provider::classify(view, network, uplink.is_some()));
        meters.extend(provider::meter(view, network));
    }
    if let Some(uplink) = &uplink {
        flows.extend(external::link(view, network, uplink));
    }
    Contribution {
        flows,
        meters,
        uplink,
        ..Contribution::default()
    }
}

/// A network that has guests here, or that guests here reach through a router.
fn present<'a>(view: &View<'a>, id: NetworkId) -> Option<&'a Network> {
    let network = view.network(id)?;
    view.presence(id).map(|_| &**network)
}

/// A network that has guests here.
fn local<'a>(view: &View<'a>, id: NetworkId) -> Option<&'a Network> {
    let network = view.network(id)?;
    (view.presence(id) == Some(Presence::Local)).then_some(network)
}

/// The flows of a router that is up, and that has guests or its gateway here.
fn of_router(view: &View<'_>, id: RouterId) -> Vec<Flow> {
    let router = view.intent.routers.get(&id);
    let router = router
        .filter(|router| router.admin_state_up)
        .filter(|router| view.has_guests_of(router) || view.has_gateway(router));
    router.map_or_else(Vec::new, |router| {
        [
            routing::connected_networks(view, router),
            extra_routes::of_router(view, router),
            external::routes(view, router),
            icmp_error::too_big(view, router),
        ]
        .concat()
    })
}

/// What a port contributes at present.
pub(crate) fn of_port(view: &View<'_>, port: &Arc<Port>) -> Contribution {
    if port.gateway_of().is_some() {
        return of_gateway_port(view, port);
    }
    let Some((network, presence)) = view
        .network(port.network_id)
        .zip(view.presence(port.network_id))
    else {
        return Contribution::default();
    };
    if let Some(router) = view.router(port) {
        return of_router_port(view, network, presence, router, port);
    }
    match view.binding(port) {
        Some(binding) => of_guest_port(view, network, presence, port, binding),
        // A port that is down or not plugged in anywhere has no flows.
        None => Contribution::default(),
    }
}

fn of_expected(view: &View<'_>, id: PortId) -> Contribution {
    let Some((flow, ofport)) = arrival::expected(view, id) else {
        return Contribution::default();
    };
    Contribution {
        flows: vec![flow],
        meters: vec![ofport.into()],
        ..Contribution::default()
    }
}

fn of_gateway_port(view: &View<'_>, port: &Port) -> Contribution {
    let mut flows = external::port(view, port);
    if let (Some(network), Some(_)) = (local(view, port.network_id), view.gateway_by(port)) {
        // Guests here may also be on the external network itself. They resolve the router's address like any other.
        let (presence, answering) = (Presence::Local, view.answering());
        flows.extend(elsewhere::answers(
            network,
            presence,
            answering,
            port,
            AddressOwner::Router,
        ));
    }
    Contribution {
        flows,
        meters: external::meter(view, port).into_iter().collect(),
        ..Contribution::default()
    }
}

fn of_router_port(
    view: &View<'_>,
    network: &Network,
    presence: Presence,
    router: &Router,
    port: &Port,
) -> Contribution {
    let mut flows = routing::interface(view, network, router, port);
    flows.extend(elsewhere::answers(
        network,
        presence,
        view.answering(),
        port,
        AddressOwner::Router,
    ));
    flows.push(held::asker(network, port));
    if presence == Presence::Local {
        flows.extend(icmp_error::interface(network, router, port));
        flows.extend(neighbor::known_anycast(view, network, port));
    }
    let mut contribution = Contribution::from(flows);
    if presence == Presence::Local {
        contribution.link = advertised_link(view, network, port);
        contribution.interface = Some(Interface {
            network: network.key,
            mac: port.mac_address,
            addresses: port.addresses().map(|(_, address)| address).collect(),
        });
    }
    contribution
}

fn of_guest_port(
    view: &View<'_>,
    network: &Arc<Network>,
    presence: Presence,
    port: &Arc<Port>,
    binding: &Binding,
) -> Contribution {
    let (published, withheld) = external::published(view, port);
    let guest = GuestAddresses::of(view, network, presence, port);
    if binding.chassis != *view.chassis {
        let way = switching::way(view, network, &binding.chassis);
        return Contribution {
            shared: Some(SharedSource::Guest(GuestElsewhere { guest, way })),
            flows: published,
            withheld,
            ..Contribution::default()
        };
    }
    let mut flows = [published, guest.flows()].concat();
    let mut meters = vec![];
    if let Some(ofport) = binding.ofport {
        flows.push(switching::delivered(network, port, ofport));
        flows.extend(of_guest_here(view, network, port, ofport));
        meters = meters_of(view, port, ofport);
    }
    Contribution {
        flows,
        meters,
        withheld,
        ..Contribution::default()
    }
}

/// What a guest here may send, and is sent.
fn of_guest_here(view: &View<'_>, network: &Network, port: &Port, ofport: u16) -> Vec<Flow> {
    let mut flows = guest::classify(network, ofport).to_vec();
    flows.extend(capture::port(view, network, port, ofport));
    flows.extend(fragments::arriving(Stage::Martians, ofport));
    flows.push(icmp_error::guest(ofport));
    flows.push(neighbor::asked_from(view, ofport, ofport.into()));
    flows.extend(guard::port(port, ofport));
    flows.extend(punt::port(view, network, port, ofport));
    flows.extend(metadata::port(view, port, ofport));
    flows.extend(neighbor::own(port, ofport));
    flows.extend(arp::own(port, ofport));
    flows.extend(security::port(view, port, ofport));
    flows
}

/// A port's meters: for its punts, for fragments that it sends, and for fragments that it is sent.
fn meters_of(view: &View<'_>, port: &Port, ofport: u16) -> Vec<u32> {
    let sent = security::meter(view, port, ofport);
    let of_port = [ofport.into(), fragments::meter(ofport)];
    let captured = capture::meter(view, port, ofport);
    of_port.into_iter().chain(sent).chain(captured).collect()
}
