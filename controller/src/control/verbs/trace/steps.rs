//! The steps of a packet through one hypervisor.

use super::super::flows::{owners, stage_name};
use super::super::served::{self, served};
use super::ending::{Journey, JourneyEnd};
use super::{Arrival, SwitchQuestion, TraceRow, view};
use crate::control::{Give, VerbError};
use crate::snapshot::Snapshot;
use rust_openflow::{Cookie, Field};
use sextant_flows::pipeline::Stage;
use sextant_flows::trace::{Drop, Output, OutputTarget, Packet, Trace, Tracer};
use sextant_flows::{Flows, View};
use sextant_model::{ChassisId, INTEGRATION_BRIDGE, Intent};

/// Follows a packet through one hypervisor, where it came from another one or not. Returns the hypervisors that it
/// leaves for.
pub(super) fn follow(
    snapshot: &Snapshot,
    from: Option<ChassisId>,
    arrival: Arrival,
    journey: &mut Journey,
    give: Give<'_, TraceRow>,
) -> Result<Vec<(ChassisId, Arrival)>, VerbError> {
    let Arrival { chassis, packet } = arrival;
    let flows = Flows::compute(&snapshot.intent, &snapshot.facts, &chassis);
    let traced = Tracer::new(&flows).trace(packet.clone());
    let trace = traced.map_err(|error| VerbError::Unfit(error.to_string()))?;
    give(TraceRow::Arrived {
        chassis: chassis.clone(),
        packet: packet.to_string(),
        question: question(&packet, &trace),
    })?;
    let view = view(snapshot, &chassis);
    look_ups(&view, &flows, &trace, give)?;
    let mut next = Vec::new();
    journey.come_to(&chassis, from);
    for output in &trace.outputs {
        let way = output.way(&view);
        give(leaving(view.intent, output, &way))?;
        journey.stop(JourneyEnd::leaving(view.intent, output, &way));
        if let OutputTarget::Tunnel(peer, packet) = way {
            let arrival = Arrival {
                chassis: peer,
                packet,
            };
            next.push((chassis.clone(), arrival));
        }
    }
    ends(&view, &flows, &trace, journey, give)?;
    Ok(next)
}

/// What to ask the switch, to have it follow the same packet.
fn question(packet: &Packet, trace: &Trace) -> SwitchQuestion {
    SwitchQuestion {
        bridge: INTEGRATION_BRIDGE.to_owned(),
        flow: in_full(&packet.to_string()),
        in_port: u32::try_from(packet.get(Field::IN_PORT)).unwrap_or_default(),
        connections: connections(trace),
    }
}

/// `ofproto/trace` knows fields of protocols only by their full names.
fn in_full(packet: &str) -> String {
    const NAMES: [(&str, &str, &str); 5] = [
        ("icmp6", "icmp_", "icmpv6_"),
        ("udp", "tp_", "udp_"),
        ("udp6", "tp_", "udp_"),
        ("sctp", "tp_", "sctp_"),
        ("sctp6", "tp_", "sctp_"),
    ];
    let known = NAMES
        .iter()
        .find(|(protocol, _, _)| packet.split(',').any(|word| word == *protocol));
    let words = packet.split(',').map(|word| {
        let renamed = known.and_then(|(_, short, full)| Some((word.strip_prefix(short)?, full)));
        renamed.map_or_else(|| word.to_owned(), |(rest, full)| format!("{full}{rest}"))
    });
    words.collect::<Vec<_>>().join(",")
}

/// What the connection tracker finds, if that is not always a new connection. A switch follows what comes back from the
/// tracker in the order in which it went there.
fn connections(trace: &Trace) -> Vec<String> {
    const RULES: [Stage; 2] = [Stage::EgressRules, Stage::IngressRules];
    const TRACKED: u128 = 0x20;
    const STATES: [(u128, &str); 4] = [(0x01, "new"), (0x02, "est"), (0x08, "rpl"), (0x10, "inv")];
    let judged = trace
        .visits
        .iter()
        .filter(|visit| RULES.map(Stage::table).contains(&visit.table))
        .map(|visit| visit.packet.get(Field::CT_STATE))
        .filter(|state| state & TRACKED != 0);
    let states: Vec<String> = judged
        .map(|state| {
            let named = STATES.iter().filter(|(bit, _)| state & bit != 0);
            let named = named.map(|(_, name)| *name);
            ["trk"]
                .into_iter()
                .chain(named)
                .collect::<Vec<_>>()
                .join(",")
        })
        .collect();
    match states.iter().all(|state| state == "trk,new") {
        true => vec![],
        false => states,
    }
}

fn look_ups(
    view: &View<'_>,
    flows: &Flows,
    trace: &Trace,
    give: Give<'_, TraceRow>,
) -> Result<(), VerbError> {
    let owners = owners(flows);
    for visit in &trace.visits {
        let flow = visit
            .flow
            .and_then(|cookie| Some((cookie, flows.get(cookie)?)));
        let objects = visit.flow.and_then(|cookie| owners.get(&cookie));
        let serves = flow.as_ref().map_or_else(Vec::new, |(cookie, flow)| {
            served(view, &owners, (*cookie, flow), Some(&visit.packet))
        });
        give(TraceRow::LookedUp {
            table: visit.table.0,
            stage: stage_name(visit.table).to_owned(),
            cookie: visit.flow.map(|cookie| cookie.to_string()),
            flow: flow.map(|(cookie, flow)| flow.to_flow_mod(cookie).to_string()),
            wanted_by: objects
                .into_iter()
                .flatten()
                .map(ToString::to_string)
                .collect(),
            serves,
        })?;
    }
    Ok(())
}

fn leaving(intent: &Intent, output: &Output, way: &OutputTarget) -> TraceRow {
    let remote = output.packet.remote();
    let packet = output.packet.clone().on_the_wire().to_string();
    let ofport = output.port;
    match way {
        OutputTarget::Guest(port_id) => TraceRow::Delivered {
            port_id: *port_id,
            port: served::port(intent, *port_id),
            ofport,
            packet,
        },
        OutputTarget::Tunnel(peer, _) => TraceRow::Tunnelled {
            peer: Some(peer.clone()),
            remote,
            ofport,
            packet,
        },
        OutputTarget::Underlay(remote) => TraceRow::Tunnelled {
            peer: None,
            remote: *remote,
            ofport,
            packet,
        },
        OutputTarget::Outside(physical_network) => TraceRow::Outside {
            physical_network: physical_network.clone(),
            ofport,
            packet,
        },
        OutputTarget::Metadata => TraceRow::Metadata { ofport, packet },
        OutputTarget::Unknown => TraceRow::Astray { ofport, packet },
    }
}

/// Where the packet goes up, and where it or a copy ends.
fn ends(
    view: &View<'_>,
    flows: &Flows,
    trace: &Trace,
    journey: &mut Journey,
    give: Give<'_, TraceRow>,
) -> Result<(), VerbError> {
    for (cookie, packet) in &trace.punts {
        let punt = flows.punt(*cookie);
        give(TraceRow::SentUp {
            reason: punt.map_or("", |punt| punt.kind()).to_owned(),
            cookie: cookie.to_string(),
            packet: packet.clone().on_the_wire().to_string(),
        })?;
        journey.stop(JourneyEnd::sent_up(view.intent, punt));
    }
    for drop in &trace.drops {
        give(dropped(flows, *drop))?;
        journey.stop(JourneyEnd::dropped(view, flows, trace, *drop));
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
