//! Chooses each port's address in a subnet's new prefix.

use ipnet::{IpNet, Ipv6Net};
use sextant_model::{Port, Subnet};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// The last 64 bits of the gateway's address.
const GATEWAY: u64 = 1;

/// The gateway's address in a prefix.
pub(super) fn gateway(prefix: Ipv6Net) -> Ipv6Addr {
    within(prefix, GATEWAY)
}

/// The new address for each address that ports have of the old prefix.
pub(super) fn in_prefix(
    ports: &[Arc<Port>],
    before: &Subnet,
    after: &Subnet,
) -> BTreeMap<IpAddr, IpAddr> {
    let held: Vec<(&Port, IpAddr)> = ports
        .iter()
        .flat_map(|port| port.fixed_ips.iter().map(move |fixed| (&**port, fixed)))
        .filter(|(_, fixed)| fixed.subnet_id == before.id)
        .map(|(port, fixed)| (port, fixed.ip_address))
        .collect();
    let mut places = Places {
        after,
        taken: BTreeSet::new(),
        by_address: BTreeMap::new(),
    };
    if let Some(gateway) = gateway_among(&held, before) {
        places.give(gateway, &[GATEWAY]);
    }
    let (of_routers, of_guests): (Vec<_>, Vec<_>) =
        held.iter().partition(|(port, _)| port.router().is_some());
    for (port, old) in of_guests.into_iter().chain(of_routers) {
        let kept = last_bits(old);
        let own = port.mac_address.eui64(Ipv6Addr::UNSPECIFIED);
        let own = last_bits(IpAddr::V6(own));
        let by_itself = after.is_auto_address() && port.router().is_none();
        places.give(old, &if by_itself { [own, kept] } else { [kept, own] });
    }
    places.by_address
}

/// The address to replace by the new gateway's: the old gateway's, else a router's anycast address (RFC 4291 §2.6.1).
fn gateway_among(held: &[(&Port, IpAddr)], before: &Subnet) -> Option<IpAddr> {
    let of_routers = held.iter().filter(|(port, _)| port.router().is_some());
    let addresses: Vec<IpAddr> = of_routers.map(|(_, address)| *address).collect();
    let anycast = before.cidr.network();
    let mut candidates = before.gateway_ip.into_iter().chain([anycast]);
    candidates.find(|address| addresses.contains(address))
}

fn within(prefix: Ipv6Net, last_bits: u64) -> Ipv6Addr {
    Ipv6Addr::from_bits(prefix.network().to_bits() | u128::from(last_bits))
}

fn last_bits(address: IpAddr) -> u64 {
    match address {
        IpAddr::V6(address) => address.to_bits() as u64,
        IpAddr::V4(_) => 0,
    }
}

/// The addresses given out in the new prefix.
struct Places<'a> {
    after: &'a Subnet,
    taken: BTreeSet<u64>,
    by_address: BTreeMap<IpAddr, IpAddr>,
}

