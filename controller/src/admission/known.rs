//! From which addresses known hypervisors connect.

use crate::seat::Seats;
use crate::snapshot::Snapshots;
use imbl::OrdMap;
use sextant_model::{Chassis, ChassisId};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The hypervisors that are known, be it only from the store.
#[derive(Debug)]
pub struct KnownHypervisors {
    snapshots: Snapshots,
    /// Who spoke for them, and from where.
    seats: Vec<Seats<ChassisId>>,
    /// All hypervisors, as they were last indexed.
    indexed: OrdMap<ChassisId, Arc<Chassis>>,
    /// How many have a tunnel endpoint at this address.
    by_endpoint: HashMap<IpAddr, usize>,
}

impl KnownHypervisors {
    /// Those of snapshots, whose databases or switches had these seats.
    pub fn new(snapshots: Snapshots, seats: Vec<Seats<ChassisId>>) -> Self {
        Self {
            snapshots,
            seats,
            indexed: OrdMap::new(),
            by_endpoint: HashMap::new(),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.snapshots.latest().facts.chassis().len()
    }

    /// How many of them are at this address: by their connections since the start, or by their tunnel endpoints.
    pub(super) fn at(&mut self, address: IpAddr) -> usize {
        self.index();
        let address = address.to_canonical();
        let endpoints = self.by_endpoint.get(&address).copied();
        let seats = self.seats.iter().map(|seats| seats.count_at(address));
        seats.chain(endpoints).max().unwrap_or_default()
    }

    fn index(&mut self) {
        let snapshot = self.snapshots.latest();
        let all = snapshot.facts.chassis();
        if self.indexed.ptr_eq(all) {
            return;
        }
        self.indexed = all.clone();
        self.by_endpoint.clear();
        for chassis in all.values() {
            for address in chassis.encap.endpoints.addresses() {
                *self.by_endpoint.entry(address).or_default() += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;
    use sextant_model::{Encap, EncapKind};

    #[test]
    fn a_hypervisor_is_known_by_its_endpoints_and_by_where_it_connected_from() {
        let mut snapshot = Snapshot::default();
        let encap = |endpoints: &str| Encap {
            endpoints: endpoints.parse().unwrap(),
            kind: EncapKind::Vxlan,
        };
        for (id, endpoints) in [("h1", "2001:db8::1,192.0.2.1"), ("h2", "192.0.2.1")] {
            let chassis = Chassis::new(ChassisId::new(id), encap(endpoints));
            snapshot.facts.put_chassis(chassis);
        }
        let (_publish, snapshots) = Snapshots::new(snapshot);
        let seats = Seats::default();
        let mut known = KnownHypervisors::new(snapshots, vec![seats.clone()]);
        assert_eq!(known.count(), 2);
        let [one, both, none]: [IpAddr; 3] =
            ["2001:db8::1", "::ffff:192.0.2.1", "192.0.2.9"].map(|text| text.parse().unwrap());
        assert_eq!(
            [one, both, none].map(|address| known.at(address)),
            [1, 2, 0]
        );
        drop(seats.take(&ChassisId::new("h3"), none).unwrap());
        assert_eq!(known.at(none), 1);
        seats.forget(&ChassisId::new("h3"));
        assert_eq!(known.at(none), 0);
    }
}
