//! What becomes of a packet, in one sentence.

use super::super::flows::stage_asks;
use super::super::served;
use super::WayIn;
use rust_openflow::{Field, TableId};
use sextant_flows::pipeline::{NETWORK, OUTPUT, Stage};
use sextant_flows::trace::{Drop, Output, OutputTarget, Packet, Trace};
use sextant_flows::{Flows, View};
use sextant_model::{ChassisId, IcmpError, Intent, PortId, Problem, Punt};

/// Where a packet, or a copy of it, stops on one hypervisor.
pub(super) enum JourneyEnd {
    /// A guest gets it: its port, and what people call that.
    Delivered(PortId, String),
    /// It goes on to another hypervisor.
    Onward,
    /// Something else gets it: what happens.
    Taken(String),
    /// Sextant gets it, which does this.
    SentUp(String),
    /// It ends: in which stage, and why.
    Dropped(&'static str, String),
    /// Nobody should get it here: its sender, or who is not asked about.
    Spared,
}

/// All stops of a packet, hypervisor by hypervisor.
pub(super) struct Journey {
    sender: Option<PortId>,
    /// The hypervisor, and the one that it came from through a tunnel.
    places: Vec<(ChassisId, Option<ChassisId>)>,
    /// With the number of their place.
    stops: Vec<(usize, JourneyEnd)>,
}

impl Journey {
    pub(super) fn new(from: Option<&WayIn>) -> Self {
        let sender = match from {
            Some(WayIn::Port(id)) => Some(*id),
            Some(WayIn::Tunnel(_) | WayIn::Physical(_)) | None => None,
        };
        Self {
            sender,
            places: vec![],
            stops: vec![],
        }
    }

    pub(super) fn come_to(&mut self, chassis: &ChassisId, from: Option<ChassisId>) {
        self.places.push((chassis.clone(), from));
    }

    /// The packet stops at the place that it came to last.
    pub(super) fn stop(&mut self, stop: JourneyEnd) {
        let place = self.places.len().saturating_sub(1);
        self.stops.push((place, stop));
    }

    /// What becomes of it all.
    pub(super) fn sentence(&self) -> String {
        let mut said: Vec<String> = self.delivered().into_iter().collect();
        for (place, stop) in &self.stops {
            let at = self.at(*place);
            match stop {
                JourneyEnd::Taken(what) => said.push(format!("{at} {what}")),
                JourneyEnd::SentUp(does) => {
                    said.push(format!("{at} sends it to the controller, which {does}"));
                }
                JourneyEnd::Delivered(..)
                | JourneyEnd::Onward
                | JourneyEnd::Dropped(..)
                | JourneyEnd::Spared => {}
            }
        }
        said.dedup();
        if said.is_empty() {
            said.push(self.dropped());
        }
        let said = said.join("; ");
        let mut letters = said.chars();
        let first = letters.next().into_iter().flat_map(char::to_uppercase);
        format!("{}{}.", first.collect::<String>(), letters.as_str())
    }

    fn at(&self, place: usize) -> String {
        let chassis = self.places.get(place);
        chassis.map_or_else(String::new, |(chassis, _)| format!("hypervisor {chassis}"))
    }

    /// With the tunnel that it came through.
    fn at_the_end_of(&self, place: usize) -> String {
        let from = self.places.get(place).and_then(|(_, from)| from.as_ref());
        let tunnel = from.map_or_else(String::new, |from| {
            format!(", through the tunnel from {from}")
        });
        format!("{}{tunnel}", self.at(place))
    }

    fn delivered(&self) -> Option<String> {
        /// A sentence names only so many.
        const MOST: usize = 4;
        let all = self.stops.iter().filter_map(|(place, stop)| {
            if let JourneyEnd::Delivered(id, port) = stop {
                Some((*place, *id, port))
            } else {
                None
            }
        });
        let all: Vec<(usize, PortId, &String)> = all.collect();
        match &all[..] {
            [] => None,
            [(place, id, port)] if self.sender == Some(*id) => Some(format!(
                "{} answers it itself: the answer is delivered to {port}",
                self.at(*place)
            )),
            [(place, _, port)] => Some(format!(
                "it is delivered to {port} on {}",
                self.at_the_end_of(*place)
            )),
            several => {
                let named = several.iter().take(MOST);
                let named: Vec<String> = named
                    .map(|(place, _, port)| format!("{port} on {}", self.at(*place)))
                    .collect();
                let rest = match several.len().saturating_sub(MOST) {
                    0 => String::new(),
                    rest => format!(", and {rest} more"),
                };
                let count = several.len();
                Some(format!(
                    "it is delivered to {count} ports: {}{rest}",
                    named.join(", ")
                ))
            }
        }
    }

