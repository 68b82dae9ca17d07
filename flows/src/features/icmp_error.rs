//! What routers say of packets that they do not forward (RFC 4443 §3.1, §3.3; RFC 792, RFC 1812 §5.2.7).
//!
//! Where a packet ends is the same for all routers, so that is a handful of flows; they note why. Then its guest's meter
//! lets so many such packets through and no more (RFC 4443 §2.4(f)), and a flow of the router's port on the network where
//! the packet came in sends it up with the address to answer from.

use super::{ipv4, ipv6, neighbor};
use crate::flow::Flow;
use crate::pipeline::{
    ARRIVED, PROBLEM, PROBLEM_HOP_LIMIT, PROBLEM_NO_ROUTE, PROBLEM_UNREACHABLE, ROUTER, Stage,
    mac_register,
};
use rust_openflow::{Action, Field, Match, Subfield};
use sextant_model::{IcmpError, Network, Port, Problem, Punt, Router};
use std::net::IpAddr;

/// Below what routers answer and what they never forward, above every route.
const HOP_LIMIT: u16 = 1700;

const PROBLEMS: [(u32, Problem); 3] = [
    (PROBLEM_HOP_LIMIT, Problem::HopLimit),
    (PROBLEM_NO_ROUTE, Problem::NoRoute),
    (PROBLEM_UNREACHABLE, Problem::Unreachable),
];

/// Where packets end.
pub(crate) fn base() -> Vec<Flow> {
    [ipv6(), ipv4()].into_iter().flat_map(ends).collect()
}

fn ends(family: Match) -> [Flow; 4] {
    let spent = |left: u8| {
        let matches = family.clone().with(Field::NW_TTL, left);
        end(
            Stage::Route,
            HOP_LIMIT,
            matches,
            vec![why(PROBLEM_HOP_LIMIT)],
        )
    };
    let no_route = vec![why(PROBLEM_NO_ROUTE)];
    let unreachable = vec![from_its_sender(), why(PROBLEM_UNREACHABLE)];
    [
        spent(0),
        spent(1),
        end(Stage::Route, 0, family.clone(), no_route),
        end(Stage::NextHop, 0, family.clone(), unreachable),
    ]
}

fn end(stage: Stage, priority: u16, matches: Match, noted: Vec<Action>) -> Flow {
    Flow::new(stage, priority, matches)
        .apply(noted)
        .goto(Stage::Refuse)
}

fn why(problem: u32) -> Action {
    Action::set(PROBLEM, problem)
}

/// Undoes what a route has made of the Ethernet source: the guest is told at its own address.
fn from_its_sender() -> Action {
    Action::Move {
        src: mac_register(),
        dst: Subfield::whole(Field::ETH_SRC),
    }
}

/// A guest is told as often as the meter of its punts allows.
pub(crate) fn guest(ofport: u16) -> Flow {
    let of_guest = Match::new().with(Field::IN_PORT, ofport);
    Flow::new(Stage::Refuse, 100, of_guest)
        .goto(Stage::Report)
        .meter(u32::from(ofport))
}

/// What a router's port tells the guests of its network.
pub(crate) fn interface(network: &Network, router: &Router, port: &Port) -> Vec<Flow> {
    let told = |(family, source): (Match, IpAddr)| {
        PROBLEMS.map(|(number, problem)| {
            let matches = family
                .clone()
                .with(ROUTER, router.key.0)
                .with(ARRIVED, network.key.0)
                .with(PROBLEM, number)
                .mac(Field::ETH_DST, port.mac_address.0);
            Flow::new(Stage::Report, 100, matches).punt(Punt::IcmpError(IcmpError {
                problem,
                mac: port.mac_address,
                source,
            }))
        })
    };
    sources(port).flat_map(told).collect()
}

/// The address of each family that a router's port speaks from: a global one if it has any (RFC 4443 §2.2).
fn sources(port: &Port) -> impl Iterator<Item = (Match, IpAddr)> {
    let first_ipv6 = port.ipv6_addresses().map(|(_, address)| address).next();
    let link_local = neighbor::addresses(port).next();
    let first_ipv4 = port.ipv4_addresses().map(|(_, address)| address).next();
    let of_ipv6 = first_ipv6.or(link_local).map(|own| (ipv6(), own.into()));
    of_ipv6
        .into_iter()
        .chain(first_ipv4.map(|own| (ipv4(), own.into())))
}
