//! Arithmetic of addresses: gateways, allocation pools, and which address is next.

use ipnet::IpNet;
use rand::RngExt;
use rand::rngs::StdRng;
use sextant_model::AllocationPool;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses are drawn at random from this many at the start of the pools, while some of them are free. That is few
/// enough to read well, and enough that simultaneous writers rarely take the same.
const WINDOW: u128 = 1 << 16;

/// The gateway of a subnet that names none. In IPv4 it is the first host. In IPv6 it is the subnet-router anycast
/// address (RFC 4291 §2.6.1), which every router of the subnet answers for.
pub(crate) fn default_gateway(cidr: IpNet) -> IpAddr {
    match cidr {
        IpNet::V4(prefix) if prefix.prefix_len() < 31 => at(cidr, first(cidr) + 1),
        IpNet::V4(_) | IpNet::V6(_) => cidr.network(),
    }
}

/// The first address that hosts can have, where there is one.
pub(crate) fn first_host(cidr: IpNet) -> IpAddr {
    hosts(cidr).map_or(cidr.network(), |(start, _)| at(cidr, start))
}

/// Whether two prefixes have an address in common: one is within the other.
pub(crate) fn share_addresses(a: IpNet, b: IpNet) -> bool {
    a.contains(&b) || b.contains(&a)
}

/// The first prefix of this length in `prefixes` that overlaps none of `taken`. Those in `taken` do not overlap each
/// other.
pub(crate) fn first_free_prefix(
    prefixes: &[IpNet],
    mut taken: Vec<IpNet>,
    length: u8,
) -> Option<IpNet> {
    taken.sort_unstable();
    let roomy = prefixes
        .iter()
        .filter(|prefix| prefix.prefix_len() <= length);
    roomy
        .copied()
        .find_map(|prefix| first_free_within(prefix, &taken, length))
}

fn first_free_within(prefix: IpNet, taken: &[IpNet], length: u8) -> Option<IpNet> {
    let mut candidate = IpNet::new(prefix.network(), length).ok()?;
    for other in taken {
        if share_addresses(*other, candidate) {
            let end = number(other.broadcast()).max(number(candidate.broadcast()));
            if end >= number(prefix.broadcast()) {
                return None;
            }
            candidate = IpNet::new(like(prefix.network(), end + 1), length).ok()?;
        }
    }
    Some(candidate)
}

/// All addresses that hosts can have, except the gateway.
pub(crate) fn default_pools(cidr: IpNet, gateway: Option<IpAddr>) -> Vec<AllocationPool> {
    let Some((start, end)) = hosts(cidr) else {
        return Vec::new();
    };
    match gateway.filter(|gateway| cidr.contains(gateway)).map(number) {
        Some(gateway) if (start..=end).contains(&gateway) => {
            let below = (gateway > start).then(|| pool(cidr, start, gateway - 1));
            let above = (gateway < end).then(|| pool(cidr, gateway + 1, end));
            below.into_iter().chain(above).collect()
        }
        _ => vec![pool(cidr, start, end)],
    }
}

fn pool(cidr: IpNet, start: u128, end: u128) -> AllocationPool {
    AllocationPool {
        start: at(cidr, start),
        end: at(cidr, end),
    }
}

/// Whether a host of the subnet can have this address. A router can have the subnet-router anycast address as well.
pub(crate) fn is_usable(cidr: IpNet, address: IpAddr, by_router: bool) -> bool {
    let anycast = by_router && cidr.network().is_ipv6() && address == cidr.network();
    anycast
        || (cidr.contains(&address)
            && hosts(cidr).is_some_and(|(start, end)| (start..=end).contains(&number(address))))
}

/// Whether the pool lies within what hosts of the subnet can have.
pub(crate) fn is_within(cidr: IpNet, pool: &AllocationPool) -> bool {
    is_usable(cidr, pool.start, false) && is_usable(cidr, pool.end, false)
}

/// Whether the pool begins before it ends, in one address family.
pub(crate) fn is_ordered(pool: &AllocationPool) -> bool {
    pool.start.is_ipv4() == pool.end.is_ipv4() && pool.start <= pool.end
}

/// Whether two pools have an address in common.
pub(crate) fn overlap(a: &AllocationPool, b: &AllocationPool) -> bool {
    a.start <= b.end && b.start <= a.end
}

