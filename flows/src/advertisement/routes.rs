//! The routes that a router advertises (RFC 4191 §2.3).

use super::AdvertisedSubnet;
use ipnet::{IpNet, Ipv6Net};
use sextant_model::{
    AdvertisedRoute, AdvertisedRoutes, HostRoute, Port, RaSettings, Router, RouterPreference,
};
use std::net::IpAddr;

/// The routes of a router's port, each destination once: the host routes of its subnets by way of itself, and the
/// router's own as far as they do not lead back to the link.
pub(super) fn advertised(
    settings: &RaSettings,
    (router, port): (&Router, &Port),
    subnets: &[AdvertisedSubnet<'_>],
) -> Vec<AdvertisedRoute> {
    let hosts = subnets.iter().flat_map(|(subnet, ..)| &subnet.host_routes);
    let hosts = hosts.filter(|route| is_own(port, route.nexthop));
    let beyond = router.routes.iter().filter(|route| {
        let link = subnets.iter();
        !link
            .into_iter()
            .any(|(.., prefix)| IpNet::V6(*prefix).contains(&route.nexthop))
    });
    let routes: Vec<&HostRoute> = match settings.routes {
        AdvertisedRoutes::None => vec![],
        AdvertisedRoutes::HostRoutes => hosts.collect(),
        AdvertisedRoutes::All => hosts.chain(beyond).collect(),
    };
    let lifetime = settings.option_lifetime().into();
    let mut advertised: Vec<AdvertisedRoute> = vec![];
    for prefix in routes.into_iter().filter_map(destination) {
        if !advertised.iter().any(|known| known.prefix == prefix) {
            advertised.push(AdvertisedRoute {
                prefix,
                preference: RouterPreference::Medium,
                lifetime,
            });
        }
    }
    advertised
}

fn is_own(port: &Port, nexthop: IpAddr) -> bool {
    let link_local = port.mac_address.link_local();
    nexthop == IpAddr::V6(link_local) || port.addresses().any(|(_, own)| own == nexthop)
}

fn destination(route: &HostRoute) -> Option<Ipv6Net> {
    match route.destination {
        IpNet::V6(destination) => Some(destination.trunc()),
        IpNet::V4(_) => None,
    }
}
