//! What a hypervisor's session does to have prefixes delegated to routers' subnets: it runs a DHCPv6 client for each
//! subnet whose router has its gateway there.
//!
//! What a server grants is told to the owner of state, which keeps it: another hypervisor goes on with it when the
//! gateway moves, and so does this one after a restart.

#[cfg(test)]
mod tests;

use super::Context;
use super::uplinks::tagged;
use crate::clock;
use crate::metrics::Metrics;
use crate::snapshot::{Snapshot, Stopping};
use crate::state::Event;
use bytes::Bytes;
use rust_openflow::{Message, NO_BUFFER, PacketOut, ports};
use sextant_flows::Uplink;
use sextant_model::{ChassisId, Delegation, NetworkId, SubnetId};
use sextant_responders::Learned;
use sextant_responders::delegation::{Client, Effect, Heard, Lease, Sender, State, duid, sent};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The clients of one hypervisor, by subnet.
#[derive(Debug, Default)]
pub(super) struct Delegations {
    clients: BTreeMap<SubnetId, Asking>,
    /// A lease may have changed that was not told yet.
    touched: bool,
}

/// Where a client's messages go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way {
    port: u16,
    vlan_tci: u16,
    sender: Sender,
}

#[derive(Debug)]
struct Asking {
    client: Client,
    duid: Vec<u8>,
    way: Way,
    /// What the owner of state knows.
    told: Option<Lease>,
    /// Nobody wants the prefix any more: it is being given back.
    leaving: bool,
}

impl Delegations {
    /// Takes in for which subnets prefixes are asked here. One that nobody asks for any more is given back; one for which
    /// another hypervisor asks now is left to it.
    pub(super) fn update(
        &mut self,
        uplinks: &BTreeMap<NetworkId, Uplink>,
        snapshot: &Snapshot,
        now: Instant,
    ) {
        self.touched = true;
        let wanted = wanted(uplinks);
        let is_asked_for = |subnet: &SubnetId| {
            let subnet = snapshot.intent.subnets.get(subnet);
            subnet.is_some_and(|subnet| snapshot.intent.delegating_router(subnet).is_some())
        };
        self.clients.retain(|subnet, asking| {
            if asking.leaving || wanted.contains_key(subnet) {
                return true;
            }
            asking.leave(now);
            !is_asked_for(subnet) && !asking.client.is_done()
        });
        for (subnet, way) in wanted {
            let before = self.clients.get_mut(&subnet);
            let is_leaving = before.as_ref().is_some_and(|asking| asking.leaving);
            if let Some(asking) = before.filter(|_| !is_leaving) {
                asking.go_by(way);
                continue;
            }
            let told = snapshot.facts.delegations().get(&subnet);
            let told = told.map(|told| lease(told, now));
            // What is being given back is nothing to begin with.
            let known = told.clone().filter(|_| !is_leaving);
            let client = Client::new(subnet, way.sender, known, now, rand::random());
            let asking = Asking::new(subnet, client, way, told);
            self.clients.insert(subnet, asking);
        }
    }

    /// Takes in what servers said.
    pub(super) fn learn(&mut self, learned: &[Learned]) {
        for learned in learned {
            if let Learned::Delegation(_, heard) = learned {
                self.hear(heard);
            }
        }
    }

    fn hear(&mut self, heard: &Heard) {
        let mut clients = self.clients.iter_mut();
        let asking = clients.find(|(_, asking)| asking.duid == heard.client());
        let Some((subnet, asking)) = asking else {
            return;
        };
        let effect = asking.client.heard(heard, Instant::now(), rand::random());
        self.touched = true;
        let prefix = asking.client.lease().map(|lease| lease.prefix);
        match effect {
            Effect::Granted => {
                tracing::info!(%subnet, prefix = ?prefix, "prefix delegated")
            }
            Effect::Extended => tracing::debug!(%subnet, prefix = ?prefix, "prefix extended"),
            Effect::Lost => tracing::warn!(%subnet, "the server takes back the prefix"),
            Effect::Refused(reason) => {
                tracing::warn!(%subnet, message = heard.message(), reason, "no prefix delegated")
            }
            Effect::Taken | Effect::NotForUs => {}
        }
    }

    /// What is due to be sent.
    pub(super) fn due(&mut self, now: Instant, metrics: &Metrics) -> Vec<Message> {
        let mut messages = vec![];
        if self.deadline().is_none_or(|due| now < due) {
            return messages;
        }
        self.touched = true;
        for asking in self.clients.values_mut() {
            for frame in asking.client.poll(now, rand::random()) {
                let labels = [sent(&frame), "sent"];
                metrics.delegation_messages.with_label_values(&labels).inc();
                messages.push(asking.way.out(frame));
            }
        }
        self.clients
            .retain(|_, asking| !(asking.leaving && asking.client.is_done()));
        messages
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let clients = self.clients.values();
        clients
            .filter_map(|asking| asking.client.next_event())
            .min()
    }