/// Whether an address is in a pool.
pub(crate) fn is_in(pool: &AllocationPool, address: IpAddr) -> bool {
    (pool.start..=pool.end).contains(&address)
}

/// A free address of the pools. `claimed` are the taken ones, in order.
pub(crate) fn pick(
    pools: &[AllocationPool],
    dice: &mut StdRng,
    is_free: impl Fn(IpAddr) -> bool,
    claimed: impl Iterator<Item = IpAddr>,
) -> Option<IpAddr> {
    let window = pools
        .iter()
        .map(AllocationPool::size)
        .fold(0_u128, u128::saturating_add)
        .min(WINDOW);
    if window == 0 {
        return None;
    }
    let start = dice.random_range(0..window);
    let from_window = (0..window)
        .filter_map(|n| nth(pools, (start + n) % window))
        .find(|address| is_free(*address));
    from_window.or_else(|| first_gap(pools, claimed))
}

fn first_gap(pools: &[AllocationPool], claimed: impl Iterator<Item = IpAddr>) -> Option<IpAddr> {
    let claimed: Vec<u128> = claimed.map(number).collect();
    pools.iter().find_map(|pool| {
        let (mut candidate, end) = (number(pool.start), number(pool.end));
        let from = claimed.partition_point(|claimed| *claimed < candidate);
        for _ in claimed[from..]
            .iter()
            .enumerate()
            .take_while(|(n, claimed)| **claimed == number(pool.start) + *n as u128)
        {
            candidate += 1;
        }
        (candidate <= end).then(|| like(pool.start, candidate))
    })
}

fn nth(pools: &[AllocationPool], mut n: u128) -> Option<IpAddr> {
    for pool in pools {
        if n < pool.size() {
            return Some(like(pool.start, number(pool.start) + n));
        }
        n -= pool.size();
    }
    None
}

/// How many addresses a prefix has, at most [`u128::MAX`].
pub(crate) fn size_of(cidr: IpNet) -> u128 {
    let all = AllocationPool {
        start: cidr.network(),
        end: cidr.broadcast(),
    };
    all.size()
}

/// The first and the last address that hosts can have. The network address and IPv4's broadcast address are left out.
fn hosts(cidr: IpNet) -> Option<(u128, u128)> {
    let (start, end) = match cidr {
        IpNet::V4(prefix) if prefix.prefix_len() >= 31 => (first(cidr), number(cidr.broadcast())),
        IpNet::V4(_) => (first(cidr) + 1, number(cidr.broadcast()) - 1),
        IpNet::V6(prefix) if prefix.prefix_len() == 128 => (first(cidr), first(cidr)),
        IpNet::V6(prefix) => (first(cidr) + 1, prefix.broadcast().to_bits()),
    };
    (start <= end).then_some((start, end))
}

fn first(cidr: IpNet) -> u128 {
    number(cidr.network())
}

