//! What routers advertise about themselves and a link.

use crate::{DomainName, MacAddr};
use ipnet::Ipv6Net;
use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// A prefix information option (RFC 4861 §4.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdvertisedPrefix {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// L: addresses of the prefix are on-link.
    pub on_link: bool,
    /// A: hosts form addresses from it.
    pub autonomous: bool,
    /// Valid lifetime in seconds.
    pub valid: u32,
    /// Preferred lifetime in seconds.
    pub preferred: u32,
    /// P: hosts should ask DHCPv6 for a prefix of their own (RFC 9762).
    pub delegation_preferred: bool,
    /// When it ends, if it does. The lifetimes are never longer than the time that is left.
    pub ends: Option<PrefixEnds>,
}

/// When a prefix ends, in seconds since 1970; [`i64::MAX`] means never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixEnds {
    /// Until when hosts prefer addresses of it.
    pub preferred_until: i64,
    /// Until when they are valid.
    pub valid_until: i64,
}

impl AdvertisedPrefix {
    /// The prefix as it is advertised at a time, in seconds since 1970.
    fn at(self, now: i64) -> Self {
        let Some(ends) = self.ends else {
            return self;
        };
        Self {
            valid: self.valid.min(left(ends.valid_until, now)),
            preferred: self.preferred.min(left(ends.preferred_until, now)),
            ..self
        }
    }
}

fn left(until: i64, now: i64) -> u32 {
    let seconds = until.saturating_sub(now).max(0);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// How much a router or a route is preferred over others (RFC 4191 §2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouterPreference {
    /// Preferred over other routers.
    High,
    /// Like other routers.
    #[default]
    Medium,
    /// Only if there is no other router.
    Low,
}

/// The text names no preference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no router preference: use high, medium or low")]
pub struct UnknownPreference(pub String);

impl FromStr for RouterPreference {
    type Err = UnknownPreference;

    fn from_str(text: &str) -> Result<Self, UnknownPreference> {
        match text {
            "high" => Ok(Self::High),
            "medium" => Ok(Self::Medium),
            "low" => Ok(Self::Low),
            other => Err(UnknownPreference(other.to_owned())),
        }
    }
}

/// A route information option (RFC 4191 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdvertisedRoute {
    /// The destination.
    pub prefix: Ipv6Net,
    /// Compared to other routers' routes to the same destination.
    pub preference: RouterPreference,
    /// Lifetime in seconds.
    pub lifetime: u32,
}

impl AdvertisedRoute {
    /// A route that is gone: hosts drop it (RFC 4191 §3.1).
    #[must_use]
    pub fn gone(prefix: Ipv6Net) -> Self {
        Self {
            prefix,
            preference: RouterPreference::Medium,
            lifetime: 0,
        }
    }
}

/// A PREF64 option (RFC 8781 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pref64 {
    /// The NAT64 prefix, of 96, 64, 56, 48, 40 or 32 bits. A prefix of another length is not advertised.
    pub prefix: Ipv6Net,
    /// Lifetime in seconds, at most 65528.
    pub lifetime: u16,
}

/// What advertisements contain besides a link's addresses. The default contains none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdvertisedOptions {
    /// Default router preference (RFC 4191 §2.2).
    pub preference: RouterPreference,
    /// Reachable time in milliseconds. 0: hosts decide.
    pub reachable_time: u32,
    /// Retransmission timer in milliseconds. 0: hosts decide.
    pub retransmission_timer: u32,
    /// Domains that hosts search (RFC 8106 §5.2).
    pub search_domains: Vec<DomainName>,
    /// Routes by way of this router.
    pub routes: Vec<AdvertisedRoute>,
    /// The NAT64 prefix of the link, and those that are gone.
    pub pref64: Vec<Pref64>,
    /// Where hosts learn of the captive portal (RFC 8910 §2.3).
    pub captive_portal: Option<String>,
}

