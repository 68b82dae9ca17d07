//! Which hypervisor has each router's external gateway, and what it knows of the external network.

use crate::{Chassis, ChassisId, Intent, MacAddr, NetworkId, Router, RouterId};
use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// What a hypervisor has learned on an external network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outside {
    /// The link-local address of the best router that advertises there.
    pub default_router: Option<Ipv6Addr>,
    /// The MACs of neighbours there.
    pub neighbors: BTreeMap<IpAddr, MacAddr>,
}

/// Where routers have their gateways. A part of [`crate::Facts`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Gateways {
    gone: OrdSet<ChassisId>,
    placed: OrdMap<RouterId, (ChassisId, NetworkId)>,
    on: OrdSet<(ChassisId, NetworkId, RouterId)>,
    outside: OrdMap<(ChassisId, NetworkId), Arc<Outside>>,
}

impl Gateways {
    pub(crate) fn gone(&self) -> &OrdSet<ChassisId> {
        &self.gone
    }

    pub(crate) fn placed(&self) -> &OrdMap<RouterId, (ChassisId, NetworkId)> {
        &self.placed
    }

    pub(crate) fn outside(&self) -> &OrdMap<(ChassisId, NetworkId), Arc<Outside>> {
        &self.outside
    }

    /// The routers that have their gateway on a hypervisor, each with its external network, by network.
    pub(crate) fn on(&self, chassis: &ChassisId) -> impl Iterator<Item = (NetworkId, RouterId)> {
        let range = (chassis.clone(), NetworkId::MIN, RouterId::MIN)
            ..=(chassis.clone(), NetworkId::MAX, RouterId::MAX);
        self.on
            .range(range)
            .map(|(_, network, router)| (*network, *router))
    }

    /// Those of one external network, by id.
    pub(crate) fn of(
        &self,
        network: NetworkId,
        chassis: &ChassisId,
    ) -> impl Iterator<Item = RouterId> {
        let range =
            (chassis.clone(), network, RouterId::MIN)..=(chassis.clone(), network, RouterId::MAX);
        self.on.range(range).map(|(_, _, router)| *router)
    }

    /// A hypervisor is gone, or back. Returns whether this changes anything.
    pub(crate) fn mark(&mut self, chassis: &ChassisId, gone: bool) -> bool {
        match gone {
            true => self.gone.insert(chassis.clone()).is_none(),
            false => self.gone.remove(chassis).is_some(),
        }
    }

    /// A hypervisor has learned this on an external network. `None`: it knows nothing there any more.
    pub(crate) fn learn(
        &mut self,
        chassis: &ChassisId,
        network: NetworkId,
        outside: Option<Arc<Outside>>,
    ) {
        let key = (chassis.clone(), network);
        match outside {
            Some(outside) => drop(self.outside.insert(key, outside)),
            None => drop(self.outside.remove(&key)),
        }
    }

    /// What the old hypervisor knew of an external network counts for the new one until that one has learned more. So
    /// no next hop is missing while a gateway moves.
    fn hand_over(&mut self, old: &ChassisId, new: &ChassisId, network: NetworkId) {
        let known = self.outside.get(&(old.clone(), network)).cloned();
        if let Some(known) = known {
            let key = (new.clone(), network);
            self.outside.entry(key).or_insert(known);
        }
    }

    /// Moves a router's gateway where it belongs.
    pub(crate) fn place(
        &mut self,
        intent: &Intent,
        chassis: &OrdMap<ChassisId, Arc<Chassis>>,
        router: RouterId,
    ) {
        let wanted = external_network(intent, router).and_then(|(network, physical)| {
            let best = self.best(chassis, physical, router)?;
            Some((best.clone(), network))
        });
        self.put(router, wanted);
    }

    /// Moves routers' gateways where they belong, after only this hypervisor changed: it changed, joined, left, is gone
    /// or back. Costs a look at each router, and a look at all hypervisors for each router whose gateway was there.
    pub(crate) fn reconsider(
        &mut self,
        intent: &Intent,
        chassis: &OrdMap<ChassisId, Arc<Chassis>>,
        id: &ChassisId,
    ) {
        let changed = chassis.get(id);
        for router in intent.routers.keys().copied() {
            let Some((network, physical)) = external_network(intent, router) else {
                continue;
            };
            let on = self.placed.get(&router).map(|(on, _)| on);
            if on == Some(id) {
                self.place(intent, chassis, router);
                continue;
            }
            let Some(changed) = changed.filter(|changed| changed.reaches(physical)) else {
                continue;
            };
            // The other hypervisors rank among each other as before, so only this one and the present holder compare.
            let holder = on.and_then(|on| chassis.get(on));
            if holder.is_none_or(|on| self.rank(changed, router) > self.rank(on, router)) {
                self.put(router, Some((id.clone(), network)));
            }
        }
    }

