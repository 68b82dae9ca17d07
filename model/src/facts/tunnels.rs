//! Facts about tunnels between hypervisors: which pairs have none, and what BFD says about the others.

use super::Facts;
use crate::{Chassis, ChassisId, Endpoints};
use imbl::{OrdMap, OrdSet};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a hypervisor hears from another by BFD through their tunnel (RFC 5880).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelState {
    /// The session is up: packets pass both ways.
    Up,
    /// The session has not come up yet, and still has time.
    Awaited,
    /// No packet comes back.
    Down,
}

/// One BFD session, as one end sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelWatch {
    /// What is heard.
    pub state: TunnelState,
    /// How often it came up or went down (`bfd_status:flap_count`). Another number means that a session ended
    /// meanwhile.
    pub flaps: u64,
}

/// What one hypervisor hears from its peers.
pub type TunnelWatches = BTreeMap<ChassisId, TunnelWatch>;

/// What hypervisors hear from each other. A part of [`Facts`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tunnels {
    watches: OrdMap<ChassisId, Arc<TunnelWatches>>,
    /// Pairs in which the first hears nothing from the second.
    down: OrdSet<(ChassisId, ChassisId)>,
}

impl Facts {
    /// What each hypervisor hears from its peers by BFD. Empty where BFD is not configured.
    #[must_use]
    pub fn tunnel_watches(&self) -> &OrdMap<ChassisId, Arc<TunnelWatches>> {
        &self.tunnels.watches
    }

    /// A hypervisor hears this from its peers. Empty: nothing is known any more.
    pub fn watch_tunnels(&mut self, chassis: &ChassisId, watches: TunnelWatches) {
        let before = match watches.is_empty() {
            true => self.tunnels.watches.remove(chassis),
            false => {
                let watches = Arc::new(watches.clone());
                self.tunnels.watches.insert(chassis.clone(), watches)
            }
        };
        for peer in before.iter().flat_map(|before| before.keys()) {
            let pair = (chassis.clone(), peer.clone());
            self.tunnels.down.remove(&pair);
        }
        let silent = watches
            .iter()
            .filter(|(_, watch)| watch.state == TunnelState::Down);
        let down = silent.map(|(peer, _)| (chassis.clone(), peer.clone()));
        self.tunnels.down.extend(down);
    }

    /// How many pairs of hypervisors have no working tunnel. Either they share no IP version, or one hears nothing from
    /// the other by BFD. Hypervisors that are gone do not count.
    #[must_use]
    pub fn missing_tunnels(&self) -> usize {
        let mut down = 0;
        for (one, other) in &self.tunnels.down {
            let twice = one > other && self.tunnels.down.contains(&(other.clone(), one.clone()));
            if self.is_here(one) && self.is_here(other) && !twice {
                down += 1;
            }
        }
        self.without_family + down
    }

    fn is_here(&self, id: &ChassisId) -> bool {
        self.chassis.contains_key(id) && !self.gone().contains(id)
    }

    /// The hypervisors to which this one has no tunnel, since they share no IP version, by id.
    pub fn without_tunnel<'a>(
        &'a self,
        chassis: &'a Chassis,
    ) -> impl Iterator<Item = &'a ChassisId> + 'a {
        let own = chassis.encap.endpoints;
        let reached_by_all = matches!(own, Endpoints::Both(..));
        let others = (!reached_by_all).then(|| self.chassis.values());
        let others = others.into_iter().flatten();
        others
            .filter(move |other| other.id != chassis.id)
            .filter(move |other| own.towards(other.encap.endpoints).is_none())
            .map(|other| &other.id)
    }

    /// The hypervisors from which this one hears nothing by BFD, by id.
    pub fn unheard<'a>(&'a self, chassis: &'a ChassisId) -> impl Iterator<Item = &'a ChassisId> {
        let watches = self.tunnels.watches.get(chassis);
        let watches = watches.into_iter().flat_map(|watches| watches.iter());
        watches
            .filter(|(_, watch)| watch.state == TunnelState::Down)
            .map(|(peer, _)| peer)
    }

    /// Counts the pairs that share no IP version.
    pub(super) fn pair_families(&mut self) {
        let (mut ipv6, mut ipv4) = (0, 0);
        for chassis in self.chassis.values() {
            match chassis.encap.endpoints {
                Endpoints::Ipv6(_) => ipv6 += 1,
                Endpoints::Ipv4(_) => ipv4 += 1,
                Endpoints::Both(..) => {}
            }
        }
        self.without_family = ipv6 * ipv4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Encap, EncapKind, Intent};

    fn facts(names: &[&str]) -> Facts {
        let mut facts = Facts::default();
        for name in names {
            facts.put_chassis(Chassis {
                observed: true,
                ..Chassis::new(
                    ChassisId::new(name),
                    Encap {
                        endpoints: "2001:db8::1".parse().unwrap(),
                        kind: EncapKind::Vxlan,
                    },
                )
            });
        }
        facts
    }

    fn hear(facts: &mut Facts, chassis: &str, peers: &[(&str, TunnelState)]) {
        let watch = |(peer, state): &(&str, TunnelState)| {
            let watch = TunnelWatch {
                state: *state,
                flaps: 1,
            };
            (ChassisId::new(peer), watch)
        };
        let watches = peers.iter().map(watch).collect();
        facts.watch_tunnels(&ChassisId::new(chassis), watches);
    }

    #[test]
    fn a_pair_of_which_either_hears_nothing_is_one_that_misses_its_tunnel() {
        use TunnelState::{Awaited, Down, Up};
        let mut facts = facts(&["h1", "h2", "h3"]);
        hear(&mut facts, "h1", &[("h2", Down), ("h3", Awaited)]);
        assert_eq!(facts.missing_tunnels(), 1);
        hear(&mut facts, "h2", &[("h1", Down), ("h3", Up)]);
        assert_eq!(facts.missing_tunnels(), 1, "the same pair");
        hear(&mut facts, "h3", &[("h1", Down), ("h2", Down)]);
        assert_eq!(facts.missing_tunnels(), 3);
        let unheard = |facts: &Facts, id: &str| {
            let id = ChassisId::new(id);
            facts
                .unheard(&id)
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(unheard(&facts, "h3"), ["h1", "h2"]);
        facts.mark_gone(&Intent::default(), &ChassisId::new("h3"), true);
        assert_eq!(facts.missing_tunnels(), 1, "h3 is gone");
        hear(&mut facts, "h1", &[("h2", Up)]);
        hear(&mut facts, "h2", &[]);
        assert_eq!(facts.missing_tunnels(), 0);
        assert!(unheard(&facts, "h1").is_empty());
    }
}
