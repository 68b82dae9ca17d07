//! `sextant trace`: the way of a packet through the flows that hypervisors should have.

mod arrival;
mod show;

use super::chassis_id;
use super::flows::{known_chassis, owners, stage_name};
use crate::control::{Give, OperatorView, Verb, VerbError};
use crate::snapshot::Snapshot;
use arrival::Arrival;
pub use arrival::{UnknownWayIn, WayIn};
use clap::Args;
use rust_openflow::Cookie;
use serde::{Deserialize, Serialize};
use sextant_flows::trace::{Drop, Output, OutputTarget, Trace, Tracer};
use sextant_flows::{Flows, View};
use sextant_model::{ChassisId, PortId};
use std::net::IpAddr;

/// Options of `trace`.
#[derive(Clone, Debug, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceVerb {
    /// The packet, as ovs-ofctl writes a match: icmp6,dl_dst=…,ipv6_dst=…,icmp_type=128. Fields that are not given are
    /// 0, the hop limit is 64.
    ///
    /// From a guest's port, source MAC and source address are the port's unless given. Name the protocol before its fields:
    /// tcp6,tp_dst=80.
    #[arg(value_name = "PACKET")]
    pub packet: String,
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
    },
    /// A guest gets it.
    Delivered {
        /// The guest's port.
        port_id: PortId,
        /// The packet then.
        packet: String,
    },
    /// It leaves for another hypervisor.
    Tunnelled {
        /// The hypervisor, if one has that endpoint and accepts what is sent.
        peer: Option<ChassisId>,
        /// The endpoint.
        remote: Option<IpAddr>,
        /// The packet then.
        packet: String,
    },
    /// It leaves for a physical network.
    Outside {
        /// The physical network.
        physical_network: String,
        /// The packet then.
        packet: String,
    },
    /// It goes to the metadata service of the hypervisor.
    Metadata {
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
}

impl Verb for TraceVerb {
    type Row = TraceRow;

    fn answer(&self, known: &OperatorView, give: Give<'_, TraceRow>) -> Result<(), VerbError> {
        let snapshot = known.snapshots.latest();
        let arrival = self.arrival(&snapshot)?;
        // What came through a tunnel enters no other, so a packet comes to at most two hypervisors in a row.
        for next in follow(&snapshot, arrival, give)? {
            follow(&snapshot, next, give)?;
        }
        Ok(())
    }

    fn show(&self, rows: &[TraceRow]) -> String {
        rows.iter().map(show::show_step).collect()
    }
}

/// Follows a packet through one hypervisor. Returns the hypervisors that it leaves for.
fn follow(
    snapshot: &Snapshot,
    arrival: Arrival,
    give: Give<'_, TraceRow>,
) -> Result<Vec<Arrival>, VerbError> {
    let Arrival { chassis, packet } = arrival;
    give(TraceRow::Arrived {
        chassis: chassis.clone(),
        packet: packet.to_string(),
    })?;
    let flows = Flows::compute(&snapshot.intent, &snapshot.facts, &chassis);
    let traced = Tracer::new(&flows).trace(packet);
    let trace = traced.map_err(|error| VerbError::Unfit(error.to_string()))?;
    look_ups(&flows, &trace, give)?;
    let view = view(snapshot, &chassis);
    let mut next = Vec::new();
    for output in &trace.outputs {
        let way = output.way(&view);
        give(leaving(output, &way))?;
        if let OutputTarget::Tunnel(chassis, packet) = way {
            next.push(Arrival { chassis, packet });
        }
    }
    ends(&flows, &trace, give)?;
    Ok(next)
}

fn look_ups(flows: &Flows, trace: &Trace, give: Give<'_, TraceRow>) -> Result<(), VerbError> {
    let owners = owners(flows);
    for visit in &trace.visits {
        let flow = visit
            .flow
            .and_then(|cookie| flows.get(cookie).zip(visit.flow));
        let objects = visit.flow.and_then(|cookie| owners.get(&cookie));
        give(TraceRow::LookedUp {
            table: visit.table.0,
            stage: stage_name(visit.table).to_owned(),
            cookie: visit.flow.map(|cookie| cookie.to_string()),
            flow: flow.map(|(flow, cookie)| flow.to_flow_mod(cookie).to_string()),
            wanted_by: objects
                .into_iter()
                .flatten()
                .map(ToString::to_string)
                .collect(),
        })?;
    }
    Ok(())
}

fn leaving(output: &Output, way: &OutputTarget) -> TraceRow {
    let packet = output.packet.clone();
    let on_the_wire = packet.clone().on_the_wire().to_string();
    match way {
        OutputTarget::Guest(port_id) => TraceRow::Delivered {
            port_id: *port_id,
            packet: on_the_wire,
        },
        OutputTarget::Tunnel(peer, _) => TraceRow::Tunnelled {
            peer: Some(peer.clone()),
            remote: packet.remote(),
            packet: on_the_wire,
        },
        OutputTarget::Underlay(remote) => TraceRow::Tunnelled {
            peer: None,
            remote: *remote,
            packet: on_the_wire,
        },
        OutputTarget::Outside(physical_network) => TraceRow::Outside {
            physical_network: physical_network.clone(),
            packet: on_the_wire,
        },
        OutputTarget::Metadata => TraceRow::Metadata {
            packet: on_the_wire,
        },
        OutputTarget::Unknown => TraceRow::Astray {
            ofport: output.port,
            packet: on_the_wire,
        },
    }
}

/// Where the packet goes up, and where it or a copy ends.
fn ends(flows: &Flows, trace: &Trace, give: Give<'_, TraceRow>) -> Result<(), VerbError> {
    for (cookie, packet) in &trace.punts {
        give(TraceRow::SentUp {
            reason: flows
                .punt(*cookie)
                .map_or("", |punt| punt.kind())
                .to_owned(),
            cookie: cookie.to_string(),
            packet: packet.clone().on_the_wire().to_string(),
        })?;
    }
    for drop in &trace.drops {
        give(dropped(flows, *drop))?;
    }
    Ok(())
}

fn dropped(flows: &Flows, drop: Drop) -> TraceRow {
    let (flow, reason) = match drop {
        Drop::Missed { table } => {
            return TraceRow::Dropped {
                stage: stage_name(table).to_owned(),
                cookie: None,
                reason: "no flow matches it".to_owned(),
            };
        }
        Drop::ByFlow(flow) => (flow, "the flow forbids it"),
        Drop::HopLimit(flow) => (flow, "its hop limit is used up"),
        Drop::Hairpin(flow) => (flow, "it would leave by the port that it came in by"),
    };
    TraceRow::Dropped {
        stage: stage_of(flows, flow).to_owned(),
        cookie: Some(flow.to_string()),
        reason: reason.to_owned(),
    }
}

fn stage_of(flows: &Flows, cookie: Cookie) -> &'static str {
    let flow = flows.get(cookie);
    flow.map_or("", |flow| flow.stage.name())
}

fn view<'s>(snapshot: &'s Snapshot, chassis: &'s ChassisId) -> View<'s> {
    View::new(&snapshot.intent, &snapshot.facts, chassis)
}

impl TraceVerb {
    fn arrival(&self, snapshot: &Snapshot) -> Result<Arrival, VerbError> {
        let chassis = match &self.chassis {
            Some(id) => known_chassis(snapshot, Some(id))?.pop(),
            None => None,
        };
        let arrival = Arrival::new(&self.packet, self.from.as_ref(), chassis, snapshot)?;
        Ok(Arrival {
            packet: arrival.packet.long(self.length.into()),
            ..arrival
        })
    }
}
