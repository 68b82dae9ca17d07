//! One next hop: the states of RFC 4861 appendix C, and RFC 7048's UNREACHABLE.
//!
//! RFC 4861 believes every claim. Here a next hop that answered is believed until something answers elsewhere. A claim
//! that it moved, or is no router any more, only makes the cache ask everyone. An answer from elsewhere counts once the
//! known MAC has had RetransTimer to answer as well. So a forged frame redirects no traffic, whenever it comes. A true
//! one costs one more solicitation.

use super::{HeardClaim, HeardNeighbor, Solicited, Target, Timing, solicit};
use sextant_model::MacAddr;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The state of a next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NeighborState {
    /// It is being asked for; its MAC is unknown.
    Incomplete,
    /// It answered less than ReachableTime ago.
    Reachable,
    /// Its MAC was heard, but not from an answer. It is about to be asked.
    Stale,
    /// It is being asked whether it is still there.
    Probe,
    /// It does not answer. Its MAC, if known, is kept, since there may be no better way (RFC 7048 §3). Everyone is
    /// asked for it, less and less often.
    Unreachable,
}

impl NeighborState {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Incomplete,
        Self::Reachable,
        Self::Stale,
        Self::Probe,
        Self::Unreachable,
    ];

    /// The name in metrics and on the command line: that of `ip neighbor`, if it has one.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Reachable => "reachable",
            Self::Stale => "stale",
            Self::Probe => "probe",
            Self::Unreachable => "unreachable",
        }
    }
}

/// A next hop changed: its MAC, whether it answers or is unreachable, or whether it is a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The next hop.
    pub address: IpAddr,
    /// Its MAC, as far as known.
    pub mac: Option<MacAddr>,
    /// Its state.
    pub state: NeighborState,
    /// Whether it is a router, if it said so. One that is no router any more must not be a default router (RFC 4861
    /// §7.2.5).
    pub router: Option<bool>,
}

/// A claim about where a next hop is, and whether it routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Whereabouts {
    mac: Option<MacAddr>,
    router: Option<bool>,
}

/// A wanted next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbor {
    target: Target,
    mac: Option<MacAddr>,
    state: NeighborState,
    router: Option<bool>,
    /// Whether it answered at this MAC, and has answered ever since.
    answers: bool,
    /// Whether somebody claims that it is elsewhere or no router, so that everyone is to be asked.
    contested: bool,
    /// Who was asked and has not answered yet.
    asked: Option<Solicited>,
    /// An answer that contradicts earlier ones.
    rival: Option<Whereabouts>,
    /// How long a confirmation counts.
    reachable: Duration,
    /// Solicitations sent in this state.
    sent: u32,
    /// When it may be asked again. Solicitations keep their distance, whatever is heard in between (RFC 4861 §7.2.2).
    quiet_until: Instant,
    confirmed_at: Option<Instant>,
    /// When to ask next.
    due: Instant,
}

impl Neighbor {
    /// A next hop to ask for at once. A remembered MAC counts like one that was heard without an answer.
    pub(super) fn new(
        now: Instant,
        target: Target,
        remembered: Option<MacAddr>,
        reachable: Duration,
    ) -> Self {
        Self {
            target,
            mac: remembered,
            state: remembered.map_or(NeighborState::Incomplete, |_| NeighborState::Stale),
            router: None,
            answers: false,
            contested: false,
            asked: None,
            rival: None,
            reachable,
            sent: 0,
            quiet_until: now,
            confirmed_at: None,
            due: now,
        }
    }

