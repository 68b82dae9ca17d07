//! Resources that Neutron has and Sextant lacks. A request for one is no mistake of the caller, so the answer says what
//! is missing.

/// Their paths under `/v2.0/`, with the extensions that they belong to.
const TOP: [(&str, &str); 36] = [
    ("address-groups", "address-group"),
    ("auto-allocated-topology", "auto-allocated-topology"),
    ("bgp-peers", "bgp"),
    ("bgp-speakers", "bgp"),
    ("bgpvpn", "bgpvpn"),
    (
        "default-security-group-rules",
        "security-groups-default-rules",
    ),
    ("dvr_mac_addresses", "dvr"),
    ("endpoint-groups", "vpn-endpoint-groups"),
    ("firewalls", "fwaas"),
    ("flavors", "flavors"),
    ("floatingip_pools", "floatingip-pools"),
    ("floatingips", "floatingips"),
    ("flow_classifiers", "sfc"),
    ("fwaas", "fwaas_v2"),
    ("gateway-devices", "l2-gateway"),
    ("l2-gateway-connections", "l2-gateway-connection"),
    ("l2-gateways", "l2-gateway"),
    ("lbaas", "lbaasv2"),
    ("local-ips", "local_ip"),
    ("local_ips", "local_ip"),
    ("log", "logging"),
    ("metering", "metering"),
    ("ndp_proxies", "l3-ndp-proxy"),
    ("network-segment-ranges", "network-segment-range"),
    ("network_segment_ranges", "network-segment-range"),
    ("qos", "qos"),
    ("segments", "segment"),
    ("service-providers", "service-type"),
    ("service-profiles", "flavors"),
    ("service_profiles", "flavors"),
    ("sfc", "sfc"),
    ("taas", "taas"),
    ("trunks", "trunk"),
    ("vpn", "vpnaas"),
    ("vpnservices", "vpnaas"),
    ("evpn-instances", "evpn"),
];

/// Paths below an object of a resource that exists.
const NESTED: [(&str, &str, &str); 11] = [
    ("agents", "dhcp-networks", "dhcp_agent_scheduler"),
    ("agents", "l3-routers", "l3_agent_scheduler"),
    ("agents", "loadbalancer-pools", "lbaas_agent_scheduler"),
    (
        "ports",
        "add_allowed_addresses",
        "allowed-address-pairs-atomic",
    ),
    (
        "ports",
        "remove_allowed_addresses",
        "allowed-address-pairs-atomic",
    ),
    (
        "routers",
        "add_external_gateways",
        "external-gateway-multihoming",
    ),
    ("routers", "conntrack_helpers", "l3-conntrack-helper"),
    (
        "routers",
        "remove_external_gateways",
        "external-gateway-multihoming",
    ),
    (
        "routers",
        "update_external_gateways",
        "external-gateway-multihoming",
    ),
    ("subnetpools", "onboard_network_subnets", "subnet_onboard"),
    ("routers", "port_forwardings", "floating-ip-port-forwarding"),
];

/// The extension that a path needs, if it is known and Sextant lacks it.
pub(super) fn extension(path: &str) -> Option<&'static str> {
    let mut segments = path.strip_prefix("/v2.0/")?.split('/');
    let first = segments.next()?;
    let third = segments.nth(1);
    let top = TOP.iter().find(|(known, _)| *known == first);
    if let Some((_, alias)) = top {
        return Some(alias);
    }
    let mut nested = NESTED.iter();
    nested
        .find(|(known, below, _)| *known == first && Some(*below) == third)
        .map(|(.., alias)| *alias)
}
