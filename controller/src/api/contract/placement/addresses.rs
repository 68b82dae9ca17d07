//! Which addresses a port has.
//!
//! What is wanted is a list of subnets, each with an address or with any. Addresses that the port has already are kept
//! where they fit; the rest is claimed. Auto-address subnets of the network are always among the result, unless the port
//! is a router's.

use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::ipam;
use crate::api::contract::kind::Kind;
use crate::api::contract::values::{self, Invalid};
use ipnet::IpNet;
use serde_json::Value;
use sextant_model::{
    Claim, FixedIp, Intent, NetworkId, ObjectKey, PROVISIONAL_PREFIX, Port, Subnet, SubnetId,
};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// The addresses that a port is to have, besides those that it gets by itself.
#[derive(Clone, Debug)]
pub(crate) enum WantedAddresses {
    /// Exactly these.
    Listed(Vec<ListedIp>),
    /// One address from each of these groups of subnets, if it has a free one.
    OneOfEach(Vec<Vec<Arc<Subnet>>>),
}

/// One entry of a list of addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListedIp {
    subnet: Option<SubnetId>,
    /// The address, if one is named.
    pub(crate) address: Option<IpAddr>,
}

impl WantedAddresses {
    /// The addresses of a port that names no address: an IPv4 and an IPv6 address from pools, if there are such subnets.
    pub(crate) fn anywhere(
        intent: &Intent,
        network: NetworkId,
        owner: &str,
    ) -> Result<Self, ApiError> {
        let subnets = candidates(intent, network, owner);
        if subnets.is_empty() && intent.subnets_of(network).next().is_some() {
            return Err(no_subnet_for(network, owner));
        }
        let groups = [from_pools(&subnets, true), from_pools(&subnets, false)];
        let groups = groups.into_iter().filter(|group| !group.is_empty());
        Ok(Self::OneOfEach(groups.collect()))
    }

    /// The addresses of a port, except those that it gets by itself.
    pub(crate) fn kept(port: &Port, intent: &Intent) -> Self {
        let kept = port.fixed_ips.iter();
        let kept = kept.filter(|fixed| !is_by_itself(fixed, intent));
        let listed = kept.map(|fixed| ListedIp {
            subnet: Some(fixed.subnet_id),
            address: Some(fixed.ip_address),
        });
        Self::Listed(listed.collect())
    }
}

/// The subnets of one family whose addresses come from pools.
fn from_pools(subnets: &[Arc<Subnet>], ipv4: bool) -> Vec<Arc<Subnet>> {
    let of_family = subnets
        .iter()
        .filter(|subnet| subnet.cidr.network().is_ipv4() == ipv4);
    of_family
        .filter(|subnet| !subnet.is_auto_address())
        .cloned()
        .collect()
}

/// Whether a port gets an address by itself.
fn is_by_itself(fixed: &FixedIp, intent: &Intent) -> bool {
    let subnet = intent.subnets.get(&fixed.subnet_id);
    subnet.is_some_and(|subnet| subnet.is_auto_address())
}

/// The owner of DHCP servers' ports. They may have addresses of every subnet with DHCP.
const DHCP_OWNER: &str = "network:dhcp";

/// The subnets that ports of this owner may have addresses of. Those for this owner in particular come first.
fn candidates(intent: &Intent, network: NetworkId, owner: &str) -> Vec<Arc<Subnet>> {
    let mut subnets: Vec<Arc<Subnet>> = intent
        .subnets_of(network)
        .filter(|subnet| is_for(subnet, owner))
        .cloned()
        .collect();
    subnets.sort_by_key(|subnet| subnet.service_types.is_empty());
    subnets
}

/// Whether ports of this owner can have addresses of a subnet.
pub(crate) fn is_for(subnet: &Subnet, owner: &str) -> bool {
    subnet.service_types.is_empty()
        || subnet.service_types.iter().any(|service| service == owner)
        || (owner == DHCP_OWNER && subnet.enable_dhcp)
}

/// The entries of `fixed_ips`, or of a list of the same form.
pub(crate) fn listed(value: &Value) -> Result<Vec<ListedIp>, Invalid> {
    let listed = values::list(listed_ip)(value)?;
    let mut seen = std::collections::BTreeSet::new();
    match listed
        .iter()
        .filter_map(|asked| asked.address)
        .find(|address| !seen.insert(*address))
    {
        Some(twice) => Err(Invalid::Reason(format!("Duplicate IP address '{twice}'"))),
        None => Ok(listed),
    }
}

fn listed_ip(entry: &Value) -> Result<ListedIp, Invalid> {
    let entry = values::object(entry, &["subnet_id", "ip_address"], "fixed IP")?;
    Ok(ListedIp {
        subnet: entry
            .get("subnet_id")
            .map(values::id(SubnetId))
            .transpose()?,
        address: entry.get("ip_address").map(values::address).transpose()?,
    })
}

