//! What a hypervisor's session does to have prefixes delegated to routers' subnets: it runs a DHCPv6 client for each
//! subnet whose router has its gateway there.
//!
//! What a server grants is told to the owner of state, which keeps it: another hypervisor goes on with it when the
//! gateway moves, and so does this one after a restart.

#[cfg(test)]
mod tests;

use super::Context;
use super::packet_out::{packet_out, tagged};
use crate::clock;
use crate::metrics::Metrics;
use crate::snapshot::{Snapshot, Stopping};
use crate::state::Event;
use crate::throttle::Throttle;
use rust_openflow::Message;
use sextant_model::{ChassisId, Delegation, NetworkId, Speaker, SubnetId, Uplink};
use sextant_responders::Learned;
use sextant_responders::delegation::{Client, Effect, Heard, Lease, Sender, State, duid, sent};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// By how many seconds two clocks may differ before one of them was set.
const CLOCK_TOLERANCE: i64 = 30;

/// The clients of one hypervisor.
#[derive(Debug, Default)]
pub(super) struct Delegations {
    clients: BTreeMap<SubnetId, Asking>,
    /// Those that give back prefixes which nobody wants any more from where they are.
    leaving: Vec<(SubnetId, Asking)>,
    /// A lease may have changed that was not told yet.
    touched: bool,
}

/// Where a client's messages go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way {
    network: NetworkId,
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
    /// When it was told, by the clock that runs and by the one that people set.
    told_at: (Instant, i64),
    /// Whoever is on the external network can answer as often as he likes.
    throttle: Throttle,
}

impl Delegations {
    /// Takes in for which subnets prefixes are asked here, and where. One that nobody asks for any more on its network is
    /// given back; one for which another hypervisor asks now is left to it.
    pub(super) fn update(
        &mut self,
        uplinks: &BTreeMap<NetworkId, Uplink>,
        snapshot: &Snapshot,
        now: Instant,
    ) {
        self.touched = true;
        let wanted = wanted(uplinks);
        let stays = |(subnet, asking): &(&SubnetId, &Asking)| {
            let way = wanted.get(subnet);
            way.is_some_and(|way| way.network == asking.way.network)
        };
        let gone = self.clients.iter().filter(|entry| !stays(entry));
        let gone: Vec<SubnetId> = gone.map(|(subnet, _)| *subnet).collect();
        for subnet in gone {
            let asking = self.clients.remove(&subnet);
            let given_back =
                asking.filter(|asking| network_of(subnet, snapshot) != Some(asking.way.network));
            if let Some(mut asking) = given_back {
                asking.client.release(now, rand::random());
                self.leaving.push((subnet, asking));
            }
        }
        for (subnet, way) in wanted {
            match self.clients.get_mut(&subnet) {
                Some(asking) => asking.go_by(subnet, way, now),
                None => self.begin(subnet, way, snapshot, now),
            }
        }
        self.part();
    }

    /// A client goes on with what is known of the subnet, unless that is from elsewhere, or is just being given back.
    fn begin(&mut self, subnet: SubnetId, way: Way, snapshot: &Snapshot, now: Instant) {
        let of_subnet = |(leaving, asking): &(SubnetId, Asking)| {
            *leaving == subnet && asking.way.network == way.network
        };
        let given_back = self.leaving.extract_if(.., |leaving| of_subnet(leaving));
        let given_back = given_back.count() > 0;
        let told = snapshot.facts.delegations().get(&subnet);
        let known = told.filter(|told| told.network == way.network && !given_back);
        let known = known.map(|known| lease(known, now));
        let asking = Asking {
            client: Client::new(subnet, way.sender, known.clone(), now, rand::random()),
            duid: duid(subnet),
            way,
            told: known.or(told.map(|told| lease(told, now))),
            told_at: (now, clock::now()),
            throttle: Throttle::default(),
        };
        self.clients.insert(subnet, asking);
    }

    /// What the owner of state has forgotten meanwhile, because for a moment nobody asked for it, it is told anew; so it is
    /// when the clock was set, by which it knows when the prefix ends. What is being given back and is asked for again, by
    /// another hypervisor it may be, is given back no more.
    pub(super) fn compare(&mut self, snapshot: &Snapshot, (now, wall): (Instant, i64)) {
        self.leaving
            .retain(|(subnet, asking)| network_of(*subnet, snapshot) != Some(asking.way.network));
        let known = snapshot.facts.delegations();
        for (subnet, asking) in &mut self.clients {
            let is_known = known.contains_key(subnet) && !asking.clock_was_set(now, wall);
            if asking.told.is_some() && !is_known {
                asking.told = None;
                self.touched = true;
            }
        }
    }

    /// Takes in what servers said.
    pub(super) fn learn(&mut self, learned: &[Learned]) {
        if learned.is_empty() {
            return;
        }
        for learned in learned {
            if let Learned::Delegation(network, heard) = learned {
                self.hear(*network, heard);
            }
        }
        self.part();
    }

