//! Whether the port has addresses, and the guest is told of them.

use super::Case;
use crate::control::verbs::finding::Finding;
use sextant_model::{IpVersion, Ipv6Mode, Port, Subnet};

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let subnets = case.subnets();
    if subnets.is_empty() {
        return vec![without(case)];
    }
    subnets
        .into_iter()
        .map(|subnet| of_subnet(case, subnet))
        .collect()
}

fn without(case: &Case<'_>) -> Finding {
    let (port, intent) = (case.port, &case.snapshot.intent);
    let (id, network) = (port.id, port.network_id);
    match intent.subnets_of(network).next() {
        None => Finding::bad(
            "addresses",
            format!("The port has no address, since its network {network} has no subnet."),
            format!("openstack subnet create --network {network} …; is it the right network?"),
        ),
        Some(subnet) => Finding::bad(
            "addresses",
            "The port has no address, although its network has a subnet.".to_owned(),
            format!("openstack port set --fixed-ip subnet={} {id}", subnet.id),
        ),
    }
}

fn of_subnet(case: &Case<'_>, subnet: &Subnet) -> Finding {
    let address = addresses(case.port, subnet);
    if subnet.awaits_prefix() {
        return awaiting(case, subnet);
    }
    if !subnet.enable_dhcp {
        return Finding::hint(
            "subnet",
            format!(
                "{address}: nobody tells the guest, since DHCP is off for subnet {}.",
                subnet.cidr
            ),
            format!(
                "configure it in the guest, or: openstack subnet set --dhcp {}",
                subnet.id
            ),
        );
    }
    match IpVersion::of_prefix(subnet.cidr) {
        IpVersion::V4 => Finding::good("subnet", format!("{address} by DHCP, of {}.", subnet.cidr)),
        IpVersion::V6 => of_ipv6(case, subnet, &address),
    }
}

fn addresses(port: &Port, subnet: &Subnet) -> String {
    let fixed = port.fixed_ips.iter().filter(|ip| ip.subnet_id == subnet.id);
    let addresses: Vec<String> = fixed.map(|ip| ip.ip_address.to_string()).collect();
    addresses.join(", ")
}

fn of_ipv6(case: &Case<'_>, subnet: &Subnet, address: &str) -> Finding {
    const CHECK: &str = "subnet";
    let (id, cidr) = (subnet.id, subnet.cidr);
    let (ra, mode) = (subnet.ipv6_ra_mode, subnet.ipv6_address_mode);
    let routers = case.routers_of(id).len();
    match (ra, mode) {
        (None, None) => Finding::hint(
            CHECK,
            format!(
                "{address}: subnet {cidr} has no mode, so neither advertisements nor DHCPv6 tell the guest."
            ),
            format!(
                "configure it in the guest, or make a subnet with --ipv6-ra-mode and --ipv6-address-mode (those of {id} \
                 cannot be changed)"
            ),
        ),
        (None, Some(Ipv6Mode::Slaac)) => Finding::hint(
            CHECK,
            format!(
                "{address}: a router outside of Sextant has to advertise {cidr} (no ipv6_ra_mode)."
            ),
            "is there such a router on the provider network?".to_owned(),
        ),
        (Some(ra), _) if routers == 0 => Finding::bad(
            CHECK,
            format!(
                "No router is on subnet {cidr}, so nobody advertises it: its mode is {ra}, and advertisements come from a \
                 router."
            ),
            format!("openstack router add subnet ROUTER {id}"),
        ),
        (ra, mode) => {
            let says = mode.or(ra).map_or("", Ipv6Mode::as_str);
            Finding::good(CHECK, format!("{address} by {says}, of {cidr}."))
        }
    }
}

/// A subnet that waits for a prefix needs a router, its gateway outside, and a server there.
fn awaiting(case: &Case<'_>, subnet: &Subnet) -> Finding {
    const CHECK: &str = "prefix";
    let (intent, facts) = (&case.snapshot.intent, &case.snapshot.facts);
    let waits = format!("Subnet {} waits for a delegated prefix", subnet.id);
    let routers = case.routers_of(subnet.id);
    let ids = routers.iter().filter_map(|port| port.router());
    let Some(router) = ids.filter_map(|id| intent.routers.get(&id)).next() else {
        return Finding::bad(
            CHECK,
            format!("{waits}, and is on no router: routers ask for prefixes."),
            format!("openstack router add subnet ROUTER {}", subnet.id),
        );
    };
    let id = router.id;
    match (&router.external_gateway, facts.gateways().get(&id)) {
        (None, _) => Finding::bad(
            CHECK,
            format!("{waits}, and its router {id} has no external gateway to ask through."),
            format!("openstack router set --external-gateway NETWORK {id}"),
        ),
        (Some(_), None) => Finding::bad(
            CHECK,
            format!("{waits}, and the gateway of its router {id} is on no hypervisor."),
            "a hypervisor needs external_ids:sextant-bridge-mappings for the external network".to_owned(),
        ),
        (Some(_), Some((chassis, _))) => Finding::bad(
            CHECK,
            format!("{waits}: its router {id} asks from hypervisor {chassis}, and has got none."),
            "does the DHCPv6 server delegate? sextant_delegation_messages_total counts both ways; tcpdump port 547".to_owned(),
        ),
    }
}
