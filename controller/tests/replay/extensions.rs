//! Every extension that Neutron 29 and the libraries beside it define, and whether Sextant has it.

/// What Sextant lists at `/v2.0/extensions`.
pub(crate) const LISTED: &[&str] = &[
    "aap-reject-multicast",
    "address-scope",
    "agent",
    "allowed-address-pairs",
    "availability_zone",
    "availability_zone_filter",
    "binding",
    "binding-extended",
    "default-subnetpools",
    "dns-domain-ports",
    "dns-integration",
    "ecmp_routes",
    "empty-string-filtering",
    "ext-gw-mode",
    "external-net",
    "extra_dhcp_opt",
    "extraroute",
    "extraroute-atomic",
    "filter-validation",
    "ip-substring-filtering",
    "l2_adjacency",
    "l3-port-ip-change-not-allowed",
    "net-mtu",
    "net-mtu-writable",
    "network-ip-availability",
    "pagination",
    "port-mac-address-regenerate",
    "port-security",
    "port-security-groups-filtering",
    "project-id",
    "provider",
    "quota-check-limit",
    "quota_details",
    "quotas",
    "rbac-address-scope",
    "rbac-policies",
    "rbac-security-groups",
    "rbac-subnetpool",
    "revision-if-match",
    "router",
    "security-group",
    "security-groups-normalized-cidr",
    "security-groups-shared-filtering",
    "sort-key-validation",
    "sorting",
    "standard-attr-description",
    "standard-attr-revisions",
    "standard-attr-tag",
    "standard-attr-timestamp",
    "stateful-security-group",
    "subnet-external-network",
    "subnet-service-types",
    "subnet_allocation",
    "subnetpool-prefix-ops",
    "tag-creation",
    "tag-ports-during-bulk-creation",
];

