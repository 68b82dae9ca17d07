//! What is said when something is advertised no more, so that hosts stop using what leads nowhere.

use super::{Destination, encode};
use sextant_model::{
    AdvertisedPrefix, AdvertisedRoute, Advertisement, DomainName, PrefixEnds, RouterPreference,
};
use std::net::Ipv6Addr;

/// Hosts keep an address for two hours at least, whatever an advertisement says (RFC 4862 §5.5.3), so a prefix that
/// is gone is not called valid for longer, counted from when it went (RFC 7084 L-13, as of RFC 9096 §3.5).
const GONE_VALID: u32 = 7200;

/// How many prefixes that are gone are told of at most: with them an advertisement fits the least MTU of IPv6, however
/// often a server outside delegates another.
const MOST_GONE: usize = 24;

/// Likewise for DNS servers, and for search domains.
const MOST_DNS_GONE: usize = 8;

/// DNS servers and search domains that hosts are to use no more: advertised with a lifetime of 0 (RFC 8106 §5.1, §5.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoneDns {
    /// The servers.
    pub servers: Vec<Ipv6Addr>,
    /// The search domains.
    pub domains: Vec<DomainName>,
}

/// What a router says while something that it advertised goes. To be said for some time, as hosts may miss it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// The advertisement, in which prefixes and routes that are gone are over.
    pub said: Advertisement,
    /// What else is gone.
    pub dns: GoneDns,
}

impl Farewell {
    /// Of nothing.
    pub fn none(said: &Advertisement) -> Self {
        Self {
            said: said.clone(),
            dns: GoneDns::default(),
        }
    }

    /// What follows when this is advertised from `now` on, in seconds since 1970.
    pub fn to(&self, after: &Advertisement, now: i64) -> Self {
        Self {
            said: withdraw(&self.said, after, now),
            dns: self.dns_beyond(&after.dns_servers, &after.options.search_domains),
        }
    }

    /// The last that a router says on a link that it leaves `now`, in seconds since 1970.
    pub fn last_word(&self, now: i64) -> Self {
        let mut said = last_word(&self.said, now);
        said.dns_servers.clear();
        said.options.search_domains.clear();
        let dns = self.dns_beyond(&[], &[]);
        Self { said, dns }
    }

    /// Whether something is said beyond this.
    pub fn is_beyond(&self, advertisement: &Advertisement) -> bool {
        self.said != *advertisement || self.dns != GoneDns::default()
    }

    /// The same without what others on the link advertise: it is gone from here, and hosts still have it from them. Routes
    /// are each router's own.
    pub fn sparing<'a>(&self, others: impl Iterator<Item = &'a Advertisement> + Clone) -> Self {
        let mut spared = self.clone();
        let advertise = |prefix: &AdvertisedPrefix| {
            let mut all = others.clone().flat_map(|other| &other.prefixes);
            all.any(|other| other.prefix == prefix.prefix && other.preferred > 0)
        };
        let prefixes = &mut spared.said.prefixes;
        prefixes.retain(|prefix| prefix.preferred > 0 || !advertise(prefix));
        let servers = &mut spared.dns.servers;
        servers.retain(|gone| !others.clone().any(|other| other.dns_servers.contains(gone)));
        let domains = &mut spared.dns.domains;
        domains.retain(|gone| {
            let mut others = others.clone();
            !others.any(|other| other.options.search_domains.contains(gone))
        });
        spared
    }

    /// The Ethernet frame that says it, as [`advertise`](super::advertise) does.
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

/// Of what was said and what was gone before, what is not among those that stay: the last that went, each once.
fn latest<T: Clone + PartialEq>(said: &[T], gone: &[T], stay: &[T]) -> Vec<T> {
    let mut all: Vec<T> = vec![];
    for one in said.iter().chain(gone) {
        if !stay.contains(one) && !all.contains(one) && all.len() < MOST_DNS_GONE {
            all.push(one.clone());
        }
    }
    all
}

/// A router's final advertisement on a link (RFC 4861 §6.2.5) that it leaves `now`, in seconds since 1970: a default
/// router no more, its routes over, its prefixes valid for a while but not preferred (RFC 9096 §3.5).
pub fn last_word(advertisement: &Advertisement, now: i64) -> Advertisement {
    let mut last = advertisement.clone();
    last.lifetime = 0;
    let prefixes = last.prefixes.iter_mut();
    prefixes.for_each(|prefix| deprecate(prefix, now));
    last.options
        .routes
        .iter_mut()
        .for_each(|route| route.lifetime = 0);
    last
}

/// The advertisement that replaces `before` from `now` on, in seconds since 1970: `after`, and a last word on the prefixes
/// and routes that it lacks; of many prefixes, on those that went last. To be sent for some time, as hosts may miss one.
pub fn withdraw(before: &Advertisement, after: &Advertisement, now: i64) -> Advertisement {
    let mut all = after.clone();
    let keeps =
        |gone: &AdvertisedPrefix| after.prefixes.iter().any(|kept| kept.prefix == gone.prefix);
    let gone = before.prefixes.iter().filter(|prefix| !keeps(prefix));
    for gone in gone.take(MOST_GONE) {
        let mut gone = *gone;
        deprecate(&mut gone, now);
        all.prefixes.push(gone);
    }
    let routes = &after.options.routes;
    for gone in &before.options.routes {
        if !routes.iter().any(|kept| kept.prefix == gone.prefix) {
            let (prefix, preference, lifetime) = (gone.prefix, RouterPreference::Medium, 0);
            all.options.routes.push(AdvertisedRoute {
                prefix,
                preference,
                lifetime,
            });
        }
    }
    all
}

/// One that is deprecated already ends no later.
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
