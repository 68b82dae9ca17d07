//! The useful part of a server's answer, and the lease from it.

use super::Lease;
use super::heard::{Association, HeardServer, Prefix};
use ipnet::Ipv6Net;
use sextant_model::is_link_local;
use std::time::{Duration, Instant};

/// Infinity (RFC 9915 §7.7).
const FOR_EVER: u32 = u32::MAX;
/// The length of a subnet's prefix in bits.
const SUBNET_LEN: u8 = 64;

const SUCCESS: u16 = 0;
pub(super) const UNSPECIFIED_FAILURE: u16 = 1;
pub(super) const NO_BINDING: u16 = 3;

impl HeardServer {
    /// The error status of a server's answer: of the whole message, or of our association.
    pub(super) fn failure(&self) -> Option<u16> {
        let ours = self.association.as_ref().map(|ours| ours.status);
        let statuses = [Some(self.status), ours];
        let mut statuses = statuses.into_iter().flatten();
        statuses.find(|status| *status != SUCCESS)
    }

    /// The best of the useful prefixes: the `wanted` one if it is preferred, else the one that is preferred longest. Of
    /// equals, the wanted one, or else the first.
    ///
    /// # Errors
    /// Why no prefix is useful.
    pub(super) fn best(&self, wanted: Option<Ipv6Net>) -> Result<Prefix, &'static str> {
        let ours = self.usable()?;
        let useful = ours.prefixes.iter().filter(|prefix| prefix.check().is_ok());
        // Of equals `max_by_key` returns the last, so the first has to come last.
        let best = useful.rev().max_by_key(|prefix| {
            let is_wanted = wanted == Some(prefix.prefix);
            (
                is_wanted && prefix.preferred > 0,
                prefix.preferred,
                is_wanted,
            )
        });
        match best {
            Some(prefix) => Ok(*prefix),
            None => Err(ours.complaint()),
        }
    }

    /// Whether the server withdraws this prefix.
    pub(super) fn withdraws(&self, prefix: Ipv6Net) -> bool {
        let said = self
            .usable()
            .ok()
            .and_then(|ours| ours.prefixes.iter().find(|said| said.prefix == prefix));
        said.is_some_and(|said| said.valid == 0 && said.preferred == 0)
    }

    /// Whether it says anything valid about this prefix.
    pub(super) fn mentions(&self, prefix: Ipv6Net) -> bool {
        self.withdraws(prefix)
            || self.usable().is_ok_and(|ours| {
                ours.prefixes
                    .iter()
                    .any(|said| said.prefix == prefix && said.check().is_ok())
            })
    }

    /// The lease of a prefix in it.
    pub(super) fn lease(&self, granted: Prefix, now: Instant) -> Lease {
        let (t1, t2) = self
            .association
            .as_ref()
            .map_or((0, 0), |ours| (ours.t1, ours.t2));
        let (t1, t2) = renewal((t1, t2), granted);
        Lease {
            prefix: granted.prefix,
            server: self.server.clone(),
            renew_at: after(now, t1),
            rebind_at: after(now, t2),
            preferred_until: after(now, granted.preferred),
            valid_until: after(now, granted.valid),
        }
    }

    /// Our identity association, if clients have to accept it.
    fn usable(&self) -> Result<&Association, &'static str> {
        if let Some(status) = self.failure() {
            return Err(status_name(status));
        }
        let ours = self.association.as_ref();
        let ours = ours.ok_or("no identity association of ours")?;
        match (ours.t1, ours.t2) {
            (t1, t2) if t2 > 0 && t1 > t2 => Err("T1 is after T2"), // RFC 9915 §21.21
            _ => Ok(ours),
        }
    }
}

impl Association {
    /// Why none of its prefixes is useful.
    fn complaint(&self) -> &'static str {
        let mut complaints = self.prefixes.iter().map(Prefix::check);
        complaints
            .find_map(Result::err)
            .unwrap_or("no prefix in the identity association")
    }
}

impl Prefix {
    /// Checks that it is useful to a subnet.
    ///
    /// # Errors
    /// Why not.
    fn check(&self) -> Result<(), &'static str> {
        let first = self.prefix.network();
        if self.status != SUCCESS {
            Err(status_name(self.status))
        } else if self.preferred > self.valid {
            Err("preferred for longer than valid") // RFC 9915 §21.22
        } else if self.prefix.prefix_len() > SUBNET_LEN {
            Err("prefix longer than 64 bits")
        } else if first.is_unspecified() || first.is_loopback() {
            Err("unspecified or loopback prefix")
        } else if first.is_multicast() || is_link_local(first) {
            Err("multicast or link-local prefix")
        } else if self.valid == 0 {
            Err("prefix without a lifetime")
        } else {
            Ok(())
        }
    }
}

/// T1 and T2. If the server leaves one to the client (0), it is half, or four fifths, of the preferred lifetime (RFC
/// 9915 §21.21). If the prefix is not preferred, the valid lifetime counts. Both are at least a second, so that a
/// prefix that is about to end does not cause a flood.
fn renewal((t1, t2): (u32, u32), granted: Prefix) -> (u32, u32) {
    let lifetime = match granted.preferred {
        0 => granted.valid,
        preferred => preferred,
    };
    // A time at or after the end is none, since nothing is left to extend. Only the server may say that no other server
    // is to be asked.
    let t1 = match granted.valid {
        FOR_EVER => t1,
        _ => before(t1, granted.valid),
    };
    let t2 = if t2 == FOR_EVER {
        t2
    } else {
        before(t2, granted.valid)
    };
    match (t1, t2) {
        (0, t2) => {
            let t1 = tenths(lifetime, 5).min(if t2 == 0 { FOR_EVER } else { t2 });
            (
                t1,
                if t2 == 0 {
                    tenths(lifetime, 8).max(t1)
                } else {
                    t2
                },
            )
        }
        (t1, 0) => (t1, tenths(lifetime, 8).max(t1)),
        (t1, t2) => (t1, t2),
    }
}

/// A time before the end, or 0.
fn before(time: u32, end: u32) -> u32 {
    if time < end { time } else { 0 }
}

fn tenths(lifetime: u32, tenths: u64) -> u32 {
    if lifetime == FOR_EVER {
        return FOR_EVER;
    }
    let share = u64::from(lifetime) * tenths / 10;
    u32::try_from(share).unwrap_or(FOR_EVER).max(1)
}

/// The instant so many seconds from now. `None` for infinity and for times that no clock reaches.
fn after(now: Instant, seconds: u32) -> Option<Instant> {
    match seconds {
        FOR_EVER => None,
        seconds => now.checked_add(Duration::from_secs(seconds.into())),
    }
}

/// What a status is called (RFC 9915 §21.13).
pub(super) fn status_name(status: u16) -> &'static str {
    match status {
        UNSPECIFIED_FAILURE => "UnspecFail",
        2 => "NoAddrsAvail",
        NO_BINDING => "NoBinding",
        4 => "NotOnLink",
        5 => "UseMulticast",
        6 => "NoPrefixAvail",
        _ => "another status than success",
    }
}
