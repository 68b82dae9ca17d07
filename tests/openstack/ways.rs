//! Where addresses come from and where packets go: scopes, pools, ways out of routers, their routes.

use super::client::{Client, Outcome};
use serde_json::json;

#[test]
fn scopes_and_pools() -> Outcome {
    let mut openstack = Client::start()?;
    let scope = openstack.shows(
        "openstack address scope create --ip-version 6 --share cloud6",
        json!({"name": "cloud6", "ip_version": 6, "shared": true}),
    )?;
    openstack.shows(
        "openstack address scope show cloud6",
        json!({"id": scope["id"], "shared": true}),
    )?;
    openstack.does("openstack address scope set --name scope6 cloud6")?;
    openstack.shows(
        "openstack address scope list --ip-version 6",
        json!([{"ID": scope["id"], "Name": "scope6", "IP Version": 6, "Shared": true}]),
    )?;
    openstack.shows("openstack address scope list --ip-version 4", json!([]))?;
    openstack.shows(
        "openstack subnet pool create --pool-prefix 2001:db8:a::/48 --default-prefix-length 64 \
         --address-scope scope6 --tag region-a pool",
        json!({"address_scope_id": scope["id"], "tags": ["region-a"], "default_quota": null}),
    )?;
    openstack.is_refused(
        "openstack subnet pool create --pool-prefix 2001:db8:a:1::/64 --default-prefix-length 64 \
         --address-scope scope6 overlapping",
        "subnetpools within an address scope must have unique prefixes",
    )?;
    openstack.does(
        "openstack subnet pool set --description 'of region a' --default-quota 1 \
         --default-prefix-length 56 --min-prefix-length 52 --max-prefix-length 64 pool",
    )?;
    openstack.shows(
        "openstack subnet pool show pool",
        json!({"description": "of region a", "default_quota": 1, "default_prefixlen": 56,
            "min_prefixlen": 52, "max_prefixlen": 64}),
    )?;
    openstack.is_refused("openstack address scope delete scope6", "409")?;
    openstack.does("openstack subnet pool set --no-address-scope --tag moved pool")?;
    openstack.shows(
        "openstack subnet pool show pool",
        json!({"address_scope_id": null, "tags": ["moved", "region-a"]}),
    )?;
    openstack.does("openstack subnet pool unset --tag moved pool")?;
    openstack.shows(
        "openstack subnet pool list --tags region-a --long",
        json!([{"Name": "pool", "Default Prefix Length": 56, "Address Scope": null}]),
    )?;
    openstack.does("openstack address scope delete scope6")?;
    openstack.is_refused(
        "openstack address scope show scope6",
        "No AddressScope found for scope6",
    )?;
    assert!(openstack.typed() >= 16);
    Ok(())
}

