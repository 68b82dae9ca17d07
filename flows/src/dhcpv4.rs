//! What the DHCPv4 server hands out to the guest of a port, as its subnets say.

use crate::advertisement::server_mac;
use crate::domains;
use crate::view::View;
use ipnet::{IpNet, Ipv4Net};
use sextant_model::{
    ClasslessRoute, Dhcpv4Lease, Dhcpv4Option, Dhcpv4Service, HostRoute, IpVersion, METADATA_IPV4,
    Network, Port, Subnet, SubnetId,
};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// The server's address on a subnet without a gateway. Hosts never take an address of 169.254.0.0/24 (RFC 3927 §2.1),
/// so it is free.
pub(crate) const SERVER_WITHOUT_GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 67);

/// What DHCPv4 hands out to the guest of a port. `None` if Sextant serves none of its addresses.
pub(crate) fn dhcpv4_service(
    view: &View<'_>,
    network: &Network,
    port: &Port,
) -> Option<Arc<Dhcpv4Service>> {
    let leases: Vec<Dhcpv4Lease> = port
        .ipv4_addresses()
        .filter_map(|(subnet, address)| lease(view, network, subnet, address))
        .collect();
    if leases.is_empty() {
        return None;
    }
    let settings = &view.intent.settings;
    Some(Arc::new(Dhcpv4Service {
        port: port.id,
        mac: port.mac_address,
        server_mac: server_mac(network.key),
        leases,
        lifetime: settings.lease_lifetime,
        mtu: view.facts.network_mtu(network, settings),
        domain: settings.dns_domain.parse().ok(),
        search: match domains::named(network, port) {
            named if named.is_empty() => named,
            _ => domains::searched(view, network, port),
        },
        extra: extra_options(port),
    }))
}

fn lease(
    view: &View<'_>,
    network: &Network,
    subnet: SubnetId,
    address: Ipv4Addr,
) -> Option<Dhcpv4Lease> {
    let subnet: &Subnet = view.intent.subnets.get(&subnet)?;
    let IpNet::V4(prefix) = subnet.cidr else {
        return None;
    };
    let gateway = ipv4(subnet.gateway_ip);
    let mut routes = routes(subnet, gateway);
    routes.extend(metadata_route(view, network, &routes, gateway));
    let default = routes.iter().find(|route| is_default(route));
    subnet.enable_dhcp.then_some(Dhcpv4Lease {
        address: Ipv4Net::new(address, prefix.prefix_len()).ok()?,
        server: gateway.unwrap_or(SERVER_WITHOUT_GATEWAY),
        router: default.map(|route| route.next_hop),
        routes,
        dns_servers: dns_servers(subnet),
        host_name: format!("host-{address}").replace('.', "-").parse().ok()?,
    })
}

/// The subnet's `host_routes`, and a default route by its gateway unless they contain one.
fn routes(subnet: &Subnet, gateway: Option<Ipv4Addr>) -> Vec<ClasslessRoute> {
    let mut routes: Vec<_> = subnet
        .host_routes
        .iter()
        .filter_map(classless_route)
        .collect();
    if let Some(next_hop) = gateway
        && !routes.iter().any(is_default)
    {
        let destination = Ipv4Net::default();
        routes.push(ClasslessRoute {
            destination,
            next_hop,
        });
    }
    routes
}

/// The way to the metadata service, where it is here, unless the subnet's `host_routes` say another: by the router that has the
/// gateway's address, else on the link (RFC 3442, "Local Subnet Routes").
fn metadata_route(
    view: &View<'_>,
    network: &Network,
    routes: &[ClasslessRoute],
    gateway: Option<Ipv4Addr>,
) -> Option<ClasslessRoute> {
    view.own()?.metadata_port?;
    let destination = Ipv4Net::from(METADATA_IPV4);
    if routes.iter().any(|route| route.destination == destination) {
        return None;
    }
    let mut routers = view.intent.router_ports_of(network.id);
    let has_gateway = routers.any(|port| {
        let mut own = port.ipv4_addresses();
        view.router(port).is_some() && own.any(|(_, own)| gateway == Some(own))
    });
    let next_hop = match gateway {
        Some(gateway) if has_gateway => gateway,
        Some(_) | None => Ipv4Addr::UNSPECIFIED,
    };
    Some(ClasslessRoute {
        destination,
        next_hop,
    })
}

fn classless_route(route: &HostRoute) -> Option<ClasslessRoute> {
    match (route.destination, route.nexthop) {
        (IpNet::V4(destination), IpAddr::V4(next_hop)) => Some(ClasslessRoute {
            destination,
            next_hop,
        }),
        _ => None,
    }
}

fn is_default(route: &ClasslessRoute) -> bool {
    route.destination.prefix_len() == 0
}

/// The IPv4 DNS servers of a subnet. Neutron's users write 0.0.0.0 for "no DNS server".
fn dns_servers(subnet: &Subnet) -> Vec<Ipv4Addr> {
    let servers = subnet.dns_nameservers.iter();
    servers
        .filter_map(|server| ipv4(Some(*server)))
        .filter(|server| !server.is_unspecified())
        .collect()
}

fn ipv4(address: Option<IpAddr>) -> Option<Ipv4Addr> {
    match address {
        Some(IpAddr::V4(address)) => Some(address),
        Some(IpAddr::V6(_)) | None => None,
    }
}

/// The port's `extra_dhcp_opts` for IPv4. Those that cannot be sent are left out.
fn extra_options(port: &Port) -> Vec<Dhcpv4Option> {
    let given = port
        .extra_dhcp_opts
        .iter()
        .filter(|option| option.ip_version == IpVersion::V4);
    given
        .filter_map(|option| Dhcpv4Option::parse(&option.opt_name, &option.opt_value).ok())
        .collect()
}
