//! What a session does for its host: wraps frames for the switch, and passes on what the host learns.

use super::Session;
use crate::clock;
use crate::neighbors;
use crate::snapshot::Stopping;
use crate::state::Event;
use crate::switch::Context;
use crate::switch::packet_out::{actions, packet_out};
use ipnet::Ipv6Net;
use sextant_flows::Flows;
use sextant_model::{ChassisId, SubnetId};
use sextant_responders::Learned;
use sextant_responders::host::{FrameKind, HostEvent, RouterPorts, Time};
use sextant_responders::neighbor::{Neighbor, State};
use sextant_responders::prefix_client::{Effect, State as PrefixClientState};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

impl Session {
    /// Sends the frames that the host has.
    pub(super) fn send_frames(&mut self) {
        while let Some(frame) = self.host.poll_frame() {
            self.count_frame(frame.kind);
            let message = packet_out(actions(frame.way), frame.octets);
            self.line.post([message]);
        }
    }

    fn count_frame(&self, kind: FrameKind) {
        let metrics = &self.context.metrics;
        let advertisements = &metrics.router_advertisements;
        match kind {
            FrameKind::PeriodicAdvertisement => {
                advertisements.with_label_values(&["periodic"]).inc()
            }
            FrameKind::FinalAdvertisement => advertisements.with_label_values(&["final"]).inc(),
            FrameKind::Announcement | FrameKind::Solicitation => {}
            FrameKind::Dhcpv6(message) => {
                let messages = &metrics.delegation_messages;
                messages.with_label_values(&[message, "sent"]).inc();
            }
        }
    }

    /// Hands the host what packets showed. Mostly that is nothing.
    pub(super) fn learn(&mut self, learned: &[Learned]) {
        let (now, random) = (clock::time(), &mut rand::random::<u64>);
        for learned in learned {
            self.host.handle_learned(learned, now, random);
        }
    }

    /// Has the host compare what it learned with what is known, if either is new, and passes on what comes of it.
    pub(super) async fn report(&mut self, now: Time) -> Result<(), Stopping> {
        let latest = self.context.snapshots.latest();
        let has_changed = self.host.has_changed();
        if !has_changed && Arc::ptr_eq(&latest, &self.compared) {
            return Ok(());
        }
        self.host
            .handle_snapshot(&latest.intent, &latest.facts, now);
        self.compared = latest;
        if has_changed {
            self.show_next_hops();
            self.show_prefix_clients();
        }
        while let Some(event) = self.host.poll_event() {
            self.pass_on(event).await?;
        }
        Ok(())
    }

    async fn pass_on(&mut self, event: HostEvent) -> Result<(), Stopping> {
        let event = match event {
            HostEvent::Outside(network, outside) => {
                Event::Outside(self.chassis.clone(), network, outside)
            }
            HostEvent::Disbelieved(disbelief) => {
                let refused = &self.context.metrics.packet_ins_refused;
                let labels = ["heard", disbelief.as_str()];
                refused.with_label_values(&labels).inc();
                return Ok(());
            }
            HostEvent::Delegated(subnet, delegation) => Event::Delegated(subnet, delegation),
            HostEvent::ServerAnswered {
                subnet,
                effect,
                message,
                prefix,
            } => {
                self.log_answer(subnet, effect, message, prefix);
                return Ok(());
            }
        };
        let sent = self.context.events.send(event).await;
        sent.map_err(|_| Stopping)
    }

    fn log_answer(
        &mut self,
        subnet: SubnetId,
        effect: Effect,
        message: &str,
        prefix: Option<Ipv6Net>,
    ) {
        let prefix = prefix.map_or_else(String::new, |prefix| prefix.to_string());
        let is_loud = matches!(effect, Effect::Granted | Effect::Lost | Effect::Refused(_));
        let unsaid = match is_loud {
            true => self.answers.admit(&subnet, clock::time().instant),
            false => Some(0),
        };
        let Some(unsaid) = unsaid else {
            return;
        };
        match effect {
            Effect::Granted => tracing::info!(%subnet, prefix, unsaid, "prefix delegated"),
            Effect::Extended => tracing::debug!(%subnet, prefix, "prefix extended"),
            Effect::Lost => tracing::warn!(%subnet, unsaid, "the server takes back the prefix"),
            Effect::Refused(reason) => {
                tracing::warn!(%subnet, message, reason, unsaid, "no prefix delegated");
            }
            Effect::Taken | Effect::NotForUs => {}
        }
    }

    fn show_prefix_clients(&self) {
        let states = PrefixClientState::ALL.map(|state| (state.as_str(), 0));
        let mut states: BTreeMap<&str, i64> = states.into();
        for state in self.host.prefix_clients().states() {
            *states.entry(state.as_str()).or_default() += 1;
        }
        for (state, count) in states {
            let labels = [self.chassis.as_str(), state];
            let clients = &self.context.metrics.delegation_clients;
            clients.with_label_values(&labels).set(count);
        }
    }

    fn show_next_hops(&self) {
        let (chassis, context) = (&self.chassis, &self.context);
        context.neighbors.remove(chassis);
        let mut states: BTreeMap<&str, i64> = State::ALL.map(|state| (state.as_str(), 0)).into();
        for (network, known) in self.host.uplinks().neighbors() {
            let default = self.host.uplinks().default_router(network);
            let known: Vec<_> = known
                .map(|neighbor| shown(neighbor, default.map(IpAddr::from)))
                .collect();
            for neighbor in &known {
                *states.entry(neighbor.state).or_default() += 1;
            }
            context.neighbors.set(chassis, network, known);
        }
        for (state, count) in states {
            let labels = [chassis.as_str(), state];
            let gauge = context.metrics.next_hops.with_label_values(&labels);
            gauge.set(count);
        }
    }
}

fn shown(neighbor: &Neighbor, default_router: Option<IpAddr>) -> neighbors::Neighbor {
    neighbors::Neighbor {
        address: neighbor.address(),
        mac: neighbor.mac(),
        state: neighbor.state().as_str(),
        is_default_router: Some(neighbor.address()) == default_router,
    }
}

/// A hypervisor whose session has ended has no next hops and clients that could be looked at.
pub(super) fn hide(chassis: &ChassisId, context: &Context) {
    context.neighbors.remove(chassis);
    for state in State::ALL {
        let labels = [chassis.as_str(), state.as_str()];
        // There may have been none.
        let _ = context.metrics.next_hops.remove_label_values(&labels);
    }
    for state in PrefixClientState::ALL {
        let labels = [chassis.as_str(), state.as_str()];
        let clients = &context.metrics.delegation_clients;
        let _ = clients.remove_label_values(&labels);
    }
}

/// The routers' ports that these flows are for.
pub(super) fn router_ports(flows: &Flows) -> RouterPorts {
    let places = flows.interfaces().flat_map(|interface| {
        let addresses = interface.addresses.iter();
        addresses.map(|address| ((interface.network, *address), interface.mac))
    });
    RouterPorts {
        links: flows.links(),
        places: places.collect(),
    }
}
