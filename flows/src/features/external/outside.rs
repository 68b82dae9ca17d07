//! What routers hear and say on external networks (RFC 4861 §6.3.4, §7.2).

use super::translation;
use crate::exit::{Gateway, own_mac};
use crate::features::neighbor::{self, Owner};
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
use sextant_model::{MacAddr, Network, Port, Punt, Speaker, Uplink, is_link_local};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

const ARP_REPLY: u16 = 2;
const DHCPV6_CLIENT: u16 = 546;

/// What a router's gateway port adds where the external network is.
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
    answered_for(view, network, address, mac, Owner::Router)
}

pub(super) fn proxied(
    view: &View<'_>,
    network: &Network,
    address: Ipv6Addr,
    mac: MacAddr,
) -> Vec<Flow> {
    answered_for(view, network, address, mac, Owner::Guest)
}

fn answered_for(
    view: &View<'_>,
    network: &Network,
    address: Ipv6Addr,
    mac: MacAddr,
    owner: Owner,
) -> Vec<Flow> {
    let known = neighbor::Known {
        network,
        address,
        mac,
        owner,
        anycast: false,
        vlan_tci: provider::outside(view, network).map_or(0, |outside| outside.tci),
    };
    neighbor::answer(view, Stage::Outside, &known)
}

/// The meter of what such a port's router translates here, where its zone needs one.
pub(crate) fn meter(view: &View<'_>, port: &Port) -> Option<u32> {
    translation::meter(view, &entered_by(view, port)?)
}

/// The gateway of a router's port that packets from outside enter by here.
fn entered_by<'a>(view: &View<'a>, port: &'a Port) -> Option<Gateway<'a>> {
    let gateway = view.gateway_by(port)?;
    let bridged = provider::outside(view, gateway.network).is_some();
    (bridged && !view.leaves_here(&gateway) && view.has_gateway(gateway.router)).then_some(gateway)
}

/// The way in, and who asks for the router.
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

/// From outside into the router. What it forwards may go to other hypervisors.
fn enter(gateway: &Gateway<'_>) -> Vec<Flow> {
    let (network, router, port) = (gateway.network, gateway.router, gateway.port);
    let noted = [
        routing::entered(network, router),
        vec![ORIGIN.set(origin::GUEST)],
    ]
    .concat();
    let entering = |priority, matches| {
        let matches = routing::to_port(network, port, matches);
        Flow::new(Stage::Router, priority, matches)
    };
    let plain = |matches| {
        entering(router::PORT, matches)
            .apply(noted.clone())
            .goto(Stage::Route)
    };
    let mut flows = vec![plain(ipv6())];
    if port.ipv4_addresses().next().is_some() {
        flows.push(plain(ipv4()));
    }
    let translated = translation::of(gateway).map(|translation| {
        let answers = ipv4().with(Field::IPV4_DST, translation.address.to_bits());
        let back = translation.inwards(Stage::Route);
        entering(router::TRANSLATED, answers).apply([noted.as_slice(), &[back]].concat())
    });
    flows.extend(translated);
    flows
}

/// What an external network that routers use here adds, besides what any network does.
pub(crate) fn link(view: &View<'_>, network: &Network, uplink: &Uplink) -> Vec<Flow> {
    let mut flows = heard(network, uplink);
    flows.extend(heard_of_known(view, network, uplink));
    flows.extend(delegations(network, uplink));
    flows.push(icmp_error::guest(uplink.port));
    flows.push(neighbor::asked_from(view, uplink.port, other_meter(uplink)));
    flows.extend(neighbors(view, network, uplink));
    flows
}

/// What tells of next hops goes up, and to guests of the network as well where it is for all.
fn heard(network: &Network, uplink: &Uplink) -> Vec<Flow> {
    let up = |priority, matches: Match| {
        Flow::new(
            Stage::Outside,
            priority,
            matches.holding(NETWORK, network.key.0),
        )
        .copy_up(Punt::Heard(network.id), heard_meter(uplink))
    };
    let to_all = |matches| up(outside::TO_ALL, matches).goto(Stage::Switch);
    // Below the answers: an ARP request of the next hop itself is answered, too.
    let asks_or_tells = |matches| up(outside::ARP, matches).goto(Stage::Switch);
    let advertisement = || valid_nd(icmpv6::NEIGHBOR_ADVERTISEMENT);
    let arp = || Match::new().with(Field::ETH_TYPE, ethertype::ARP);
    let of_hop = |hop: &IpAddr| match hop {
        IpAddr::V6(hop) => to_all(advertisement().ipv6(Field::ND_TARGET, *hop)),
        IpAddr::V4(hop) => asks_or_tells(arp().with(Field::ARP_SPA, hop.to_bits())),
    };
    let answers = |mac: MacAddr| {
        let reply = arp().with(Field::ARP_OP, ARP_REPLY);
        [advertisement(), reply]
            .map(|answer| up(outside::ANSWER, answer.mac(Field::ETH_DST, mac.0)))
    };
    let macs: BTreeSet<MacAddr> = uplink
        .speakers
        .values()
        .map(|speaker| speaker.mac)
        .collect();
    let routers = uplink
        .listens
        .then(|| to_all(valid_nd(icmpv6::ROUTER_ADVERTISEMENT)));
    routers
        .into_iter()
        .chain(uplink.next_hops.iter().map(of_hop))
        .chain(macs.into_iter().flat_map(answers))
        .collect()
}

