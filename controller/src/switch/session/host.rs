//! What a session does for its host: wraps frames for the switch, and passes on what the host learns.

use super::SwitchSession;
use crate::clock;
use crate::metrics::{AdvertisementCause, HEARD, SENT};
use crate::neighbors::{self, NeighborsOfOne};
use crate::seat::Seat;
use crate::series::GaugeSeries;
use crate::snapshot::{Snapshot, Stopping};
use crate::state::Event;
use crate::switch::SwitchContext;
use crate::switch::packet_out::{actions, packet_out};
use ipnet::Ipv6Net;
use sextant_flows::Flows;
use sextant_model::{ChassisId, SubnetId};
use sextant_responders::Learned;
use sextant_responders::host::{FrameKind, Host, HostEvent, RouterPorts, Time};
use sextant_responders::neighbor::{Neighbor, NeighborState};
use sextant_responders::prefix_client::{Effect, PrefixClientState};
use std::net::IpAddr;
use std::sync::Arc;

impl SwitchSession {
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
        let cause = match kind {
            FrameKind::PeriodicAdvertisement => AdvertisementCause::Periodic,
            FrameKind::FinalAdvertisement => AdvertisementCause::Final,
            FrameKind::Announcement | FrameKind::Solicitation => return,
            FrameKind::Dhcpv6(message) => {
                let messages = &metrics.delegation_messages;
                return messages.with_label_values(&[message, SENT]).inc();
            }
        };
        let advertisements = &metrics.router_advertisements;
        advertisements.with_label_values(&[cause.as_str()]).inc();
    }

    /// Hands the host what packets showed. Mostly that is nothing.
    pub(super) fn learn(&mut self, learned: &[Learned]) {
        let (now, random) = (clock::time(), &mut rand::random::<u64>);
        for learned in learned {
            if let Learned::Probe(number) = learned {
                self.context.probes.arrived(*number, &self.chassis);
                continue;
            }
            self.host.handle_learned(learned, now, random);
        }
    }

    /// Compares what was learned with what is known, and tells the owner what it lacks.
    pub(super) async fn report(&mut self, now: Time) -> Result<(), Stopping> {
        let latest = self.context.snapshots.latest();
        let Snapshot { intent, facts, .. } = &*latest;
        self.host.handle_announced(intent, facts, now);
        let has_changed = self.host.has_changed(now);
        if has_changed || std::mem::take(&mut self.uncompared) {
            self.host.handle_snapshot(intent, facts, now);
            self.tell_shortcomings(facts).await?;
        }
        if has_changed {
            self.shown.update(&self.host);
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
                let labels = [HEARD, disbelief.as_str()];
                refused.with_label_values(&labels).inc();
                return Ok(());
            }
            HostEvent::Delegated(subnet, delegation) => {
                Event::Delegated(self.chassis.clone(), subnet, delegation)
            }
            HostEvent::Announced(announced) => Event::Announced(self.chassis.clone(), announced),
            HostEvent::Appeared(port) => Event::Appeared(port, self.chassis.clone()),
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
}

/// What is shown of a host, for as long as the session lives.
pub(super) struct ShownHost {
    next_hops: GaugeSeries<NeighborState>,
    prefix_clients: GaugeSeries<PrefixClientState>,
    neighbors: NeighborsOfOne,
}

impl ShownHost {
    pub(super) fn new(context: &SwitchContext, seat: &Arc<Seat<ChassisId>>) -> Self {
        Self {
            next_hops: GaugeSeries::new(&context.metrics.next_hops, seat),
            prefix_clients: GaugeSeries::new(&context.metrics.delegation_clients, seat),
            neighbors: NeighborsOfOne::new(&context.neighbors, seat),
        }
    }

    fn update(&mut self, host: &Host) {
        let uplinks = host.uplinks();
        let known = uplinks.neighbors().map(|(network, known)| {
            let default = uplinks.default_router(network).map(IpAddr::from);
            let known = known.map(|neighbor| shown(neighbor, default));
            (network, known.collect())
        });
        self.neighbors.show(known);
        for state in NeighborState::ALL {
            let all = uplinks.neighbors().flat_map(|(_, known)| known);
            let count = all.filter(|neighbor| neighbor.state() == state).count();
            self.next_hops.show(&state).set(gauge(count));
        }
        for state in PrefixClientState::ALL {
            let all = host.prefix_clients().states();
            let count = all.filter(|of| *of == state).count();
            self.prefix_clients.show(&state).set(gauge(count));
        }
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn shown(neighbor: &Neighbor, default_router: Option<IpAddr>) -> neighbors::Neighbor {
    neighbors::Neighbor {
        address: neighbor.address(),
        mac: neighbor.mac(),
        state: neighbor.state().as_str(),
        is_default_router: Some(neighbor.address()) == default_router,
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

/// The routers' ports that guests of a hypervisor know, or may know: those that this process has advertised to them, and those
/// that were withdrawn lately. Guests may have missed a withdrawal: another process was to send it, or the hypervisor was away.
pub(super) fn known_ports(
    mut known: RouterPorts,
    snapshot: &Snapshot,
    chassis: &ChassisId,
    now: i64,
) -> RouterPorts {
    let Snapshot { intent, facts, .. } = snapshot;
    let networks = facts.networks_on(chassis);
    for gone in networks.flat_map(|network| intent.withdrawn_on(network)) {
        if gone.is_over(now) {
            continue;
        }
        let link = gone.on(known.links.get(&gone.port));
        known.links.insert(gone.port, link);
    }
    known
}
