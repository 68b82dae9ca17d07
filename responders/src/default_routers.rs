//! The default routers heard on one link, and which of them to use (RFC 4861 §6.3.4 to §6.3.6, RFC 4191 §3).
//!
//! Sans-IO: the owner hands in what it hears, and what it knows of a router's reachability. It calls
//! [`DefaultRouters::handle_timeout`] at [`DefaultRouters::poll_timeout`]. Routers that answer come first, those not
//! asked yet second, unreachable ones last, whatever their preference (RFC 4191 §3.2). Among equals the one in use
//! stays. The list is bounded: a flood of advertisements neither grows it nor drives out the router in use, or others
//! that answer.

use crate::ra::HeardAdvertisement;
use sextant_model::{MacAddr, RouterPreference};
use std::net::Ipv6Addr;
use std::time::Instant;

/// How many routers of a link are kept. RFC 4861 §6.3.4 asks for at least two.
pub const MAX_ROUTERS: usize = 16;

/// A router of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultRouter {
    /// Its link-local address: the next hop.
    pub address: Ipv6Addr,
    /// Its preference.
    pub preference: RouterPreference,
    /// Until when it is a default router.
    pub expires: Instant,
    /// Its MAC, as its latest advertisement said.
    pub mac: Option<MacAddr>,
    /// MTU of the link in octets, as its latest advertisement said.
    pub mtu: Option<u32>,
    /// Whether it answers, as far as known.
    pub reachability: Reachability,
}

/// Whether a router answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reachability {
    /// It was asked and did not answer.
    Unreachable,
    /// It was not asked yet.
    #[default]
    Presumed,
    /// It was asked and answered.
    Answers,
}

/// What an advertisement changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// A new router.
    Added,
    /// A listed router: its new values are noted.
    Refreshed,
    /// A listed router that is a default router no more.
    Removed,
    /// An unlisted router that does not want to be a default router.
    NotDefault,
    /// A new router for which there is no room.
    Full,
}

/// The default routers heard on one link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DefaultRouters {
    /// In the order in which they were first heard.
    routers: Vec<DefaultRouter>,
    best: Option<Ipv6Addr>,
}

impl DefaultRouters {
    /// Takes an advertisement (RFC 4861 §6.3.4). `known` is the reachability of a router that is not listed yet.
    pub fn handle_advertisement(
        &mut self,
        advertisement: &HeardAdvertisement,
        known: Reachability,
        now: Instant,
    ) -> Listing {
        self.drop_expired(now);
        let listing = self.list(advertisement, known, now);
        self.choose();
        listing
    }

    /// Removes the routers whose lifetime is over, and returns their addresses.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Ipv6Addr> {
        let expired = self.drop_expired(now);
        self.choose();
        expired
    }

    /// Removes a router that sent a Neighbor Advertisement without Router flag (RFC 4861 §7.2.5). Returns whether it
    /// was listed.
    pub fn remove(&mut self, address: Ipv6Addr) -> bool {
        let before = self.routers.len();
        self.routers.retain(|router| router.address != address);
        self.choose();
        self.routers.len() < before
    }

    /// Notes what Neighbor Unreachability Detection found about a router. It holds until the next call, or until the
    /// router leaves the list. An advertisement does not prove that the router hears us (RFC 4861 §7.3.1).
    pub fn mark(&mut self, address: Ipv6Addr, reachability: Reachability) {
        if let Some(router) = self.find(address) {
            router.reachability = reachability;
        }
        self.choose();
    }

    /// The router to use. A router counts until [`handle_timeout`](Self::handle_timeout) removes it.
    #[must_use]
    pub fn best(&self) -> Option<&DefaultRouter> {
        let best = self.best?;
        self.routers.iter().find(|router| router.address == best)
    }

    /// When the next router expires.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.routers.iter().map(|router| router.expires).min()
    }

    /// Every router listed, in the order in which they were first heard; [`MAX_ROUTERS`] at most.
    pub fn iter(&self) -> impl Iterator<Item = &DefaultRouter> {
        self.routers.iter()
    }

    fn list(
        &mut self,
        advertisement: &HeardAdvertisement,
        known: Reachability,
        now: Instant,
    ) -> Listing {
        let address = advertisement.source;
        if advertisement.lifetime.is_zero() {
            return match self.remove(address) {
                true => Listing::Removed,
                false => Listing::NotDefault,
            };
        }
        let mut new = DefaultRouter {
            address,
            preference: advertisement.preference,
            expires: now + advertisement.lifetime,
            mac: advertisement.mac,
            mtu: advertisement.mtu,
            reachability: known,
        };
        if let Some(router) = self.find(address) {
            new.reachability = router.reachability;
            *router = new;
            return Listing::Refreshed;
        }
        if self.routers.len() >= MAX_ROUTERS && !self.make_room(&new) {
            return Listing::Full;
        }
        self.routers.push(new);
        Listing::Added
    }

    /// Drops the worst router except the one in use, if it is worse than the new one. Of equals the latest goes.
    fn make_room(&mut self, new: &DefaultRouter) -> bool {
        let in_use = self.best;
        let all = self
            .routers
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, router)| Some(router.address) != in_use);
        let worst = all.min_by_key(|(_, router)| rank(router));
        let Some((at, _)) = worst.filter(|(_, worst)| rank(worst) < rank(new)) else {
            return false;
        };
        self.routers.remove(at);
        true
    }

    fn drop_expired(&mut self, now: Instant) -> Vec<Ipv6Addr> {
        let gone = self
            .routers
            .extract_if(.., |router| router.expires <= now)
            .map(|router| router.address);
        gone.collect()
    }

    fn choose(&mut self) {
        let in_use = self.best;
        let earliest_last = self.routers.iter().rev();
        self.best = earliest_last
            .max_by_key(|router| (rank(router), Some(router.address) == in_use))
            .map(|router| router.address);
    }

    fn find(&mut self, address: Ipv6Addr) -> Option<&mut DefaultRouter> {
        self.routers
            .iter_mut()
            .find(|router| router.address == address)
    }
}

/// The rank of a router. Higher is better.
fn rank(router: &DefaultRouter) -> (Reachability, u8) {
    let preference = match router.preference {
        RouterPreference::High => 2,
        RouterPreference::Medium => 1,
        RouterPreference::Low => 0,
    };
    (router.reachability, preference)
}
