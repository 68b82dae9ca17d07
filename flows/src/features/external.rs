//! Ways of routers out of the cloud, by external networks.
//!
//! The hypervisor with a router's gateway sends what leaves out of its own bridge of the physical network, and takes what
//! comes from there for the router. The others send it there as it is, through the tunnel and on the network where the
//! router got it; the router counts as one hop, there. Where IPv6 leaves by any hypervisor, each sends from a MAC of its
//! own, and only what comes in passes the gateway.

mod outside;
mod publishing;
mod translation;

pub(crate) use outside::{link, meter, port};
pub(crate) use publishing::{published, publishes};

use super::routing::{self, Way, in_register, to};
use super::{icmp_error, of_version, tunnel};
use crate::exit::{Exit, Gateway};
use crate::flow::Flow;
use crate::pipeline::{
    ARRIVED, Holding, NETWORK, NEXT_HOP, ORIGIN, ROUTER, Stage, next_hop, origin, route,
};
use crate::view::{Tunnel, View};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rust_openflow::{Action, Field, Subfield};
use sextant_model::{IpVersion, MacAddr, Publish, Router};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The routes of a router to its external network and by way of it, its addresses there, and what it tells outside of what it
/// does not forward.
pub(crate) fn routes(view: &View<'_>, router: &Router) -> Vec<Flow> {
    let Some(gateway) = view.gateway(router) else {
        return vec![];
    };
    let at_gateway = match view.exit(&gateway, IpVersion::V6) {
        Some(Exit::Here { outside, .. }) if view.has_gateway(router) => [
            icmp_error::at_gateway(view, &gateway, outside.tci),
            translation::too_big(view, &gateway),
            from_inside(view, &gateway),
        ]
        .concat(),
        Some(Exit::Here { .. } | Exit::There(_)) | None => vec![],
    };
    let of_family = |family| match view.exit(&gateway, family) {
        Some(Exit::Here { mac, .. }) => out(view, &gateway, family, mac),
        Some(Exit::There(tunnel)) => onward(view, &gateway, family, &tunnel),
        None => vec![],
    };
    let routes = IpVersion::ALL.into_iter().flat_map(of_family);
    let own = routing::own_addresses(router, gateway.port);
    routes.chain(at_gateway).chain(own).collect()
}

/// Nobody outside speaks from an address inside (RFC 2827, RFC 3704 §2.3): a guest's rules may name who may speak to it by
/// address. Where guests are taken for neighbours, a router outside may itself have an address of their prefix.
fn from_inside(view: &View<'_>, gateway: &Gateway<'_>) -> Vec<Flow> {
    let shared = view.external(gateway.network).publish == Publish::NdProxy;
    let interfaces = view.interfaces(gateway.router);
    let prefixes: BTreeSet<IpNet> = interfaces
        .flat_map(|(_, port)| view.prefixes(port))
        .filter(|prefix| !shared || prefix.addr().is_ipv4())
        .collect();
    let forged = |prefix| {
        let matches = routing::from(prefix)
            .holding(ROUTER, gateway.router.key.0)
            .holding(ARRIVED, gateway.network.key.0);
        Flow::new(Stage::Route, route::NEVER_FORWARDED, matches)
    };
    prefixes.into_iter().map(forged).collect()
}

/// Where the packets of a family go that leave by a gateway: its prefixes, each to itself, and everywhere, to the next hop.
fn destinations(
    view: &View<'_>,
    gateway: &Gateway<'_>,
    family: IpVersion,
) -> Vec<(IpNet, u16, Option<IpAddr>)> {
    let connected = view
        .prefixes(gateway.port)
        .filter(|prefix| IpVersion::of_prefix(*prefix) == family)
        .map(|prefix| (prefix, routing::priority(prefix) + 1, None));
    let Some((on, _)) = view.facts.gateways().get(&gateway.router.id) else {
        return vec![];
    };
    let here = view.next_hop(gateway, view.chassis, family);
    let hop = match view.leaves_here(gateway) {
        true => here.or_else(|| view.next_hop(gateway, on, family)),
        false => view.next_hop(gateway, on, family),
    };
    let everywhere = hop.map(|hop| (everywhere(family), route::DEFAULT_ROUTE, Some(hop)));
    connected.chain(everywhere).collect()
}