    /// Why nobody gets it.
    fn dropped(&self) -> String {
        let mut dropped = self.stops.iter().filter_map(|(place, stop)| {
            if let JourneyEnd::Dropped(stage, why) = stop {
                Some((*place, stage, why))
            } else {
                None
            }
        });
        match dropped.next() {
            Some((place, stage, why)) => format!(
                "it is dropped in stage '{stage}' on {}: {why}",
                self.at_the_end_of(place)
            ),
            None => "nobody gets it".to_owned(),
        }
    }
}

impl JourneyEnd {
    pub(super) fn leaving(intent: &Intent, output: &Output, way: &OutputTarget) -> Self {
        match way {
            OutputTarget::Guest(id) => Self::Delivered(*id, served::port(intent, *id)),
            OutputTarget::Tunnel(..) => Self::Onward,
            OutputTarget::Underlay(remote) => {
                let remote = remote.map_or_else(String::new, |remote| format!(" at {remote}"));
                Self::Taken(format!(
                    "sends it through a tunnel, but no hypervisor expects it{remote}"
                ))
            }
            OutputTarget::Outside(name) => {
                Self::Taken(format!("sends it outside, to physical network '{name}'"))
            }
            OutputTarget::Metadata => Self::Taken("gives it to its metadata service".to_owned()),
            OutputTarget::Unknown => Self::Taken(format!(
                "sends it out of OpenFlow port {}, which is no port of the cloud",
                output.port
            )),
        }
    }

    pub(super) fn sent_up(intent: &Intent, punt: Option<&Punt>) -> Self {
        let does = punt.map_or_else(
            || "does not know why".to_owned(),
            |punt| answer(intent, punt),
        );
        Self::SentUp(does)
    }

    pub(super) fn dropped(view: &View<'_>, flows: &Flows, trace: &Trace, drop: Drop) -> Self {
        match drop {
            Drop::Missed { table } => {
                let mut visits = trace.visits.iter();
                let visit = visits.find(|visit| visit.table == table && visit.flow.is_none());
                let stage = Stage::of(table);
                let (Some(stage), Some(visit)) = (stage, visit) else {
                    return Self::Dropped("", "no flow takes it".to_owned());
                };
                Self::Dropped(stage.name(), missed(view, stage, &visit.packet))
            }
            Drop::ByFlow(cookie) => {
                let mut visits = trace.visits.iter();
                let visit = visits.find(|visit| visit.flow == Some(cookie));
                let flow = flows.get(cookie);
                let (Some(flow), Some(visit)) = (flow, visit) else {
                    return Self::Dropped("", "a flow forbids it".to_owned());
                };
                forbidden(view, flow.stage, &visit.packet)
            }
            Drop::HopLimit(cookie) => {
                let stage = flows.get(cookie).map_or("", |flow| flow.stage.name());
                Self::Dropped(stage, "its hop limit is used up".to_owned())
            }
            Drop::Hairpin(_) => Self::Spared,
        }
    }
}

/// The port with this OpenFlow number on the view's hypervisor, and what people call it.
fn port_at(view: &View<'_>, ofport: u128) -> Option<(PortId, String)> {
    let mut plugged = view.facts.plugged().iter();
    let (id, _) = plugged.find(|(_, plugged)| {
        plugged.chassis == *view.chassis && plugged.ofport.map(u128::from) == Some(ofport)
    })?;
    Some((*id, served::port(view.intent, *id)))
}

/// The security groups of a port in words, or that it has none.
fn groups_of(view: &View<'_>, id: PortId) -> Option<String> {
    let port = view.intent.ports.get(&id)?;
    let groups = Some(&port.security_groups).filter(|groups| !groups.is_empty())?;
    Some(served::groups(view.intent, groups))
}

/// Why no flow of a stage takes a packet.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "what a stage asks says enough for the others"
)]
fn missed(view: &View<'_>, stage: Stage, packet: &Packet) -> String {
    let in_port = packet.get(Field::IN_PORT);
    let sender = port_at(view, in_port);
    let receiver = port_at(view, packet.get(OUTPUT.field));
    match stage {
        Stage::Classify if sender.is_none() => {
            format!("OpenFlow port {in_port} is no port of the cloud")
        }
        Stage::TunnelIpv6 | Stage::TunnelIpv4 => {
            "its sender's endpoint is none of a hypervisor that may send here".to_owned()
        }
        Stage::Guard => {
            let sender = sender.map_or_else(|| "the guest".to_owned(), |(_, name)| name);
            format!("{sender} may not send from this MAC or address, or may not send such packets")
        }
        Stage::Egress | Stage::EgressRules => unruled(view, sender, packet, "lets it send this"),
        Stage::Ingress | Stage::IngressRules => unruled(view, receiver, packet, "lets it get this"),
        Stage::Switch => switched(view, packet),
        _ => format!("no flow takes it ({})", asks(stage.table())),
    }
}

fn asks(table: TableId) -> &'static str {
    stage_asks(Stage::of(table).map_or("", Stage::name))
}

