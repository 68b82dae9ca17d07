//! The order in which controllers should own a hypervisor, by rendezvous hashing (RFC 2991's highest random weight): one that comes
//! or goes moves no hypervisor between the others.

use sextant_model::{ChassisId, ControllerName};
use std::collections::BTreeSet;
use xxhash_rust::xxh3::xxh3_64;

/// How many of these controllers come before one in a hypervisor's order.
pub(super) fn rank(
    name: &ControllerName,
    all: &BTreeSet<ControllerName>,
    chassis: &ChassisId,
) -> u32 {
    let own = (weight(name, chassis), name);
    let before = all
        .iter()
        .filter(|other| (weight(other, chassis), *other) > own);
    u32::try_from(before.count()).unwrap_or(u32::MAX)
}

/// The same in every process and version, or two would both be first.
fn weight(controller: &ControllerName, chassis: &ChassisId) -> u64 {
    xxh3_64(format!("{controller}\0{chassis}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> BTreeSet<ControllerName> {
        names.iter().map(|name| ControllerName::new(name)).collect()
    }

    fn first(all: &BTreeSet<ControllerName>, chassis: &ChassisId) -> ControllerName {
        let mut first = all.iter().filter(|name| rank(name, all, chassis) == 0);
        let one = first.next().unwrap();
        assert_eq!(first.next(), None, "one is first");
        one.clone()
    }

    #[test]
    fn hypervisors_are_spread_and_move_only_from_the_controller_that_goes() {
        let (all, left) = (named(&["c1", "c2", "c3"]), named(&["c1", "c3"]));
        let mut shares = [0, 0, 0];
        for number in 0..300 {
            let chassis = ChassisId::new(&format!("h{number}"));
            let owner = first(&all, &chassis);
            shares[all.iter().position(|name| *name == owner).unwrap()] += 1;
            if owner != ControllerName::new("c2") {
                assert_eq!(first(&left, &chassis), owner);
            }
        }
        assert!(shares.iter().all(|share| *share > 70), "{shares:?}");
    }

    #[test]
    fn each_controller_has_a_rank_of_its_own() {
        let (all, chassis) = (named(&["a", "b", "c", "d"]), ChassisId::new("h1"));
        let ranks: BTreeSet<u32> = all.iter().map(|name| rank(name, &all, &chassis)).collect();
        assert_eq!(ranks, (0..4).collect());
    }
}