fn everywhere(family: IpVersion) -> IpNet {
    match family {
        IpVersion::V6 => Ipv6Net::default().into(),
        IpVersion::V4 => Ipv4Net::default().into(),
    }
}

/// Out of this hypervisor's bridge.
fn out(view: &View<'_>, gateway: &Gateway<'_>, family: IpVersion, mac: MacAddr) -> Vec<Flow> {
    let flow = |(prefix, priority, hop): (IpNet, u16, Option<IpAddr>)| {
        let next_hop = hop.map_or_else(|| routing::to_itself(prefix), by_way_of);
        let way = leaving(view, gateway, mac, next_hop);
        let matches = to(prefix).holding(ROUTER, gateway.router.key.0);
        let flow = Flow::new(Stage::Route, priority, matches);
        flow.apply(way.actions).goto(way.next)
    };
    let destinations = destinations(view, gateway, family);
    destinations.into_iter().map(flow).collect()
}

fn by_way_of(hop: IpAddr) -> Vec<Action> {
    vec![NEXT_HOP.set(in_register(hop))]
}

/// Onto the external network, here.
fn leaving(view: &View<'_>, gateway: &Gateway<'_>, mac: MacAddr, next_hop: Vec<Action>) -> Way {
    let mut way = Way::onto(view, gateway.router, gateway.network, mac);
    way.actions.extend(next_hop);
    way.actions.push(ORIGIN.set(origin::GUEST));
    way
}

/// Towards the hypervisor with the gateway, which routes it.
fn handed_on(view: &View<'_>, gateway: &Gateway<'_>) -> Way {
    let fits = routing::fitting_onward(view, gateway.router, gateway.network);
    let next = routing::after(&fits);
    let onto = NETWORK.set(gateway.network.key.0);
    let actions = [vec![onto], fits].concat();
    Way { actions, next }
}

/// The way of a router to a neighbour within a prefix of its external network.
pub(super) fn way_to(view: &View<'_>, gateway: &Gateway<'_>, hop: IpAddr) -> Option<Way> {
    view.prefixes(gateway.port)
        .find(|prefix| prefix.contains(&hop))?;
    let family = match hop {
        IpAddr::V6(_) => IpVersion::V6,
        IpAddr::V4(_) => IpVersion::V4,
    };
    Some(match view.exit(gateway, family)? {
        Exit::Here { mac, .. } => leaving(view, gateway, mac, by_way_of(hop)),
        Exit::There(_) => handed_on(view, gateway),
    })
}

/// To the hypervisor with the gateway, as it came.
fn onward(view: &View<'_>, gateway: &Gateway<'_>, family: IpVersion, tunnel: &Tunnel) -> Vec<Flow> {
    let (router, network) = (gateway.router, gateway.network);
    let flow = |(prefix, priority, _)| {
        let matches = to(prefix).holding(ROUTER, router.key.0);
        let way = handed_on(view, gateway);
        Flow::new(Stage::Route, priority, matches)
            .apply(way.actions)
            .goto(way.next)
    };
    let destinations = destinations(view, gateway, family);
    let routes: Vec<Flow> = destinations.into_iter().map(flow).collect();
    if routes.is_empty() {
        return routes;
    }
    // What came through a tunnel enters no other: two hypervisors that disagree about where the gateway is would send it to
    // and fro, its hop limit untouched.
    let leaving = of_version(family)
        .holding(NETWORK, network.key.0)
        .holding(ROUTER, router.key.0)
        .holding(ORIGIN, origin::GUEST);
    let sent = Flow::new(Stage::NextHop, next_hop::ONWARD, leaving).apply(through(tunnel));
    routes.into_iter().chain([sent]).collect()
}

/// On the network where the router got it.
fn through(tunnel: &Tunnel) -> Vec<Action> {
    let key = Action::Move {
        src: ARRIVED.bits(),
        dst: Subfield::new(Field::TUN_ID, 0, 32),
    };
    [key].into_iter().chain(tunnel::send(tunnel)).collect()
}
