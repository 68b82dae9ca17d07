//! `sextant trace`: the way of a packet through the flows that hypervisors should have.

mod arrival;
mod ending;
mod ofproto;
mod said;
mod show;
mod steps;
mod switch;

use super::chassis_id;
use super::flows::known_chassis;
use super::named_port::port_named;
use super::served::ServedObject;
use crate::control::{Give, OperatorView, Verb, VerbError};
use crate::snapshot::Snapshot;
use arrival::Arrival;
pub use arrival::{UnknownWayIn, WayIn};
use clap::Args;
use ending::Journey;
use serde::{Deserialize, Serialize};
use sextant_flows::View;
use sextant_model::{ChassisId, PortId};
use std::net::IpAddr;
use steps::follow;

/// Options of `trace`.
#[derive(Clone, Debug, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[command(override_usage = "sextant trace [OPTIONS] [PORT] PACKET")]
pub struct TraceVerb {
    /// The port whose guest sends the packet (its id, its name, one of its addresses, or its MAC), and the packet:
    /// 'icmp6 to ADDRESS', 'tcp to web2 port 443', 'udp from ADDRESS to ADDRESS port 53'. Other fields are written as
    /// ovs-ofctl writes a match: 'icmp6,dl_dst=…,ipv6_dst=…,icmp_type=128'. Fields that are not given are 0, the hop limit is
    /// 64. The port is left out where --from or the packet's in_port says where it comes in.
    ///
    /// From a guest's port, source MAC and source address are the port's unless given. After 'to', the destination's MAC is
    /// the one that the guest would find: the neighbor's, or the router's. Name the protocol before its fields:
    /// tcp6,tp_dst=80.
    #[arg(value_names = ["PORT", "PACKET"], num_args = 1..=2, required = true)]
    pub words: Vec<String>,
    /// Where it comes in. port/UUID: a guest sends it. tunnel/NAME: that hypervisor sends it (give tun_id).
    /// physical/NAME: a physical network. Default: the packet's in_port.
    #[arg(long, value_name = "KIND/ID")]
    #[serde(default)]
    pub from: Option<WayIn>,
    /// The hypervisor where it comes in (its system-id). Default for a guest's port: where that is plugged in.
    #[arg(long, value_name = "NAME", value_parser = chassis_id)]
    #[serde(default)]
    pub chassis: Option<ChassisId>,
    /// Its length in octets, with its Ethernet header. 0 fits everywhere.
    #[arg(long, value_name = "OCTETS", default_value_t = 0)]
    #[serde(default)]
    pub length: u16,
    /// Show the whole flow of each table, as ovs-ofctl writes it.
    #[arg(long)]
    #[serde(skip)]
    pub flows: bool,
    /// Have the real switch follow the packet, too, and mark where it does otherwise than Sextant's flows. COMMAND runs
    /// ovs-appctl where the hypervisor is: 'ssh hv2 ovs-appctl', or 'ovs-appctl' on this machine; {} in it stands for the
    /// hypervisor's name. It is split at blanks, and no shell reads it.
    // Only who asks can run it.
    #[arg(long, value_name = "COMMAND")]
    #[serde(skip)]
    pub switch: Option<String>,
}

/// What to ask a hypervisor's switch to have it follow the same packet: `ovs-appctl ofproto/trace BRIDGE FLOW`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchQuestion {
    /// The bridge.
    pub bridge: String,
    /// The packet, as that command takes it.
    pub flow: String,
    /// The OpenFlow port where it comes in.
    pub in_port: u32,
    /// What the connection tracker finds, one after the other (`--ct-next`). Empty: always a new connection.
    pub connections: Vec<String>,
}

/// How a switch does otherwise than Sextant's flows say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "difference", rename_all = "snake_case")]
pub enum SwitchDifference {
    /// The switch does not look this up.
    OnlyTraced {
        /// The table.
        table: u8,
        /// The table's name.
        stage: String,
        /// The flow that should match, if any.
        cookie: Option<String>,
    },
    /// Only the switch looks this up.
    OnlySwitch {
        /// The table.
        table: u8,
        /// The table's name.
        stage: String,
        /// The flow that matches, if any.
        cookie: Option<String>,
        /// What it matches, as the switch says it.
        flow: String,
    },
    /// It ends elsewhere.
    End {
        /// Where it ends by Sextant's flows.
        traced: String,
        /// Where it ends by the switch.
        switch: String,
    },
}