fn at(cidr: IpNet, number: u128) -> IpAddr {
    like(cidr.network(), number)
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address of this number, in the family of another.
fn like(other: IpAddr, number: u128) -> IpAddr {
    match other {
        IpAddr::V4(_) => Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX)).into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(number).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use std::collections::BTreeSet;

    fn pools(cidr: &str, gateway: &str) -> Vec<String> {
        let gateway = (gateway != "-").then(|| gateway.parse().unwrap());
        let pools = default_pools(cidr.parse().unwrap(), gateway);
        pools
            .iter()
            .map(|pool| format!("{}-{}", pool.start, pool.end))
            .collect()
    }

    #[test]
    fn pools_are_what_neutron_makes_of_prefix_and_gateway() {
        let whole = ["2001:db8:1::1-2001:db8:1:0:ffff:ffff:ffff:ffff"];
        assert_eq!(pools("2001:db8:1::/64", "2001:db8:1::"), whole);
        assert_eq!(pools("2001:db8:1::/64", "-"), whole);
        assert_eq!(pools("2001:db8:1::/64", "fe80::1"), whole);
        assert_eq!(
            pools("2001:db8:1::/64", "2001:db8:1::1"),
            ["2001:db8:1::2-2001:db8:1:0:ffff:ffff:ffff:ffff"]
        );
        assert_eq!(
            pools("2001:db8:1::/64", "2001:db8:1:0:ffff:ffff:ffff:ffff"),
            ["2001:db8:1::1-2001:db8:1:0:ffff:ffff:ffff:fffe"]
        );
        assert_eq!(pools("10.9.0.0/24", "10.9.0.1"), ["10.9.0.2-10.9.0.254"]);
        assert_eq!(
            pools("10.9.0.0/24", "10.9.0.5"),
            ["10.9.0.1-10.9.0.4", "10.9.0.6-10.9.0.254"]
        );
        assert_eq!(pools("10.9.0.0/31", "10.9.0.0"), ["10.9.0.1-10.9.0.1"]);
        assert_eq!(
            pools("::/0", "-"),
            ["::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]
        );
        assert_eq!(pools("2001:db8::1/128", "-"), ["2001:db8::1-2001:db8::1"]);
    }

    #[test]
    fn free_prefixes_are_found_around_those_taken() {
        let free = |prefixes: &[&str], taken: &[&str], length| {
            let parse = |texts: &[&str]| -> Vec<IpNet> {
                texts.iter().map(|text| text.parse().unwrap()).collect()
            };
            first_free_prefix(&parse(prefixes), parse(taken), length)
                .map(|prefix| prefix.to_string())
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(free(&["2001:db8::/48"], &[], 64), some("2001:db8::/64"));
        assert_eq!(
            free(
                &["2001:db8::/48"],
                &["2001:db8:0:1::/64", "2001:db8::/64"],
                64
            ),
            some("2001:db8:0:2::/64")
        );
        assert_eq!(
            free(&["2001:db8::/48"], &["2001:db8::/64"], 56),
            some("2001:db8:0:100::/56")
        );
        assert_eq!(
            free(&["2001:db8::/48"], &["2001:db8::/50"], 64),
            some("2001:db8:0:4000::/64")
        );
        assert_eq!(
            free(&["10.0.0.0/24", "10.1.0.0/16"], &["10.0.0.0/24"], 24),
            some("10.1.0.0/24")
        );
        assert_eq!(free(&["2001:db8::/64"], &["2001:db8::/64"], 64), None);
        assert_eq!(free(&["2001:db8::/64"], &[], 48), None);
        assert_eq!(free(&["255.255.255.0/24"], &["255.255.255.0/24"], 24), None);
        assert_eq!(free(&["ffff::/16"], &["ffff::/16"], 64), None);
    }

    #[test]
    fn default_gateways() {
        let gateway = |cidr: &str| default_gateway(cidr.parse().unwrap()).to_string();
        assert_eq!(gateway("2001:db8:1::/64"), "2001:db8:1::");
        assert_eq!(gateway("10.9.0.0/24"), "10.9.0.1");
        assert_eq!(gateway("10.9.0.0/32"), "10.9.0.0");
    }

    #[test]
    fn every_address_is_picked_once_and_then_none() {
        let pools = [("10.0.0.2", "10.0.0.9"), ("10.0.0.20", "10.0.0.21")].map(|(start, end)| {
            AllocationPool {
                start: start.parse().unwrap(),
                end: end.parse().unwrap(),
            }
        });
        let mut dice = StdRng::seed_from_u64(7);
        let mut claimed = BTreeSet::new();
        for _ in 0..10 {
            let address = pick(
                &pools,
                &mut dice,
                |address| !claimed.contains(&address),
                claimed.iter().copied(),
            )
            .unwrap();
            assert!(pools.iter().any(|pool| is_in(pool, address)));
            assert!(claimed.insert(address));
        }
        assert_eq!(
            pick(
                &pools,
                &mut dice,
                |address| !claimed.contains(&address),
                claimed.iter().copied()
            ),
            None
        );
    }

    #[test]
    fn beyond_the_window_the_first_gap_is_taken() {
        let pool = AllocationPool {
            start: "2001:db8::".parse().unwrap(),
            end: "2001:db8::2:0".parse().unwrap(),
        };
        let claimed: Vec<IpAddr> = (0..WINDOW + 2).filter_map(|n| nth(&[pool], n)).collect();
        let taken: BTreeSet<IpAddr> = claimed.iter().copied().collect();
        let mut dice = StdRng::seed_from_u64(7);
        let address = pick(
            &[pool],
            &mut dice,
            |address| !taken.contains(&address),
            claimed.into_iter(),
        );
        assert_eq!(address.unwrap().to_string(), "2001:db8::1:2");
    }
}