/// Claims the addresses that the port will have, and releases those that it had and will not have.
pub(crate) fn settle(
    draft: &mut Draft,
    port: &Port,
    wanted: WantedAddresses,
) -> Result<Vec<FixedIp>, ApiError> {
    let mut settled = Settlement {
        draft,
        port,
        had: port.fixed_ips.clone(),
        has: Vec::new(),
    };
    match wanted {
        WantedAddresses::Listed(listed) => settled.listed(&listed)?,
        WantedAddresses::OneOfEach(groups) => {
            for group in &groups {
                settled.one_of(group)?;
            }
        }
    }
    settled.by_itself()?;
    settled.finish()
}

/// Takes any address of a subnet for a port, if there is a free one.
pub(crate) fn any_of(draft: &mut Draft, port: &Port, subnet: &Arc<Subnet>) -> Option<FixedIp> {
    let mut settled = Settlement {
        draft,
        port,
        had: Vec::new(),
        has: Vec::new(),
    };
    settled.one_of(std::slice::from_ref(subnet)).ok()?;
    settled.has.pop()
}

/// Takes an address.
pub(crate) fn claim(draft: &mut Draft, fixed: FixedIp) -> Result<(), ApiError> {
    let FixedIp {
        subnet_id,
        ip_address,
    } = fixed;
    if draft.claim(Claim::Address(subnet_id, ip_address)) {
        return Ok(());
    }
    Err(ApiError::conflict(
        "IpAddressAlreadyAllocated",
        format!("IP address {ip_address} already allocated in subnet {subnet_id}"),
    ))
}

/// Gives an address back.
pub(crate) fn release(draft: &mut Draft, fixed: FixedIp) {
    draft.delete(Claim::Address(fixed.subnet_id, fixed.ip_address));
}

struct Settlement<'a> {
    draft: &'a mut Draft,
    port: &'a Port,
    /// Addresses that the port had, and that are not yet among the new ones.
    had: Vec<FixedIp>,
    has: Vec<FixedIp>,
}

