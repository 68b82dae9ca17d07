//! One next hop: the states of RFC 4861 appendix C, and RFC 7048's UNREACHABLE.
//!
//! RFC 4861 believes every claim. Here a next hop that answered is believed to be where it answered until something answers
//! elsewhere: whoever claims that it moved, or routes no more, only has everyone asked for it. An answer from elsewhere counts
//! once the one that is known has had RetransTimer to answer as well. So one frame that is forged turns no traffic away,
//! whenever it comes, and one that is true costs a solicitation more.

use super::{Heard, HeardClaim, Solicited, Target, Timing, solicit};
use sextant_model::MacAddr;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// What is known of a next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It is being asked for; its MAC is unknown.
    Incomplete,
    /// It answered within ReachableTime.
    Reachable,
    /// Its MAC was heard, but not from an answer. It is about to be asked.
    Stale,
    /// It is being asked whether it is still there.
    Probe,
    /// It does not answer. Its MAC, if it had one, is kept, as there may be no better way (RFC 7048 §3), and everyone is
    /// asked for it, less and less often.
    Unreachable,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Incomplete,
        Self::Reachable,
        Self::Stale,
        Self::Probe,
        Self::Unreachable,
    ];

    /// The name in metrics and on the command line, as `ip neighbor` has it where it has one.
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

/// A next hop is to be treated in another way than before: its MAC changed, or whether it answers or is unreachable, or
/// whether it is a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The next hop.
    pub address: IpAddr,
    /// Its MAC, as far as known.
    pub mac: Option<MacAddr>,
    /// What is known of it.
    pub state: State,
    /// Whether it is a router, where it said so. One that ceases to be must no longer be a default router
    /// (RFC 4861 §7.2.5).
    pub router: Option<bool>,
}

/// Where a next hop is, and whether it routes, as somebody says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Whereabouts {
    mac: Option<MacAddr>,
    router: Option<bool>,
}

/// A next hop that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbor {
    target: Target,
    mac: Option<MacAddr>,
    state: State,
    router: Option<bool>,
    /// It answered at this MAC, and has not failed to since.
    answers: bool,
    /// Somebody says that it is elsewhere, or no router: everyone is to be asked.
    contested: bool,
    /// Who was asked and has not answered yet.
    asked: Option<Solicited>,
    /// An answer that contradicts the ones before.
    rival: Option<Whereabouts>,
    /// How long a confirmation counts.
    reachable: Duration,
    /// Solicitations sent in this state.
    sent: u32,
    /// Not to be asked again before: solicitations keep their distance, whatever is heard meanwhile (RFC 4861 §7.2.2).
    quiet_until: Instant,
    confirmed_at: Option<Instant>,
    /// When to ask next.
    due: Instant,
}