    /// The next hop.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.target.ends.next_hop()
    }

    /// Who asks for it.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Its MAC, as far as known.
    #[must_use]
    pub fn mac(&self) -> Option<MacAddr> {
        self.mac
    }

    /// What is known of it.
    #[must_use]
    pub fn state(&self) -> NeighborState {
        self.state
    }

    /// Whether it is a router, where it said so.
    #[must_use]
    pub fn router(&self) -> Option<bool> {
        self.router
    }

    /// Whether it answered when it was asked last.
    #[must_use]
    pub fn answers(&self) -> bool {
        self.answers
    }

    /// When it answered last.
    #[must_use]
    pub fn confirmed_at(&self) -> Option<Instant> {
        self.confirmed_at
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    pub(super) fn set_target(&mut self, target: Target) {
        self.target = target;
    }

    /// Runs `event`. Returns what it changed.
    pub(super) fn observe<T>(&mut self, event: impl FnOnce(&mut Self) -> T) -> (T, Option<Change>) {
        let before = self.seen();
        let result = event(self);
        let change = (self.seen() != before).then(|| Change {
            address: self.address(),
            mac: self.mac,
            state: self.state,
            router: self.router,
        });
        (result, change)
    }

    fn seen(&self) -> (Option<MacAddr>, bool, bool, Option<bool>) {
        let unreachable = self.state == NeighborState::Unreachable;
        (self.mac, self.answers, unreachable, self.router)
    }

    /// Forgets what was learned, and asks again.
    pub(super) fn forget(&mut self, now: Instant) {
        self.mac = None;
        self.router = None;
        self.confirmed_at = None;
        self.answers = false;
        self.contested = false;
        self.enter(NeighborState::Incomplete);
        self.hasten(now);
    }

    /// The frame that is due, if one is (RFC 4861 §7.2.2, §7.3.3).
    pub(super) fn handle_timeout(&mut self, now: Instant, timing: &Timing) -> Option<Vec<u8>> {
        if now < self.due {
            return None;
        }
        if let Some(rival) = self.rival.take() {
            // Everyone was asked, and the one that answered before did not.
            self.advertised(now, rival, true);
            return None;
        }
        match self.state {
            NeighborState::Reachable | NeighborState::Stale => self.enter(NeighborState::Probe),
            NeighborState::Incomplete if self.sent >= timing.multicast_solicitations => {
                self.give_up()
            }
            NeighborState::Probe if self.sent >= timing.unicast_solicitations => self.give_up(),
            NeighborState::Incomplete | NeighborState::Probe | NeighborState::Unreachable => {}
        }
        self.sent = self.sent.saturating_add(1);
        let asked = self.whom();
        self.asked = Some(asked);
        self.quiet_until = now + timing.retransmission;
        self.due = match self.state {
            NeighborState::Unreachable => now + timing.backoff(self.sent),
            NeighborState::Incomplete
            | NeighborState::Reachable
            | NeighborState::Stale
            | NeighborState::Probe => self.quiet_until,
        };
        Some(solicit(&self.target, asked))
    }

    fn whom(&self) -> Solicited {
        match (self.state, self.mac) {
            (NeighborState::Probe, Some(mac)) if !self.contested => Solicited::Station(mac),
            _ => Solicited::Anyone,
        }
    }

    /// Takes what a frame shows of this neighbour.
    pub(super) fn hear(&mut self, now: Instant, heard: &HeardNeighbor) {
        match heard.claim {
            HeardClaim::Mentioned { router } if self.contradicts(heard.mac, router) => {
                self.contest(now)
            }
            HeardClaim::Mentioned { router } => self.mentioned(now, heard.mac, router),
            HeardClaim::Advertised {
                solicited,
                overrides,
                router,
            } => {
                // An answer to another gateway port confirms nothing to this one.
                let confirms = solicited && heard.to == self.target.ends.source();
                let answer = Whereabouts {
                    mac: heard.mac,
                    router,
                };
                if self.contradicts(answer.mac, router) {
                    let counts = overrides || !self.is_elsewhere(answer.mac);
                    self.dispute(now, answer, confirms && counts);
                } else if self.accept(now, answer.mac, overrides) {
                    self.advertised(now, answer, confirms);
                }
            }
        }
    }

    /// Whether this contradicts a next hop's answer.
    fn contradicts(&self, mac: Option<MacAddr>, router: Option<bool>) -> bool {
        let ceased = router == Some(false) && self.router == Some(true);
        self.answers && (self.is_elsewhere(mac) || ceased)
    }

    /// Whether this MAC differs from the known one.
    fn is_elsewhere(&self, mac: Option<MacAddr>) -> bool {
        mac.is_some() && mac != self.mac
    }

    /// If only one station was asked, nobody else can have answered.
    fn dispute(&mut self, now: Instant, answer: Whereabouts, is_answer: bool) {
        if is_answer && self.asked == Some(Solicited::Anyone) {
            self.rival = Some(answer);
        } else {
            self.contest(now);
        }
    }

    /// Has everyone asked.
    fn contest(&mut self, now: Instant) {
        self.contested = true;
        if self.state == NeighborState::Reachable {
            self.doubt(now);
        }
    }

    /// Whether the rest of an advertisement counts (RFC 4861 §7.2.5). Without Override it only casts doubt on another
    /// known MAC, unless nobody answers there. RFC 4861 would have dropped that MAC by then.
    fn accept(&mut self, now: Instant, mac: Option<MacAddr>, overrides: bool) -> bool {
        match (self.mac, mac) {
            (None, None) => false,
            (Some(known), Some(told)) if known != told && !overrides => {
                if self.state == NeighborState::Reachable {
                    self.doubt(now);
                }
                self.state == NeighborState::Unreachable
            }
            _ => true,
        }
    }

    fn advertised(&mut self, now: Instant, answer: Whereabouts, confirms: bool) {
        let differs = self.is_elsewhere(answer.mac);
        self.mac = answer.mac.or(self.mac);
        self.router = answer.router.or(self.router);
        if confirms {
            self.confirm(now);
        } else if differs {
            self.doubt(now);
        } else if self.state == NeighborState::Unreachable {
            self.hasten(now);
        }
    }

    /// Takes a source link-layer address (RFC 4861 §7.2.3, §6.2.6, §6.3.4), or the sender of an ARP request (RFC 826).
    fn mentioned(&mut self, now: Instant, mac: Option<MacAddr>, router: Option<bool>) {
        self.router = router.or(self.router);
        if self.is_elsewhere(mac) {
            self.mac = mac;
            self.doubt(now);
        } else if self.state == NeighborState::Unreachable {
            self.hasten(now);
        }
    }

    fn confirm(&mut self, now: Instant) {
        self.enter(NeighborState::Reachable);
        self.answers = true;
        self.contested = false;
        self.asked = None;
        self.confirmed_at = Some(now);
        self.due = (now + self.reachable).max(self.quiet_until);
    }

    fn give_up(&mut self) {
        self.enter(NeighborState::Unreachable);
        self.answers = false;
        self.contested = false;
    }

    fn doubt(&mut self, now: Instant) {
        self.enter(NeighborState::Stale);
        self.hasten(now);
    }

    /// Asks as soon as allowed. A neighbour that was just heard may be about to answer.
    fn hasten(&mut self, now: Instant) {
        self.due = now.max(self.quiet_until);
    }

    fn enter(&mut self, state: NeighborState) {
        self.state = state;
        self.rival = None;
        self.sent = 0;
    }
}