/// What is connection tracking's mark of a packet that belongs to no connection (ovs-fields(7), `ct_state`).
const INVALID: u128 = 0x10;

fn unruled(view: &View<'_>, port: Option<(PortId, String)>, packet: &Packet, lets: &str) -> String {
    let Some((id, name)) = port else {
        return "no rule of a security group allows it".to_owned();
    };
    match groups_of(view, id) {
        None => format!("{name} is in no security group"),
        Some(_) if packet.get(Field::CT_STATE) & INVALID != 0 => {
            format!("it belongs to no connection that {name} has")
        }
        Some(groups) => format!("{name} is under {groups}, and no rule {lets}"),
    }
}

fn switched(view: &View<'_>, packet: &Packet) -> String {
    let key = packet.get(NETWORK.field);
    let mut networks = view.intent.networks.values();
    let network = networks.find(|network| u128::from(network.key.0) == key);
    let on = network.map_or_else(
        || "its network".to_owned(),
        |network| served::network(view.intent, network.id),
    );
    let mac = packet.get(Field::ETH_DST).to_be_bytes();
    let [.., a, b, c, d, e, f] = mac;
    let mac = sextant_model::MacAddr([a, b, c, d, e, f]);
    format!("no port of {on} that is plugged in and up has MAC {mac}")
}

/// Why a flow of a stage ends a packet.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "what a stage asks says enough for the others"
)]
fn forbidden(view: &View<'_>, stage: Stage, packet: &Packet) -> JourneyEnd {
    let sender = port_at(view, packet.get(Field::IN_PORT));
    let sender = sender.map_or_else(|| "its sender".to_owned(), |(_, name)| name);
    let why = match stage {
        // What comes back to who sent it to many.
        Stage::Ingress if packet.get(Field::IN_PORT) == packet.get(OUTPUT.field) => {
            return JourneyEnd::Spared;
        }
        Stage::Martians | Stage::Border => "its source is an address that nobody has".to_owned(),
        Stage::Guard => format!("{sender} may not send such packets, from whatever address"),
        Stage::NeighborGuard => {
            format!("it is Neighbor Discovery about an address that {sender} does not have")
        }
        Stage::Route => "no router forwards such packets".to_owned(),
        Stage::Refuse => "it is for a router, which gives no answer to it".to_owned(),
        Stage::EgressRules | Stage::IngressRules => {
            "no rule allows its connection any more".to_owned()
        }
        stage => format!("a flow forbids it ({})", asks(stage.table())),
    };
    JourneyEnd::Dropped(stage.name(), why)
}

/// What Sextant does with what comes up.
fn answer(intent: &Intent, punt: &Punt) -> String {
    match punt {
        Punt::RouterSolicitation { advertisements, .. } => match advertisements.len() {
            0 => "does not answer: no router advertises there".to_owned(),
            1 => "answers with a Router Advertisement".to_owned(),
            several => format!("answers with {several} Router Advertisements"),
        },
        Punt::Dhcpv6(_) => "answers as the DHCPv6 server".to_owned(),
        Punt::Dhcpv4(_) => "answers as the DHCP server".to_owned(),
        Punt::IcmpError(error) => refused(error),
        Punt::Heard(_) => "learns from it about a neighbor outside".to_owned(),
        Punt::Unresolved(_) => "asks outside for the MAC of its next hop".to_owned(),
        Punt::PrefixClientMessage(_) => "takes it as word about a delegated prefix".to_owned(),
        Punt::NeighborSolicitation(known) => {
            let address = known.address;
            format!("answers with a Neighbor Advertisement of {address}")
        }
        Punt::BareSolicitation => "answers with a Neighbor Advertisement".to_owned(),
        Punt::Announced(id) => {
            let port = served::port(intent, *id);
            format!("notes that {port} has the address")
        }
        Punt::Unheld(_) => "asks the ports that may have the address which one has it".to_owned(),
        Punt::Appeared(id) => {
            let port = served::port(intent, *id);
            format!("notes that the guest of {port} has arrived there")
        }
        Punt::GroupEcho(_) => "answers the echo request".to_owned(),
        Punt::Probed => "takes it as a probe of the tunnel".to_owned(),
        Punt::Captured(id, _) => {
            let port = served::port(intent, *id);
            format!("gives a copy to who captures {port}")
        }
    }
}

fn refused(error: &IcmpError) -> String {
    let problem = match error.problem {
        Problem::HopLimit => "its hop limit ends there".to_owned(),
        Problem::NoRoute => "the router has no route to it".to_owned(),
        Problem::Unreachable => "nobody has the address of its next hop".to_owned(),
        Problem::TooBig { mtu } => format!("it is longer than {mtu} octets"),
        Problem::OwnAddress => "it is for the router itself".to_owned(),
    };
    let source = error.source;
    format!("answers with an ICMP error from router {source}: {problem}")
}
