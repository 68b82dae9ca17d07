//! What routers say of packets that they do not take (RFC 4443 §3; RFC 792, RFC 1812 §5.2.7).
//!
//! Where a packet ends is the same for all routers, so that is a handful of flows; they note why. Then its guest's meter
//! lets so many such packets through and no more (RFC 4443 §2.4(f)), and a flow of the router's port on the network where
//! the packet came in sends it up with the address to answer from.
//!
//! Open vSwitch shows flows the header behind the extension headers (`parse_ipv6_ext_hdrs__` in its `lib/flow.c`), so
//! these are looked at only in what comes up: what is for the router itself. In what is forwarded nobody looks at them, as
//! RFC 8200 §4 and §4.3 have it for a router that is not told to.

use super::{ethertype, ipv4, ipv6, neighbor, protocol};
use crate::flow::Flow;
use crate::pipeline::{
    ARRIVED, LONGER, NETWORK, PROBLEM, PROBLEM_HOP_LIMIT, PROBLEM_NO_ROUTE, PROBLEM_OWN_ADDRESS,
    PROBLEM_TOO_BIG, PROBLEM_UNREACHABLE, ROUTER, Stage, mac_register,
};
use crate::view::View;
use rust_openflow::{Action, Field, Match, Subfield};
use sextant_model::{IcmpError, Network, Port, Problem, Punt, Router};
use std::net::IpAddr;

/// Below what routers answer and what they never forward, above every route.
const HOP_LIMIT: u16 = 1700;

const PROBLEMS: [(u32, Problem); 4] = [
    (PROBLEM_HOP_LIMIT, Problem::HopLimit),
    (PROBLEM_NO_ROUTE, Problem::NoRoute),
    (PROBLEM_UNREACHABLE, Problem::Unreachable),
    (PROBLEM_OWN_ADDRESS, Problem::OwnAddress),
];

/// Where packets end.
pub(crate) fn base() -> Vec<Flow> {
    let ends = [ipv6(), ipv4()].into_iter().flat_map(ends);
    ends.chain(silences()).collect()
}

/// What is sent to a router's own address, and is nothing that it answers.
pub(crate) fn own_address(priority: u16, matches: Match) -> Flow {
    let noted = vec![why(PROBLEM_OWN_ADDRESS)];
    end(Stage::Route, priority, matches, noted)
}

/// ICMP for a router itself that it does not answer is discarded without a word (RFC 4443 §2.4(b), RFC 1122 §3.2.2), and
/// takes nothing of what its guest may be told.
fn silences() -> impl Iterator<Item = Flow> {
    [(ipv6(), protocol::ICMPV6), (ipv4(), protocol::ICMP)]
        .into_iter()
        .map(|(family, icmp)| {
            let unanswered = family
                .with(Field::IP_PROTO, icmp)
                .with(PROBLEM, PROBLEM_OWN_ADDRESS);
            Flow::new(Stage::Refuse, 200, unanswered)
        })
}

fn ends(family: Match) -> [Flow; 5] {
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
    let longer = family.clone().masked(LONGER, 1u8, 1u8);
    let too_big = vec![from_its_sender(), why(PROBLEM_TOO_BIG)];
    let unreachable = vec![from_its_sender(), why(PROBLEM_UNREACHABLE)];
    [
        spent(0),
        spent(1),
        end(Stage::Route, 0, family.clone(), no_route),
        end(Stage::Fit, 100, longer, too_big),
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
    let told = PROBLEMS.iter().flat_map(|(number, problem)| {
        report(
            network,
            router,
            port,
            *problem,
            Match::new().with(PROBLEM, *number),
        )
    });
    told.collect()
}

/// What a router's ports tell of packets that the next network does not take (RFC 4443 §3.2, RFC 1191 §4).
pub(crate) fn too_big(view: &View<'_>, router: &Router) -> Vec<Flow> {
    let mut flows = vec![];
    for (network, port) in view.interfaces(router) {
        for (next, _) in view.interfaces(router) {
            let mtu = view.mtu(next);
            if mtu < view.mtu(network) && network.id != next.id {
                let problem = Match::new()
                    .with(PROBLEM, PROBLEM_TOO_BIG)
                    .with(NETWORK, next.key.0);
                flows.extend(report(
                    network,
                    router,
                    port,
                    Problem::TooBig { mtu },
                    problem,
                ));
            }
        }
    }
    flows
}

/// What a router's port tells, in each family.
fn report(
    network: &Network,
    router: &Router,
    port: &Port,
    problem: Problem,
    matches: Match,
) -> Vec<Flow> {
    let told = |(ethertype, source): (u16, IpAddr)| {
        let matches = matches
            .clone()
            .with(Field::ETH_TYPE, ethertype)
            .with(ROUTER, router.key.0)
            .with(ARRIVED, network.key.0)
            .mac(Field::ETH_DST, port.mac_address.0);
        Flow::new(Stage::Report, 100, matches).punt(Punt::IcmpError(IcmpError {
            problem,
            mac: port.mac_address,
            source,
        }))
    };
    sources(port).map(told).collect()
}

/// The address of each family that a router's port speaks from: a global one if it has any (RFC 4443 §2.2).
fn sources(port: &Port) -> impl Iterator<Item = (u16, IpAddr)> {
    let first_ipv6 = port.ipv6_addresses().map(|(_, address)| address).next();
    let link_local = neighbor::addresses(port).next();
    let first_ipv4 = port.ipv4_addresses().map(|(_, address)| address).next();
    let of_ipv6 = first_ipv6
        .or(link_local)
        .map(|own| (ethertype::IPV6, own.into()));
    of_ipv6
        .into_iter()
        .chain(first_ipv4.map(|own| (ethertype::IPV4, own.into())))
}
