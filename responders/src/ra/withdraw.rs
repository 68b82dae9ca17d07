//! The advertisements that follow when something is not advertised any more, so that hosts stop using what leads
//! nowhere.

use super::{Destination, encode};
use sextant_model::{
    AdvertisedPrefix, AdvertisedRoute, Advertisement, DomainName, GONE_VALID, Pref64, PrefixEnds,
};
use std::net::Ipv6Addr;

/// How many prefixes that are gone are advertised at most. With these an advertisement fits the least MTU of IPv6,
/// however often a server outside delegates another prefix.
const MOST_GONE: usize = 24;

/// How many DNS servers, and search domains, that are gone are advertised at most.
const MOST_DNS_GONE: usize = 8;

/// How many prefixes of NAT64 that are gone are advertised at most.
const MOST_NAT64_GONE: usize = 4;

/// DNS servers and search domains that hosts have to drop: advertised with lifetime 0 (RFC 8106 §5.1, §5.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoneDns {
    /// The servers.
    pub servers: Vec<Ipv6Addr>,
    /// The search domains.
    pub domains: Vec<DomainName>,
}

/// A router's advertisement while something is withdrawn. It is repeated for some time, since hosts may miss one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// The advertisement, in which prefixes and routes that are gone have ended.
    pub said: Advertisement,
    /// What else is gone.
    pub dns: GoneDns,
}

impl Farewell {
    /// The farewell of nothing.
    #[must_use]
    pub fn none(said: &Advertisement) -> Self {
        Self {
            said: said.clone(),
            dns: GoneDns::default(),
        }
    }

    /// The farewell after this one when `after` is advertised from `now` on, in seconds since 1970.
    #[must_use]
    pub fn to(&self, after: &Advertisement, now: i64) -> Self {
        Self {
            said: withdraw(&self.said, after, now),
            dns: self.dns_beyond(&after.dns_servers, &after.options.search_domains),
        }
    }

    /// The last farewell of a router on a link that it leaves at `now`, in seconds since 1970.
    #[must_use]
    pub fn last_word(&self, now: i64) -> Self {
        let mut said = last_word(&self.said, now);
        said.dns_servers.clear();
        said.options.search_domains.clear();
        let dns = self.dns_beyond(&[], &[]);
        Self { said, dns }
    }

    /// Whether it withdraws anything that this advertisement lacks.
    #[must_use]
    pub fn is_beyond(&self, advertisement: &Advertisement) -> bool {
        self.said != *advertisement || self.dns != GoneDns::default()
    }

    /// The same without what others on the link still advertise: hosts keep it from them. Routes are each router's own,
    /// so they stay withdrawn.
    pub fn sparing<'a>(&self, others: impl Iterator<Item = &'a Advertisement> + Clone) -> Self {
        let mut spared = self.clone();
        let prefixes = &mut spared.said.prefixes;
        prefixes.retain(|prefix| {
            prefix.preferred > 0
                || !({
                    let mut all = others.clone().flat_map(|other| &other.prefixes);
                    all.any(|other| other.prefix == prefix.prefix && other.preferred > 0)
                })
        });
        let servers = &mut spared.dns.servers;
        servers.retain(|gone| !others.clone().any(|other| other.dns_servers.contains(gone)));
        let domains = &mut spared.dns.domains;
        domains.retain(|gone| {
            let mut others = others.clone();
            !others.any(|other| other.options.search_domains.contains(gone))
        });
        spared
    }

    /// The Ethernet frame, as of [`advertise`](super::advertise).
    #[must_use]
    pub fn advertise(&self, now: i64, to: Destination) -> Vec<u8> {
        encode::advertise_with(&self.said.at(now), &self.dns, to)
    }

    fn dns_beyond(&self, servers: &[Ipv6Addr], domains: &[DomainName]) -> GoneDns {
        let (said, gone) = (&self.said, &self.dns);
        GoneDns {
            servers: latest(&said.dns_servers, &gone.servers, servers),
            domains: latest(&said.options.search_domains, &gone.domains, domains),
        }
    }
}

/// What was advertised or gone before and does not stay. The last that went are kept, each once.
fn latest<T: Clone + PartialEq>(said: &[T], gone: &[T], stay: &[T]) -> Vec<T> {
    let mut all: Vec<T> = vec![];
    for one in said.iter().chain(gone) {
        if !stay.contains(one) && !all.contains(one) && all.len() < MOST_DNS_GONE {
            all.push(one.clone());
        }
    }
    all
}

/// A router's final advertisement on a link (RFC 4861 §6.2.5) that it leaves at `now`, in seconds since 1970. It is no
/// default router any more, and its routes have ended. Its prefixes stay valid for a while but are not preferred (RFC
/// 9096 §3.5).
#[must_use]
pub fn last_word(advertisement: &Advertisement, now: i64) -> Advertisement {
    let mut last = advertisement.clone();
    last.lifetime = 0;
    let prefixes = last.prefixes.iter_mut();
    prefixes.for_each(|prefix| deprecate(prefix, now));
    let routes = last.options.routes.iter_mut();
    routes.for_each(|route| route.lifetime = 0);
    let pref64 = last.options.pref64.iter_mut();
    pref64.for_each(|pref64| pref64.lifetime = 0);
    last
}

/// The advertisement that replaces `before` from `now` on, in seconds since 1970. It is `after`, with the end of
/// prefixes, routes and prefixes of NAT64 that `after` lacks. Of many prefixes it has those that went last. It is repeated for some time,
/// since hosts may miss one.
#[must_use]
pub fn withdraw(before: &Advertisement, after: &Advertisement, now: i64) -> Advertisement {
    let mut all = after.clone();
    let gone = before.prefixes.iter().filter(|prefix| {
        !(after
            .prefixes
            .iter()
            .any(|kept| kept.prefix == prefix.prefix))
    });
    for gone in gone.take(MOST_GONE) {
        let mut gone = *gone;
        deprecate(&mut gone, now);
        all.prefixes.push(gone);
    }
    let gone = before.options.routes.iter().map(|route| route.prefix);
    let gone = gone.filter(|gone| {
        let mut routes = after.options.routes.iter();
        !routes.any(|kept| kept.prefix == *gone)
    });
    let gone = gone.take(MOST_GONE).map(AdvertisedRoute::gone);
    all.options.routes.extend(gone);
    let gone = before.options.pref64.iter().map(|pref64| pref64.prefix);
    let gone = gone.filter(|gone| {
        let mut pref64 = after.options.pref64.iter();
        !pref64.any(|kept| kept.prefix == *gone)
    });
    let lifetime = 0;
    let gone = gone
        .take(MOST_NAT64_GONE)
        .map(|prefix| Pref64 { prefix, lifetime });
    all.options.pref64.extend(gone);
    all
}

/// A prefix that is already deprecated does not end later than before.
fn deprecate(prefix: &mut AdvertisedPrefix, now: i64) {
    prefix.preferred = 0;
    prefix.valid = prefix.valid.min(GONE_VALID);
    let until = now.saturating_add(prefix.valid.into());
    prefix.ends = Some(PrefixEnds {
        preferred_until: now,
        valid_until: prefix
            .ends
            .map_or(until, |ends| ends.valid_until.min(until)),
    });
}
