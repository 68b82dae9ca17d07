//! Routes of a router by way of neighbours (`routes` in the API): guests that route, appliances, or routers outside.
//!
//! Next hops of one destination share its traffic (RFC 2992). A hash of addresses and ports chooses one, the same in
//! both directions, so that a connection keeps its path. A next hop that is on no network of the router is ignored.

use super::external;
use super::routing::{Adjacency, in_register, priority, to};
use crate::flow::Flow;
use crate::pipeline::{Holding, NEXT_HOP, PATH, ROUTER, Stage};
use crate::view::View;
use ipnet::IpNet;
use rust_openflow::{Action, HashFields, Multipath};
use sextant_model::{HostRoute, Router};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// `NX_MP_ALG_HRW`: when a next hop comes or goes, connections by the others keep theirs.
const HIGHEST_RANDOM_WEIGHT: u16 = 2;

/// The routes of a router.
pub(crate) fn of_router(view: &View<'_>, router: &Router) -> Vec<Flow> {
    let mut routes: BTreeMap<IpNet, BTreeSet<IpAddr>> = BTreeMap::new();
    for HostRoute {
        destination,
        nexthop,
    } in &router.routes
    {
        let hops = routes.entry(destination.trunc()).or_default();
        hops.insert(*nexthop);
    }
    let mut flows = vec![];
    for (destination, hops) in routes {
        let hops = hops.into_iter();
        let paths = hops.filter_map(|hop| path(view, router, destination, hop));
        flows.extend(route(router, destination, paths.collect()));
    }
    flows
}

/// The way to a next hop of the destination's family. The router's inner networks come before its external one.
fn path(view: &View<'_>, router: &Router, destination: IpNet, hop: IpAddr) -> Option<Adjacency> {
    if destination.addr().is_ipv4() != hop.is_ipv4() {
        return None;
    }
    let mut interfaces = view.interfaces(router);
    let inside =
        interfaces.find(|(_, port)| view.prefixes(port).any(|prefix| prefix.contains(&hop)));
    let Some((network, port)) = inside else {
        return external::way_to(view, &view.gateway(router)?, hop);
    };
    let mut way = Adjacency::onto(view, router, network, port.mac_address);
    way.actions.push(NEXT_HOP.set(in_register(hop)));
    Some(way)
}

fn route(router: &Router, destination: IpNet, mut paths: Vec<Adjacency>) -> Vec<Flow> {
    let matches = to(destination).holding(ROUTER, router.key.0);
    let priority = priority(destination);
    match paths.len() {
        0 => vec![],
        1 => {
            let only = paths.remove(0);
            let route = Flow::new(Stage::Route, priority, matches);
            vec![route.apply(only.actions).goto(only.next)]
        }
        several => {
            let choice = Flow::new(Stage::Route, priority, matches.clone())
                .apply(vec![choose(several)])
                .goto(Stage::Path);
            let paths = (0u32..).zip(paths).map(|(number, path)| {
                let chosen = matches.clone().holding(PATH, number);
                Flow::new(Stage::Path, priority, chosen)
                    .apply(path.actions)
                    .goto(path.next)
            });
            [choice].into_iter().chain(paths).collect()
        }
    }
}

fn choose(several: usize) -> Action {
    Action::Multipath(Multipath {
        fields: HashFields::SymmetricL3L4Udp,
        basis: 0,
        algorithm: HIGHEST_RANDOM_WEIGHT,
        max_link: u16::try_from(several - 1).unwrap_or(u16::MAX),
        argument: 0,
        dst: PATH.bits(),
    })
}