    fn put(&mut self, router: RouterId, wanted: Option<(ChassisId, NetworkId)>) {
        if self.placed.get(&router) == wanted.as_ref() {
            return;
        }
        let before = self.placed.remove(&router);
        if let Some((old, network)) = before.clone() {
            self.on.remove(&(old, network, router));
        }
        if let Some((new, network)) = wanted {
            // Neighbours of another network are of no use.
            let same = before.filter(|(_, of)| *of == network);
            if let Some((old, _)) = same {
                self.hand_over(&old, &new, network);
            }
            self.on.insert((new.clone(), network, router));
            self.placed.insert(router, (new, network));
        }
    }

    /// Chooses the hypervisor for a router's gateway among those with a bridge of the physical network. It is not gone,
    /// it has the highest priority, and then the best hash. So a hypervisor that comes or goes moves no gateways between
    /// the others (RFC 2991's highest random weight).
    fn best<'a>(
        &self,
        chassis: &'a OrdMap<ChassisId, Arc<Chassis>>,
        physical_network: &str,
        router: RouterId,
    ) -> Option<&'a ChassisId> {
        let candidates = chassis
            .values()
            .filter(|chassis| chassis.reaches(physical_network));
        let best = candidates.max_by_key(|chassis| self.rank(chassis, router));
        best.map(|chassis| &chassis.id)
    }

    /// How much a router's gateway prefers a hypervisor.
    fn rank(&self, chassis: &Chassis, router: RouterId) -> (bool, u16, Reverse<u64>) {
        let here = !self.gone.contains(&chassis.id);
        let weight = Reverse(weight(router, &chassis.id));
        (here, chassis.gateway_priority, weight)
    }
}

/// A router's external network, if it has one, and the physical network of that.
fn external_network(intent: &Intent, id: RouterId) -> Option<(NetworkId, &str)> {
    let router: &Arc<Router> = intent.routers.get(&id)?;
    let network = router.external_gateway?.network_id;
    let physical = intent.networks.get(&network)?.physical_network.as_deref()?;
    Some((network, physical))
}

