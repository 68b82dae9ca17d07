//! The uplinks of external networks: who speaks there for which router, and to whom.

use crate::exit::{Gateway, own_mac};
use crate::features::provider;
use crate::view::View;
use sextant_model::{IpVersion, Network, Speaker, Uplink};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Meter numbers of packets heard outside are above those of ports, whose OpenFlow port has 16 bits.
const HEARD: u32 = 1 << 16;
const KNOWN: u32 = 1 << 18;

/// What is heard passes a meter of its own. So nobody, inside or far away, who makes routers look for addresses or send
/// errors can keep them from hearing their next hops.
pub(crate) fn heard_meter(uplink: &Uplink) -> u32 {
    HEARD | other_meter(uplink)
}

/// What known next hops send passes one more meter. So whoever invents next hops cannot keep routers from hearing the
/// real ones.
pub(crate) fn known_meter(uplink: &Uplink) -> u32 {
    KNOWN | other_meter(uplink)
}

/// Everything else that comes up from this port.
pub(crate) fn other_meter(uplink: &Uplink) -> u32 {
    uplink.port.into()
}

/// The meters of an uplink.
pub(crate) fn meters(uplink: &Uplink) -> Vec<u32> {
    vec![
        known_meter(uplink),
        heard_meter(uplink),
        other_meter(uplink),
    ]
}

/// The uplink of an external network here, if routers use it.
pub(crate) fn uplink(view: &View<'_>, network: &Network) -> Option<Uplink> {
    let outside = provider::outside(view, network)?;
    let mut uplink = Uplink {
        port: outside.port,
        vlan_tci: outside.tci,
        speakers: BTreeMap::new(),
        next_hops: BTreeSet::new(),
        listens: false,
    };
    for gateway in view.gateways_near(network) {
        let own = view.leaves_here(&gateway);
        if !own && !view.has_gateway(gateway.router) {
            continue;
        }
        let speaker = speaker(view, &gateway, own);
        uplink.speakers.insert(gateway.port.id, speaker);
        let ipv6 = view.fixed_next_hop(&gateway, IpVersion::V6);
        let ipv4 = view.fixed_next_hop(&gateway, IpVersion::V4);
        uplink.listens |= ipv6.is_none();
        let hops = ipv6.into_iter().chain(ipv4);
        let hops = hops.chain(routers_outside(view, &gateway));
        // Only IPv6 leaves by a hypervisor other than the gateway's.
        uplink
            .next_hops
            .extend(hops.filter(|hop| hop.is_ipv6() || !own));
    }
    (!uplink.speakers.is_empty()).then_some(uplink)
}

/// A router's gateway port. With `own`, the hypervisor speaks there for itself, from an address of its own.
fn speaker(view: &View<'_>, gateway: &Gateway<'_>, own: bool) -> Speaker {
    let port = gateway.port;
    if own {
        let mac = own_mac(view.chassis, port);
        return Speaker {
            mac,
            addresses: [IpAddr::from(mac.link_local())].into(),
            delegated: BTreeSet::new(),
        };
    }
    let mac = port.mac_address;
    let global = port.addresses().map(|(_, address)| address);
    let delegated = view.intent.delegated_to(gateway.router);
    Speaker {
        mac,
        addresses: [IpAddr::from(mac.link_local())]
            .into_iter()
            .chain(global)
            .collect(),
        delegated: delegated.map(|subnet| subnet.id).collect(),
    }
}

/// The next hops of a router's own routes in prefixes of its external network.
fn routers_outside(view: &View<'_>, gateway: &Gateway<'_>) -> impl Iterator<Item = IpAddr> {
    let prefixes: Vec<_> = view.prefixes(gateway.port).collect();
    let hops = gateway.router.routes.iter().map(|route| route.nexthop);
    hops.filter(move |hop| prefixes.iter().any(|prefix| prefix.contains(hop)))
}
