//! What routers hear and say on external networks (RFC 4861 §6.3.4, §7.2).

use super::translation;
use crate::exit::{Gateway, own_mac};
use crate::features::neighbor::{self, AddressOwner};
use crate::features::routing;
use crate::features::{
    arp, ethertype, icmp_error, icmpv6, ipv4, ipv6, protocol, provider, valid_nd,
};
use crate::flow::Flow;
use crate::pipeline::{
    Holding, NETWORK, ORIGIN, PROBLEM, Stage, next_hop, origin, outside, problem, router,
};
use crate::uplink::{heard_meter, known_meter, other_meter};
use crate::view::View;
use ipnet::IpNet;
use rust_openflow::{Action, Field, Match};
use sextant_model::{MacAddr, Network, Port, Punt, Uplink, is_link_local};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

const ARP_REPLY: u16 = 2;
const DHCPV6_CLIENT: u16 = 546;

/// What a router's gateway port contributes on a hypervisor with a bridge of its external network.
pub(crate) fn port(view: &View<'_>, port: &Port) -> Vec<Flow> {
    let by_own_mac = view
        .gateway_by(port)
        .filter(|gateway| view.leaves_here(gateway));
    if let Some(gateway) = by_own_mac {
        let mac = own_mac(view.chassis, port);
        return answered(view, gateway.network, mac.link_local(), mac);
    }
    entered_by(view, port).map_or_else(Vec::new, |gateway| at_gateway(view, &gateway))
}

fn answered(view: &View<'_>, network: &Network, address: Ipv6Addr, mac: MacAddr) -> Vec<Flow> {
    answered_for(view, network, address, mac, AddressOwner::Router)
}

pub(super) fn proxied(
    view: &View<'_>,
    network: &Network,
    address: Ipv6Addr,
    mac: MacAddr,
) -> Vec<Flow> {
    answered_for(view, network, address, mac, AddressOwner::Guest)
}

fn answered_for(
    view: &View<'_>,
    network: &Network,
    address: Ipv6Addr,
    mac: MacAddr,
    owner: AddressOwner,
) -> Vec<Flow> {
    let known = neighbor::KnownAddress {
        network,
        address,
        mac,
        owner,
        anycast: false,
        vlan_tci: provider::outside(view, network).map_or(0, |outside| outside.tci),
    };
    neighbor::answer(view.answering(), Stage::Outside, &known)
}

/// The meter of fragments that the router of this port translates here, if its zone needs one.
pub(crate) fn meter(view: &View<'_>, port: &Port) -> Option<u32> {
    translation::meter(view, &entered_by(view, port)?)
}

/// The gateway of a router's port, if packets from outside come in by this hypervisor.
fn entered_by<'a>(view: &View<'a>, port: &'a Port) -> Option<Gateway<'a>> {
    let gateway = view.gateway_by(port)?;
    let bridged = provider::outside(view, gateway.network).is_some();
    (bridged && !view.leaves_here(&gateway) && view.has_gateway(gateway.router)).then_some(gateway)
}

/// Takes packets in, and answers who asks for the router.
fn at_gateway(view: &View<'_>, gateway: &Gateway<'_>) -> Vec<Flow> {
    let (network, port) = (gateway.network, gateway.port);
    let for_router = Match::new()
        .holding(NETWORK, network.key.0)
        .mac(Field::ETH_DST, port.mac_address.0);
    let arrives = Flow::new(Stage::Outside, outside::ROUTER, for_router).goto(Stage::Router);
    let asked =
        neighbor::addresses(port).flat_map(|own| answered(view, network, own, port.mac_address));
    let mut flows: Vec<Flow> = [arrives].into_iter().chain(asked).collect();
    flows.extend(arp::known(Stage::Outside, network, port));
    flows.extend(enter(gateway));
    flows.extend(translation::leaving(view, gateway));
    flows
}

