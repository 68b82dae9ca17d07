//! Checks a subnet, in Neutron's order.

use crate::api::contract::error::ApiError;
use crate::api::contract::ipam;
use crate::api::contract::network;
use crate::api::contract::python;
use ipnet::IpNet;
use serde_json::{Value, json};
use sextant_model::{AllocationPool, FixedIp, HostRoute, Intent, IpVersion, Subnet};
use std::net::IpAddr;
use std::sync::Arc;

/// Neutron's `max_dns_nameservers`.
const MOST_NAMESERVERS: usize = 5;
/// Neutron's `max_subnet_host_routes`.
const MOST_ROUTES: usize = 20;

type Check = Result<(), ApiError>;

pub(super) fn ip_version(subnet: &Subnet) -> IpVersion {
    IpVersion::of_prefix(subnet.cidr)
}

pub(super) fn check_new(subnet: &Subnet, ip_version: IpVersion, pools_given: bool) -> Check {
    matches_version(
        ip_version,
        IpVersion::of_prefix(subnet.cidr),
        "cidr",
        &subnet.cidr,
    )?;
    if !subnet.is_provisional() {
        check_cidr(subnet)?;
    }
    if subnet.enable_dhcp {
        check_dhcp(subnet.cidr)?;
    }
    refuse_all_addresses(subnet.cidr)?;
    check_values(subnet, "new subnet")?;
    check_modes(subnet)?;
    check_pools(subnet, pools_given)
}

pub(super) fn check_changed(
    subnet: &Subnet,
    before: &Subnet,
    pools_given: bool,
    intent: &Intent,
) -> Check {
    if subnet.enable_dhcp && !before.enable_dhcp {
        check_dhcp(subnet.cidr)?;
    }
    check_values(subnet, &subnet.id.to_string())?;
    if subnet.gateway_ip != before.gateway_ip {
        refuse_used_gateway(before, intent)?;
    }
    let modes = subnet.ipv6_ra_mode.is_some() || subnet.ipv6_address_mode.is_some();
    if modes && !subnet.enable_dhcp {
        return Err(ApiError::invalid_input(
            "Cannot disable enable_dhcp with ipv6 attributes set",
        ));
    }
    if pools_given || subnet.gateway_ip != before.gateway_ip {
        check_pools(subnet, pools_given)?;
    }
    Ok(())
}

pub(super) fn refuse_overlap<'a>(
    subnet: &Subnet,
    others: impl Iterator<Item = &'a Arc<Subnet>>,
) -> Check {
    let (cidr, network) = (subnet.cidr, subnet.network_id);
    if subnet.is_provisional() {
        return Ok(());
    }
    for other in others.filter(|other| !other.is_provisional()) {
        if cidr.contains(&other.cidr) || other.cidr.contains(&cidr) {
            return Err(ApiError::invalid_input(format!(
                "Requested subnet with cidr: {cidr} for network: {network} overlaps with another subnet"
            )));
        }
    }
    Ok(())
}

/// The unspecified address is no subnet, whatever the length.
fn check_cidr(subnet: &Subnet) -> Check {
    match subnet.cidr {
        IpNet::V6(prefix) if prefix.network().is_unspecified() => {
            Err(ApiError::invalid_input("IPv6 subnet '::' is not supported"))
        }
        IpNet::V4(_) | IpNet::V6(_) => Ok(()),
    }
}

fn refuse_all_addresses(cidr: IpNet) -> Check {
    match cidr.prefix_len() {
        0 => Err(ApiError::invalid_input(
            "0 is not allowed as CIDR prefix length",
        )),
        _ => Ok(()),
    }
}

pub(super) fn check_dhcp(cidr: IpNet) -> Check {
    let longest = if cidr.network().is_ipv4() { 30 } else { 126 };
    let fault = if cidr.prefix_len() > longest {
        "Subnet has a prefix length that is incompatible with DHCP service enabled"
    } else if cidr.network().is_multicast() {
        "Multicast IP subnet is not supported if enable_dhcp is True"
    } else if cidr.network().is_loopback() {
        "Loopback IP subnet is not supported if enable_dhcp is True"
    } else if cidr.network().is_ipv4() && cidr.network().is_unspecified() {
        "First IP '0.0.0.0' of network is not supported if enable_dhcp is True."
    } else {
        return Ok(());
    };
    Err(ApiError::invalid_input(fault))
}

fn check_values(subnet: &Subnet, name: &str) -> Check {
    let ip_version = ip_version(subnet);
    if let Some(gateway) = subnet.gateway_ip {
        matches_version(ip_version, IpVersion::of(gateway), "gateway_ip", &gateway)?;
    }
    check_nameservers(&subnet.dns_nameservers, ip_version, name)?;
    check_routes(&subnet.host_routes, ip_version, name)
}

fn check_nameservers(servers: &[IpAddr], ip_version: IpVersion, name: &str) -> Check {
    if servers.len() > MOST_NAMESERVERS {
        return Err(ApiError::bad(
            "DNSNameServersExhausted",
            exceeds(name, "DNS nameservers", MOST_NAMESERVERS),
        ));
    }
    servers.iter().try_for_each(|server| {
        matches_version(ip_version, IpVersion::of(*server), "dns_nameserver", server)
    })
}

