//! Answers packets that a switch sends up.

use crate::metrics::Metrics;
use bytes::Bytes;
use rust_openflow::{Message, PacketIn, PacketOut};
use sextant_flows::{Cookie, Flows};
use sextant_model::Punt;
use sextant_responders::{Answer, Verdict, respond};
use std::time::Instant;

/// The answers to a packet, as messages.
pub(super) fn answer(flows: &Flows, packet: &PacketIn, metrics: &Metrics) -> Vec<Message> {
    let started = Instant::now();
    let (Some(punt), Some(port)) = (flows.punt(Cookie(packet.cookie)), packet.in_port()) else {
        metrics
            .packet_ins_refused
            .with_label_values(&["unknown", "no punt has this cookie"])
            .inc();
        return vec![];
    };
    metrics.packet_ins.with_label_values(&[punt.kind()]).inc();
    let answer = respond(punt, &packet.data);
    count(punt, &answer, metrics);
    let send = |frame| Message::PacketOut(PacketOut::to_port(port, Bytes::from(frame)));
    let messages = answer.frames.into_iter().map(send).collect();
    metrics
        .punt_seconds
        .observe(started.elapsed().as_secs_f64());
    messages
}

fn count(punt: &Punt, answer: &Answer, metrics: &Metrics) {
    let outcome = &answer.outcome;
    match punt {
        Punt::RouterSolicitation { .. } => {
            let sent = u64::try_from(answer.frames.len()).unwrap_or(u64::MAX);
            metrics
                .router_advertisements
                .with_label_values(&["solicited"])
                .inc_by(sent);
        }
        Punt::Dhcpv6(_) => metrics
            .dhcpv6_messages
            .with_label_values(&[outcome.message, outcome.verdict.as_str()])
            .inc(),
    }
    match outcome.verdict {
        Verdict::Answered(with) => tracing::trace!(message = outcome.message, with, "answered"),
        Verdict::Ignored(reason) => refused(punt, outcome.message, reason, metrics),
        Verdict::Malformed(malformed) => {
            tracing::debug!(punt = punt.kind(), message = outcome.message, %malformed, "malformed packet of a guest");
            metrics
                .packet_ins_refused
                .with_label_values(&[punt.kind(), malformed.reason])
                .inc();
        }
    }
    for learned in &answer.learned {
        tracing::info!(?learned, "a guest said");
    }
}

fn refused(punt: &Punt, message: &str, reason: &str, metrics: &Metrics) {
    tracing::debug!(punt = punt.kind(), message, reason, "no answer is due");
    metrics
        .packet_ins_refused
        .with_label_values(&[punt.kind(), reason])
        .inc();
}
