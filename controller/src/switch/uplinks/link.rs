//! One external network on one hypervisor.

use crate::neighbors;
use bytes::Bytes;
use rust_openflow::{Action, Field, Message, NO_BUFFER, PacketOut, PortNo, Subfield, ports};
use sextant_model::{MacAddr, Outside, PortId, Speaker, Uplink};
use sextant_responders::default_routers::{DefaultRouters, Reachability};
use sextant_responders::neighbor::{
    Change, Ends, Heard, Neighbor, NeighborCache, State, Target, Timing, announce,
};
use sextant_responders::ra::{self, HeardAdvertisement};
use sextant_responders::repetition::Repetition;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// How long a router that was known before counts that is not heard any more: AdvDefaultLifetime of most routers (RFC 4861
/// §6.2.1).
const REMEMBERED: Duration = Duration::from_secs(1800);
/// How long a neighbour is kept resolved after there was a packet for it and no flow.
const SOUGHT: Duration = Duration::from_secs(600);
/// So many of these at most.
const MOST_SOUGHT: usize = 256;

/// What is told in a row at most, and after how long one thing more: who makes up routers or neighbours outside has flows
/// changed, and facts stored, no more often.
const IN_A_ROW: u32 = 16;
const PACE: Duration = Duration::from_millis(250);

/// Why what was heard is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disbelief {
    /// It says that somebody outside has the MAC of a router here.
    OwnMac,
    /// It says that somebody outside has an address of a router here.
    OwnAddress,
    /// It speaks for a router that answers, from another MAC.
    OtherMac,
}

impl Disbelief {
    /// The reason in metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::OwnMac => "names our own MAC",
            Self::OwnAddress => "names our own address",
            Self::OtherMac => "from another MAC than its router's",
        }
    }
}

#[derive(Debug)]
pub(super) struct Link {
    uplink: Uplink,
    routers: DefaultRouters,
    /// The default router that was known before, until when it counts if no router is heard.
    before: Option<(Ipv6Addr, Instant)>,
    macs_before: BTreeMap<IpAddr, MacAddr>,
    neighbors: NeighborCache,
    /// Neighbours that there were packets for, and until when they are kept.
    sought: BTreeMap<IpAddr, Instant>,
    /// Asks for routers, while there is none.
    asking: Option<Repetition>,
    /// Speakers that are new, and wait for their flows.
    silent: BTreeSet<PortId>,
    announcing: BTreeMap<PortId, Repetition>,
    /// What the owner of state knows.
    told: Option<Outside>,
    /// When it would know more had it been told at an even [`PACE`].
    paced: Instant,
    /// When it is to know what was held back.
    held: Option<Instant>,
}

impl Link {
    /// A link of which this was known; `told`: the owner of state knows it of this hypervisor.
    pub(super) fn new(known: Option<Outside>, told: bool, now: Instant) -> Self {
        let router = known.as_ref().and_then(|known| known.default_router);
        let macs = known.as_ref().map(|known| known.neighbors.clone());
        Self {
            uplink: Uplink {
                port: 0,
                vlan_tci: 0,
                speakers: BTreeMap::new(),
                next_hops: BTreeSet::new(),
                listens: false,
            },
            routers: DefaultRouters::default(),
            before: router.map(|router| (router, now + REMEMBERED)),
            macs_before: macs.unwrap_or_default(),
            neighbors: NeighborCache::new(Timing::default()),
            sought: BTreeMap::new(),
            asking: None,
            silent: BTreeSet::new(),
            announcing: BTreeMap::new(),
            told: known.filter(|_| told),
            paced: now,
            held: None,
        }
    }

    pub(super) fn update(&mut self, uplink: Uplink, now: Instant) {
        for (port, speaker) in &uplink.speakers {
            if self.uplink.speakers.get(port) != Some(speaker) {
                self.silent.insert(*port);
            }
        }
        self.uplink = uplink;
        let speakers = &self.uplink.speakers;
        self.silent.retain(|port| speakers.contains_key(port));
        self.announcing
            .retain(|port, _| speakers.contains_key(port));
        self.want(now);
    }

    pub(super) fn announce(&mut self, now: Instant) {
        for port in std::mem::take(&mut self.silent) {
            self.announcing.insert(port, Repetition::announcement(now));
        }
    }

    /// # Errors
    /// [`Disbelief`]: it is not what the router said that answers, or it would have us send to ourselves.
    pub(super) fn hear_router(
        &mut self,
        from: MacAddr,
        advertisement: &HeardAdvertisement,
        now: Instant,
    ) -> Result<(), Disbelief> {
        let router = advertisement.source;
        let mac = advertisement.mac.unwrap_or(from);
        self.refuse_own(router.into(), [Some(mac), Some(from)])?;
        let known = self.neighbors.get(router.into());
        if known.is_some_and(|known| known.answers() && known.mac() != Some(mac)) {
            return Err(Disbelief::OtherMac);
        }
        let known = known.map_or(Reachability::default(), reachability);
        self.routers.heard_of(now, advertisement, known);
        self.before.take_if(|(before, _)| *before == router);
        self.want(now);
        Ok(())
    }