/// What next hops say from where they are known to be, which passes a meter of its own. All routers heard are among them.
fn heard_of_known(view: &View<'_>, network: &Network, uplink: &Uplink) -> Vec<Flow> {
    let key = (view.chassis.clone(), network.id);
    let known = view.facts.outside().get(&key);
    let known = known.into_iter().flat_map(|known| &known.neighbors);
    let is_hop = |address: &IpAddr| {
        let routes = matches!(address, IpAddr::V6(router) if is_link_local(*router));
        routes || uplink.next_hops.contains(address)
    };
    let said = |address: &IpAddr| match *address {
        IpAddr::V6(address) => vec![
            valid_nd(icmpv6::NEIGHBOR_ADVERTISEMENT).ipv6(Field::ND_TARGET, address),
            valid_nd(icmpv6::ROUTER_ADVERTISEMENT).ipv6(Field::IPV6_SRC, address),
        ],
        IpAddr::V4(address) => vec![
            Match::new()
                .with(Field::ETH_TYPE, ethertype::ARP)
                .with(Field::ARP_OP, ARP_REPLY)
                .with(Field::ARP_SPA, address.to_bits()),
        ],
    };
    let hops = known.filter(|(address, _)| is_hop(address));
    let flow = |(address, mac): (&IpAddr, &MacAddr)| {
        let from = |said: Match| {
            let said = said
                .holding(NETWORK, network.key.0)
                .mac(Field::ETH_SRC, mac.0);
            Flow::new(Stage::Outside, outside::KNOWN_HOP, said)
                .copy_up(Punt::Heard(network.id), known_meter(uplink))
                .goto(Stage::Switch)
        };
        said(address).into_iter().map(from).collect::<Vec<_>>()
    };
    hops.flat_map(flow).collect()
}

/// What DHCPv6 servers answer to routers that ask for prefixes (RFC 9915 §7.2).
fn delegations(network: &Network, uplink: &Uplink) -> Vec<Flow> {
    let speakers = uplink.speakers.values();
    let asking = speakers.filter(|speaker| !speaker.delegated.is_empty());
    let answer = |speaker: &Speaker| {
        let matches = ipv6()
            .holding(NETWORK, network.key.0)
            .mac(Field::ETH_DST, speaker.mac.0)
            .ipv6(Field::IPV6_DST, speaker.mac.link_local())
            .with(Field::IP_PROTO, protocol::UDP)
            .with(Field::UDP_DST, DHCPV6_CLIENT);
        Flow::new(Stage::Outside, outside::ANSWER, matches)
            .punt(Punt::PrefixClientMessage(network.id))
            .meter(heard_meter(uplink))
    };
    asking.map(answer).collect()
}

/// Who outside has which MAC; who is looked for.
fn neighbors(view: &View<'_>, network: &Network, uplink: &Uplink) -> Vec<Flow> {
    let key = (view.chassis.clone(), network.id);
    let known = view.facts.outside().get(&key);
    let known_neighbors = known.iter().flat_map(|known| &known.neighbors);
    let reach = |(address, mac): (&IpAddr, &MacAddr)| {
        Flow::new(
            Stage::NextHop,
            next_hop::OUTSIDE,
            routing::to_hop(network, *address),
        )
        .apply(vec![Action::set(Field::ETH_DST, mac.to_u64())])
        .goto(Stage::Translate)
    };
    let heard = known
        .and_then(|known| known.default_router)
        .map(IpAddr::from);
    let hops: BTreeSet<IpAddr> = uplink.next_hops.iter().copied().chain(heard).collect();
    let sought = |hop: IpAddr| {
        Flow::new(
            Stage::NextHop,
            next_hop::SOUGHT,
            routing::to_hop(network, hop),
        )
        .apply(vec![
            icmp_error::from_its_sender(),
            PROBLEM.set(problem::UNREACHABLE),
        ])
        .goto(Stage::Refuse)
    };
    let unknown = on_link(view, network).into_iter().map(|prefix| {
        Flow::new(
            Stage::NextHop,
            next_hop::UNRESOLVED,
            routing::to_hop_within(network, prefix),
        )
        .punt(Punt::Unresolved(network.id))
        .meter(other_meter(uplink))
    });
    known_neighbors
        .map(reach)
        .chain(hops.into_iter().map(sought))
        .chain(unknown)
        .collect()
}

/// The prefixes of the network.
fn on_link(view: &View<'_>, network: &Network) -> BTreeSet<IpNet> {
    let subnets = view.intent.subnets_of(network.id);
    subnets
        .filter(|subnet| !subnet.is_provisional())
        .map(|subnet| subnet.cidr.trunc())
        .collect()
}