/// What a router advertises about itself and a link (RFC 4861 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// The router port's MAC: Ethernet source and source link-layer address option.
    pub mac: MacAddr,
    /// The router port's link-local address: the source.
    pub source: Ipv6Addr,
    /// Cur Hop Limit.
    pub hop_limit: u8,
    /// M: addresses from DHCPv6.
    pub managed: bool,
    /// O: other configuration from DHCPv6.
    pub other: bool,
    /// Router lifetime in seconds, at most 9000. 0: not a default router.
    pub lifetime: u16,
    /// MTU of the link in octets.
    pub mtu: Option<u16>,
    /// Prefixes.
    pub prefixes: Vec<AdvertisedPrefix>,
    /// Recursive DNS servers (RFC 8106 §5.1).
    pub dns_servers: Vec<Ipv6Addr>,
    /// Lifetime of the DNS servers and the search domains in seconds.
    pub dns_lifetime: u32,
    /// Further options.
    pub options: AdvertisedOptions,
}

impl Advertisement {
    /// The advertisement at a time, in seconds since 1970. The lifetimes of a prefix that ends are at most the time
    /// that is left (RFC 9096 §3.3).
    #[must_use]
    pub fn at(&self, now: i64) -> Cow<'_, Self> {
        if !self.has_ends() {
            return Cow::Borrowed(self);
        }
        let mut said = self.clone();
        for prefix in &mut said.prefixes {
            *prefix = prefix.at(now);
        }
        Cow::Owned(said)
    }

    pub(crate) fn has_ends(&self) -> bool {
        self.prefixes.iter().any(|prefix| prefix.ends.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PortId, Punt};
    use std::sync::Arc;

    fn prefix(ends: Option<PrefixEnds>) -> AdvertisedPrefix {
        AdvertisedPrefix {
            prefix: "2001:db8::/64".parse().unwrap(),
            on_link: true,
            autonomous: true,
            valid: 86_400,
            preferred: 14_400,
            delegation_preferred: false,
            ends,
        }
    }

    fn advertisement(prefixes: Vec<AdvertisedPrefix>) -> Advertisement {
        let mac = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]);
        Advertisement {
            mac,
            source: mac.link_local(),
            hop_limit: 64,
            managed: false,
            other: false,
            lifetime: 300,
            mtu: None,
            prefixes,
            dns_servers: vec![],
            dns_lifetime: 300,
            options: AdvertisedOptions::default(),
        }
    }

    #[test]
    fn lifetimes_are_no_longer_than_what_is_left() {
        let ends = |preferred_until, valid_until| {
            Some(PrefixEnds {
                preferred_until,
                valid_until,
            })
        };
        for (ends, now, preferred, valid) in [
            (None, i64::MAX, 14_400, 86_400),
            (ends(i64::MAX, i64::MAX), 1_000, 14_400, 86_400),
            (ends(2_000, 3_000), 1_000, 1_000, 2_000),
            (ends(2_000, 3_000), 2_500, 0, 500),
            (ends(2_000, 3_000), 9_000, 0, 0),
            (ends(i64::MIN, i64::MIN), i64::MAX, 0, 0),
            (ends(20_000, 30_000), i64::MIN, 14_400, 86_400),
        ] {
            let advertisement = advertisement(vec![prefix(None), prefix(ends)]);
            let said = advertisement.at(now);
            let lifetimes = |n: usize| (said.prefixes[n].preferred, said.prefixes[n].valid);
            assert_eq!(lifetimes(0), (14_400, 86_400));
            assert_eq!(lifetimes(1), (preferred, valid), "{ends:?} at {now}");
        }
    }

    #[test]
    fn what_does_not_end_is_not_copied() {
        let lasting = Arc::new(advertisement(vec![prefix(None)]));
        assert!(matches!(lasting.at(5), Cow::Borrowed(_)));
        let ends = PrefixEnds {
            preferred_until: 8,
            valid_until: 9,
        };
        let ending = Arc::new(advertisement(vec![prefix(Some(ends))]));
        let punt = |advertisements| Punt::RouterSolicitation {
            port: PortId::MIN,
            advertisements,
        };
        let both = punt(vec![lasting.clone(), ending.clone()]);
        let Cow::Owned(Punt::RouterSolicitation { advertisements, .. }) = both.at(|| 5) else {
            panic!("one of them ends")
        };
        assert!(Arc::ptr_eq(&advertisements[0], &lasting));
        assert_eq!(*advertisements[1], *ending.at(5));
        let unasked = punt(vec![lasting]);
        let clock = || unreachable!("nothing ends");
        assert!(matches!(unasked.at(clock), Cow::Borrowed(_)));
    }
}