    /// # Errors
    /// [`Disbelief`]: it would have us send to ourselves.
    pub(super) fn hear_neighbor(&mut self, heard: &Heard, now: Instant) -> Result<(), Disbelief> {
        self.refuse_own(heard.address, [heard.mac, None])?;
        let change = self.neighbors.heard(now, heard);
        self.changed(change, now);
        Ok(())
    }

    fn refuse_own(&self, address: IpAddr, macs: [Option<MacAddr>; 2]) -> Result<(), Disbelief> {
        let mut speakers = self.uplink.speakers.values();
        let told = speakers.find_map(|own| {
            if macs.contains(&Some(own.mac)) {
                return Some(Disbelief::OwnMac);
            }
            let has = own.addresses.contains(&address);
            has.then_some(Disbelief::OwnAddress)
        });
        told.map_or(Ok(()), Err)
    }

    /// There is a packet for a neighbour whose MAC no flow has.
    pub(super) fn seek(&mut self, address: IpAddr, now: Instant) {
        if self.sought.len() < MOST_SOUGHT || self.sought.contains_key(&address) {
            self.sought.insert(address, now + SOUGHT);
            self.want(now);
        }
    }

    pub(super) fn flush(&mut self, now: Instant) {
        self.macs_before.clear();
        let changes = self.neighbors.flush(now);
        self.changed(changes, now);
    }

    pub(super) fn due(&mut self, now: Instant, messages: &mut Vec<Message>) {
        let passed = |until: &Instant| *until <= now;
        let expired = !self.routers.expire(now).is_empty();
        let forgotten = self.before.take_if(|(_, until)| passed(until)).is_some();
        let before = self.sought.len();
        self.sought.retain(|_, until| !passed(until));
        if expired || forgotten || self.sought.len() < before {
            self.want(now);
        }
        let due = self.neighbors.poll(now);
        self.changed(due.changes, now);
        let frames = due.frames.into_iter().map(Bytes::from);
        let frames: Vec<Bytes> = frames.chain(self.said(now)).collect();
        messages.extend(frames.into_iter().map(|frame| self.out(frame)));
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let announcements = self.announcing.values();
        let before = self.before.map(|(_, until)| until);
        self.neighbors
            .poll_timeout()
            .into_iter()
            .chain(self.routers.poll_timeout())
            .chain(before)
            .chain(self.held)
            .chain(self.sought.values().copied())
            .chain(self.asking.and_then(|asking| asking.poll_timeout()))
            .chain(announcements.filter_map(Repetition::poll_timeout))
            .min()
    }

    /// What is known, if it is not what was told last, and may be told.
    pub(super) fn news(&mut self, now: Instant) -> Option<Outside> {
        let known = Outside {
            default_router: self.default_router(),
            neighbors: self
                .neighbors
                .iter()
                .filter_map(|neighbor| Some((neighbor.address(), neighbor.mac()?)))
                .collect(),
        };
        self.held = None;
        if self.told.as_ref() == Some(&known) {
            return None;
        }
        let paced = self.paced.max(now);
        if paced > now + PACE * IN_A_ROW {
            self.held = Some(now + PACE);
            return None;
        }
        self.paced = paced + PACE;
        Some(self.told.insert(known).clone())
    }

    pub(super) fn neighbors(&self) -> Vec<neighbors::Neighbor> {
        let default = self.default_router().map(IpAddr::from);
        let known = self.neighbors.iter();
        known
            .map(|neighbor| neighbors::Neighbor {
                address: neighbor.address(),
                mac: neighbor.mac(),
                state: neighbor.state().as_str(),
                is_default_router: Some(neighbor.address()) == default,
            })
            .collect()
    }

    /// MACs that are remembered of neighbours which nobody wants yet.
    #[cfg(test)]
    pub(super) fn remembered_macs(&self) -> usize {
        self.macs_before.len()
    }

    /// One that answers; else the one before, unless that is known not to; else whoever is heard.
    pub(super) fn default_router(&self) -> Option<Ipv6Addr> {
        let heard = self.routers.best();
        let before = self.before.map(|(router, _)| router);
        let is_lost = before.is_none_or(|before| {
            let known = self.neighbors.get(before.into());
            known.is_some_and(|known| known.state() == State::Unreachable)
        });
        let heard = heard.filter(|heard| is_lost || heard.reachability == Reachability::Answers);
        let router = heard.map(|heard| heard.address).or(before);
        router.filter(|_| self.uplink.listens)
    }

