//! What routers and the DHCPv6 server announce to the guests of a network, as the modes of its subnets ask for.

mod routes;

use crate::domains;
use crate::view::View;
use ipnet::Ipv6Net;
use sextant_model::{
    AdvertisedLink, AdvertisedOptions, AdvertisedPrefix, AdvertisedRoutes, Advertisement,
    ChassisId, Dhcpv6Option, Dhcpv6Options, Dhcpv6Service, DomainName, Facts, Intent, IpVersion,
    Ipv6Mode, LeasedAddress, MacAddr, Network, NetworkKey, Port, PortId, PrefixEnds, PrefixSource,
    RaSettings, Subnet, SubnetId,
};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// A subnet, its mode, and its prefix.
type AdvertisedSubnet<'a> = (&'a Subnet, Ipv6Mode, Ipv6Net);

/// The smallest MTU of an IPv6 link (RFC 8200 §5).
const MINIMUM_MTU: u16 = 1280;

/// What a router's port advertises on its network, and how often. `None` if no subnet there asks for advertisements.
pub(crate) fn advertised_link(
    view: &View<'_>,
    network: &Network,
    port: &Port,
) -> Option<AdvertisedLink> {
    let router = view.router(port)?;
    let subnets = advertised_subnets(view, port);
    if subnets.is_empty() {
        return None;
    }
    let settings = settings(view, network);
    let modes: BTreeSet<Ipv6Mode> = subnets.iter().map(|(_, mode, _)| *mode).collect();
    let stateful = modes.contains(&Ipv6Mode::Dhcpv6Stateful);
    let mtu = view.facts.network_mtu(network, &view.intent.settings);
    let advertisement = Advertisement {
        mac: port.mac_address,
        source: port.mac_address.link_local(),
        hop_limit: settings.hop_limit,
        managed: stateful,
        other: stateful || modes.contains(&Ipv6Mode::Dhcpv6Stateless),
        lifetime: settings.lifetime,
        mtu: (mtu >= MINIMUM_MTU).then_some(mtu),
        prefixes: subnets
            .iter()
            .map(|(subnet, mode, prefix)| {
                advertised_prefix(view, &settings, (subnet, *mode, *prefix))
            })
            .collect(),
        dns_servers: dns_servers(subnets.iter().map(|(subnet, ..)| *subnet)),
        dns_lifetime: settings.option_lifetime().into(),
        options: AdvertisedOptions {
            search_domains: domains::of_network(network).into_iter().collect(),
            routes: routes::advertised(&settings, (router, port), &subnets),
            ..settings.options()
        },
    };
    Some(AdvertisedLink {
        network: network.key,
        advertisement: Arc::new(advertisement),
        interval: settings.interval(),
    })
}

/// The configuration's settings, and what the network's tags say instead. Tags that say nothing are ignored: the API
/// refuses them, so they are from elsewhere.
fn settings<'a>(view: &View<'a>, network: &Network) -> Cow<'a, RaSettings> {
    let configured = &view.intent.settings.ra;
    let tagged = configured.on_network(&network.meta.tags);
    tagged.unwrap_or(Cow::Borrowed(configured))
}

/// Whether the routers on a network advertise their own routes there.
pub(crate) fn advertises_all_routes(view: &View<'_>, network: &Network) -> bool {
    settings(view, network).routes == AdvertisedRoutes::All
}

/// What a router's port advertises wherever its network has guests. `None` if it does not advertise.
#[must_use]
pub fn advertised(intent: &Intent, facts: &Facts, port: PortId) -> Option<AdvertisedLink> {
    let nowhere = ChassisId::new("");
    let view = View::new(intent, facts, &nowhere);
    let port = intent.ports.get(&port)?;
    let network = view.network(port.network_id)?;
    advertised_link(&view, network, port)
}

/// The subnets of a router's port that Sextant advertises, with their mode.
fn advertised_subnets<'a>(view: &View<'a>, port: &Port) -> Vec<AdvertisedSubnet<'a>> {
    let ids: BTreeSet<SubnetId> = port.ipv6_addresses().map(|(subnet, _)| subnet).collect();
    let subnets = ids.into_iter().filter_map(|id| view.subnet(id));
    subnets
        .filter(|subnet| subnet.enable_dhcp)
        .filter_map(|subnet| Some((subnet, subnet.ipv6_ra_mode?, subnet.ipv6_prefix()?)))
        .collect()
}

fn advertised_prefix(
    view: &View<'_>,
    settings: &RaSettings,
    (subnet, mode, prefix): AdvertisedSubnet<'_>,
) -> AdvertisedPrefix {
    let own = settings.on_subnet(&subnet.meta.tags);
    let settings = own.unwrap_or(Cow::Borrowed(settings));
    AdvertisedPrefix {
        prefix,
        on_link: true,
        autonomous: mode.is_auto_address(),
        valid: settings.valid_lifetime,
        preferred: settings.preferred_lifetime,
        delegation_preferred: false,
        ends: (subnet.prefix_source == PrefixSource::Delegated)
            .then(|| delegation_ends(view, subnet.id, prefix)),
    }
}

