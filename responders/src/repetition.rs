//! When a frame that nobody confirms is sent again: an announcement, a Router Solicitation.
//!
//! Sans-IO: the owner waits until [`Repetition::poll_timeout`], and sends when [`Repetition::handle_timeout`] says so.

use crate::backoff::Backoff;
use std::time::{Duration, Instant};

/// RTR_SOLICITATION_INTERVAL (RFC 4861 §10), IRT of RFC 7559 §2.
const FIRST_SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);
/// MRT of RFC 7559 §2.
const LAST_SOLICITATION_INTERVAL: Duration = Duration::from_secs(3600);
/// RetransTimer (RFC 4861 §7.2.6); ANNOUNCE_INTERVAL of RFC 5227 §1.1 is 2 s for two announcements.
const ANNOUNCEMENT_INTERVAL: Duration = Duration::from_secs(1);
/// MAX_NEIGHBOR_ADVERTISEMENT (RFC 4861 §10).
const ANNOUNCEMENTS: u32 = 3;

/// When a frame is sent again. At first it is due at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repetition {
    due: Instant,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// This many times, at equal distances.
    Announcement { left: u32 },
    /// Without end, at doubled distances.
    Solicitation(Backoff),
}

impl Repetition {
    /// An announcement ([`neighbor::announce`](crate::neighbor::announce())): three times, a second apart.
    #[must_use]
    pub fn announcement(now: Instant) -> Self {
        Self {
            due: now,
            kind: Kind::Announcement {
                left: ANNOUNCEMENTS,
            },
        }
    }

    /// A Router Solicitation ([`ra::solicit`](crate::ra::solicit)). The waits are 4 s, then twice as long each time, up
    /// to an hour. The owner ends it when it hears a router (RFC 7559 §2).
    #[must_use]
    pub fn solicitation(now: Instant) -> Self {
        Self {
            due: now,
            kind: Kind::Solicitation(Backoff::new(
                FIRST_SOLICITATION_INTERVAL,
                LAST_SOLICITATION_INTERVAL,
            )),
        }
    }

    /// Whether to send now.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return false;
        }
        let interval = match &mut self.kind {
            Kind::Announcement { left } => {
                *left -= 1;
                ANNOUNCEMENT_INTERVAL
            }
            Kind::Solicitation(backoff) => backoff.wait(),
        };
        self.due = now + interval;
        true
    }

    /// When to send next. `None` if all were sent.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.kind {
            Kind::Announcement { left: 0 } => None,
            Kind::Announcement { .. } | Kind::Solicitation(_) => Some(self.due),
        }
    }
}