    /// Tells the owner of state which prefixes there are.
    ///
    /// # Errors
    /// The process is stopping.
    pub(super) async fn tell(
        &mut self,
        chassis: &ChassisId,
        context: &Context,
    ) -> Result<(), Stopping> {
        if !std::mem::take(&mut self.touched) {
            return Ok(());
        }
        self.show(chassis, &context.metrics);
        for (subnet, asking) in &mut self.clients {
            if let Some(delegation) = asking.news() {
                let event = Event::Delegated(*subnet, delegation);
                let sent = context.events.send(event).await;
                sent.map_err(|_| Stopping)?;
            }
        }
        Ok(())
    }

    fn show(&self, chassis: &ChassisId, metrics: &Metrics) {
        let mut states: BTreeMap<&str, i64> = State::ALL.map(|state| (state.as_str(), 0)).into();
        for asking in self.clients.values() {
            *states.entry(asking.client.state().as_str()).or_default() += 1;
        }
        for (state, count) in states {
            let labels = [chassis.as_str(), state];
            let gauge = metrics.delegation_clients.with_label_values(&labels);
            gauge.set(count);
        }
    }
}

/// A hypervisor whose session has ended asks for nothing.
pub(super) fn hide(chassis: &ChassisId, metrics: &Metrics) {
    for state in State::ALL {
        let labels = [chassis.as_str(), state.as_str()];
        // There may have been none.
        let _ = metrics.delegation_clients.remove_label_values(&labels);
    }
}

/// The subnets that prefixes are asked for, and where.
fn wanted(uplinks: &BTreeMap<NetworkId, Uplink>) -> BTreeMap<SubnetId, Way> {
    let of_uplink = |uplink: &Uplink| {
        let (port, vlan_tci) = (uplink.port, uplink.vlan_tci);
        let of_speaker = move |speaker: &sextant_flows::Speaker| {
            let (mac, address) = (speaker.mac, speaker.mac.link_local());
            let sender = Sender { mac, address };
            let way = Way {
                port,
                vlan_tci,
                sender,
            };
            let subnets: Vec<_> = speaker.delegated.iter().map(|id| (*id, way)).collect();
            subnets
        };
        let speakers = uplink.speakers.values();
        speakers.flat_map(of_speaker).collect::<Vec<_>>()
    };
    uplinks.values().flat_map(of_uplink).collect()
}

impl Way {
    fn out(&self, frame: Vec<u8>) -> Message {
        Message::PacketOut(PacketOut {
            buffer_id: NO_BUFFER,
            in_port: ports::CONTROLLER,
            actions: tagged(self.vlan_tci, self.port.into()),
            data: Bytes::from(frame),
        })
    }
}

impl Asking {
    fn new(subnet: SubnetId, client: Client, way: Way, told: Option<Lease>) -> Self {
        Self {
            client,
            duid: duid(subnet),
            way,
            told,
            leaving: false,
        }
    }

    fn go_by(&mut self, way: Way) {
        self.way = way;
        self.client.set_sender(way.sender);
    }

    fn leave(&mut self, now: Instant) {
        self.leaving = true;
        self.client.release(now, rand::random());
    }

    /// What the owner of state does not know yet. What is given back it takes away by itself.
    fn news(&mut self) -> Option<Option<Arc<Delegation>>> {
        let lease = self.client.lease();
        if self.leaving || self.told.as_ref() == lease {
            return None;
        }
        self.told = lease.cloned();
        Some(lease.map(|lease| Arc::new(delegation(lease, Instant::now()))))
    }
}

/// A lease with times of this process as one with times for all.
fn delegation(lease: &Lease, now: Instant) -> Delegation {
    let wall = clock::now();
    let at = |at: Option<Instant>| {
        let Some(at) = at else { return i64::MAX };
        let left = at.saturating_duration_since(now).as_secs();
        wall.saturating_add(i64::try_from(left).unwrap_or(i64::MAX))
    };
    Delegation {
        prefix: lease.prefix,
        server: lease.server.clone(),
        renew_at: at(lease.renew_at),
        rebind_at: at(lease.rebind_at),
        preferred_until: at(lease.preferred_until),
        valid_until: at(lease.valid_until),
    }
}

fn lease(delegation: &Delegation, now: Instant) -> Lease {
    let wall = clock::now();
    let at = |at: i64| {
        let left = u64::try_from(at.saturating_sub(wall)).unwrap_or(0);
        let never = at == i64::MAX;
        now.checked_add(Duration::from_secs(left))
            .filter(|_| !never)
    };
    Lease {
        prefix: delegation.prefix,
        server: delegation.server.clone(),
        renew_at: at(delegation.renew_at),
        rebind_at: at(delegation.rebind_at),
        preferred_until: at(delegation.preferred_until),
        valid_until: at(delegation.valid_until),
    }
}