/// FNV-1a of both ids, mixed once more. It is the same in every process and version, so restarts move no gateways.
fn weight(router: RouterId, chassis: &ChassisId) -> u64 {
    let octets = router
        .0
        .as_bytes()
        .iter()
        .chain(chassis.as_str().as_bytes());
    let hash = octets.fold(0xcbf2_9ce4_8422_2325, |hash: u64, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Change, Encap, EncapKind, ExternalGateway, Facts, Network, NetworkKey, NetworkType, Object,
        RouterKey,
    };
    use uuid::Uuid;

    const NETWORK: NetworkId = NetworkId(Uuid::from_u128(1));

    fn intent(routers: u128) -> Intent {
        let mut intent = Intent::default();
        let mut put = |object| intent.apply(&Change::Put(object));
        put(Object::Network(Arc::new(Network {
            external: true,
            network_type: NetworkType::Flat,
            physical_network: Some("physnet1".to_owned()),
            segmentation_id: None,
            ..Network::new(NETWORK, NetworkKey(1))
        })));
        for id in 0..routers {
            put(Object::Router(Arc::new(Router {
                external_gateway: Some(ExternalGateway {
                    network_id: NETWORK,
                    enable_snat: true,
                }),
                ..Router::new(RouterId(Uuid::from_u128(id)), RouterKey(7))
            })));
        }
        intent
    }

    fn chassis(id: &str, mapped: bool, gateway_priority: u16) -> Chassis {
        let mapping = mapped.then(|| ("physnet1".to_owned(), "br-ex".to_owned()));
        Chassis {
            bridge_mappings: mapping.into_iter().collect(),
            gateway_priority,
            ..Chassis::new(
                ChassisId::new(id),
                Encap {
                    endpoints: "2001:db8::1".parse().unwrap(),
                    kind: EncapKind::Vxlan,
                },
            )
        }
    }

    fn count(facts: &Facts, id: &str) -> usize {
        facts.gateways_on(&ChassisId::new(id)).count()
    }

    #[test]
    fn gateways_are_spread_over_the_hypervisors_that_reach_the_network() {
        let intent = intent(300);
        let mut facts = Facts::default();
        for (id, mapped) in [("h1", true), ("h2", true), ("h3", true), ("h4", false)] {
            facts.put_chassis(chassis(id, mapped, 0));
        }
        facts.place_gateways(&intent);
        let shares = ["h1", "h2", "h3", "h4"].map(|id| count(&facts, id));
        assert_eq!(shares.iter().sum::<usize>(), 300);
        assert!(shares[..3].iter().all(|share| *share > 60), "{shares:?}");
        assert_eq!(shares[3], 0);
    }

    #[test]
    fn only_the_gateways_of_a_hypervisor_that_is_gone_move_and_they_come_back() {
        let intent = intent(100);
        let mut facts = Facts::default();
        for id in ["h1", "h2", "h3"] {
            facts.put_chassis(chassis(id, true, 0));
        }
        facts.place_gateways(&intent);
        let before = facts.gateways().clone();
        assert!(facts.mark_gone(&intent, &ChassisId::new("h2"), true));
        assert!(!facts.mark_gone(&intent, &ChassisId::new("h2"), true));
        assert_eq!(count(&facts, "h2"), 0);
        for (router, on) in &before {
            let stays = on.0 != ChassisId::new("h2");
            assert_eq!(facts.gateways().get(router) == Some(on), stays);
        }
        facts.mark_gone(&intent, &ChassisId::new("h2"), false);
        assert_eq!(*facts.gateways(), before);
    }

    #[test]
    fn one_hypervisor_that_changes_leads_to_the_same_as_all_of_them_anew() {
        let intent = intent(60);
        let mut facts = Facts::default();
        let mut step = |change: &dyn Fn(&mut Facts), id: &str| {
            change(&mut facts);
            facts.place_gateways_after(&intent, &ChassisId::new(id));
            let mut anew = facts.clone();
            anew.place_gateways(&intent);
            assert_eq!(facts, anew, "{id}");
        };
        let put = |id: &'static str, mapped, priority| {
            move |facts: &mut Facts| facts.put_chassis(chassis(id, mapped, priority))
        };
        step(&put("h1", true, 0), "h1");
        step(&put("h2", true, 0), "h2");
        step(&put("h3", false, 9), "h3");
        step(&put("h4", true, 1), "h4");
        step(&put("h3", true, 1), "h3");
        step(&put("h4", true, 0), "h4");
        let gone = |facts: &mut Facts| {
            facts.mark_gone(&intent, &ChassisId::new("h3"), true);
        };
        step(&gone, "h3");
        let remove = |facts: &mut Facts| facts.remove_chassis(&ChassisId::new("h1"));
        step(&remove, "h1");
        let back = |facts: &mut Facts| {
            facts.mark_gone(&intent, &ChassisId::new("h3"), false);
        };
        step(&back, "h3");
        step(&put("h3", false, 1), "h3");
        step(&put("h2", false, 0), "h2");
        step(&put("h4", false, 0), "h4");
        assert!(facts.gateways().is_empty());
    }

    #[test]
    fn a_gateway_that_moves_takes_along_what_is_known_of_the_outside() {
        let intent = intent(1);
        let mut facts = Facts::default();
        facts.put_chassis(chassis("h1", true, 1));
        facts.put_chassis(chassis("h2", true, 0));
        facts.place_gateways(&intent);
        let [one, two] = ["h1", "h2"].map(ChassisId::new);
        let known = Outside {
            default_router: Some("fe80::1".parse().unwrap()),
            ..Outside::default()
        };
        facts.learn_outside(&one, NETWORK, Some(Arc::new(known.clone())));
        facts.mark_gone(&intent, &one, true);
        assert_eq!(*facts.outside()[&(two.clone(), NETWORK)], known);

        facts.learn_outside(&two, NETWORK, Some(Arc::default()));
        facts.mark_gone(&intent, &one, false);
        facts.mark_gone(&intent, &one, true);
        let better = &facts.outside()[&(two, NETWORK)];
        assert_eq!(**better, Outside::default(), "what it learned itself stays");
    }

    #[test]
    fn the_highest_priority_wins_and_a_cloud_whose_hypervisors_are_all_gone_stays_as_it_is() {
        let mut intent = intent(20);
        let mut facts = Facts::default();
        for (id, priority) in [("h1", 1), ("h2", 2)] {
            facts.put_chassis(chassis(id, true, priority));
        }
        facts.place_gateways(&intent);
        assert_eq!(count(&facts, "h2"), 20);
        facts.mark_gone(&intent, &ChassisId::new("h2"), true);
        assert_eq!(count(&facts, "h1"), 20);
        facts.mark_gone(&intent, &ChassisId::new("h1"), true);
        assert_eq!(count(&facts, "h2"), 20);

        let router = RouterId(Uuid::from_u128(3));
        let mut without = Router::clone(&intent.routers[&router]);
        without.external_gateway = None;
        intent.apply(&Change::Put(Object::Router(Arc::new(without))));
        facts.place_gateway(&intent, router);
        assert_eq!(facts.gateways().get(&router), None);
        assert_eq!(count(&facts, "h2"), 19);
    }
}
