//! Notices what others change on a switch while its session lives (`ovs-ofctl`, another controller, a script).
//!
//! Of flows the switch tells by itself: a flow monitor costs nothing while nobody changes any, and tells our own changes from
//! those of others. OpenFlow 1.3 has nothing like it for meters, groups and the treatment of fragments, so these few are asked
//! for now and then. What looks wrong is only a suspicion: the session reads all back, and what differs is mended and counted.

use super::groups::GroupsRead;
use super::meters::Meters;
use crate::metrics::{Drift, Metrics};
use rust_openflow::multipart::MeterConfig;
use rust_openflow::{
    FlowEvent, FlowUpdate, METER_ALL, Message, MultipartBody, MultipartReply, MultipartRequest,
    PortConfig, PortDesc, PortMod, PortReason, SwitchConfig, Xid, flow_updates, watch_flows,
};
use sextant_flows::pipeline::SWITCH_CONFIG;
use sextant_flows::{Flows, InstalledFlow};
use sextant_model::ChassisId;
use sextant_responders::backoff::Backoff;
use sextant_responders::throttle::Throttle;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// How long meters, groups and the configuration are left alone, and how soon a look is tried again that came amiss.
const INTERVAL: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(1);
/// What is deleted comes as many messages: they are waited for before all is read back.
const GATHER: Duration = Duration::from_millis(50);
/// The shortest time between two readings: at first, and while somebody goes on changing things.
const PACE: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(8));
/// Who has been quiet for so long is given the first pace again.
const QUIET: Duration = Duration::from_secs(30);
/// What only `ovs-ofctl mod-port` sets, and makes a port deaf or dumb.
const PORT_FLAGS: PortConfig = PortConfig::NO_RECEIVE
    .union(PortConfig::NO_FORWARD)
    .union(PortConfig::NO_PACKET_IN);
/// `OFPC_FRAG_*` of a switch's configuration.
const FRAGMENTS: u16 = 3;

/// What is noticed of one switch.
pub(super) struct Vigil {
    metrics: Metrics,
    chassis: ChassisId,
    throttle: Throttle,
    /// When to ask next.
    due: Instant,
    /// The requests of the last look.
    asked: BTreeSet<Xid>,
    meters: BTreeMap<u32, MeterConfig>,
    meters_read: bool,
    groups: GroupsRead,
    /// Flows whose actions somebody else has changed.
    tampered: BTreeSet<InstalledFlow>,
    /// When all is to be read back.
    suspicion: Option<Instant>,
    /// When it was read back last, and when it may be again.
    last: Option<Instant>,
    earliest: Instant,
    pace: Backoff,
}

impl Vigil {
    pub(super) fn new(metrics: Metrics, chassis: ChassisId, now: Instant) -> Self {
        Self {
            metrics,
            chassis,
            throttle: Throttle::default(),
            due: now + INTERVAL,
            asked: BTreeSet::new(),
            meters: BTreeMap::new(),
            meters_read: false,
            groups: GroupsRead::default(),
            tampered: BTreeSet::new(),
            suspicion: None,
            last: None,
            earliest: now,
            pace: PACE,
        }
    }

    /// What has the switch tell from here on, and of its ports how they are.
    pub(super) fn begin() -> [Message; 2] {
        [watch_flows(0), MultipartRequest::PortDesc].map(Message::MultipartRequest)
    }

    /// When there is something to do, while no change is under way (`idle`).
    pub(super) fn deadline(&self, idle: bool) -> Instant {
        match self.suspicion {
            Some(at) if idle => at.min(self.due),
            Some(_) | None => self.due,
        }
    }

