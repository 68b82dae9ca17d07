//! What a router's port does not advertise any more, for as long as guests may still use it.
//!
//! It is stored with the write that ends it. So guests are told even where whoever was to tell them ended first, and those of a
//! hypervisor that was away (RFC 9096 §3.5).

use crate::{
    AdvertisedLink, AdvertisedOptions, AdvertisedPrefix, AdvertisedRoute, Advertisement, MacAddr,
    NetworkId, NetworkKey, PortId, PrefixEnds, RaInterval,
};
use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;

/// For how long it is told, in seconds: prefixes are advertised as preferred for as long at most.
pub const WITHDRAWN_FOR: i64 = 14_400;

/// The valid lifetime of a prefix that is gone, in seconds from when it went. Hosts keep an address for at least two
/// hours, whatever an advertisement says (RFC 4862 §5.5.3). So it is not advertised as valid for longer (RFC 7084 L-13,
/// as of RFC 9096 §3.5).
pub const GONE_VALID: u32 = 7200;

/// How many prefixes, DNS servers and routes each are kept at most: those that went last.
const MOST: usize = 24;

/// What a router's port does not advertise any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// The port, which may be gone.
    pub port: PortId,
    /// Its network.
    pub network: NetworkId,
    /// The network's number.
    pub network_key: NetworkKey,
    /// The port's MAC.
    pub mac: MacAddr,
    /// Prefixes.
    pub prefixes: BTreeMap<Ipv6Net, WithdrawnPrefix>,
    /// DNS servers, and when they went, in seconds since 1970.
    pub dns_servers: BTreeMap<Ipv6Addr, i64>,
    /// Routes, and when they went.
    #[serde(default)]
    pub routes: BTreeMap<Ipv6Net, i64>,
}

/// A prefix that is not advertised any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawnPrefix {
    /// Hosts formed addresses from it.
    pub autonomous: bool,
    /// When it went, in seconds since 1970.
    pub at: i64,
}

impl Withdrawn {
    /// What ends at `now` when `after` is advertised instead of `before`. `None` if nothing does.
    #[must_use]
    pub fn between(
        (network, port): (NetworkId, PortId),
        before: &AdvertisedLink,
        after: Option<&Advertisement>,
        now: i64,
    ) -> Option<Self> {
        let said = &before.advertisement;
        let prefixes = said.prefixes.iter().filter(|prefix| {
            !({
                let mut kept = after.into_iter().flat_map(|after| &after.prefixes);
                kept.any(|kept| kept.prefix == prefix.prefix)
            })
        });
        let prefixes = prefixes.map(|prefix| {
            let autonomous = prefix.autonomous;
            (
                prefix.prefix,
                WithdrawnPrefix {
                    autonomous,
                    at: now,
                },
            )
        });
        let servers = said.dns_servers.iter();
        let servers = servers.filter(|server| {
            let kept = after.map(|after| &after.dns_servers);
            !kept.is_some_and(|kept| kept.contains(server))
        });
        let routes = said.options.routes.iter().map(|route| route.prefix);
        let routes = routes.filter(|prefix| {
            let mut kept = after.into_iter().flat_map(|after| &after.options.routes);
            !kept.any(|kept| kept.prefix == *prefix)
        });
        let gone = Self {
            port,
            network,
            network_key: before.network,
            mac: said.mac,
            prefixes: prefixes.collect(),
            dns_servers: servers.map(|server| (*server, now)).collect(),
            routes: routes.map(|prefix| (prefix, now)).collect(),
        };
        (!gone.is_empty()).then_some(gone)
    }

    /// This, and what went before it and is not forgotten at `now`.
    #[must_use]
    pub fn after(mut self, before: &Self, now: i64) -> Self {
        for (prefix, gone) in &before.prefixes {
            if !is_over(gone.at, now) {
                self.prefixes.entry(*prefix).or_insert(*gone);
            }
        }
        for (server, at) in &before.dns_servers {
            if !is_over(*at, now) {
                self.dns_servers.entry(*server).or_insert(*at);
            }
        }
        for (prefix, at) in &before.routes {
            if !is_over(*at, now) {
                self.routes.entry(*prefix).or_insert(*at);
            }
        }
        keep_latest(&mut self.prefixes, |gone| gone.at);
        keep_latest(&mut self.dns_servers, |at| *at);
        keep_latest(&mut self.routes, |at| *at);
        self
    }

    /// Whether nothing of it is to be told any more.
    #[must_use]
    pub fn is_over(&self, now: i64) -> bool {
        let prefixes = self.prefixes.values().map(|gone| gone.at);
        let others = self.dns_servers.values().chain(self.routes.values());
        let mut times = prefixes.chain(others.copied());
        times.all(|at| is_over(at, now))
    }