impl Neighbor {
    /// A next hop to be asked for at once. A MAC that is remembered is as good as one that was mentioned.
    pub(super) fn new(
        now: Instant,
        target: Target,
        remembered: Option<MacAddr>,
        reachable: Duration,
    ) -> Self {
        Self {
            target,
            mac: remembered,
            state: remembered.map_or(State::Incomplete, |_| State::Stale),
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
    pub fn address(&self) -> IpAddr {
        self.target.ends.next_hop()
    }

    /// Who asks for it.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Its MAC, as far as known.
    pub fn mac(&self) -> Option<MacAddr> {
        self.mac
    }

    /// What is known of it.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether it is a router, where it said so.
    pub fn router(&self) -> Option<bool> {
        self.router
    }

    /// Whether it answered when it was asked last.
    pub fn answers(&self) -> bool {
        self.answers
    }

    /// When it answered last.
    pub fn confirmed_at(&self) -> Option<Instant> {
        self.confirmed_at
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    pub(super) fn set_target(&mut self, target: Target) {
        self.target = target;
    }

    /// Does `event`; returns what it changed.
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
        let unreachable = self.state == State::Unreachable;
        (self.mac, self.answers, unreachable, self.router)
    }

    /// Forgets what was learned, and asks anew.
    pub(super) fn forget(&mut self, now: Instant) {
        self.mac = None;
        self.router = None;
        self.confirmed_at = None;
        self.answers = false;
        self.contested = false;
        self.enter(State::Incomplete);
        self.hasten(now);
    }

    /// The frame that is due, if one is (RFC 4861 §7.2.2, §7.3.3).
    pub(super) fn handle_timeout(&mut self, now: Instant, timing: &Timing) -> Option<Vec<u8>> {
        if now < self.due {
            return None;
        }
        if let Some(rival) = self.rival.take() {
            // Everyone was asked, and what answered before did not.
            self.advertised(now, rival, true);
            return None;
        }
        match self.state {
            State::Reachable | State::Stale => self.enter(State::Probe),
            State::Incomplete if self.sent >= timing.multicast_solicitations => self.give_up(),
            State::Probe if self.sent >= timing.unicast_solicitations => self.give_up(),
            State::Incomplete | State::Probe | State::Unreachable => {}
        }
        self.sent = self.sent.saturating_add(1);
        let asked = self.whom();
        self.asked = Some(asked);
        self.quiet_until = now + timing.retransmission;
        self.due = match self.state {
            State::Unreachable => now + timing.backoff(self.sent),
            State::Incomplete | State::Reachable | State::Stale | State::Probe => self.quiet_until,
        };
        Some(solicit(&self.target, asked))
    }

    fn whom(&self) -> Solicited {
        match (self.state, self.mac) {
            (State::Probe, Some(mac)) if !self.contested => Solicited::Station(mac),
            _ => Solicited::Anyone,
        }
    }

    /// Takes note of what a frame said of this neighbor.
    pub(super) fn hear(&mut self, now: Instant, heard: &Heard) {
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
                // What answers another gateway port confirms nothing to this one.
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

    /// Whether this speaks against what a next hop answered.
    fn contradicts(&self, mac: Option<MacAddr>, router: Option<bool>) -> bool {
        let ceased = router == Some(false) && self.router == Some(true);
        self.answers && (self.is_elsewhere(mac) || ceased)
    }

    /// Whether this is another MAC than the one that is known, if any is.
    fn is_elsewhere(&self, mac: Option<MacAddr>) -> bool {
        mac.is_some() && mac != self.mac
    }

    /// Where one alone was asked, nobody else can have answered.
    fn dispute(&mut self, now: Instant, answer: Whereabouts, is_answer: bool) {
        if is_answer && self.asked == Some(Solicited::Anyone) {
            self.rival = Some(answer);
        } else {
            self.contest(now);
        }
    }

    /// Everyone is asked.
    fn contest(&mut self, now: Instant) {
        self.contested = true;
        if self.state == State::Reachable {
            self.doubt(now);
        }
    }

    /// Whether the rest of an advertisement counts (RFC 4861 §7.2.5). One that does not override only casts doubt on
    /// another MAC that is known, unless nobody answers there: RFC 4861 would have forgotten it by then.
    fn accept(&mut self, now: Instant, mac: Option<MacAddr>, overrides: bool) -> bool {
        match (self.mac, mac) {
            (None, None) => false,
            (Some(known), Some(told)) if known != told && !overrides => {
                if self.state == State::Reachable {
                    self.doubt(now);
                }
                self.state == State::Unreachable
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
        } else if self.state == State::Unreachable {
            self.hasten(now);
        }
    }

    /// A source link-layer address (RFC 4861 §7.2.3, §6.2.6, §6.3.4), or what ARP merges (RFC 826).
    fn mentioned(&mut self, now: Instant, mac: Option<MacAddr>, router: Option<bool>) {
        self.router = router.or(self.router);
        if self.is_elsewhere(mac) {
            self.mac = mac;
            self.doubt(now);
        } else if self.state == State::Unreachable {
            self.hasten(now);
        }
    }

    fn confirm(&mut self, now: Instant) {
        self.enter(State::Reachable);
        self.answers = true;
        self.contested = false;
        self.asked = None;
        self.confirmed_at = Some(now);
        self.due = (now + self.reachable).max(self.quiet_until);
    }

    fn give_up(&mut self) {
        self.enter(State::Unreachable);
        self.answers = false;
        self.contested = false;
    }

    fn doubt(&mut self, now: Instant) {
        self.enter(State::Stale);
        self.hasten(now);
    }

    /// Asks as soon as may be. Whoever is heard may be about to answer.
    fn hasten(&mut self, now: Instant) {
        self.due = now.max(self.quiet_until);
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.rival = None;
        self.sent = 0;
    }
}