    /// Asks what the switch does not tell by itself, if it is time for it.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        idle: bool,
        mut send: impl FnMut(&Message) -> Option<Xid>,
    ) {
        if now < self.due {
            return;
        }
        if !idle {
            self.due = now + SOON;
            return;
        }
        self.due = now + INTERVAL;
        (self.meters, self.meters_read) = (BTreeMap::new(), false);
        self.groups = GroupsRead::default();
        let requests = [
            Message::GetConfigRequest,
            Message::MultipartRequest(MultipartRequest::GroupDesc),
            Message::MultipartRequest(MultipartRequest::MeterConfig(METER_ALL)),
        ];
        self.asked = requests.iter().filter_map(&mut send).collect();
    }

    /// A change begins: what was asked before says nothing of what is after it.
    pub(super) fn disturbed(&mut self) {
        self.asked.clear();
        self.meters_read = false;
    }

    /// Takes in a message; returns what mends at once what it tells of.
    pub(super) fn take(&mut self, xid: Xid, message: &Message, now: Instant) -> Vec<Message> {
        if let Message::MultipartReply(MultipartReply { body, .. }) = message
            && let MultipartBody::PortDesc(ports) = body
        {
            return ports.iter().filter_map(|port| self.port(port)).collect();
        }
        if let Message::MultipartReply(MultipartReply { body, more }) = message
            && let MultipartBody::GroupDesc(groups) = body
        {
            self.groups.take(groups);
            let is_read = !more && self.asked.remove(&xid);
            return if is_read { self.groups() } else { vec![] };
        }
        self.take_single(xid, message, now).into_iter().collect()
    }

    fn take_single(&mut self, xid: Xid, message: &Message, now: Instant) -> Option<Message> {
        if let Message::MultipartReply(reply) = message {
            return self.reply(xid, reply, now);
        }
        if let Message::PortStatus(status) = message {
            let stays = status.reason != PortReason::Delete;
            return stays.then(|| self.port(&status.port)).flatten();
        }
        if let Message::GetConfigReply(config) = message
            && self.asked.remove(&xid)
        {
            return self.config(*config);
        }
        None
    }

    fn reply(&mut self, xid: Xid, reply: &MultipartReply, now: Instant) -> Option<Message> {
        if let Some(updates) = flow_updates(reply) {
            // The switch reports nothing without a change, also where its report cannot be read.
            match updates {
                Ok(updates) => updates.iter().for_each(|update| self.flow(update, now)),
                Err(_) => self.suspect(now),
            }
            return None;
        }
        if !self.asked.contains(&xid) {
            return None;
        }
        if !reply.more {
            self.asked.remove(&xid);
        }
        if let MultipartBody::MeterConfig(meters) = &reply.body {
            let numbered = meters.iter().map(|meter| (meter.meter, meter.clone()));
            self.meters.extend(numbered);
            self.meters_read = !reply.more;
        }
        None
    }

    /// Groups were read: those of the pipeline should be there, and no others.
    fn groups(&mut self) -> Vec<Message> {
        let read = std::mem::take(&mut self.groups);
        let wrong = read.wrong();
        if wrong > 0 {
            self.found(Drift::Group, wrong);
            self.warn("groups", wrong);
        }
        read.correct()
    }

    fn flow(&mut self, update: &FlowUpdate, now: Instant) {
        let FlowUpdate::Changed {
            event,
            table,
            cookie,
            ..
        } = update
        else {
            return;
        };
        if *event == FlowEvent::Modified {
            let (table, cookie) = (*table, *cookie);
            self.tampered.insert(InstalledFlow { table, cookie });
        }
        self.suspect(now);
    }

    fn config(&mut self, config: SwitchConfig) -> Option<Message> {
        if config.flags & FRAGMENTS == SWITCH_CONFIG.flags {
            return None;
        }
        self.found(Drift::Switch, 1);
        self.warn("the treatment of fragments", 1);
        Some(Message::SetConfig(SWITCH_CONFIG))
    }

    fn port(&mut self, port: &PortDesc) -> Option<Message> {
        if port.config.intersection(PORT_FLAGS).is_empty() {
            return None;
        }
        self.found(Drift::Port, 1);
        self.warn("a port's configuration", 1);
        Some(Message::PortMod(PortMod {
            number: port.number,
            address: port.address,
            config: PortConfig::NONE,
            mask: PORT_FLAGS,
            advertise: 0,
        }))
    }

    /// Whether meters were read that were not compared yet.
    pub(super) fn has_read_meters(&self) -> bool {
        self.meters_read
    }

    /// Compares the meters that were read with those that there should be.
    pub(super) fn compare_meters(&mut self, flows: &Flows, meters: &Meters, now: Instant) {
        if !std::mem::take(&mut self.meters_read) {
            return;
        }
        let read = std::mem::take(&mut self.meters);
        let numbers: BTreeSet<u32> = read.keys().copied().collect();
        let as_wanted =
            numbers == flows.installable_meters() && meters.correct(read.values()).is_empty();
        if !as_wanted {
            self.suspect(now);
        }
    }

    fn suspect(&mut self, now: Instant) {
        let gathered = now + GATHER;
        self.suspicion.get_or_insert(self.earliest.max(gathered));
    }

    /// Whether all is to be read back at once.
    pub(super) fn is_suspicious(&self, now: Instant) -> bool {
        self.suspicion.is_some_and(|at| at <= now)
    }

    /// Begins to read everything back. Returns the flows that were changed until then; later reports count for the next time.
    pub(super) fn reads(&mut self, now: Instant) -> BTreeSet<InstalledFlow> {
        if self.last.is_some_and(|last| now - last >= QUIET) {
            self.pace.reset();
        }
        self.earliest = now + self.pace.wait();
        (self.last, self.suspicion) = (Some(now), None);
        std::mem::take(&mut self.tampered)
    }

    /// So many flows and meters were not as they should be.
    pub(super) fn mends(&mut self, flows: usize, meters: usize) {
        self.found(Drift::Flow, flows);
        self.found(Drift::Meter, meters);
        if flows > 0 {
            self.warn("flows", flows);
        } else if meters > 0 {
            self.warn("meters", meters);
        }
    }

    fn found(&self, kind: Drift, count: usize) {
        let mended = self
            .metrics
            .drift_mended
            .with_label_values(&[kind.as_str()]);
        mended.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    fn warn(&mut self, what: &str, count: usize) {
        if let Some(unsaid) = self.throttle.admit(std::time::Instant::now()) {
            let chassis = &self.chassis;
            tracing::warn!(%chassis, what, count, unsaid, "somebody else changed what the switch has; it is mended");
        }
    }
}

#[cfg(test)]
mod tests;
