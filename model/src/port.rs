//! Ports.

use crate::{
    Dhcpv4Option, Dhcpv6Option, IpVersion, MacAddr, MemberAddress, Meta, NetworkId,
    PROVISIONAL_PREFIX, PortId, RouterId, SecurityGroupId, SubnetId, is_link_local,
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The `device_owner` of a router's port on an internal network.
pub const ROUTER_INTERFACE_OWNER: &str = "network:router_interface";

/// The `device_owner` of a router's port on an external network.
pub const ROUTER_GATEWAY_OWNER: &str = "network:router_gateway";

/// An address of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedIp {
    /// The subnet of the address.
    pub subnet_id: SubnetId,
    /// The address.
    pub ip_address: IpAddr,
}

/// A source that a port may use besides its own addresses (`allowed_address_pairs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressPair {
    /// The MAC. `None`: the port's own.
    pub mac_address: Option<MacAddr>,
    /// The addresses.
    pub ip_address: IpNet,
}

/// An entry of `extra_dhcp_opts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpOption {
    /// The option's name or number.
    pub opt_name: String,
    /// Its value.
    pub opt_value: String,
    /// The IP version of the DHCP that it is for.
    pub ip_version: IpVersion,
}

impl DhcpOption {
    /// Why DHCP answers leave it out, if they do. Neutron accepts any text for an option and leaves it to its DHCP
    /// server.
    #[must_use]
    pub fn unsendable(&self) -> Option<String> {
        match self.ip_version {
            IpVersion::V4 => Dhcpv4Option::parse(&self.opt_name, &self.opt_value)
                .err()
                .map(|error| error.to_string()),
            IpVersion::V6 => Dhcpv6Option::parse(&self.opt_name, &self.opt_value)
                .err()
                .map(|error| error.to_string()),
        }
    }
}

/// A binding of a port to a host that is being prepared for it, beside the active one (Neutron's `binding-extended`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InactiveBinding {
    /// The host. A port has at most one binding to it, active or not.
    pub host: String,
    /// `vnic_type`.
    pub vnic_type: String,
    /// `profile`, as [`Port::binding_profile`].
    pub profile: String,
}

/// One attachment to a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its id; the `iface-id` of its interface.
    pub id: PortId,
    /// The network that it attaches to.
    pub network_id: NetworkId,
    /// Name, project, times, revision.
    pub meta: Meta,
    /// Its Ethernet address.
    pub mac_address: MacAddr,
    /// Its addresses.
    pub fixed_ips: Vec<FixedIp>,
    /// Administratively up. A port that is down neither sends nor receives.
    pub admin_state_up: bool,
    /// Who uses the port: a server or router id, by convention.
    pub device_id: String,
    /// What kind of user that is, by Neutron's convention.
    pub device_owner: String,
    /// Whether the port may send only from its own addresses and its pairs.
    pub port_security_enabled: bool,
    /// Sources that it may use besides its own addresses.
    pub allowed_address_pairs: Vec<AddressPair>,
    /// Options for its DHCP answers.
    pub extra_dhcp_opts: Vec<DhcpOption>,
    /// `binding:host_id`, as Nova sets it. The port is where its interface really appears.
    pub host_id: String,
    /// `binding:vnic_type`.
    pub vnic_type: String,
    /// The groups whose rules it is under.
    #[serde(default)]
    pub security_groups: BTreeSet<SecurityGroupId>,
    /// `dns_name`: the name of its guest.
    #[serde(default)]
    pub dns_name: String,
    /// The domain of its guest's name, for services that fill a DNS from here. Empty: the network's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub dns_domain: String,
    /// `binding:profile`: data that others keep with the port, as the text of a JSON object. Empty: no data.
    #[serde(default)]
    pub binding_profile: String,
    /// Its bindings to hosts where it is not yet, or not any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inactive_bindings: Vec<InactiveBinding>,
}

impl Port {
    /// A port that nobody uses yet: up, without groups, addresses and pairs, with port security.
    #[must_use]
    pub fn new(id: PortId, network_id: NetworkId, mac_address: MacAddr) -> Self {
        Self {
            id,
            network_id,
            meta: Meta::default(),
            mac_address,
            fixed_ips: vec![],
            admin_state_up: true,
            device_id: String::new(),
            device_owner: String::new(),
            port_security_enabled: true,
            allowed_address_pairs: vec![],
            extra_dhcp_opts: vec![],
            host_id: String::new(),
            vnic_type: "normal".to_owned(),
            security_groups: BTreeSet::new(),
            dns_name: String::new(),
            dns_domain: String::new(),
            binding_profile: String::new(),
            inactive_bindings: vec![],
        }
    }

    /// Whether a guest may come to this host from where the port is bound: a binding there waits to be activated, or
    /// Nova has named it as `migrating_to` in `binding:profile`.
    #[must_use]
    pub fn is_prepared_on(&self, host: &str) -> bool {
        let mut others = self.inactive_bindings.iter();
        others.any(|binding| binding.host == host)
            || self.migrating_to().is_some_and(|named| named == host)
    }

    /// Whether a guest may come to another host than the one where the port is bound.
    #[must_use]
    pub fn is_prepared_elsewhere(&self) -> bool {
        !self.inactive_bindings.is_empty() || self.migrating_to().is_some()
    }

    /// The host that Nova moves the guest to, as it says in `binding:profile`.
    fn migrating_to(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Profile {
            migrating_to: String,
        }
        let profile: Profile = serde_json::from_str(&self.binding_profile).ok()?;
        Some(profile.migrating_to)
    }