/// Takes packets from outside into the router. As if from a guest here, they may go on to other hypervisors.
fn enter(gateway: &Gateway<'_>) -> Vec<Flow> {
    let (network, router, port) = (gateway.network, gateway.router, gateway.port);
    let noted = [
        routing::entered(network, router),
        vec![ORIGIN.set(origin::GUEST)],
    ]
    .concat();
    let mut families = vec![ipv6()];
    if port.ipv4_addresses().next().is_some() {
        families.push(ipv4());
    }
    let mut flows = vec![];
    for family in families {
        let matches = routing::to_port(network, port, family);
        let plain = Flow::new(Stage::Router, router::PORT, matches).apply(noted.clone());
        flows.push(plain.goto(Stage::Route));
    }
    let translated = translation::of(gateway).map(|translation| {
        // The tracker gives the guest's address back before the route is chosen, else the packet would be for the router
        // itself.
        let answers = ipv4().with(Field::IPV4_DST, translation.address.to_bits());
        let back = translation.inwards(Stage::Route);
        let matches = routing::to_port(network, port, answers);
        Flow::new(Stage::Router, router::TRANSLATED, matches)
            .apply([noted.as_slice(), &[back]].concat())
    });
    flows.extend(translated);
    flows
}

/// What an external network that routers use here contributes, besides what any network does.
pub(crate) fn link(view: &View<'_>, network: &Network, uplink: &Uplink) -> Vec<Flow> {
    let mut flows = heard(network, uplink);
    flows.extend(heard_of_known(view, network, uplink));
    flows.extend(delegations(network, uplink));
    flows.push(icmp_error::guest(uplink.port));
    flows.push(neighbor::asked_from(view, uplink.port, other_meter(uplink)));
    flows.extend(neighbors(view, network, uplink));
    flows
}

/// Copies of packets that tell of next hops go up. Those for all also go to guests of the network.
fn heard(network: &Network, uplink: &Uplink) -> Vec<Flow> {
    let mut flows = vec![];
    if uplink.listens {
        let routers = valid_nd(icmpv6::ROUTER_ADVERTISEMENT);
        flows.push(copied(network, uplink, outside::TO_ALL, routers).goto(Stage::Switch));
    }
    for hop in &uplink.next_hops {
        // ARP is below the answers, since an ARP request that comes from the next hop itself is answered, too.
        let (priority, said) = match hop {
            IpAddr::V6(hop) => {
                let advertisement = valid_nd(icmpv6::NEIGHBOR_ADVERTISEMENT);
                (outside::TO_ALL, advertisement.ipv6(Field::ND_TARGET, *hop))
            }
            IpAddr::V4(hop) => (outside::ARP, arp().with(Field::ARP_SPA, hop.to_bits())),
        };
        flows.push(copied(network, uplink, priority, said).goto(Stage::Switch));
    }
    let macs: BTreeSet<MacAddr> = uplink
        .speakers
        .values()
        .map(|speaker| speaker.mac)
        .collect();
    for mac in macs {
        let answers = [valid_nd(icmpv6::NEIGHBOR_ADVERTISEMENT), arp_reply()];
        flows.extend(answers.map(|answer| {
            let to_router = answer.mac(Field::ETH_DST, mac.0);
            copied(network, uplink, outside::ANSWER, to_router)
        }));
    }
    flows
}

/// Copies what an external network hears to the controller.
fn copied(network: &Network, uplink: &Uplink, priority: u16, matches: Match) -> Flow {
    let matches = matches.holding(NETWORK, network.key.0);
    Flow::new(Stage::Outside, priority, matches)
        .copy_up(Punt::Heard(network.id), heard_meter(uplink))
}

fn arp() -> Match {
    Match::new().with(Field::ETH_TYPE, ethertype::ARP)
}

fn arp_reply() -> Match {
    arp().with(Field::ARP_OP, ARP_REPLY)
}