    /// Asks for routers as long as none answers: whoever makes one up keeps nobody from asking for another.
    fn ask(&mut self, now: Instant) {
        let best = self.routers.best();
        let answers = best.is_some_and(|best| best.reachability == Reachability::Answers);
        let asks = self.uplink.listens && !answers;
        let asking = self.asking.filter(|_| asks);
        self.asking = asking.or_else(|| asks.then(|| Repetition::solicitation(now)));
    }

    /// Keeps just those resolved that packets are sent to, or may be; what is wanted of routers is that there is one.
    fn want(&mut self, now: Instant) {
        self.ask(now);
        let heard = self.routers.iter().map(|router| router.address);
        let before = self.before.map(|(router, _)| router);
        let routers = heard.chain(before).filter(|_| self.uplink.listens);
        let wanted: BTreeSet<IpAddr> = routers
            .map(IpAddr::from)
            .chain(self.uplink.next_hops.iter().copied())
            .chain(self.sought.keys().copied())
            .collect();
        let known: Vec<IpAddr> = self.neighbors.iter().map(|known| known.address()).collect();
        for unwanted in known.iter().filter(|known| !wanted.contains(known)) {
            self.neighbors.unwant(*unwanted);
        }
        for address in wanted {
            let remembered = self.macs_before.remove(&address);
            if let Some(target) = self.target(address) {
                self.neighbors.want(now, target, remembered, rand::random());
            }
        }
    }

    /// A neighbour, and the speaker that asks for it.
    fn target(&self, address: IpAddr) -> Option<Target> {
        let of = |speaker: &Speaker| {
            let mut sources = speaker.addresses.iter();
            let ends = sources.find_map(|source| Ends::new(*source, address))?;
            let source_mac = speaker.mac;
            Some(Target { ends, source_mac })
        };
        self.uplink.speakers.values().find_map(of)
    }

    fn changed(&mut self, changes: impl IntoIterator<Item = Change>, now: Instant) {
        let mut differs = false;
        for change in changes {
            let unreachable = change.state == State::Unreachable;
            differs |= unreachable && self.sought.remove(&change.address).is_some();
            let IpAddr::V6(router) = change.address else {
                continue;
            };
            let known = self.neighbors.get(change.address).map(reachability);
            // What one that failed to answer says of itself is no answer.
            if let Some(known) = known.filter(|known| *known != Reachability::Presumed) {
                self.routers.mark(router, known);
                differs |= known == Reachability::Answers;
            }
            if change.router == Some(false) {
                differs |= self.routers.remove(router);
            }
        }
        if differs {
            self.want(now);
        }
    }

    /// Announcements and solicitations that are due.
    fn said(&mut self, now: Instant) -> Vec<Bytes> {
        let mut frames = vec![];
        for (port, repetition) in &mut self.announcing {
            let speaker = self.uplink.speakers.get(port);
            if let Some(speaker) = speaker.filter(|_| repetition.handle_timeout(now)) {
                let addresses = speaker.addresses.iter();
                frames.extend(addresses.map(|address| announce(speaker.mac, *address).into()));
            }
        }
        self.announcing
            .retain(|_, repetition| repetition.poll_timeout().is_some());
        let asks = self
            .asking
            .as_mut()
            .is_some_and(|asking| asking.handle_timeout(now));
        let speaker = self.uplink.speakers.values().next().filter(|_| asks);
        frames.extend(speaker.map(|speaker| {
            let source = speaker.mac.link_local();
            Bytes::from(ra::solicit(speaker.mac, source))
        }));
        frames
    }

    fn out(&self, frame: Bytes) -> Message {
        Message::PacketOut(PacketOut {
            buffer_id: NO_BUFFER,
            in_port: ports::CONTROLLER,
            actions: tagged(self.uplink.vlan_tci, u32::from(self.uplink.port)),
            data: frame,
        })
    }
}

/// How a neighbour counts as a router.
fn reachability(neighbor: &Neighbor) -> Reachability {
    match neighbor.state() {
        State::Unreachable => Reachability::Unreachable,
        _ if neighbor.answers() => Reachability::Answers,
        State::Incomplete | State::Reachable | State::Stale | State::Probe => {
            Reachability::Presumed
        }
    }
}

/// Sends a frame out of a port with this `vlan_tci`; 0 for none.
pub(in crate::switch) fn tagged(vlan_tci: u16, port: impl Into<PortNo>) -> Vec<Action> {
    let tag = Action::Load {
        value: vlan_tci.into(),
        dst: Subfield::whole(Field::VLAN_TCI),
    };
    let tag = (vlan_tci != 0).then_some(tag);
    tag.into_iter().chain([Action::output(port)]).collect()
}