/// When a subnet's delegated prefix ends. A prefix that is delegated no more has ended, even while the subnet still has
/// it.
fn delegation_ends(view: &View<'_>, subnet: SubnetId, prefix: Ipv6Net) -> PrefixEnds {
    const LONG_AGO: PrefixEnds = PrefixEnds {
        preferred_until: i64::MIN,
        valid_until: i64::MIN,
    };
    let delegation = view.facts.delegations().get(&subnet);
    let delegation = delegation.filter(|delegation| delegation.subnet_prefix() == prefix);
    delegation.map_or(LONG_AGO, |delegation| PrefixEnds {
        preferred_until: delegation.preferred_until,
        valid_until: delegation.valid_until,
    })
}

/// What DHCPv6 hands out to the guest of a port. `None` if Sextant serves no subnet of the network.
pub(crate) fn dhcpv6_service(
    view: &View<'_>,
    network: &Network,
    port: &Port,
) -> Option<Arc<Dhcpv6Service>> {
    let identity = view.intent.server_identity?;
    let served: Vec<&Subnet> = view
        .intent
        .subnets_of(network.id)
        .map(Arc::as_ref)
        .filter(|subnet| served_mode(subnet).is_some())
        .collect();
    if served.is_empty() {
        return None;
    }
    let server_mac = server_mac(network.key);
    Some(Arc::new(Dhcpv6Service {
        port: port.id,
        server_mac,
        server_address: server_mac.link_local(),
        server_duid: identity.duid(),
        addresses: leased_addresses(view, port),
        on_link: view
            .intent
            .subnets_of(network.id)
            .filter_map(|subnet| subnet.ipv6_prefix())
            .collect(),
        dns_servers: dns_servers(served.iter().copied()),
        domains: domains::searched(view, network, port)
            .iter()
            .map(DomainName::to_string)
            .collect(),
        options: Dhcpv6Options {
            fqdn: guest_name(view, port),
            extra: extra_options(port),
            ..Dhcpv6Options::default()
        },
    }))
}

/// How Sextant's DHCPv6 serves hosts of a subnet. `None` where routers alone configure them, or nobody does.
fn served_mode(subnet: &Subnet) -> Option<Ipv6Mode> {
    subnet
        .ipv6_address_mode
        .filter(|mode| subnet.enable_dhcp && *mode != Ipv6Mode::Slaac)
}

fn leased_addresses(view: &View<'_>, port: &Port) -> Vec<LeasedAddress> {
    let lifetime = view.intent.settings.lease_lifetime;
    let leased = port.ipv6_addresses().filter(|(subnet, _)| {
        let mode = view.subnet(*subnet).and_then(served_mode);
        mode == Some(Ipv6Mode::Dhcpv6Stateful)
    });
    leased
        .map(|(_, address)| LeasedAddress {
            address,
            preferred: lifetime,
            valid: lifetime,
        })
        .collect()
}

/// The guest's name within `dns_domain`: the port's `dns_name`, else the one that Neutron makes of its first IPv6
/// address (`host-2001-db8--5`).
fn guest_name(view: &View<'_>, port: &Port) -> Option<DomainName> {
    let domain = &view.intent.settings.dns_domain;
    if let Some(name) = port.full_name(domain) {
        return name.parse().ok();
    }
    let (_, address) = port.ipv6_addresses().next()?;
    let host: DomainName = format!("host-{address}").replace(':', "-").parse().ok()?;
    match domain.parse() {
        Ok(domain) => host.within(&domain),
        Err(_) => Some(host),
    }
}

/// The port's `extra_dhcp_opts` for IPv6. Those that cannot be sent are left out.
fn extra_options(port: &Port) -> Vec<Dhcpv6Option> {
    let given = port
        .extra_dhcp_opts
        .iter()
        .filter(|option| option.ip_version == IpVersion::V6);
    given
        .filter_map(|option| Dhcpv6Option::parse(&option.opt_name, &option.opt_value).ok())
        .collect()
}

/// The MAC of a network's DHCP server for IPv4 and IPv6. It is locally administered, and the same on every hypervisor.
pub(crate) fn server_mac(network: NetworkKey) -> MacAddr {
    let [a, b, c, d] = network.0.to_be_bytes();
    MacAddr([0x0a, 0x5e, a, b, c, d])
}

/// The IPv6 DNS servers of subnets, each once, in order.
fn dns_servers<'a>(subnets: impl Iterator<Item = &'a Subnet>) -> Vec<Ipv6Addr> {
    let mut servers = vec![];
    for server in subnets.flat_map(|subnet| &subnet.dns_nameservers) {
        match server {
            IpAddr::V6(server) if !servers.contains(server) => servers.push(*server),
            IpAddr::V6(_) | IpAddr::V4(_) => {}
        }
    }
    servers
}
