//! What routers answer to packets that they do not forward or take (RFC 4443 §3; RFC 792, RFC 1812 §5.2.7).
//!
//! Packets end in the same few flows for all routers. Each flow notes the reason. Then the guest's meter limits how
//! many such packets go on (RFC 4443 §2.4(f)). A flow of the router's port on the network where the packet came in
//! sends it up, with the address to answer from.
//!
//! Open vSwitch shows flows the header behind the extension headers (`parse_ipv6_ext_hdrs__` in its `lib/flow.c`). So
//! extension headers are looked at only in what comes up, which is for the router itself. In forwarded packets no
//! router needs to look at them (RFC 8200 §4, §4.3).

use super::{ethertype, ipv4, ipv6, neighbor, protocol};
use crate::exit::Gateway;
use crate::flow::Flow;
use crate::pipeline::{
    ARRIVED, Holding, LONGER, NEXT_MTU, PROBLEM, ROUTER, SENDER_MAC, Stage, fit, next_hop, problem,
    refuse, report, route,
};
use crate::view::View;
use rust_openflow::{Action, Field, Match};
use sextant_model::{IcmpError, MacAddr, Network, Port, Problem, Punt, Router};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

const PROBLEMS: [(u32, Problem); 4] = [
    (problem::HOP_LIMIT, Problem::HopLimit),
    (problem::NO_ROUTE, Problem::NoRoute),
    (problem::UNREACHABLE, Problem::Unreachable),
    (problem::OWN_ADDRESS, Problem::OwnAddress),
];

/// The flows where packets end.
pub(crate) fn base() -> Vec<Flow> {
    let ends = [ipv6(), ipv4()].into_iter().flat_map(ends);
    ends.chain(silences()).collect()
}

/// Ends packets to a router's own address that it does not answer.
pub(crate) fn own_address(priority: u16, matches: Match) -> Flow {
    let noted = vec![why(problem::OWN_ADDRESS)];
    end(Stage::Route, priority, matches, noted)
}

/// A router discards ICMP to itself that it does not answer, without an error (RFC 4443 §2.4(b), RFC 1122 §3.2.2). Such
/// packets do not pass the guest's meter, so they take nothing from its errors.
fn silences() -> impl Iterator<Item = Flow> {
    [(ipv6(), protocol::ICMPV6), (ipv4(), protocol::ICMP)]
        .into_iter()
        .map(|(family, icmp)| {
            let unanswered = family
                .with(Field::IP_PROTO, icmp)
                .holding(PROBLEM, problem::OWN_ADDRESS);
            Flow::new(Stage::Refuse, refuse::SILENT, unanswered)
        })
}

fn ends(family: Match) -> [Flow; 5] {
    let no_route = vec![why(problem::NO_ROUTE)];
    let longer = family.clone().holding(LONGER, 1u8);
    let too_big = vec![from_its_sender(), why(problem::TOO_BIG)];
    let unreachable = vec![from_its_sender(), why(problem::UNREACHABLE)];
    [
        hop_limit_ends(&family, 0),
        hop_limit_ends(&family, 1),
        end(Stage::Route, route::NO_ROUTE, family.clone(), no_route),
        end(Stage::Fit, fit::LONGER, longer, too_big),
        end(
            Stage::NextHop,
            next_hop::UNREACHABLE,
            family.clone(),
            unreachable,
        ),
    ]
}

fn hop_limit_ends(family: &Match, left: u8) -> Flow {
    let matches = family.clone().with(Field::NW_TTL, left);
    let noted = vec![why(problem::HOP_LIMIT)];
    end(Stage::Route, route::HOP_LIMIT, matches, noted)
}

fn end(stage: Stage, priority: u16, matches: Match, noted: Vec<Action>) -> Flow {
    Flow::new(stage, priority, matches)
        .apply(noted)
        .goto(Stage::Refuse)
}

fn why(problem: u32) -> Action {
    PROBLEM.set(problem)
}

/// Restores the sender's MAC, which a route has replaced, so that the error goes to the guest.
pub(crate) fn from_its_sender() -> Action {
    SENDER_MAC.copy_to(Field::ETH_SRC)
}

