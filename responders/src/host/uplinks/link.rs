//! One external network on one hypervisor.

use crate::default_routers::{DefaultRouters, Reachability};
use crate::host::{FrameKind, OutgoingFrame, Way};
use crate::neighbor::{
    Ends, HeardNeighbor, Neighbor, NeighborCache, NeighborState, Target, Timing, announce,
};
use crate::ra::{self, HeardAdvertisement};
use crate::repetition::Repetition;
use sextant_model::{MacAddr, Outside, PortId, Uplink};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// How long a router known from before counts without being heard: AdvDefaultLifetime of most routers (RFC 4861
/// §6.2.1).
const REMEMBERED: Duration = Duration::from_secs(1800);
/// How long a neighbour is kept resolved after a packet for it found no flow.
const SOUGHT: Duration = Duration::from_secs(600);
/// How many such neighbours are kept at most.
const MOST_SOUGHT: usize = 256;

/// How many changes are reported in a row, and after how long one more. So somebody who invents routers or neighbours
/// outside cannot have flows changed and facts stored more often.
const IN_A_ROW: u32 = 16;
const PACE: Duration = Duration::from_millis(250);

/// Why something heard is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disbelief {
    /// It gives a neighbour outside the MAC of a router here.
    OwnMac,
    /// It gives a neighbour outside an address of a router here.
    OwnAddress,
    /// It claims to be a router that answers, but from another MAC.
    OtherMac,
}

impl Disbelief {
    /// The reason in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
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
    /// The default router known from before, and until when it counts if no router is heard.
    before: Option<(Ipv6Addr, Instant)>,
    macs_before: BTreeMap<IpAddr, MacAddr>,
    neighbors: NeighborCache,
    /// Neighbours that packets waited for, and until when they are kept.
    sought: BTreeMap<IpAddr, Instant>,
    /// Solicits routers while none answers.
    asking: Option<Repetition>,
    /// New speakers that wait for their flows.
    silent: BTreeSet<PortId>,
    announcing: BTreeMap<PortId, Repetition>,
    frames: VecDeque<(FrameKind, Vec<u8>)>,
    /// When the last report would have been due at an even [`PACE`].
    paced: Instant,
    /// When a report that was held back is due.
    held: Option<Instant>,
}

