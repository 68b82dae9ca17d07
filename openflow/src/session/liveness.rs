//! Whether the peer is there.
//!
//! While output waits, a peer is judged by what it accepts; else by what it says. So an echo request behind much output does
//! not count against a switch that is still taking that output.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Liveness {
    idle: Duration,
    dead: Duration,
    /// When the last octet came in.
    heard: Instant,
    /// When the peer last accepted an octet, or output began to wait.
    accepted: Instant,
    /// Output was offered that the peer has not accepted.
    waiting: bool,
    probe: Option<Probe>,
}

/// An echo request that is not answered yet.
#[derive(Clone, Copy, Debug)]
enum Probe {
    /// It waits to be accepted, since then.
    Queued(Instant),
    /// The peer accepted it then. What is sent later gives the peer no more time.
    Sent(Instant),
}

/// What to do about the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerState {
    Alive,
    /// Ask whether it is there.
    Probe,
    /// It said nothing for this long.
    Dead(Duration),
    /// It accepted nothing for this long.
    Stuck(Duration),
}

impl Liveness {
    pub(super) fn new(idle: Duration, dead: Duration, now: Instant) -> Self {
        Liveness {
            idle,
            dead,
            heard: now,
            accepted: now,
            waiting: false,
            probe: None,
        }
    }

    pub(super) fn set_idle(&mut self, idle: Duration) {
        self.idle = idle;
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.probe = None;
    }

    /// Output is there for the peer to accept.
    pub(super) fn offered(&mut self, now: Instant) {
        if !self.waiting {
            self.accepted = now;
            self.waiting = true;
        }
    }

    /// The peer accepted some, and may have left some.
    pub(super) fn accepted(&mut self, now: Instant, left: bool) {
        self.accepted = now;
        self.waiting = left;
        if let Some(Probe::Queued(_)) = self.probe
            && !left
        {
            self.probe = Some(Probe::Sent(now));
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        match self.probe {
            _ if self.waiting => self.accepted + self.idle + self.dead,
            Some(Probe::Queued(since) | Probe::Sent(since)) => since + self.dead,
            None => self.heard + self.idle,
        }
    }

    pub(super) fn judge(&mut self, now: Instant) -> PeerState {
        if now < self.deadline() {
            PeerState::Alive
        } else if self.waiting {
            PeerState::Stuck(now - self.accepted)
        } else if self.probe.is_some() {
            PeerState::Dead(now - self.heard)
        } else {
            self.probe = Some(Probe::Queued(now));
            PeerState::Probe
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn liveness() -> (Liveness, Instant) {
        let start = tokio::time::Instant::now().into_std();
        (Liveness::new(5 * SECOND, 5 * SECOND, start), start)
    }

    #[test]
    fn silence_is_probed_and_then_deadly() {
        let (mut liveness, start) = liveness();
        assert_eq!(liveness.judge(start + 4 * SECOND), PeerState::Alive);
        assert_eq!(liveness.deadline(), start + 5 * SECOND);
        assert_eq!(liveness.judge(start + 5 * SECOND), PeerState::Probe);
        assert_eq!(liveness.judge(start + 9 * SECOND), PeerState::Alive);
        let silent = PeerState::Dead(10 * SECOND);
        assert_eq!(liveness.judge(start + 10 * SECOND), silent);
    }

    #[test]
    fn anything_heard_starts_over() {
        let (mut liveness, start) = liveness();
        assert_eq!(liveness.judge(start + 5 * SECOND), PeerState::Probe);
        liveness.heard(start + 6 * SECOND);
        assert_eq!(liveness.judge(start + 10 * SECOND), PeerState::Alive);
        assert_eq!(liveness.judge(start + 11 * SECOND), PeerState::Probe);
    }

    #[test]
    fn a_probe_counts_from_when_it_was_accepted() {
        let (mut liveness, start) = liveness();
        liveness.offered(start);
        assert_eq!(liveness.judge(start + 6 * SECOND), PeerState::Alive);
        liveness.accepted(start + 6 * SECOND, false);
        assert_eq!(liveness.judge(start + 6 * SECOND), PeerState::Probe);
        liveness.offered(start + 6 * SECOND);
        liveness.accepted(start + 8 * SECOND, false);
        assert_eq!(liveness.deadline(), start + 13 * SECOND);
    }

    #[test]
    fn what_is_sent_after_a_probe_gives_no_more_time() {
        let (mut liveness, start) = liveness();
        assert_eq!(liveness.judge(start + 5 * SECOND), PeerState::Probe);
        for second in 5..10 {
            liveness.offered(start + second * SECOND);
            liveness.accepted(start + second * SECOND, false);
        }
        let silent = PeerState::Dead(10 * SECOND);
        assert_eq!(liveness.judge(start + 10 * SECOND), silent);
    }

    #[test]
    fn who_accepts_nothing_is_stuck() {
        let (mut liveness, start) = liveness();
        liveness.offered(start + SECOND);
        liveness.accepted(start + 2 * SECOND, true);
        liveness.heard(start + 11 * SECOND);
        assert_eq!(liveness.judge(start + 11 * SECOND), PeerState::Alive);
        let stuck = PeerState::Stuck(10 * SECOND);
        assert_eq!(liveness.judge(start + 12 * SECOND), stuck);
    }
}