/// Errors to a guest pass the meter of its punts.
pub(crate) fn guest(ofport: u16) -> Flow {
    let of_guest = Match::new().with(Field::IN_PORT, ofport);
    Flow::new(Stage::Refuse, refuse::PORT, of_guest)
        .goto(Stage::Report)
        .meter(u32::from(ofport))
}

/// The errors of a router's port to guests of its network.
pub(crate) fn interface(network: &Network, router: &Router, port: &Port) -> Vec<Flow> {
    Teller::new(network, router, port).of_any_network()
}

/// The errors of a router's ports about packets that are too long for the next network (RFC 4443 §3.2, RFC 1191 §4).
pub(crate) fn too_big(view: &View<'_>, router: &Router) -> Vec<Flow> {
    let tellers = view.interfaces(router);
    tellers
        .flat_map(|(network, port)| Teller::new(network, router, port).too_big(view))
        .collect()
}

/// The errors of a router's gateway here to senders outside. If it has only a link-local address there, it answers from
/// an address that it has inside (RFC 4443 §2.2).
pub(crate) fn at_gateway(view: &View<'_>, gateway: &Gateway<'_>, vlan_tci: u16) -> Vec<Flow> {
    let mut teller = Teller::new(gateway.network, gateway.router, gateway.port);
    teller.vlan_tci = vlan_tci;
    if gateway.port.ipv6_addresses().next().is_none() {
        let mut inside = view.interfaces(gateway.router);
        let address = inside.find_map(|(_, port)| port.ipv6_addresses().next());
        if let Some((_, address)) = address {
            teller.sources.insert(ethertype::IPV6, address.into());
        }
    }
    [teller.of_any_network(), teller.too_big(view)].concat()
}

/// A router's port that sends errors about packets that came in by it.
struct Teller<'a> {
    network: &'a Network,
    router: &'a Router,
    mac: MacAddr,
    /// The address that it answers from, by EtherType.
    sources: BTreeMap<u16, IpAddr>,
    vlan_tci: u16,
}

impl<'a> Teller<'a> {
    fn new(network: &'a Network, router: &'a Router, port: &Port) -> Self {
        Self {
            network,
            router,
            mac: port.mac_address,
            sources: sources(port).collect(),
            vlan_tci: 0,
        }
    }

    /// Errors that do not depend on the next network.
    fn of_any_network(&self) -> Vec<Flow> {
        let reports = PROBLEMS.iter().flat_map(|(number, problem)| {
            self.report(*problem, Match::new().holding(PROBLEM, *number))
        });
        reports.collect()
    }

    fn too_big(&self, view: &View<'_>) -> Vec<Flow> {
        let gateway = view.gateway(self.router).map(|gateway| gateway.network);
        let next = view.interfaces(self.router).map(|(network, _)| network);
        let mtus: BTreeSet<u16> = next
            .chain(gateway)
            .map(|network| view.mtu(network))
            .collect();
        let reports = mtus.into_iter().flat_map(|mtu| {
            let onto = Match::new()
                .holding(PROBLEM, problem::TOO_BIG)
                .holding(NEXT_MTU, mtu);
            self.report(Problem::TooBig { mtu }, onto)
        });
        reports.collect()
    }

    /// One flow for each family in which the port has an address.
    fn report(&self, problem: Problem, matches: Match) -> Vec<Flow> {
        let reports = self.sources.iter().map(|(ethertype, source)| {
            let matches = matches
                .clone()
                .with(Field::ETH_TYPE, *ethertype)
                .holding(ROUTER, self.router.key.0)
                .holding(ARRIVED, self.network.key.0)
                .mac(Field::ETH_DST, self.mac.0);
            Flow::new(Stage::Report, report::PORT, matches).punt(Punt::IcmpError(IcmpError {
                problem,
                mac: self.mac,
                source: *source,
                vlan_tci: self.vlan_tci,
            }))
        });
        reports.collect()
    }
}

/// The address of each family that a router's port answers from: a global one if it has any (RFC 4443 §2.2).
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
