//! Subnets and their IPv6 modes.

use crate::{Meta, NetworkId, SubnetId, SubnetPoolId};
use ipnet::{IpNet, Ipv6Net};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A value of `ipv6_ra_mode` or `ipv6_address_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ipv6Mode {
    /// Addresses from router advertisements.
    Slaac,
    /// Addresses and options from DHCPv6.
    Dhcpv6Stateful,
    /// Addresses from router advertisements, options from DHCPv6.
    Dhcpv6Stateless,
}

/// The text is not one of the three modes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not in valid_values")]
pub struct UnknownMode(pub String);

impl Ipv6Mode {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slaac => "slaac",
            Self::Dhcpv6Stateful => "dhcpv6-stateful",
            Self::Dhcpv6Stateless => "dhcpv6-stateless",
        }
    }

    /// Whether hosts form their addresses themselves, from the prefix and their EUI-64.
    #[must_use]
    pub fn is_auto_address(self) -> bool {
        self != Self::Dhcpv6Stateful
    }
}

impl fmt::Display for Ipv6Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Ipv6Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        [Self::Slaac, Self::Dhcpv6Stateful, Self::Dhcpv6Stateless]
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| UnknownMode(text.to_owned()))
    }
}

/// An inclusive range of addresses for ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocationPool {
    /// The first address.
    pub start: IpAddr,
    /// The last address.
    pub end: IpAddr,
}

impl AllocationPool {
    /// How many addresses it has, at most [`u128::MAX`].
    #[must_use]
    pub fn size(&self) -> u128 {
        (bits(self.end) - bits(self.start)).saturating_add(1)
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        (self.start..=self.end).contains(&address)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// A route for hosts of the subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRoute {
    /// The destination.
    pub destination: IpNet,
    /// The neighbour to send to.
    pub nexthop: IpAddr,
}

/// Where a subnet's prefix comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrefixSource {
    /// From the request that made the subnet.
    #[default]
    Given,
    /// From a pool.
    Pool(SubnetPoolId),
    /// Delegated by DHCPv6; `::/64` until then.
    Delegated,
}

/// The prefix of a subnet until one is delegated to it. Any number of subnets may have it, and no host uses it.
pub const PROVISIONAL_PREFIX: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 64);

/// One prefix of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its id.
    pub id: SubnetId,
    /// The network that it belongs to.
    pub network_id: NetworkId,
    /// Name, project, times, revision.
    pub meta: Meta,
    /// The prefix. Its IP version is the subnet's `ip_version`.
    pub cidr: IpNet,
    /// The address of the subnet's router.
    pub gateway_ip: Option<IpAddr>,
    /// Where ports' addresses come from.
    pub allocation_pools: Vec<AllocationPool>,
    /// Whether Sextant configures hosts of this subnet.
    pub enable_dhcp: bool,
    /// The mode that Sextant advertises. `None`: an external router advertises, or nobody.
    pub ipv6_ra_mode: Option<Ipv6Mode>,
    /// Where guests' addresses come from.
    pub ipv6_address_mode: Option<Ipv6Mode>,
    /// DNS servers, in order of preference.
    pub dns_nameservers: Vec<IpAddr>,
    /// Routes for hosts.
    pub host_routes: Vec<HostRoute>,
    /// Where the prefix comes from.
    #[serde(default)]
    pub prefix_source: PrefixSource,
    /// The `device_owner`s of ports that may have addresses of it. Empty: all.
    #[serde(default)]
    pub service_types: Vec<String>,
}

impl Subnet {
    /// Whether its prefix is to be delegated and is not yet, or not any more.
    #[must_use]
    pub fn awaits_prefix(&self) -> bool {
        self.prefix_source == PrefixSource::Delegated && self.cidr == PROVISIONAL_PREFIX.into()
    }

    /// A subnet with DHCP, without gateway, pools, modes or options.
    #[must_use]
    pub fn new(id: SubnetId, network_id: NetworkId, cidr: IpNet) -> Self {
        Self {
            id,
            network_id,
            meta: Meta::default(),
            cidr,
            gateway_ip: None,
            allocation_pools: vec![],
            enable_dhcp: true,
            ipv6_ra_mode: None,
            ipv6_address_mode: None,
            dns_nameservers: vec![],
            host_routes: vec![],
            prefix_source: PrefixSource::Given,
            service_types: vec![],
        }
    }

    /// The prefix, if it is IPv6 and hosts can use it.
    #[must_use]
    pub fn ipv6_prefix(&self) -> Option<Ipv6Net> {
        match self.cidr {
            IpNet::V6(prefix) if !self.is_provisional() => Some(prefix),
            IpNet::V6(_) | IpNet::V4(_) => None,
        }
    }

    /// Whether it still waits for its delegated prefix.
    #[must_use]
    pub fn is_provisional(&self) -> bool {
        self.prefix_source == PrefixSource::Delegated && self.cidr == IpNet::V6(PROVISIONAL_PREFIX)
    }

    /// Whether ports get their EUI-64 address: in either mode hosts form their own (Neutron's
    /// `is_auto_address_subnet`).
    pub fn is_auto_address(&self) -> bool {
        [self.ipv6_ra_mode, self.ipv6_address_mode]
            .into_iter()
            .flatten()
            .any(Ipv6Mode::is_auto_address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_reads_as_it_is_written() {
        for mode in [
            Ipv6Mode::Slaac,
            Ipv6Mode::Dhcpv6Stateful,
            Ipv6Mode::Dhcpv6Stateless,
        ] {
            assert_eq!(mode.as_str().parse(), Ok(mode));
        }
        assert_eq!(
            "SLAAC".parse::<Ipv6Mode>(),
            Err(UnknownMode("SLAAC".into()))
        );
    }
}