    /// Parts from those that gave back what they had.
    fn part(&mut self) {
        self.leaving.retain(|(_, asking)| !asking.client.is_done());
    }

    fn hear(&mut self, network: NetworkId, heard: &Heard) {
        let leaving = self.leaving.iter_mut();
        let clients = self.clients.iter_mut();
        let all = clients.chain(leaving.map(|(subnet, asking)| (&*subnet, asking)));
        for (subnet, asking) in all.filter(|(_, asking)| asking.hears(network, heard)) {
            self.touched = true;
            let effect = asking
                .client
                .handle_message(heard, Instant::now(), rand::random());
            asking.log(*subnet, effect, heard);
        }
    }

    /// What is due to be sent.
    pub(super) fn due(&mut self, now: Instant, metrics: &Metrics) -> Vec<Message> {
        let mut messages = vec![];
        if self.deadline().is_none_or(|due| now < due) {
            return messages;
        }
        self.touched = true;
        let leaving = self.leaving.iter_mut().map(|(_, asking)| asking);
        for asking in self.clients.values_mut().chain(leaving) {
            asking.client.handle_timeout(now, rand::random());
            while let Some(frame) = asking.client.poll_frame() {
                let labels = [sent(&frame), "sent"];
                metrics.delegation_messages.with_label_values(&labels).inc();
                messages.push(asking.way.out(frame));
            }
        }
        self.part();
        messages
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.all()
            .filter_map(|asking| asking.client.poll_timeout())
            .min()
    }

    fn all(&self) -> impl Iterator<Item = &Asking> {
        let leaving = self.leaving.iter().map(|(_, asking)| asking);
        self.clients.values().chain(leaving)
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
        for asking in self.all() {
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
    let of_uplink = |(network, uplink): (&NetworkId, &Uplink)| {
        let network = *network;
        let (port, vlan_tci) = (uplink.port, uplink.vlan_tci);
        let of_speaker = move |speaker: &Speaker| {
            let (mac, address) = (speaker.mac, speaker.mac.link_local());
            let sender = Sender { mac, address };
            let way = Way {
                network,
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
    uplinks.iter().flat_map(of_uplink).collect()
}

impl Way {
    fn out(&self, frame: Vec<u8>) -> Message {
        packet_out(tagged(self.vlan_tci, self.port.into()), frame)
    }
}

impl Asking {
    /// Another sender on the same network is another next hop for the server's route: it learns of it by Rebind.
    fn go_by(&mut self, subnet: SubnetId, way: Way, now: Instant) {
        let before = std::mem::replace(&mut self.way, way);
        if before.sender == way.sender {
            return;
        }
        self.client.set_sender(way.sender);
        if let Some(lease) = self.client.lease() {
            let known = Some(lease.clone());
            self.client = Client::new(subnet, way.sender, known, now, rand::random());
        }
    }

    fn hears(&self, network: NetworkId, heard: &Heard) -> bool {
        self.way.network == network && self.duid == heard.client()
    }

    /// What the owner of state does not know yet.
    fn news(&mut self) -> Option<Option<Arc<Delegation>>> {
        let lease = self.client.lease();
        if self.told.as_ref() == lease {
            return None;
        }
        let now = Instant::now();
        self.told = lease.cloned();
        self.told_at = (now, clock::now());
        let told = |lease| Arc::new(delegation(lease, self.way.network, now));
        Some(lease.map(told))
    }

    fn clock_was_set(&self, now: Instant, wall: i64) -> bool {
        let (then, before) = self.told_at;
        let passed = now.saturating_duration_since(then).as_secs();
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        let by_clock = wall.saturating_sub(before);
        by_clock.saturating_sub(passed).abs() > CLOCK_TOLERANCE
    }

    fn log(&mut self, subnet: SubnetId, effect: Effect, heard: &Heard) {
        let lease = self.client.lease();
        let prefix = lease.map_or_else(String::new, |lease| lease.prefix.to_string());
        let is_loud = matches!(effect, Effect::Granted | Effect::Lost | Effect::Refused(_));
        let unsaid = match is_loud {
            true => self.throttle.admit(Instant::now()),
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
                tracing::warn!(%subnet, message = heard.message(), reason, unsaid, "no prefix delegated");
            }
            Effect::Taken | Effect::NotForUs => {}
        }
    }
}

/// The external network where the prefix of a subnet is asked for.
fn network_of(subnet: SubnetId, snapshot: &Snapshot) -> Option<NetworkId> {
    let subnet = snapshot.intent.subnets.get(&subnet)?;
    snapshot.intent.delegating_network(subnet)
}

/// A lease with times of this process as one with times for all.
fn delegation(lease: &Lease, network: NetworkId, now: Instant) -> Delegation {
    let wall = clock::now();
    let at = |at: Option<Instant>| {
        let Some(at) = at else { return i64::MAX };
        let left = at.saturating_duration_since(now).as_secs();
        wall.saturating_add(i64::try_from(left).unwrap_or(i64::MAX))
    };
    Delegation {
        network,
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