/// Packets of next hops from the MAC that is known. They pass a meter of their own. All routers heard are among them.
fn heard_of_known(view: &View<'_>, network: &Network, uplink: &Uplink) -> Vec<Flow> {
    let key = (view.chassis.clone(), network.id);
    let known = view.facts.outside().get(&key);
    let mut flows = vec![];
    for (address, mac) in known.into_iter().flat_map(|known| &known.neighbors) {
        // Routers that were heard have link-local addresses: they advertise from no other (RFC 4861 §4.2).
        let routes = matches!(address, IpAddr::V6(router) if is_link_local(*router));
        if !routes && !uplink.next_hops.contains(address) {
            continue;
        }
        for said in said_by_hop(*address) {
            let said = said
                .holding(NETWORK, network.key.0)
                .mac(Field::ETH_SRC, mac.0);
            let copied = Flow::new(Stage::Outside, outside::KNOWN_HOP, said)
                .copy_up(Punt::Heard(network.id), known_meter(uplink));
            flows.push(copied.goto(Stage::Switch));
        }
    }
    flows
}

/// The packets in which a next hop tells its MAC.
fn said_by_hop(hop: IpAddr) -> Vec<Match> {
    match hop {
        IpAddr::V6(hop) => vec![
            valid_nd(icmpv6::NEIGHBOR_ADVERTISEMENT).ipv6(Field::ND_TARGET, hop),
            valid_nd(icmpv6::ROUTER_ADVERTISEMENT).ipv6(Field::IPV6_SRC, hop),
        ],
        IpAddr::V4(hop) => vec![arp_reply().with(Field::ARP_SPA, hop.to_bits())],
    }
}

/// What DHCPv6 servers answer to routers that ask for prefixes (RFC 9915 §7.2).
fn delegations(network: &Network, uplink: &Uplink) -> Vec<Flow> {
    let speakers = uplink.speakers.values();
    let asking = speakers.filter(|speaker| !speaker.delegated.is_empty());
    let answers = asking.map(|speaker| {
        let matches = ipv6()
            .holding(NETWORK, network.key.0)
            .mac(Field::ETH_DST, speaker.mac.0)
            .ipv6(Field::IPV6_DST, speaker.mac.link_local())
            .with(Field::IP_PROTO, protocol::UDP)
            .with(Field::UDP_DST, DHCPV6_CLIENT);
        Flow::new(Stage::Outside, outside::ANSWER, matches)
            .punt(Punt::PrefixClientMessage(network.id))
            .meter(heard_meter(uplink))
    });
    answers.collect()
}

/// Sends packets to neighbours outside whose MAC is known, and has the others looked for.
fn neighbors(view: &View<'_>, network: &Network, uplink: &Uplink) -> Vec<Flow> {
    let key = (view.chassis.clone(), network.id);
    let known = view.facts.outside().get(&key);
    let known_neighbors = known.iter().flat_map(|known| &known.neighbors);
    let reached = known_neighbors.map(|(address, mac)| {
        let to_neighbor = routing::to_hop(network, *address);
        Flow::new(Stage::NextHop, next_hop::OUTSIDE, to_neighbor)
            .apply(vec![Action::set(Field::ETH_DST, mac.to_u64())])
            .goto(Stage::Translate)
    });
    let heard = known
        .and_then(|known| known.default_router)
        .map(IpAddr::from);
    // A next hop that does not answer is refused, and never goes up packet by packet: the controller looks for it
    // anyway.
    let hops: BTreeSet<IpAddr> = uplink.next_hops.iter().copied().chain(heard).collect();
    let sought = hops.into_iter().map(|hop| {
        let to_hop = routing::to_hop(network, hop);
        Flow::new(Stage::NextHop, next_hop::SOUGHT, to_hop)
            .apply(vec![
                icmp_error::from_its_sender(),
                PROBLEM.set(problem::UNREACHABLE),
            ])
            .goto(Stage::Refuse)
    });
    let unknown = on_link(view, network).into_iter().map(|prefix| {
        Flow::new(
            Stage::NextHop,
            next_hop::UNRESOLVED,
            routing::to_hop_within(network, prefix),
        )
        .punt(Punt::Unresolved(network.id))
        .meter(other_meter(uplink))
    });
    reached.chain(sought).chain(unknown).collect()
}

/// The prefixes of the network's subnets that have one.
fn on_link(view: &View<'_>, network: &Network) -> BTreeSet<IpNet> {
    let subnets = view.intent.subnets_of(network.id);
    subnets
        .filter(|subnet| !subnet.is_provisional())
        .map(|subnet| subnet.cidr.trunc())
        .collect()
}
