//! Answers packets that a switch sends up, and counts them: the hot path.
//!
//! Counters that all sessions share would wander from core to core with each packet, so a session counts for itself
//! and adds up once a batch.

use super::packet_out::{packet_out, tagged};
use super::registers::filled;
use crate::clock;
use crate::metrics::{AdvertisementCause, Metrics};
use crate::port_history::{PortHistory, Unrecorded};
use prometheus::IntCounterVec;
use prometheus::local::{LocalHistogram, LocalIntCounter};
use rust_openflow::{Action, Message, PacketIn, PortNo};
use sextant_flows::Flows;
use sextant_flows::pipeline::{NETWORK, ORIGIN, Stage, origin};
use sextant_model::{PortId, Punt};
use sextant_responders::throttle::Throttles;
use sextant_responders::{Answer, Learned, Outcome, PacketVerdict, respond};
use std::time::{Duration, Instant};

/// What one session counts of packets, and where it adds up.
pub struct Punts {
    metrics: Metrics,
    solicitations: LocalIntCounter,
    dhcpv6: LocalIntCounter,
    dhcpv4: LocalIntCounter,
    icmp_errors: LocalIntCounter,
    advertisements: LocalIntCounter,
    seconds: LocalHistogram,
    /// Packets since [`Punts::add_up`].
    packets: u32,
    learned: Vec<Learned>,
    history: PortHistory,
    unrecorded: Unrecorded,
    /// Guests say as often as they like that they give up an address.
    given_up: Throttles<PortId>,
}

/// What a packet is counted as that no flow of ours sent up.
const UNKNOWN: &str = "unknown";
/// Lines about addresses that one guest gives up, and the time for that many.
const GIVEN_UP: (u32, Duration) = (5, Duration::from_secs(60));

impl Punts {
    /// Nothing counted yet.
    pub fn new(metrics: Metrics, history: PortHistory) -> Self {
        Self {
            solicitations: packet_ins(&metrics, "router_solicitation"),
            dhcpv6: packet_ins(&metrics, "dhcpv6"),
            dhcpv4: packet_ins(&metrics, "dhcpv4"),
            icmp_errors: packet_ins(&metrics, "icmp_error"),
            advertisements: metrics
                .router_advertisements
                .with_label_values(&[AdvertisementCause::Solicited.as_str()])
                .local(),
            seconds: metrics.punt_seconds.local(),
            packets: 0,
            learned: vec![],
            history,
            unrecorded: Unrecorded::default(),
            given_up: Throttles::new(GIVEN_UP.0, GIVEN_UP.1),
            metrics,
        }
    }

    /// The answers to a packet, as messages.
    pub fn answer(
        &mut self,
        flows: &Flows,
        packet: &PacketIn,
    ) -> impl Iterator<Item = Message> + use<> {
        self.packets += 1;
        let (actions, frames) = self.respond(flows, packet).unwrap_or_default();
        // Mostly there is one frame, which takes the actions as they are.
        let actions = std::iter::repeat_n(actions, frames.len());
        frames
            .into_iter()
            .zip(actions)
            .map(|(frame, actions)| packet_out(actions, frame))
    }

    /// What was learned of external networks from the packets that were answered since the last call.
    pub fn take_learned(&mut self) -> Vec<Learned> {
        std::mem::take(&mut self.learned)
    }

    /// How frames get to whom they are for, and the frames.
    fn respond(&mut self, flows: &Flows, packet: &PacketIn) -> Option<(Vec<Action>, Vec<Vec<u8>>)> {
        let asked = flows.punt(packet.cookie).zip(packet.in_port());
        let Some((punt, port)) = asked else {
            self.refused(UNKNOWN, "no punt has this cookie");
            return None;
        };
        let punt = &*filled(punt, packet);
        let punt = &*punt.at(clock::now);
        let answer = respond(punt, &packet.data);
        self.count(punt, &answer);
        self.learned.extend(answer.learned);
        Some((way(punt, port), answer.frames))
    }

    /// Adds what was counted to the process's metrics. The first of these packets came off the wire when a batch was
    /// `begun`, and none of them took longer. Returns how many there were.
    pub fn add_up(&mut self, begun: Instant) -> u32 {
        let packets = std::mem::take(&mut self.packets);
        if packets == 0 {
            return packets;
        }
        self.unrecorded.record(&self.history);
        let seconds = begun.elapsed().as_secs_f64();
        for _ in 0..packets {
            self.seconds.observe(seconds);
        }
        self.seconds.flush();
        for counter in [
            &self.solicitations,
            &self.dhcpv6,
            &self.dhcpv4,
            &self.icmp_errors,
            &self.advertisements,
        ] {
            counter.flush();
        }
        packets
    }