/// What Sextant lacks, by why.
pub(crate) const LACKING: &[(&str, &[&str])] = &[
    (
        "not built: Sextant has no floating IPs; guests are reached at their own addresses",
        &[
            "expose-port-forwarding-in-fip",
            "fip-port-details",
            "fip64",
            "floating-ip-distributed",
            "floating-ip-port-forwarding",
            "floating-ip-port-forwarding-description",
            "floating-ip-port-forwarding-detail",
            "floating-ip-port-forwarding-port-ranges",
            "floatingip-autodelete-internal",
            "floatingip-pools",
            "qos-fip",
            "qos-fip-network-policy",
            "router-interface-fip",
        ],
    ),
    (
        "not built: Sextant has no QoS",
        &[
            "qos",
            "qos-bw-limit-direction",
            "qos-bw-minimum-ingress",
            "qos-default",
            "qos-gateway-ip",
            "qos-port-network-policy",
            "qos-pps",
            "qos-pps-minimum",
            "qos-pps-minimum-rule-alias",
            "qos-rule-type-details",
            "qos-rule-type-filter",
            "qos-rules-alias",
        ],
    ),
    (
        "of no use here: only rules of QoS ask Placement for something. `resource_request` is null, and Nova goes on",
        &[
            "agent-resources-synced",
            "port-resource-request",
            "port-resource-request-groups",
        ],
    ),
    (
        "of no use here: every hypervisor routes, and is chosen for gateways, by itself. Nothing is scheduled to agents",
        &[
            "agent_sort_key",
            "dhcp_agent_scheduler",
            "dvr",
            "l3-agent-scheduler-ha-chassis-priority",
            "l3-ha",
            "l3_agent_scheduler",
            "network_ha",
            "router-admin-state-down-before-update",
        ],
    ),
    (
        "of no use here: networks and routers are on every hypervisor, so zones say nothing of them",
        &["network_availability_zone", "router_availability_zone"],
    ),
    (
        "not built: a network has one segment",
        &[
            "multi-provider",
            "network-segment-range",
            "segment",
            "segments-peer-subnet-host-routes",
            "standard-attr-segment",
            "subnet-segmentid-enforce",
            "subnet-segmentid-writable",
        ],
    ),
    (
        "of no use here: a port has its addresses as soon as it exists. `ip_allocation` is always `immediate`",
        &["ip_allocation"],
    ),
    (
        "not built: Sextant shows names to whoever fills a DNS, and fills none itself",
        &[
            "dns-integration-domain-keywords",
            "subnet-dns-publish-fixed-ip",
        ],
    ),
    (
        "not built: Sextant has no address groups",
        &[
            "address-group",
            "rbac-address-group",
            "security-groups-remote-address-group",
        ],
    ),
    (
        "not built: every new security group begins with the same rules, and is stateful unless it says otherwise",
        &[
            "security-groups-default-rules",
            "security-groups-default-statefulness",
            "security-groups-rules-belongs-to-default-sg",
        ],
    ),
    (
        "not built: address pairs change as a whole",
        &["allowed-address-pairs-atomic"],
    ),
    (
        "not built: a router has one gateway",
        &["external-gateway-multihoming"],
    ),
    (
        "not built: a router has one default route for each IP version, by its gateway",
        &["enable-default-route-bfd", "enable-default-route-ecmp"],
    ),
    (
        "not built: `external_gateway_info` of a router says it",
        &["router-enable-snat"],
    ),
    (
        "not built: routers make no exceptions for protocols that NAT breaks",
        &["expose-l3-conntrack-helper", "l3-conntrack-helper"],
    ),
    (
        "not built: guests' IPv6 is published by `publish` in the configuration, or by routes outside",
        &["l3-ext-ndp-proxy", "l3-ndp-proxy"],
    ),
    (
        "not built: routes are not told to routers outside",
        &[
            "bgp",
            "bgp_4byte_asn",
            "bgp_dragent_scheduler",
            "bgpvpn",
            "bgpvpn-routes-control",
            "bgpvpn-vni",
            "evpn",
            "rbac-bgpvpn",
            "standard-attr-bgpvpn",
            "standard-attr-bgpvpn-network-association",
            "standard-attr-bgpvpn-port-association",
            "standard-attr-bgpvpn-router-association",
        ],
    ),
    (
        "not built: a port carries one network",
        &["trunk", "trunk-details"],
    ),
    (
        "not built: guests' own VLAN tags, and isolation within a network",
        &["pvlan", "qinq", "vlan-transparent"],
    ),
    (
        "of no use here: for hardware that Sextant does not program (SR-IOV, offload, Cyborg)",
        &[
            "port-device-profile",
            "port-hardware-offload-type",
            "port-mac-override",
            "port-trusted-vif",
            "uplink-status-propagation",
            "uplink-status-propagation-updatable",
        ],
    ),
    (
        "not built: hints to hypervisors about CPUs and queues",
        &[
            "port-hint-ovs-tx-steering",
            "port-hints",
            "port-numa-affinity-policy",
            "port-numa-affinity-policy-socket",
        ],
    ),
    (
        "not built: `status` says whether a port carries packets",
        &["data-plane-status"],
    ),
    (
        "not built: networks, subnets and routers are made by those who want them",
        &[
            "auto-allocated-topology",
            "network-cascade-delete",
            "project-default-networks",
            "subnet_onboard",
        ],
    ),
    ("not built: addresses of one hypervisor only", &["local_ip"]),
    (
        "not built: `network-ip-availability` counts without it",
        &["network-ip-availability-details"],
    ),
    (
        "not built: a limit is set whatever is used, unless `check_limit` is given",
        &["quota-check-limit-default"],
    ),
    (
        "not built: no logs, counters or mirrors of tenants' traffic through the API",
        &[
            "logging",
            "logging-resource",
            "metering",
            "metering_source_and_destination_fields",
            "taas",
            "taas-vlan-filter",
            "tap-mirror",
            "tap-mirror-both-direction",
        ],
    ),
    (
        "part of another service beside Neutron",
        &[
            "flavors",
            "flow_classifier",
            "fwaas_v2",
            "l3-flavors",
            "router-service-type",
            "service-type",
            "sfc",
            "standard-attr-fwaas-v2",
            "vpn-aes-ccm-gcm",
            "vpn-aes-ctr",
            "vpn-endpoint-groups",
            "vpn-flavors",
            "vpn-no-sha1-3des",
            "vpnaas",
        ],
    ),
    (
        "of no use here: another driver's (VMware). Nova asks for it, and goes on without",
        &["vnic-index"],
    ),
];

const INTRODUCTION: &str = "
## Extensions

All that Neutron 29 (2026.2) and its libraries define. What the list at `/v2.0/extensions` has works, and nothing else is in it.

| extension | |
|---|---|
";

/// The part of the page about extensions.
pub(crate) fn section() -> String {
    let mut rows: Vec<(&str, String)> = LISTED
        .iter()
        .map(|alias| (*alias, "yes".to_owned()))
        .collect();
    for (why, aliases) in LACKING {
        rows.extend(aliases.iter().map(|alias| (*alias, format!("no, {why}"))));
    }
    rows.sort_unstable();
    let rows = rows
        .iter()
        .map(|(alias, answer)| format!("| `{alias}` | {answer} |\n"));
    INTRODUCTION.to_owned() + &rows.collect::<String>()
}