    /// Whether it has an address of this subnet.
    #[must_use]
    pub fn has_address_of(&self, subnet: SubnetId) -> bool {
        self.fixed_ips.iter().any(|fixed| fixed.subnet_id == subnet)
    }

    /// The router that has this port as an internal interface.
    #[must_use]
    pub fn router(&self) -> Option<RouterId> {
        if self.device_owner != ROUTER_INTERFACE_OWNER {
            return None;
        }
        self.device_id.parse().ok()
    }

    /// The router that has this port as its external gateway.
    #[must_use]
    pub fn gateway_of(&self) -> Option<RouterId> {
        if self.device_owner != ROUTER_GATEWAY_OWNER {
            return None;
        }
        self.device_id.parse().ok()
    }

    /// Whether it is a router's port, internal or external. Nobody plugs such a port in.
    #[must_use]
    pub fn is_of_router(&self) -> bool {
        [ROUTER_INTERFACE_OWNER, ROUTER_GATEWAY_OWNER].contains(&self.device_owner.as_str())
    }

    /// Whether it belongs to the network: a router's or a DHCP server's port, not a guest's.
    #[must_use]
    pub fn is_of_network(&self) -> bool {
        self.device_owner.starts_with("network:")
    }

    /// The full name of its guest, if it has a name.
    #[must_use]
    pub fn full_name(&self, domain: &str) -> Option<String> {
        let named = !self.dns_name.is_empty();
        named.then(|| in_domain(&self.dns_name, domain))
    }

    /// The MACs that it may use besides its own.
    #[must_use]
    pub fn other_macs(&self) -> BTreeSet<MacAddr> {
        let pairs = self.allowed_address_pairs.iter();
        pairs
            .filter_map(|pair| pair.mac_address)
            .filter(|mac| *mac != self.mac_address && !mac.is_multicast())
            .collect()
    }

    /// The addresses given to it. The link-local one and those that wait for a prefix are not among them.
    pub fn addresses(&self) -> impl Iterator<Item = (SubnetId, IpAddr)> + '_ {
        let given = self.fixed_ips.iter();
        given
            .filter(|fixed| match fixed.ip_address {
                IpAddr::V6(address) => !PROVISIONAL_PREFIX.contains(&address),
                IpAddr::V4(_) => true,
            })
            .map(|fixed| (fixed.subnet_id, fixed.ip_address))
    }

    /// The IPv4 addresses among [`Port::addresses`].
    pub fn ipv4_addresses(&self) -> impl Iterator<Item = (SubnetId, Ipv4Addr)> + '_ {
        self.addresses()
            .filter_map(|(subnet, address)| match address {
                IpAddr::V4(address) => Some((subnet, address)),
                IpAddr::V6(_) => None,
            })
    }

    /// The IPv6 addresses among [`Port::addresses`].
    pub fn ipv6_addresses(&self) -> impl Iterator<Item = (SubnetId, Ipv6Addr)> + '_ {
        self.addresses()
            .filter_map(|(subnet, address)| match address {
                IpAddr::V6(address) => Some((subnet, address)),
                IpAddr::V4(_) => None,
            })
    }

    /// Whether it may send from an address with this MAC only because of a pair.
    #[must_use]
    pub fn is_paired(&self, address: IpNet, mac: MacAddr) -> bool {
        let mut pairs = self.allowed_address_pairs.iter();
        let is_allowed = pairs.any(|pair| {
            let of_mac = pair.mac_address.unwrap_or(self.mac_address) == mac;
            of_mac && pair.ip_address.contains(&address)
        });
        let mut own = self.addresses();
        let is_own = mac == self.mac_address && own.any(|(_, own)| IpNet::from(own) == address);
        self.port_security_enabled && is_allowed && !is_own
    }

    /// Whether it may have an address from its pairs at this MAC. Its own, link-local and group addresses do not count.
    #[must_use]
    pub fn may_hold(&self, address: IpAddr, mac: MacAddr) -> bool {
        let of_somebody = match address {
            IpAddr::V6(address) => !address.is_unspecified() && !is_link_local(address),
            IpAddr::V4(address) => !address.is_unspecified() && !address.is_broadcast(),
        };
        of_somebody && !address.is_multicast() && self.is_paired(address.into(), mac)
    }

    /// The addresses of the port as a member of its groups: its own, those of its pairs, as in Neutron, and its
    /// link-local one.
    pub fn member_addresses(&self) -> BTreeSet<MemberAddress> {
        let fixed = self.addresses().map(|(_, address)| address.into());
        let pairs = self.allowed_address_pairs.iter();
        let pairs = pairs.map(|pair| pair.ip_address.trunc());
        let link_local = MemberAddress::OnLink(self.network_id, self.mac_address.link_local());
        fixed
            .chain(pairs)
            .map(MemberAddress::Given)
            .chain([link_local])
            .collect()
    }
}

/// A host's name within a domain. A name that ends with a dot is already full.
#[must_use]
pub fn in_domain(name: &str, domain: &str) -> String {
    match domain.trim_end_matches('.') {
        "" => name.to_owned(),
        _ if name.ends_with('.') => name.to_owned(),
        domain => format!("{name}.{domain}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_within_the_domain_unless_it_is_full_or_there_is_none() {
        assert_eq!(in_domain("web", "example.org"), "web.example.org.");
        assert_eq!(in_domain("web", "example.org."), "web.example.org.");
        assert_eq!(
            in_domain("web.example.net.", "example.org"),
            "web.example.net."
        );
        assert_eq!(in_domain("web", ""), "web");
    }
}