impl Places<'_> {
    /// Gives the first of these wishes that is free, else the next free address.
    fn give(&mut self, old: IpAddr, wishes: &[u64]) {
        if self.by_address.contains_key(&old) {
            return;
        }
        let last = wishes.iter().last().copied().unwrap_or(GATEWAY);
        let next = (1..).map(|n| last.wrapping_add(n));
        let mut wishes = wishes.iter().copied().chain(next);
        if let (Some(bits), IpNet::V6(prefix)) = (
            wishes.find(|bits| !self.taken.contains(bits)),
            self.after.cidr,
        ) {
            self.taken.insert(bits);
            self.by_address.insert(old, within(prefix, bits).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sextant_model::{
        FixedIp, Ipv6Mode, MacAddr, NetworkId, PortId, PrefixSource, ROUTER_INTERFACE_OWNER,
        SubnetId,
    };
    use uuid::Uuid;

    fn subnet(prefix: &str, gateway_ip: &str) -> Subnet {
        Subnet {
            gateway_ip: Some(gateway_ip.parse().unwrap()),
            ipv6_ra_mode: Some(Ipv6Mode::Slaac),
            ipv6_address_mode: Some(Ipv6Mode::Slaac),
            prefix_source: PrefixSource::Delegated,
            ..Subnet::new(
                SubnetId(Uuid::nil()),
                NetworkId(Uuid::nil()),
                prefix.parse().unwrap(),
            )
        }
    }

    fn port(n: u8, owner: &str, addresses: &[u64]) -> Arc<Port> {
        let fixed = |bits: &u64| FixedIp {
            subnet_id: SubnetId(Uuid::nil()),
            ip_address: Ipv6Addr::from_bits(u128::from(*bits)).into(),
        };
        Arc::new(Port {
            fixed_ips: addresses.iter().map(fixed).collect(),
            device_id: Uuid::from_u128(n.into()).to_string(),
            device_owner: owner.to_owned(),
            ..Port::new(
                PortId(Uuid::from_u128(n.into())),
                NetworkId(Uuid::nil()),
                MacAddr([0xfa, 0x16, 0x3e, 0, 0, n]),
            )
        })
    }

    fn moved(ports: &[Arc<Port>], gateway: &str) -> BTreeMap<IpAddr, IpAddr> {
        let before = subnet("::/64", gateway);
        in_prefix(ports, &before, &subnet("2001:db8::/64", "2001:db8::1"))
    }

    fn eui64(n: u8) -> u64 {
        let mac = MacAddr([0xfa, 0x16, 0x3e, 0, 0, n]);
        mac.eui64(Ipv6Addr::UNSPECIFIED).to_bits() as u64
    }

    fn told(places: &BTreeMap<IpAddr, IpAddr>) -> Vec<String> {
        places
            .iter()
            .map(|(old, new)| format!("{old} -> {new}"))
            .collect()
    }

    #[test]
    fn the_gateways_address_is_whose_the_gateways_was_or_the_anycast_address() {
        let [first, second] =
            [(1, 0), (2, 7)].map(|(n, bits)| port(n, ROUTER_INTERFACE_OWNER, &[bits]));
        let ports = [first, second];
        let anycast = told(&moved(&ports, "::"));
        assert_eq!(anycast, [":: -> 2001:db8::1", "::7 -> 2001:db8::7"]);
        let other = told(&moved(&ports, "::7"));
        assert_eq!(other, [":: -> 2001:db8::", "::7 -> 2001:db8::1"]);
        let of_nobody = told(&moved(&ports, "::9"));
        assert_eq!(of_nobody, anycast);
    }

    #[test]
    fn who_would_have_anothers_address_gets_a_free_one() {
        let clashing = [1, eui64(3)];
        let ports = [
            port(1, ROUTER_INTERFACE_OWNER, &[0]),
            port(9, ROUTER_INTERFACE_OWNER, &clashing),
            port(3, "compute:nova", &[5]),
        ];
        let places = moved(&ports, "::");
        let new = |bits: u64| places[&IpAddr::V6(Ipv6Addr::from_bits(bits.into()))];
        let expected = |bits| IpAddr::V6(within("2001:db8::/64".parse().unwrap(), bits));
        assert_eq!(new(0), expected(1));
        assert_eq!(new(5), expected(eui64(3)));
        assert_eq!(new(1), expected(eui64(9)));
        assert_eq!(new(eui64(3)), expected(eui64(9) + 1));
    }

    proptest! {
        #[test]
        fn every_address_has_a_place_of_its_own_in_the_new_prefix(
            holders in prop::collection::btree_map(prop_oneof![0..4u64, (0..4u8).prop_map(eui64)], (0..4u8, any::<bool>()), 0..8),
            gateway in 0..4u64,
        ) {
            let ports: Vec<_> = holders
                .iter()
                .map(|(bits, (n, router))| port(*n, if *router { ROUTER_INTERFACE_OWNER } else { "" }, &[*bits]))
                .collect();
            let gateway = Ipv6Addr::from_bits(gateway.into()).to_string();
            let places = moved(&ports, &gateway);
            let new: BTreeSet<_> = places.values().collect();
            prop_assert_eq!(places.len(), holders.len());
            prop_assert_eq!(new.len(), holders.len());
            let prefix: IpNet = "2001:db8::/64".parse().unwrap();
            prop_assert!(new.iter().all(|address| prefix.contains(*address)));
        }
    }
}