#[test]
fn ways_out_and_routes() -> Outcome {
    let mut openstack = Client::start()?;
    let outside = openstack.shows(
        "openstack network create --external outside",
        json!({"router:external": true, "shared": false}),
    )?;
    let subnet = openstack.shows(
        "openstack subnet create --network outside --ip-version 6 --no-dhcp \
         --subnet-range 2001:db8:e::/64 --gateway 2001:db8:e::1 outside6",
        json!({"gateway_ip": "2001:db8:e::1", "enable_dhcp": false}),
    )?;
    openstack.shows("openstack network create inside", json!({"name": "inside"}))?;
    openstack.shows(
        "openstack subnet create --network inside --ip-version 6 --subnet-range 2001:db8:1::/64 \
         --gateway 2001:db8:1::1 --ipv6-ra-mode slaac --ipv6-address-mode slaac inside6",
        json!({"gateway_ip": "2001:db8:1::1"}),
    )?;
    openstack.shows(
        "openstack router create --tag edge edge",
        json!({"external_gateway_info": null, "routes": [], "tags": ["edge"]}),
    )?;
    openstack.does(
        "openstack router set --external-gateway outside \
         --fixed-ip subnet=outside6,ip-address=2001:db8:e::5 edge",
    )?;
    openstack.shows(
        "openstack router show edge",
        json!({"external_gateway_info": {"network_id": outside["id"],
            "external_fixed_ips": [{"subnet_id": subnet["id"], "ip_address": "2001:db8:e::5"}]}}),
    )?;
    openstack.shows(
        "openstack router list --long --tags edge",
        json!([{"Name": "edge", "External gateway info": {"network_id": outside["id"]}}]),
    )?;
    openstack.is_refused("openstack network delete outside", "409")?;
    openstack.does("openstack router add subnet edge inside6")?;
    openstack.shows(
        "openstack router add route edge --route destination=2001:db8:f::/48,gateway=2001:db8:1::9 \
         --route destination=2001:db8:f0::/48,gateway=2001:db8:1::9",
        json!({"routes": [
            {"destination": "2001:db8:f::/48", "nexthop": "2001:db8:1::9"},
            {"destination": "2001:db8:f0::/48", "nexthop": "2001:db8:1::9"}]}),
    )?;
    openstack.is_refused(
        "openstack router add route edge --route destination=2001:db8:d::/48,gateway=2001:db8:77::9",
        "the nexthop is not connected with router",
    )?;
    openstack.is_refused(
        "openstack router remove subnet edge inside6",
        "cannot be deleted, as it is required by one or more routes",
    )?;
    openstack.shows(
        "openstack router remove route edge \
         --route destination=2001:db8:f0::/48,gateway=2001:db8:1::9",
        json!({"routes": [{"destination": "2001:db8:f::/48", "nexthop": "2001:db8:1::9"}]}),
    )?;
    openstack.does("openstack router set --no-route edge")?;
    openstack.shows("openstack router show edge", json!({"routes": []}))?;
    openstack.does("openstack router unset --external-gateway edge")?;
    openstack.shows(
        "openstack router show edge",
        json!({"external_gateway_info": null}),
    )?;
    openstack.does("openstack router set --tag second edge")?;
    openstack.does("openstack router unset --tag edge edge")?;
    openstack.shows("openstack router show edge", json!({"tags": ["second"]}))?;
    openstack.does("openstack router remove subnet edge inside6")?;
    openstack.does("openstack router delete edge")?;
    openstack.does("openstack network delete outside inside")?;
    assert!(openstack.typed() >= 23);
    Ok(())
}

#[test]
fn how_many_addresses_are_left() -> Outcome {
    let mut openstack = Client::start()?;
    let network = openstack.shows("openstack network create small", json!({"name": "small"}))?;
    openstack.shows(
        "openstack subnet create --network small --ip-version 6 --subnet-range 2001:db8:1::/120 \
         --gateway 2001:db8:1::1 --ipv6-ra-mode dhcpv6-stateful \
         --ipv6-address-mode dhcpv6-stateful small6",
        json!({"name": "small6"}),
    )?;
    openstack.shows(
        "openstack ip availability list --ip-version 6",
        json!([{"Network ID": network["id"], "Network Name": "small", "Total IPs": 254,
            "Used IPs": 0}]),
    )?;
    openstack.shows("openstack ip availability list", json!([]))?;
    openstack.shows(
        "openstack port create --network small one",
        json!({"name": "one"}),
    )?;
    openstack.shows(
        "openstack ip availability show small",
        json!({"network_name": "small", "total_ips": 254, "used_ips": 1,
            "subnet_ip_availability": [{"subnet_name": "small6", "ip_version": 6,
                "cidr": "2001:db8:1::/120", "total_ips": 254, "used_ips": 1}]}),
    )?;
    openstack.does("openstack port delete one")?;
    openstack.shows(
        "openstack ip availability show small",
        json!({"used_ips": 0}),
    )?;
    assert!(openstack.typed() >= 8);
    Ok(())
}