fn check_routes(routes: &[HostRoute], ip_version: IpVersion, name: &str) -> Check {
    if routes.len() > MOST_ROUTES {
        return Err(ApiError::bad(
            "HostRoutesExhausted",
            exceeds(name, "host routes", MOST_ROUTES),
        ));
    }
    routes.iter().try_for_each(|route| {
        matches_version(
            ip_version,
            IpVersion::of(route.nexthop),
            "nexthop",
            &route.nexthop,
        )?;
        matches_version(
            ip_version,
            IpVersion::of_prefix(route.destination),
            "destination",
            &route.destination,
        )
    })
}

fn exceeds(name: &str, what: &str, most: usize) -> String {
    format!(
        "Unable to complete operation for {name}. The number of {what} exceeds the limit {most}."
    )
}

/// The sixteen pairs of modes, and the conditions of each mode.
fn check_modes(subnet: &Subnet) -> Check {
    let (ra, address) = (subnet.ipv6_ra_mode, subnet.ipv6_address_mode);
    let set = match (ra.is_some(), address.is_some()) {
        (false, false) => return Ok(()),
        (true, _) => "ipv6_ra_mode",
        (false, true) => "ipv6_address_mode",
    };
    if ip_version(subnet) == IpVersion::V4 {
        return Err(ApiError::invalid_input(format!(
            "{set} is not valid when ip_version is 4"
        )));
    }
    if !subnet.enable_dhcp {
        let message =
            "ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False";
        return Err(ApiError::invalid_input(message));
    }
    if let (Some(ra), Some(address)) = (ra, address)
        && ra != address
    {
        return Err(ApiError::invalid_input(format!(
            "ipv6_ra_mode set to '{ra}' with ipv6_address_mode set to '{address}' is not valid. If both attributes are \
             set, they must be the same value"
        )));
    }
    if subnet.is_auto_address() && subnet.cidr.prefix_len() != 64 {
        return Err(ApiError::invalid_input(format!(
            "Invalid CIDR {} for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the prefix \
             to be /64",
            subnet.cidr
        )));
    }
    Ok(())
}

fn check_pools(subnet: &Subnet, given: bool) -> Check {
    if given {
        check_given_pools(subnet)?;
    }
    let Some(gateway) = subnet.gateway_ip else {
        return Ok(());
    };
    match subnet
        .allocation_pools
        .iter()
        .find(|pool| ipam::is_in(pool, gateway))
    {
        Some(pool) => Err(ApiError::conflict(
            "GatewayConflictWithAllocationPools",
            format!(
                "Gateway ip {gateway} conflicts with allocation pool {}.",
                range(pool)
            ),
        )),
        None => Ok(()),
    }
}

fn check_given_pools(subnet: &Subnet) -> Check {
    let pools = &subnet.allocation_pools;
    let family = subnet.cidr.network().is_ipv4();
    for pool in pools {
        if !ipam::is_ordered(pool) || pool.start.is_ipv4() != family {
            let pool = json!({"start": pool.start, "end": pool.end});
            return Err(ApiError::bad(
                "InvalidAllocationPool",
                format!("The allocation pool {} is not valid.", python_pool(&pool)),
            ));
        }
        if !ipam::is_within(subnet.cidr, pool) {
            return Err(ApiError::bad(
                "OutOfBoundsAllocationPool",
                format!(
                    "The allocation pool {} spans beyond the subnet cidr {}.",
                    range(pool),
                    subnet.cidr
                ),
            ));
        }
    }
    let mut sorted: Vec<&AllocationPool> = pools.iter().collect();
    // A stable sort keeps the order of pools that begin alike. In sorted pools, some neighbours overlap if any do.
    sorted.sort_by_key(|pool| pool.start);
    match sorted
        .windows(2)
        .find(|pair| ipam::overlap(pair[0], pair[1]))
    {
        Some(pair) => Err(ApiError::conflict(
            "OverlappingAllocationPools",
            format!(
                "Found overlapping allocation pools: {} {} for subnet {}.",
                range(pair[0]),
                range(pair[1]),
                subnet.cidr
            ),
        )),
        None => Ok(()),
    }
}

/// A pool as Neutron prints it, the start first.
fn python_pool(pool: &Value) -> String {
    format!(
        "{{'start': {}, 'end': {}}}",
        python::repr(&pool["start"]),
        python::repr(&pool["end"])
    )
}

fn range(pool: &AllocationPool) -> String {
    format!("{}-{}", pool.start, pool.end)
}

/// Refuses to change a gateway that a router's port has.
fn refuse_used_gateway(before: &Subnet, intent: &Intent) -> Check {
    let Some(gateway) = before.gateway_ip else {
        return Ok(());
    };
    let fixed = FixedIp {
        subnet_id: before.id,
        ip_address: gateway,
    };
    let mut ports = network::router_ports(intent, before.network_id);
    match ports.find(|port| port.fixed_ips.contains(&fixed)) {
        Some(port) => Err(ApiError::conflict(
            "GatewayIpInUse",
            format!(
                "Current gateway ip {gateway} already in use by port {}. Unable to update.",
                port.id
            ),
        )),
        None => Ok(()),
    }
}

fn matches_version(
    wanted: IpVersion,
    given: IpVersion,
    name: &str,
    value: &impl std::fmt::Display,
) -> Check {
    if wanted == given {
        return Ok(());
    }
    Err(ApiError::invalid_input(format!(
        "{name} '{value}' does not match the ip_version '{}'",
        wanted.number()
    )))
}
