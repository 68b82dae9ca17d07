//! How often next hops are asked.

use std::time::Duration;

/// How often next hops are asked. The defaults are RFC 4861's (§10), except for [`reachable`](Self::reachable).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The longest time that a confirmation counts (ReachableTime). A next hop that answered is asked again after half
    /// to all of it, drawn at random. The default is 5 s, not RFC 4861's 15 to 45 s. So a next hop whose MAC changed
    /// silently is followed within `reachable` + `unicast_solicitations` × `retransmission`, 8 s.
    pub reachable: Duration,
    /// The time between two solicitations (RETRANS_TIMER), 1 s.
    pub retransmission: Duration,
    /// Solicitations to the group of an address whose MAC is unknown, before it counts as unreachable
    /// (MAX_MULTICAST_SOLICIT), 3.
    pub multicast_solicitations: u32,
    /// Solicitations to a MAC that does not answer, before its address counts as unreachable (MAX_UNICAST_SOLICIT), 3.
    pub unicast_solicitations: u32,
    /// The longest time between two solicitations to an unreachable next hop. Each wait is three times the one before
    /// (BACKOFF_MULTIPLE, RFC 7048 §3), up to this. The default is 10 s, not RFC 7048's 60 s: a way out of the cloud
    /// that is back is worth a frame in ten seconds.
    pub patience: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            reachable: Duration::from_secs(5),
            retransmission: Duration::from_secs(1),
            multicast_solicitations: 3,
            unicast_solicitations: 3,
            patience: Duration::from_secs(10),
        }
    }
}

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(86_400);
/// BACKOFF_MULTIPLE (RFC 7048 §3).
const BACKOFF_MULTIPLE: u32 = 3;

impl Timing {
    /// The nearest timing in bounds: 10 ms to a day between solicitations, no shorter times, at least one solicitation.
    pub(super) fn bounded(self) -> Self {
        let retransmission = self.retransmission.clamp(SHORTEST, LONGEST);
        Self {
            reachable: self.reachable.clamp(retransmission, LONGEST),
            retransmission,
            multicast_solicitations: self.multicast_solicitations.max(1),
            unicast_solicitations: self.unicast_solicitations.max(1),
            patience: self.patience.clamp(retransmission, LONGEST),
        }
    }

    /// Half to all of ReachableTime; any `u32` will do.
    pub(super) fn draw_reachable(&self, random: u32) -> Duration {
        let share = f64::from(random) / f64::from(u32::MAX);
        self.reachable.mul_f64(0.5 + share / 2.0)
    }

    /// The wait after the `sent`th solicitation to an unreachable next hop.
    pub(super) fn backoff(&self, sent: u32) -> Duration {
        let multiple = BACKOFF_MULTIPLE.saturating_pow(sent);
        self.retransmission
            .saturating_mul(multiple)
            .min(self.patience)
    }
}