impl Link {
    /// A link with what was known of it before.
    pub(super) fn new(known: Option<&Outside>, now: Instant) -> Self {
        let router = known.and_then(|known| known.default_router);
        let macs = known.map(|known| known.neighbors.clone());
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
            frames: VecDeque::new(),
            paced: now,
            held: None,
        }
    }

    pub(super) fn handle_uplink(
        &mut self,
        uplink: Uplink,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) {
        for (port, speaker) in &uplink.speakers {
            let before = self.uplink.speakers.get(port);
            // For which subnets it asks is nothing that neighbours need to know.
            let is_announced = before.is_some_and(|before| {
                (before.mac, &before.addresses) == (speaker.mac, &speaker.addresses)
            });
            if !is_announced {
                self.silent.insert(*port);
            }
        }
        self.uplink = uplink;
        let speakers = &self.uplink.speakers;
        self.silent.retain(|port| speakers.contains_key(port));
        self.announcing
            .retain(|port, _| speakers.contains_key(port));
        self.want(now, random);
    }

    pub(super) fn handle_confirmed(&mut self, now: Instant) {
        for port in std::mem::take(&mut self.silent) {
            self.announcing.insert(port, Repetition::announcement(now));
        }
    }

    /// # Errors
    /// [`Disbelief`]: it is not what the router said that answers, or it would have us send to ourselves.
    pub(super) fn handle_advertisement(
        &mut self,
        from: MacAddr,
        advertisement: &HeardAdvertisement,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<(), Disbelief> {
        let router = advertisement.source;
        let mac = advertisement.mac.unwrap_or(from);
        self.refuse_own(router.into(), [Some(mac), Some(from)])?;
        let known = self.neighbors.get(router.into());
        if known.is_some_and(|known| known.answers() && known.mac() != Some(mac)) {
            return Err(Disbelief::OtherMac);
        }
        let known = known.map_or(Reachability::default(), reachability);
        self.routers.handle_advertisement(advertisement, known, now);
        self.before.take_if(|(before, _)| *before == router);
        self.want(now, random);
        Ok(())
    }

    /// # Errors
    /// [`Disbelief`]: it would have us send to ourselves.
    pub(super) fn handle_neighbor(
        &mut self,
        heard: &HeardNeighbor,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<(), Disbelief> {
        self.refuse_own(heard.address, [heard.mac, None])?;
        self.neighbors.handle_message(heard, now);
        self.heed_changes(now, random);
        Ok(())
    }

    fn refuse_own(&self, address: IpAddr, macs: [Option<MacAddr>; 2]) -> Result<(), Disbelief> {
        let mut speakers = self.uplink.speakers.values();
        let disbelief = speakers.find_map(|own| {
            if macs.contains(&Some(own.mac)) {
                return Some(Disbelief::OwnMac);
            }
            let has = own.addresses.contains(&address);
            has.then_some(Disbelief::OwnAddress)
        });
        disbelief.map_or(Ok(()), Err)
    }

    /// A packet waits for a neighbour whose MAC is in no flow.
    pub(super) fn handle_sought(
        &mut self,
        address: IpAddr,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) {
        if self.sought.len() < MOST_SOUGHT || self.sought.contains_key(&address) {
            self.sought.insert(address, now + SOUGHT);
            self.want(now, random);
        }
    }

    /// Forgets the MACs of neighbours, and asks again.
    pub(super) fn flush(&mut self, now: Instant, random: &mut dyn FnMut() -> u64) {
        self.macs_before.clear();
        self.neighbors.flush(now);
        self.heed_changes(now, random);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, random: &mut dyn FnMut() -> u64) {
        let expired = !self.routers.handle_timeout(now).is_empty();
        let forgotten = self.before.take_if(|(_, until)| *until <= now).is_some();
        let before = self.sought.len();
        self.sought.retain(|_, until| *until > now);
        if expired || forgotten || self.sought.len() < before {
            self.want(now, random);
        }
        self.neighbors.handle_timeout(now);
        self.heed_changes(now, random);
        self.announce(now);
        self.solicit(now);
    }

    pub(super) fn poll_frame(&mut self) -> Option<OutgoingFrame> {
        let question = self.neighbors.poll_frame();
        let question = question.map(|octets| (FrameKind::Solicitation, octets));
        let (kind, octets) = question.or_else(|| self.frames.pop_front())?;
        let (port, vlan_tci) = (self.uplink.port, self.uplink.vlan_tci);
        let way = Way::Uplink { port, vlan_tci };
        Some(OutgoingFrame { way, kind, octets })
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
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

    /// What is known, if the controller knows something else and a report is allowed again.
    pub(super) fn report(&mut self, known: Option<&Outside>, now: Instant) -> Option<Outside> {
        self.held = None;
        if known.is_some_and(|known| self.is_as(known)) {
            return None;
        }
        let paced = self.paced.max(now);
        if paced > now + PACE * IN_A_ROW {
            self.held = Some(now + PACE);
            return None;
        }
        self.paced = paced + PACE;
        Some(Outside {
            default_router: self.default_router(),
            neighbors: self.resolved().collect(),
        })
    }

    fn is_as(&self, known: &Outside) -> bool {
        let macs = known.neighbors.iter();
        let macs = macs.map(|(address, mac)| (*address, *mac));
        known.default_router == self.default_router() && self.resolved().eq(macs)
    }

    fn resolved(&self) -> impl Iterator<Item = (IpAddr, MacAddr)> {
        let known = self.neighbors.iter();
        known.filter_map(|neighbor| Some((neighbor.address(), neighbor.mac()?)))
    }

    pub(super) fn neighbors(&self) -> impl Iterator<Item = &Neighbor> {
        self.neighbors.iter()
    }

    /// A router that answers comes first, then the one known from before unless it is unreachable, then any that is
    /// heard.
    pub(super) fn default_router(&self) -> Option<Ipv6Addr> {
        if !self.uplink.listens {
            return None;
        }
        let heard = self.routers.best();
        let before = self.before.map(|(router, _)| router);
        let is_lost = before.is_none_or(|before| {
            let known = self.neighbors.get(before.into());
            known.is_some_and(|known| known.state() == NeighborState::Unreachable)
        });
        let heard = heard.filter(|heard| is_lost || heard.reachability == Reachability::Answers);
        heard.map(|heard| heard.address).or(before)
    }

    /// Solicits routers while none answers. An invented router does not stop this, since it does not answer.
    fn ask(&mut self, now: Instant) {
        let best = self.routers.best();
        let answers = best.is_some_and(|best| best.reachability == Reachability::Answers);
        if !self.uplink.listens || answers {
            self.asking = None;
        } else if self.asking.is_none() {
            self.asking = Some(Repetition::solicitation(now));
        }
    }

    /// Keeps only those next hops resolved that packets are sent to, or may be. Routers heard are among them.
    fn want(&mut self, now: Instant, random: &mut dyn FnMut() -> u64) {
        self.ask(now);
        let heard = self.routers.iter().map(|router| router.address);
        let before = self.before.map(|(router, _)| router);
        let fixed = self.uplink.next_hops.iter().copied();
        let mut wanted: BTreeSet<IpAddr> = fixed.chain(self.sought.keys().copied()).collect();
        if self.uplink.listens {
            wanted.extend(heard.chain(before).map(IpAddr::from));
        }
        let known: Vec<IpAddr> = self.neighbors.iter().map(|known| known.address()).collect();
        for unwanted in known.iter().filter(|known| !wanted.contains(known)) {
            self.neighbors.unwant(*unwanted);
        }
        for address in wanted {
            let remembered = self.macs_before.remove(&address);
            if let Some(target) = self.target(address) {
                let random = random() as u32;
                self.neighbors.want(target, remembered, now, random);
            }
        }
    }

    /// The addresses for resolving a neighbour: the neighbour's, and the speaker's that asks.
    fn target(&self, address: IpAddr) -> Option<Target> {
        self.uplink.speakers.values().find_map(|speaker| {
            let mut sources = speaker.addresses.iter();
            let ends = sources.find_map(|source| Ends::new(*source, address))?;
            let source_mac = speaker.mac;
            Some(Target { ends, source_mac })
        })
    }

    /// Updates the routers with what became of their neighbours.
    fn heed_changes(&mut self, now: Instant, random: &mut dyn FnMut() -> u64) {
        let mut differs = false;
        while let Some(change) = self.neighbors.poll_event() {
            let unreachable = change.state == NeighborState::Unreachable;
            differs |= unreachable && self.sought.remove(&change.address).is_some();
            let IpAddr::V6(router) = change.address else {
                continue;
            };
            let known = self.neighbors.get(change.address).map(reachability);
            // A router that did not answer is not believed again by its own claims.
            if let Some(known) = known.filter(|known| *known != Reachability::Presumed) {
                self.routers.mark(router, known);
                differs |= known == Reachability::Answers;
            }
            if change.router == Some(false) {
                differs |= self.routers.remove(router);
            }
        }
        if differs {
            self.want(now, random);
        }
    }

    fn announce(&mut self, now: Instant) {
        for (port, repetition) in &mut self.announcing {
            let speaker = self.uplink.speakers.get(port);
            if let Some(speaker) = speaker
                && repetition.handle_timeout(now)
            {
                let addresses = speaker.addresses.iter();
                let frames = addresses.map(|address| announce(speaker.mac, *address));
                let kind = FrameKind::Announcement;
                self.frames.extend(frames.map(|frame| (kind, frame)));
            }
        }
        self.announcing
            .retain(|_, repetition| repetition.poll_timeout().is_some());
    }

    fn solicit(&mut self, now: Instant) {
        let asks = self.asking.as_mut();
        let asks = asks.is_some_and(|asking| asking.handle_timeout(now));
        let speaker = self.uplink.speakers.values().next();
        if let Some(speaker) = speaker
            && asks
        {
            let frame = ra::solicit(speaker.mac, speaker.mac.link_local());
            self.frames.push_back((FrameKind::Solicitation, frame));
        }
    }
}

/// A neighbour's reachability as a router.
fn reachability(neighbor: &Neighbor) -> Reachability {
    match neighbor.state() {
        NeighborState::Unreachable => Reachability::Unreachable,
        _ if neighbor.answers() => Reachability::Answers,
        NeighborState::Incomplete
        | NeighborState::Reachable
        | NeighborState::Stale
        | NeighborState::Probe => Reachability::Presumed,
    }
}