    fn count(&mut self, punt: &Punt, answer: &Answer) {
        self.count_kind(punt, answer);
        self.count_verdict(punt.kind(), &answer.outcome);
        answer.learned.iter().for_each(|learned| self.tell(learned));
    }

    fn count_kind(&mut self, punt: &Punt, answer: &Answer) {
        let outcome = &answer.outcome;
        if let Some(port) = punt.sender() {
            let became = outcome.verdict.details();
            self.unrecorded
                .add(&self.history, port, outcome.message, became);
        }
        match punt {
            Punt::RouterSolicitation { .. } => {
                self.solicitations.inc();
                let sent = u64::try_from(answer.frames.len()).unwrap_or(u64::MAX);
                self.advertisements.inc_by(sent);
            }
            Punt::Dhcpv6(_) => {
                self.dhcpv6.inc();
                self.metrics
                    .dhcpv6_messages
                    .with_label_values(&[outcome.message, outcome.verdict.as_str()])
                    .inc();
            }
            Punt::Dhcpv4(_) => {
                self.dhcpv4.inc();
                self.metrics
                    .dhcpv4_messages
                    .with_label_values(&[outcome.message, outcome.verdict.as_str()])
                    .inc();
            }
            Punt::NeighborSolicitation(_)
            | Punt::BareSolicitation
            | Punt::Announced(_)
            | Punt::Appeared(_)
            | Punt::Unheld(_)
            | Punt::GroupEcho(_)
            | Punt::Probed
            | Punt::Captured(..) => {
                let packets = &self.metrics.packet_ins;
                packets.with_label_values(&[punt.kind()]).inc();
            }
            Punt::Heard(_) | Punt::Unresolved(_) => {
                self.count_outside(punt, &self.metrics.outside_packets, outcome);
            }
            Punt::PrefixClientMessage(_) => {
                self.count_outside(punt, &self.metrics.delegation_messages, outcome);
            }
            Punt::IcmpError(_) => {
                self.icmp_errors.inc();
                self.metrics
                    .icmp_errors
                    .with_label_values(&[outcome.message, outcome.verdict.as_str()])
                    .inc();
            }
        }
    }

    fn count_verdict(&self, punt: &str, outcome: &Outcome) {
        match outcome.verdict {
            PacketVerdict::Answered(with) => {
                tracing::trace!(message = outcome.message, with, "answered")
            }
            PacketVerdict::Noted => tracing::trace!(message = outcome.message, "noted"),
            PacketVerdict::Ignored(reason) => {
                tracing::debug!(punt, message = outcome.message, reason, "no answer is due");
                self.refused(punt, reason);
            }
            PacketVerdict::Malformed(malformed) => {
                tracing::debug!(punt, message = outcome.message, %malformed, "malformed packet of a guest");
                self.refused(punt, malformed.reason);
            }
        }
    }

    /// Says which addresses guests give up, and why.
    fn tell(&mut self, learned: &Learned) {
        let (Learned::Declined { port, address } | Learned::Released { port, address }) = learned
        else {
            return;
        };
        let Some(unsaid) = self.given_up.admit(port, Instant::now()) else {
            return;
        };
        if matches!(learned, Learned::Declined { .. }) {
            tracing::warn!(%port, %address, unsaid, "a guest found its address in use by another");
        } else {
            tracing::info!(%port, %address, unsaid, "a guest gave up its address");
        }
    }

    fn count_outside(&self, punt: &Punt, told: &IntCounterVec, outcome: &Outcome) {
        let packets = &self.metrics.packet_ins;
        packets.with_label_values(&[punt.kind()]).inc();
        let labels = [outcome.message, outcome.verdict.as_str()];
        told.with_label_values(&labels).inc();
    }

    fn refused(&self, punt: &str, reason: &str) {
        self.metrics
            .packet_ins_refused
            .with_label_values(&[punt, reason])
            .inc();
    }
}

fn packet_ins(metrics: &Metrics, punt: &str) -> LocalIntCounter {
    metrics.packet_ins.with_label_values(&[punt]).local()
}

/// To the port that asked, with the tag that it wants; what asks a network goes to all of it.
fn way(punt: &Punt, port: PortNo) -> Vec<Action> {
    let Punt::Unheld(asker) = punt else {
        return tagged(punt.vlan_tci(), port);
    };
    vec![
        NETWORK.set(asker.network.0),
        ORIGIN.set(origin::GUEST),
        Action::resubmit(Stage::Switch.table()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_gives_up_its_address_again_and_again_fills_no_log() {
        let mut punts = Punts::new(Metrics::new().unwrap(), PortHistory::default());
        let (loud, other) = (PortId::MIN, PortId::MAX);
        let mut said = |port| punts.given_up.admit(&port, Instant::now()).is_some();
        let lines = (0..10_000).filter(|_| said(loud)).count();
        assert_eq!(lines, GIVEN_UP.0 as usize);
        assert!(said(other));
    }
}