    fn is_empty(&self) -> bool {
        self.prefixes.is_empty() && self.dns_servers.is_empty() && self.routes.is_empty()
    }

    /// A link on which it is still advertised, as hosts may know it: beside what `known` has, if that is given.
    #[must_use]
    pub fn on(&self, known: Option<&AdvertisedLink>) -> AdvertisedLink {
        let mut said = match known {
            Some(known) => (*known.advertisement).clone(),
            None => self.silent(),
        };
        for (prefix, gone) in &self.prefixes {
            if !said.prefixes.iter().any(|said| said.prefix == *prefix) {
                said.prefixes.push(advertised(*prefix, *gone));
            }
        }
        for server in self.dns_servers.keys() {
            if !said.dns_servers.contains(server) {
                said.dns_servers.push(*server);
            }
        }
        for prefix in self.routes.keys() {
            let routes = &mut said.options.routes;
            if !routes.iter().any(|said| said.prefix == *prefix) {
                routes.push(AdvertisedRoute::gone(*prefix));
            }
        }
        AdvertisedLink {
            network: self.network_key,
            advertisement: Arc::new(said),
            interval: known.map_or_else(RaInterval::default, |known| known.interval),
        }
    }

    /// The advertisement of a router that advertises nothing.
    fn silent(&self) -> Advertisement {
        Advertisement {
            mac: self.mac,
            source: self.mac.link_local(),
            hop_limit: 0,
            managed: false,
            other: false,
            lifetime: 0,
            mtu: None,
            prefixes: vec![],
            dns_servers: vec![],
            dns_lifetime: 0,
            options: AdvertisedOptions::default(),
        }
    }
}

fn advertised(prefix: Ipv6Net, gone: WithdrawnPrefix) -> AdvertisedPrefix {
    AdvertisedPrefix {
        prefix,
        on_link: true,
        autonomous: gone.autonomous,
        valid: GONE_VALID,
        preferred: 0,
        delegation_preferred: false,
        ends: Some(PrefixEnds {
            preferred_until: gone.at,
            valid_until: gone.at.saturating_add(GONE_VALID.into()),
        }),
    }
}

fn is_over(at: i64, now: i64) -> bool {
    now.saturating_sub(at) >= WITHDRAWN_FOR
}

fn keep_latest<K: Ord + Copy, V>(all: &mut BTreeMap<K, V>, at: impl Fn(&V) -> i64) {
    while all.len() > MOST {
        let oldest = all.iter().min_by_key(|(_, gone)| at(gone));
        let Some(oldest) = oldest.map(|(key, _)| *key) else {
            return;
        };
        all.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(number: u16, at: i64) -> Withdrawn {
        let prefix = Ipv6Net::new(Ipv6Addr::new(0x2001, 0xdb8, number, 0, 0, 0, 0, 0), 64);
        let prefix = (
            prefix.unwrap(),
            WithdrawnPrefix {
                autonomous: true,
                at,
            },
        );
        Withdrawn {
            port: PortId::MIN,
            network: NetworkId::MIN,
            network_key: NetworkKey(1),
            mac: MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]),
            prefixes: [prefix].into(),
            dns_servers: BTreeMap::new(),
            routes: BTreeMap::new(),
        }
    }

    #[test]
    fn the_latest_are_kept_and_what_is_over_is_not() {
        let now = 1_000_000;
        let mut all = gone(0, now - WITHDRAWN_FOR);
        for number in 1..=40 {
            let at = now - 100 + i64::from(number);
            all = gone(number, at).after(&all, at);
        }
        let times = all.prefixes.values().map(|gone| gone.at);
        let latest: Vec<i64> = (now - 83..=now - 60).collect();
        assert_eq!(times.collect::<Vec<_>>(), latest);
        assert!(!all.is_over(now) && all.is_over(now - 60 + WITHDRAWN_FOR));
    }

    #[test]
    fn hosts_know_it_beside_what_is_advertised() {
        let (first, second) = (gone(1, 7), gone(2, 8));
        let known = first.on(None);
        let said = &known.advertisement;
        assert_eq!((said.lifetime, said.source), (0, first.mac.link_local()));
        let both = second.on(Some(&known));
        let both = second.on(Some(&both));
        let prefixes = both.advertisement.prefixes.iter();
        let known: Vec<_> = prefixes.map(|said| (said.preferred, said.ends)).collect();
        let ends = |at: i64| PrefixEnds {
            preferred_until: at,
            valid_until: at + i64::from(GONE_VALID),
        };
        assert_eq!(known, [(0, Some(ends(7))), (0, Some(ends(8)))]);
    }
}
