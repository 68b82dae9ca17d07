//! Divides a set into shards of even size: by the first bits of a hash of its members' ids.
//!
//! There are a power of two of them. So where there are twice as many, each shard was cut in two, and where one more
//! member comes, just its own shard changes.

use crate::{ChassisId, PortId};
use std::ops::RangeInclusive;
use xxhash_rust::xxh3::xxh3_64;

/// The number of bits of a hash.
const BITS: u32 = u16::BITS;

/// Into how many shards a set is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharding {
    bits: u32,
}

impl Sharding {
    /// As few shards as there can be with at most so many members each, if the hash spreads them evenly.
    #[must_use]
    pub fn of(members: usize, each: usize) -> Self {
        let shards = members.div_ceil(each).next_power_of_two();
        Self {
            bits: shards.trailing_zeros().min(BITS),
        }
    }

    /// Whether there is just one shard.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.bits == 0
    }

    /// The numbers of all shards.
    pub fn shards(self) -> impl Iterator<Item = u16> {
        let last = u16::MAX.checked_shr(BITS - self.bits).unwrap_or(0);
        0..=last
    }

    /// The shard of a member whose id has this hash.
    #[must_use]
    pub fn shard_of(self, hash: u16) -> u16 {
        hash.checked_shr(BITS - self.bits).unwrap_or(0)
    }

    /// The hashes of the ids in a shard. `None` if there is no shard of that number.
    #[must_use]
    pub fn hashes(self, shard: u16) -> Option<RangeInclusive<u16>> {
        let behind = BITS - self.bits;
        if self.is_whole() {
            return (shard == 0).then_some(0..=u16::MAX);
        }
        let first = shard << behind;
        let last = first | u16::MAX.checked_shr(self.bits).unwrap_or(0);
        (first >> behind == shard).then_some(first..=last)
    }
}

/// Members of sets that are divided into shards.
pub trait Sharded {
    /// The hash of its id. It is the same everywhere and always.
    fn shard_hash(&self) -> u16;
}

impl<T: Sharded> Sharded for &T {
    fn shard_hash(&self) -> u16 {
        (*self).shard_hash()
    }
}

impl Sharded for ChassisId {
    fn shard_hash(&self) -> u16 {
        xxh3_64(self.as_str().as_bytes()) as u16
    }
}

impl Sharded for PortId {
    fn shard_hash(&self) -> u16 {
        xxh3_64(self.0.as_bytes()) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_few_shards_as_there_can_be() {
        let counts = [0, 1, 32, 33, 64, 65, 1024, 1025, usize::MAX / 2];
        let shards = counts.map(|members| Sharding::of(members, 32).shards().count());
        assert_eq!(shards, [1, 1, 1, 2, 2, 4, 32, 64, 65536]);
        assert!(Sharding::of(32, 32).is_whole() && !Sharding::of(33, 32).is_whole());
    }

    #[test]
    fn a_hash_is_in_just_its_own_shard() {
        for members in [1, 33, 65, 1000, 10_000, usize::MAX / 2] {
            let sharding = Sharding::of(members, 32);
            for hash in [0, 1, 255, 256, 0x7fff, 0x8000, u16::MAX] {
                let own = sharding.shard_of(hash);
                let holding = |shard: &u16| sharding.hashes(*shard).unwrap().contains(&hash);
                let found: Vec<u16> = sharding.shards().filter(holding).collect();
                assert_eq!(found, [own], "{members} {hash}");
            }
        }
        assert_eq!(Sharding::of(65, 32).hashes(4), None);
        assert_eq!(Sharding::of(1, 32).hashes(1), None);
    }

    #[test]
    fn members_are_spread_evenly() {
        let sharding = Sharding::of(2048, 32);
        let mut sizes = vec![0; sharding.shards().count()];
        for number in 0..2048 {
            let chassis = ChassisId::new(&format!("compute-{number}.example.org"));
            sizes[usize::from(sharding.shard_of(chassis.shard_hash()))] += 1;
        }
        assert_eq!(sizes.len(), 64);
        assert!(sizes.iter().all(|size| (8..64).contains(size)), "{sizes:?}");
    }
}