/// A step on the way. Packets are written as `ovs-ofctl` writes a match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum TraceRow {
    /// The packet comes to a hypervisor.
    Arrived {
        /// The hypervisor.
        chassis: ChassisId,
        /// The packet.
        packet: String,
        /// What to ask the switch.
        question: SwitchQuestion,
    },
    /// A table is looked up.
    LookedUp {
        /// The table.
        table: u8,
        /// The table's name.
        stage: String,
        /// The flow that the packet matches, if any.
        cookie: Option<String>,
        /// The whole flow, as `ovs-ofctl` writes it.
        flow: Option<String>,
        /// The objects that want it.
        wanted_by: Vec<String>,
        /// What it serves: of a set of security groups the rule, of a router the subnet or the route.
        serves: Vec<ServedObject>,
    },
    /// A guest gets it.
    Delivered {
        /// The guest's port.
        port_id: PortId,
        /// What people call the port.
        port: String,
        /// The OpenFlow port.
        ofport: u32,
        /// The packet then.
        packet: String,
    },
    /// It leaves for another hypervisor.
    Tunnelled {
        /// The hypervisor, if one has that endpoint and accepts what is sent.
        peer: Option<ChassisId>,
        /// The endpoint.
        remote: Option<IpAddr>,
        /// The OpenFlow port.
        ofport: u32,
        /// The packet then.
        packet: String,
    },
    /// It leaves for a physical network.
    Outside {
        /// The physical network.
        physical_network: String,
        /// The OpenFlow port.
        ofport: u32,
        /// The packet then.
        packet: String,
    },
    /// It goes to the metadata service of the hypervisor.
    Metadata {
        /// The OpenFlow port.
        ofport: u32,
        /// The packet then.
        packet: String,
    },
    /// It leaves by a port that Sextant does not know.
    Astray {
        /// The OpenFlow port.
        ofport: u32,
        /// The packet then.
        packet: String,
    },
    /// It goes up to Sextant.
    SentUp {
        /// The reason, as in the metrics.
        reason: String,
        /// The flow that sent it.
        cookie: String,
        /// The packet then.
        packet: String,
    },
    /// It, or a copy, ends here.
    Dropped {
        /// In this table.
        stage: String,
        /// The flow that drops it, if one does.
        cookie: Option<String>,
        /// The reason.
        reason: String,
    },
    /// What the hypervisor's own switch does, against the steps before.
    Switched {
        /// The hypervisor.
        chassis: ChassisId,
        /// Where it does otherwise.
        differences: Vec<SwitchDifference>,
        /// Why it was not asked, if it was not.
        unasked: Option<String>,
    },
    /// What becomes of the packet, after all other steps.
    Ended {
        /// In one sentence.
        sentence: String,
    },
}

impl Verb for TraceVerb {
    type Row = TraceRow;

    fn answer(&self, known: &OperatorView, give: Give<'_, TraceRow>) -> Result<(), VerbError> {
        let snapshot = known.snapshots.latest();
        let arrival = self.arrival(&snapshot)?;
        // What came through a tunnel enters no other, so a packet comes to at most two hypervisors in a row.
        let mut journey = Journey::new(self.way_in(&snapshot)?.as_ref());
        for (from, next) in follow(&snapshot, None, arrival, &mut journey, give)? {
            follow(&snapshot, Some(from), next, &mut journey, give)?;
        }
        give(TraceRow::Ended {
            sentence: journey.sentence(),
        })
    }

    fn receive(&self, rows: Vec<TraceRow>) -> Result<Vec<TraceRow>, String> {
        match &self.switch {
            Some(command) => switch::compared(&rows, command, self.length),
            None => Ok(rows),
        }
    }

    fn show(&self, rows: &[TraceRow]) -> String {
        let shown = rows.iter().map(|row| show::show_step(row, self.flows));
        shown.collect()
    }
}

fn view<'s>(snapshot: &'s Snapshot, chassis: &'s ChassisId) -> View<'s> {
    View::new(&snapshot.intent, &snapshot.facts, chassis)
}

fn unfit(error: impl ToString) -> VerbError {
    VerbError::Unfit(format!("the packet: {}", error.to_string()))
}

impl TraceVerb {
    /// The port, if it is named, and the packet. Options may stand between them.
    fn port_and_packet(&self) -> Result<(Option<&str>, &str), VerbError> {
        match &self.words[..] {
            [packet] => Ok((None, packet)),
            [port, packet] => Ok((Some(port), packet)),
            words => Err(VerbError::Unfit(format!(
                "a port and a packet are to be named, not {} words: put the packet in quotes",
                words.len()
            ))),
        }
    }

    fn way_in(&self, snapshot: &Snapshot) -> Result<Option<WayIn>, VerbError> {
        match (self.port_and_packet()?.0, &self.from) {
            (Some(_), Some(_)) => Err(VerbError::Unfit(
                "the packet comes in by the port or by --from: name one of them".to_owned(),
            )),
            (Some(port), None) => Ok(Some(WayIn::Port(port_named(snapshot, port)?.id))),
            (None, from) => Ok(from.clone()),
        }
    }

    fn arrival(&self, snapshot: &Snapshot) -> Result<Arrival, VerbError> {
        let chassis = match &self.chassis {
            Some(id) => known_chassis(snapshot, Some(id))?.pop(),
            None => None,
        };
        let arrival = Arrival::new(
            self.port_and_packet()?.1,
            self.way_in(snapshot)?.as_ref(),
            chassis,
            snapshot,
        )?;
        Ok(Arrival {
            packet: arrival.packet.long(self.length.into()),
            ..arrival
        })
    }
}
