//! Telling a silent peer from a dead one, with time as an argument.
//!
//! Anything that the peer sends proves that it lives. After a silence it is probed with an `echo`; if the same time
//! passes again and nothing came, it is taken for dead. ovsdb-server judges its peers in the same way.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Liveness {
    /// How long a silence may last before it is probed; `None` trusts the peer for ever.
    interval: Option<Duration>,
    last_heard: Instant,
    probed_at: Option<Instant>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PeerState {
    Alive,
    Probe,
    Dead { silence: Duration },
}

impl Liveness {
    pub(crate) fn new(interval: Option<Duration>, now: Instant) -> Self {
        Self {
            interval,
            last_heard: now,
            probed_at: None,
        }
    }

    pub(crate) fn set_interval(&mut self, interval: Option<Duration>) {
        self.interval = interval;
    }

    pub(crate) fn heard(&mut self, now: Instant) {
        self.last_heard = now;
        self.probed_at = None;
    }

    /// When [`Liveness::judge`] will have something to say.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let since = self.probed_at.unwrap_or(self.last_heard);
        since.checked_add(self.interval?)
    }

    pub(crate) fn judge(&mut self, now: Instant) -> PeerState {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return PeerState::Alive;
        }
        if self.probed_at.is_some() {
            let silence = now.saturating_duration_since(self.last_heard);
            return PeerState::Dead { silence };
        }
        self.probed_at = Some(now);
        PeerState::Probe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn silence_is_probed_and_then_deadly() {
        let start = tokio::time::Instant::now().into_std();
        let mut liveness = Liveness::new(Some(5 * SECOND), start);
        assert_eq!(liveness.judge(start + 4 * SECOND), PeerState::Alive);
        assert_eq!(liveness.deadline(), Some(start + 5 * SECOND));
        assert_eq!(liveness.judge(start + 5 * SECOND), PeerState::Probe);
        assert_eq!(liveness.judge(start + 9 * SECOND), PeerState::Alive);
        assert_eq!(liveness.deadline(), Some(start + 10 * SECOND));
        let silence = 10 * SECOND;
        assert_eq!(
            liveness.judge(start + 10 * SECOND),
            PeerState::Dead { silence }
        );
    }

    #[test]
    fn anything_heard_starts_over() {
        let start = tokio::time::Instant::now().into_std();
        let mut liveness = Liveness::new(Some(5 * SECOND), start);
        assert_eq!(liveness.judge(start + 5 * SECOND), PeerState::Probe);
        liveness.heard(start + 6 * SECOND);
        assert_eq!(liveness.judge(start + 10 * SECOND), PeerState::Alive);
        assert_eq!(liveness.judge(start + 11 * SECOND), PeerState::Probe);
    }

    #[test]
    fn a_late_probe_leaves_the_peer_its_time() {
        let start = tokio::time::Instant::now().into_std();
        let mut liveness = Liveness::new(Some(5 * SECOND), start);
        assert_eq!(liveness.judge(start + 60 * SECOND), PeerState::Probe);
        assert_eq!(liveness.judge(start + 64 * SECOND), PeerState::Alive);
        assert!(matches!(
            liveness.judge(start + 65 * SECOND),
            PeerState::Dead { .. }
        ));
    }

    #[test]
    fn without_an_interval_nobody_is_judged() {
        let start = tokio::time::Instant::now().into_std();
        let mut liveness = Liveness::new(None, start);
        assert_eq!(liveness.deadline(), None);
        assert_eq!(liveness.judge(start + 9999 * SECOND), PeerState::Alive);
    }
}