impl Settlement<'_> {
    fn listed(&mut self, listed: &[ListedIp]) -> Result<(), ApiError> {
        let mut anywhere = Vec::new();
        for asked in listed {
            let subnet = self.subnet_of(*asked)?;
            match asked.address {
                Some(address) => self.explicit(&subnet, address)?,
                None => anywhere.push(subnet),
            }
        }
        let is_router = self.is_router();
        anywhere.retain(|subnet| is_router || !subnet.is_auto_address());
        for subnet in anywhere {
            if !self.keep(|fixed| fixed.subnet_id == subnet.id) {
                self.one_of(&[subnet])?;
            }
        }
        Ok(())
    }

    fn is_router(&self) -> bool {
        self.port.router().is_some()
    }

    /// Keeps those of the port's addresses that fit.
    fn keep(&mut self, fits: impl Fn(&FixedIp) -> bool) -> bool {
        let Some(at) = self.had.iter().position(fits) else {
            return false;
        };
        self.has.push(self.had.remove(at));
        true
    }

    fn explicit(&mut self, subnet: &Subnet, address: IpAddr) -> Result<(), ApiError> {
        let fixed = FixedIp {
            subnet_id: subnet.id,
            ip_address: address,
        };
        if subnet.is_auto_address() && !self.is_router() {
            // An address that the port gets by itself may be listed as well. It is added later, with the others of its
            // kind.
            let by_itself = self.had.contains(&fixed) && eui64(self.port, subnet) == Some(fixed);
            return if by_itself {
                Ok(())
            } else {
                Err(on_auto_address(subnet, address))
            };
        }
        if self.keep(|had| *had == fixed) {
            return Ok(());
        }
        if !ipam::is_usable(subnet.cidr, address, self.port.is_of_router()) {
            return Err(not_of_subnet(address));
        }
        self.draft.relies_on(ObjectKey::Subnet(subnet.id));
        claim(self.draft, fixed)?;
        self.has.push(fixed);
        Ok(())
    }

    /// Any address of any of the subnets.
    fn one_of(&mut self, subnets: &[Arc<Subnet>]) -> Result<(), ApiError> {
        for subnet in subnets {
            self.draft.relies_on(ObjectKey::Subnet(subnet.id));
            let intent = self.draft.intent.clone();
            let claimed = intent.claimed_addresses(subnet.id);
            if let Some(ip_address) = ipam::pick(
                &subnet.allocation_pools,
                &mut self.draft.dice,
                |address| !intent.is_claimed(&Claim::Address(subnet.id, address)),
                claimed,
            ) {
                let fixed = FixedIp {
                    subnet_id: subnet.id,
                    ip_address,
                };
                claim(self.draft, fixed)?;
                self.has.push(fixed);
                return Ok(());
            }
        }
        let network = self.port.network_id;
        Err(ApiError::conflict(
            "IpAddressGenerationFailure",
            format!("No more IP addresses available on network {network}."),
        ))
    }

    /// The EUI-64 address on each auto-address subnet.
    fn by_itself(&mut self) -> Result<(), ApiError> {
        if self.is_router() {
            return Ok(());
        }
        let Port {
            network_id,
            device_owner,
            ..
        } = self.port;
        let subnets = candidates(&self.draft.intent, *network_id, device_owner);
        for subnet in subnets.iter().filter(|subnet| subnet.is_auto_address()) {
            let Some(fixed) = eui64(self.port, subnet) else {
                continue;
            };
            if !self.keep(|had| *had == fixed) {
                self.draft.relies_on(ObjectKey::Subnet(subnet.id));
                claim(self.draft, fixed)?;
                self.has.push(fixed);
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<FixedIp>, ApiError> {
        self.had
            .iter()
            .for_each(|fixed| release(self.draft, *fixed));
        Ok(self.has)
    }

    /// Whether the port can have addresses of a subnet, or has one.
    fn is_candidate(&self, subnet: &Subnet) -> bool {
        subnet.network_id == self.port.network_id
            && (is_for(subnet, &self.port.device_owner) || self.port.has_address_of(subnet.id))
    }

    fn subnet_of(&self, asked: ListedIp) -> Result<Arc<Subnet>, ApiError> {
        match (asked.subnet, asked.address) {
            (None, None) => Err(ApiError::invalid_input(
                "IP allocation requires subnet_id or ip_address",
            )),
            (None, Some(address)) => {
                let mut subnets = self.draft.intent.subnets_of(self.port.network_id);
                let of = subnets
                    .find(|subnet| subnet.cidr.contains(&address) && self.is_candidate(subnet));
                of.cloned().ok_or_else(|| not_of_network(address))
            }
            (Some(id), address) => {
                let subnet = Subnet::get(&self.draft.intent, id)?;
                if !self.is_candidate(&subnet) {
                    return Err(of_another_network(id, self.port.network_id));
                }
                match address.filter(|address| !subnet.cidr.contains(address)) {
                    Some(address) => Err(not_of_subnet(address)),
                    None => Ok(subnet),
                }
            }
        }
    }
}

/// The address that the port has by itself on an auto-address subnet.
pub(crate) fn eui64(port: &Port, subnet: &Subnet) -> Option<FixedIp> {
    let IpNet::V6(prefix) = subnet.cidr else {
        return None;
    };
    if !subnet.is_auto_address() {
        return None;
    }
    let ip_address = port.mac_address.eui64(prefix.network()).into();
    Some(FixedIp {
        subnet_id: subnet.id,
        ip_address,
    })
}

fn on_auto_address(subnet: &Subnet, address: IpAddr) -> ApiError {
    ApiError::bad(
        "AllocationOnAutoAddressSubnet",
        format!(
            "IPv6 address {address} cannot be directly assigned to a port on subnet {} as the subnet is configured for \
             automatic addresses",
            subnet.id
        ),
    )
}

pub(crate) fn not_of_subnet(address: IpAddr) -> ApiError {
    ApiError::bad(
        "InvalidIpForSubnet",
        format!("IP address {address} is not a valid IP for the specified subnet."),
    )
}

fn not_of_network(address: IpAddr) -> ApiError {
    ApiError::bad(
        "InvalidIpForNetwork",
        format!(
            "IP address {address} is not a valid IP for any of the subnets on the specified network."
        ),
    )
}

fn no_subnet_for(network: NetworkId, owner: &str) -> ApiError {
    ApiError::conflict(
        "IpAddressGenerationFailureNoMatchingSubnet",
        format!(
            "No valid service subnet for the given device owner, network {network}, service type {owner}."
        ),
    )
}

fn of_another_network(subnet: SubnetId, network: NetworkId) -> ApiError {
    ApiError::invalid_input(format!(
        "Failed to create port on network {network}, because fixed_ips included invalid subnet {subnet}"
    ))
}

/// The values that a filter of `fixed_ips` gives for one name.
pub(crate) fn values_of(name: &str, filters: &[String]) -> Vec<String> {
    let given = filters.iter().filter_map(|filter| filter.split_once('='));
    let given = given.filter(|(given, _)| *given == name);
    given.map(|(_, value)| value.to_owned()).collect()
}

/// Whether an address belongs to a subnet that waits for its prefix. Such addresses are not indexed.
pub(crate) fn may_wait(address: &str) -> bool {
    let address = address.parse();
    address.is_ok_and(|address: Ipv6Addr| PROVISIONAL_PREFIX.contains(&address))
}

/// Whether addresses meet the filters `subnet_id=…`, `ip_address=…` and `ip_address_substr=…`. Of each filter that is
/// given, one value has to fit.
pub(crate) fn meet(fixed_ips: &[FixedIp], filters: &[String]) -> bool {
    filters.iter().all(|filter| {
        let wanted = name_of(filter);
        let mut same = filters.iter().filter(|filter| name_of(filter) == wanted);
        same.any(|filter| fixed_ips.iter().any(|fixed| matches(fixed, filter)))
    })
}

fn name_of(filter: &str) -> &str {
    filter.split('=').next().unwrap_or_default()
}

fn matches(fixed: &FixedIp, filter: &str) -> bool {
    match filter.split_once('=') {
        Some(("subnet_id", id)) => id.parse() == Ok(fixed.subnet_id),
        Some(("ip_address", address)) => address.parse() == Ok(fixed.ip_address),
        Some(("ip_address_substr", part)) => fixed.ip_address.to_string().contains(part),
        _ => false,
    }
}
