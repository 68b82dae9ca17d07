//! How routers' packets leave the cloud, by external networks.
//!
//! The hypervisor with a router's gateway sends packets out of its own bridge of the physical network. It also takes
//! what comes from there for the router. Other hypervisors send packets to it unchanged, through the tunnel, on the
//! network where the router got them. Only the gateway's hypervisor counts a hop.

mod outside;
mod publishing;
mod translation;

pub(crate) use outside::{link, meter, port};
pub(crate) use publishing::{published, publishes};

use super::routing::{self, Adjacency, in_register, to};
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

/// The routes of a router by its external network, its addresses there, and its errors to senders outside.
pub(crate) fn routes(view: &View<'_>, router: &Router) -> Vec<Flow> {
    let Some(gateway) = view.gateway(router) else {
        return vec![];
        // Errors and the check of sources need the gateway here: packets from outside come in nowhere else.
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
    let routes = IpVersion::ALL
        .into_iter()
        .flat_map(|family| match view.exit(&gateway, family) {
            Some(Exit::Here { mac, .. }) => out(view, &gateway, family, mac),
            Some(Exit::There(tunnel)) => onward(view, &gateway, family, &tunnel),
            None => vec![],
        });
    let own = routing::own_addresses(router, gateway.port);
    routes.chain(at_gateway).chain(own).collect()
}

/// Drops packets from outside whose source is an address inside (RFC 2827, RFC 3704 §2.3): a guest's rules may name
/// addresses that may speak to it. Where routers answer for guests, a router outside may itself have an address of
/// their prefix.
fn from_inside(view: &View<'_>, gateway: &Gateway<'_>) -> Vec<Flow> {
    let shared = view.external(gateway.network).publish == Publish::NdProxy;
    let interfaces = view.interfaces(gateway.router);
    let prefixes: BTreeSet<IpNet> = interfaces
        .flat_map(|(_, port)| view.prefixes(port))
        .filter(|prefix| !shared || prefix.addr().is_ipv4())
        .collect();
    let forged = prefixes.into_iter().map(|prefix| {
        let matches = routing::from(prefix)
            .holding(ROUTER, gateway.router.key.0)
            .holding(ARRIVED, gateway.network.key.0);
        Flow::new(Stage::Route, route::NEVER_FORWARDED, matches)
    });
    forged.collect()
}

/// Where packets of a family leave by a gateway: its prefixes, each to its own destination, and everything else to the
/// next hop.
fn destinations(
    view: &View<'_>,
    gateway: &Gateway<'_>,
    family: IpVersion,
) -> Vec<(IpNet, u16, Option<IpAddr>)> {
    let connected = view
        // One above other routes of the same prefix, as for every connected network.
        .prefixes(gateway.port)
        .filter(|prefix| IpVersion::of_prefix(*prefix) == family)
        .map(|prefix| (prefix, routing::priority(prefix) + 1, None));
    let Some((on, _)) = view.facts.gateways().get(&gateway.router.id) else {
        return vec![];
    };
    // A hypervisor that sends by itself uses the next hop that it knows. Until then the gateway's says that there is a route.
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

/// Sends packets out of this hypervisor's bridge.
fn out(view: &View<'_>, gateway: &Gateway<'_>, family: IpVersion, mac: MacAddr) -> Vec<Flow> {
    let destinations = destinations(view, gateway, family).into_iter();
    let routes = destinations.map(|(prefix, priority, hop)| {
        let next_hop = hop.map_or_else(|| routing::to_itself(prefix), by_way_of);
        let way = leaving(view, gateway, mac, next_hop);
        let matches = to(prefix).holding(ROUTER, gateway.router.key.0);
        let flow = Flow::new(Stage::Route, priority, matches);
        flow.apply(way.actions).goto(way.next)
    });
    routes.collect()
}

fn by_way_of(hop: IpAddr) -> Vec<Action> {
    vec![NEXT_HOP.set(in_register(hop))]
}

/// Sends packets onto the external network from here.
fn leaving(
    view: &View<'_>,
    gateway: &Gateway<'_>,
    mac: MacAddr,
    next_hop: Vec<Action>,
) -> Adjacency {
    let mut way = Adjacency::onto(view, gateway.router, gateway.network, mac);
    way.actions.extend(next_hop);
    // What came through a tunnel to the gateway goes on as if a guest here had sent it, so that it may leave.
    way.actions.push(ORIGIN.set(origin::GUEST));
    way
}

/// Sends packets to the hypervisor with the gateway, which routes them.
fn handed_on(view: &View<'_>, gateway: &Gateway<'_>) -> Adjacency {
    let fits = routing::fitting_onward(view, gateway.router, gateway.network);
    let next = routing::after(&fits);
    let onto = NETWORK.set(gateway.network.key.0);
    let actions = [vec![onto], fits].concat();
    Adjacency { actions, next }
}

/// A router's way to a neighbour in a prefix of its external network.
pub(super) fn way_to(view: &View<'_>, gateway: &Gateway<'_>, hop: IpAddr) -> Option<Adjacency> {
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

/// Sends packets to the hypervisor with the gateway unchanged.
fn onward(view: &View<'_>, gateway: &Gateway<'_>, family: IpVersion, tunnel: &Tunnel) -> Vec<Flow> {
    let (router, network) = (gateway.router, gateway.network);
    let destinations = destinations(view, gateway, family);
    if destinations.is_empty() {
        return vec![];
    }
    let routes = destinations.into_iter().map(|(prefix, priority, _)| {
        let matches = to(prefix).holding(ROUTER, router.key.0);
        let way = handed_on(view, gateway);
        Flow::new(Stage::Route, priority, matches)
            .apply(way.actions)
            .goto(way.next)
    });
    // What came through a tunnel enters no other. Two hypervisors that disagree about where the gateway is would send
    // it to and fro, and its hop limit would stay the same.
    let leaving = of_version(family)
        .holding(NETWORK, network.key.0)
        .holding(ROUTER, router.key.0)
        .holding(ORIGIN, origin::GUEST);
    let sent = Flow::new(Stage::NextHop, next_hop::ONWARD, leaving).apply(through(tunnel));
    routes.chain([sent]).collect()
}

/// Sends a packet through the tunnel, on the network where the router got it.
fn through(tunnel: &Tunnel) -> Vec<Action> {
    let key = Action::Move {
        src: ARRIVED.bits(),
        dst: Subfield::new(Field::TUN_ID, 0, 32),
    };
    [key].into_iter().chain(tunnel::send(tunnel)).collect()
}
