//! The unmodified `openstack` command and openstacksdk drive the real controller. Their packages
//! are in a venv that `scripts/setup venv` makes.

#[path = "openstack/client.rs"]
mod client;
#[path = "openstack/identity.rs"]
mod identity;
#[path = "openstack/keystone/server.rs"]
mod keystone;
#[path = "openstack/rights.rs"]
mod rights;
#[path = "openstack/ways.rs"]
mod ways;

use client::{Client, Outcome};
use serde_json::{Value, json};
use sextant_lab::Loopback;
use sextant_lab::openstack::{python, script};
use std::error::Error;
use std::process::Command;

/// How many commands each test types at least; together more than enough to be at home with.
const AT_LEAST: [usize; 5] = [12, 26, 20, 18, 14];

/// The guide's workflow for users of prefix delegation, word for word, where a default pool gives
/// the prefix; a server delegates it in `prefix_delegation`.
#[test]
fn the_users_workflow_of_the_guide() -> Outcome {
    let mut openstack = Client::start()?;
    openstack.shows(
        "openstack subnet pool create --pool-prefix 2001:db8:2222:6977::/60 --default-prefix-length 64 \
         --default ipv6-default",
        json!({"name": "ipv6-default", "prefixes": ["2001:db8:2222:6970::/60"], "is_default": true,
            "ip_version": 6, "default_prefixlen": 64}),
    )?;
    openstack.shows(
        "openstack network create ipv6-pd",
        json!({"name": "ipv6-pd", "status": "ACTIVE", "admin_state_up": true, "mtu": 1430,
            "router:external": false, "shared": false, "subnets": [], "tags": [],
            "port_security_enabled": true, "provider:network_type": "vxlan"}),
    )?;
    openstack.shows(
        "openstack subnet create --ip-version 6 --ipv6-ra-mode slaac \\\n\
         --ipv6-address-mode slaac --use-default-subnet-pool \\\n\
         --network ipv6-pd ipv6-pd-1",
        json!({"name": "ipv6-pd-1", "ip_version": 6, "ipv6_ra_mode": "slaac",
            "ipv6_address_mode": "slaac", "enable_dhcp": true, "cidr": "2001:db8:2222:6970::/64",
            "gateway_ip": "2001:db8:2222:6970::1",
            "allocation_pools": [{"start": "2001:db8:2222:6970::2",
                "end": "2001:db8:2222:6970:ffff:ffff:ffff:ffff"}]}),
    )?;
    openstack.shows(
        "openstack router create router1",
        json!({"name": "router1", "status": "ACTIVE", "admin_state_up": true}),
    )?;
    openstack.does("openstack router add subnet router1 ipv6-pd-1")?;
    openstack.shows(
        "openstack subnet show ipv6-pd-1",
        json!({"cidr": "2001:db8:2222:6970::/64", "gateway_ip": "2001:db8:2222:6970::1"}),
    )?;
    openstack.shows(
        "openstack port list --router router1",
        json!([{"Status": "ACTIVE", "Fixed IP Addresses": [{"ip_address": "2001:db8:2222:6970::1"}]}]),
    )?;
    let port = openstack.shows(
        "openstack port create --network ipv6-pd --mac-address fa:16:3e:00:00:01 vm1",
        json!({"name": "vm1", "status": "DOWN", "mac_address": "fa:16:3e:00:00:01",
            "fixed_ips": [{"ip_address": "2001:db8:2222:6970:f816:3eff:fe00:1"}]}),
    )?;
    openstack.shows(
        "openstack port list --network ipv6-pd --mac-address fa:16:3e:00:00:01",
        json!([{"ID": port["id"], "Name": "vm1", "MAC Address": "fa:16:3e:00:00:01"}]),
    )?;
    openstack.is_refused("openstack subnet delete ipv6-pd-1", "409")?;
    openstack.does("openstack router remove subnet router1 ipv6-pd-1")?;
    openstack.is_refused("openstack network delete ipv6-pd", "409")?;
    openstack.does("openstack port delete vm1")?;
    openstack.does("openstack router delete router1")?;
    openstack.does("openstack network delete ipv6-pd")?;
    openstack.shows("openstack network list", json!([]))?;
    openstack.shows("openstack subnet list", json!([]))?;
    assert!(openstack.typed() >= AT_LEAST[0]);
    Ok(())
}

/// Makes a subnet for each pair of modes, on a network `modes`, as far as they go together. Returns how many do.
fn subnets_of_every_mode(openstack: &mut Client) -> Result<usize, Box<dyn Error>> {
    let modes = ["none", "slaac", "dhcpv6-stateful", "dhcpv6-stateless"];
    let mut made = 0;
    let pairs = modes
        .iter()
        .flat_map(|ra| modes.map(|address| (*ra, address)));
    for ((ra, address), n) in pairs.zip(1..) {
        let option = |name: &str, mode: &str| match mode {
            "none" => String::new(),
            _ => format!("--ipv6-{name}-mode {mode} "),
        };
        let name = format!("ra-{ra}-address-{address}");
        let command = format!(
            "openstack subnet create --network modes --ip-version 6 --subnet-range 2001:db8:{n:x}::/64 {}{}{name}",
            option("ra", ra),
            option("address", address)
        );
        if ra == address || ra == "none" || address == "none" {
            let shown = |mode: &str| match mode {
                "none" => Value::Null,
                _ => mode.into(),
            };
            openstack.shows(
                &command,
                json!({"name": name, "ipv6_ra_mode": shown(ra), "ipv6_address_mode": shown(address),
                    "cidr": format!("2001:db8:{n:x}::/64")}),
            )?;
            made += 1;
        } else {
            openstack.is_refused(
                &command,
                &format!("ipv6_ra_mode set to '{ra}' with ipv6_address_mode set to '{address}' is not valid."),
            )?;
        }
    }
    Ok(made)
}

#[test]
fn networks_and_subnets_of_every_mode() -> Outcome {
    let mut openstack = Client::start()?;
    openstack.shows(
        "openstack network create --mtu 1400 --description 'every mode' --disable-port-security modes",
        json!({"name": "modes", "mtu": 1400, "description": "every mode",
            "port_security_enabled": false}),
    )?;
    assert_eq!(subnets_of_every_mode(&mut openstack)?, 10);
    openstack.shows(
        "openstack subnet create --network modes --subnet-range 192.0.2.0/24 --dns-nameserver 192.0.2.53 \
         --gateway 192.0.2.254 --allocation-pool start=192.0.2.10,end=192.0.2.20 four",
        json!({"ip_version": 4, "gateway_ip": "192.0.2.254", "dns_nameservers": ["192.0.2.53"],
            "allocation_pools": [{"start": "192.0.2.10", "end": "192.0.2.20"}]}),
    )?;
    openstack.is_refused(
        "openstack subnet create --network modes --ip-version 6 --subnet-range 2001:db8:1::/60 overlap",
        "overlaps with another subnet.",
    )?;
    openstack.is_refused(
        "openstack subnet create --network modes --ip-version 6 --subnet-range 2001:db8:99::/80 \
         --ipv6-ra-mode slaac --ipv6-address-mode slaac long",
        "requires the prefix to be /64.",
    )?;
    openstack.shows(
        "openstack subnet list --network modes --ip-version 4",
        json!([{"Name": "four", "Subnet": "192.0.2.0/24"}]),
    )?;
    openstack.does(
        "openstack subnet set --dns-nameserver 2001:db8:53::1 --name renamed \
         --host-route destination=2001:db8:f::/48,gateway=2001:db8:5::9 ra-slaac-address-slaac",
    )?;
    openstack.shows(
        "openstack subnet show renamed",
        json!({"dns_nameservers": ["2001:db8:53::1"],
            "host_routes": [{"destination": "2001:db8:f::/48", "nexthop": "2001:db8:5::9"}]}),
    )?;
    openstack.does("openstack subnet unset --dns-nameserver 2001:db8:53::1 renamed")?;
    openstack.shows(
        "openstack subnet show renamed",
        json!({"dns_nameservers": []}),
    )?;
    openstack.does("openstack network set --name still-modes --disable modes")?;
    openstack.shows(
        "openstack network show still-modes",
        json!({"admin_state_up": false, "mtu": 1400}),
    )?;
    openstack.does("openstack network delete still-modes")?;
    openstack.is_refused(
        "openstack network show still-modes",
        "No Network found for still-modes",
    )?;
    assert!(openstack.typed() >= AT_LEAST[1]);
    Ok(())
}

/// Port `five` becomes `six`.
fn change_and_list(openstack: &mut Client) -> Outcome {
    openstack.does(
        "openstack port set --allowed-address ip-address=2001:db8:1::/80 \
         --extra-dhcp-option name=ntp-server,value=2001:db8::123,ip-version=6 five",
    )?;
    openstack.shows(
        "openstack port show five",
        json!({"allowed_address_pairs": [{"ip_address": "2001:db8:1::/80"}],
            "extra_dhcp_opts": [{"opt_name": "ntp-server", "opt_value": "2001:db8::123",
                "ip_version": 6}]}),
    )?;
    openstack.does("openstack port set --no-allowed-address five")?;
    openstack.shows(
        "openstack port show five",
        json!({"allowed_address_pairs": []}),
    )?;
    openstack.does("openstack port set --name six --description sixth --disable five")?;
    openstack.shows(
        "openstack port show six",
        json!({"description": "sixth", "admin_state_up": false}),
    )?;
    openstack.shows(
        "openstack port list --device-owner compute:nova --long",
        json!([{"Name": "six", "Device Owner": "compute:nova", "Status": "DOWN"}]),
    )?;
    openstack.shows(
        "openstack port list --fixed-ip ip-address=2001:db8:1::5",
        json!([{"Name": "six"}]),
    )?;
    Ok(())
}

#[test]
fn ports() -> Outcome {
    let mut openstack = Client::start()?;
    openstack.shows("openstack network create blue", json!({"name": "blue"}))?;
    openstack.shows(
        "openstack subnet create --network blue --ip-version 6 --subnet-range 2001:db8:1::/64 \
         --ipv6-ra-mode dhcpv6-stateful --ipv6-address-mode dhcpv6-stateful stateful",
        json!({"gateway_ip": "2001:db8:1::"}),
    )?;
    openstack.shows(
        "openstack port create --network blue --fixed-ip subnet=stateful,ip-address=2001:db8:1::5 \
         --device-owner compute:nova --device vm-5 --host h9 five",
        json!({"fixed_ips": [{"ip_address": "2001:db8:1::5"}], "device_owner": "compute:nova",
            "device_id": "vm-5", "binding_host_id": "h9", "binding_vif_type": "binding_failed"}),
    )?;
    openstack.is_refused(
        "openstack port create --network blue --fixed-ip subnet=stateful,ip-address=2001:db8:1::5 again",
        "IP address 2001:db8:1::5 already allocated in subnet",
    )?;
    openstack.is_refused(
        "openstack port create --network blue --fixed-ip subnet=stateful,ip-address=2001:db8:2::5 outside",
        "is not a valid IP for the specified subnet",
    )?;
    openstack.shows(
        "openstack port create --network blue --no-fixed-ip none",
        json!({"fixed_ips": []}),
    )?;
    openstack.shows(
        "openstack subnet create --network blue --ip-version 6 --subnet-range 2001:db8:2::/64 \
         --ipv6-ra-mode slaac --ipv6-address-mode slaac slaac",
        json!({"ipv6_ra_mode": "slaac"}),
    )?;
    let with_both = openstack.shows("openstack port show five", json!({"name": "five"}))?;
    assert_eq!(
        with_both["fixed_ips"].as_array().map(Vec::len),
        Some(2),
        "the new subnet gives its address to ports that are there: {with_both}"
    );
    openstack.is_refused(
        "openstack port create --network blue --fixed-ip subnet=slaac,ip-address=2001:db8:2::5 explicit",
        "configured for automatic addresses",
    )?;
    change_and_list(&mut openstack)?;
    openstack.does("openstack port delete six none")?;
    openstack.shows("openstack port list", json!([]))?;
    openstack.is_refused(
        "openstack port delete six",
        "1 of 1 ports failed to delete.",
    )?;
    assert!(openstack.typed() >= AT_LEAST[2]);
    Ok(())
}

/// Two networks, with a subnet each of `pool`.
fn networks_of_pool(openstack: &mut Client) -> Outcome {
    for name in ["left", "right"] {
        openstack.shows(
            &format!("openstack network create {name}"),
            json!({"name": name}),
        )?;
        openstack.shows(
            &format!(
                "openstack subnet create --network {name} --ip-version 6 --subnet-pool pool \
                 --ipv6-ra-mode slaac --ipv6-address-mode slaac {name}6"
            ),
            json!({"name": format!("{name}6")}),
        )?;
    }
    Ok(())
}

#[test]
fn routers_and_pools() -> Outcome {
    let mut openstack = Client::start()?;
    openstack.shows(
        "openstack subnet pool create --pool-prefix 2001:db8:a::/48 --min-prefix-length 56 \
         --default-prefix-length 64 --share pool",
        json!({"shared": true, "min_prefixlen": 56, "default_prefixlen": 64, "is_default": false}),
    )?;
    openstack.does("openstack subnet pool set --pool-prefix 2001:db8:b::/48 --default pool")?;
    openstack.shows(
        "openstack subnet pool show pool",
        json!({"prefixes": ["2001:db8:a::/47"], "is_default": true}),
    )?;
    openstack.shows(
        "openstack subnet pool list --default",
        json!([{"Name": "pool", "Prefixes": ["2001:db8:a::/47"]}]),
    )?;
    networks_of_pool(&mut openstack)?;
    openstack.shows(
        "openstack router create --disable edge",
        json!({"admin_state_up": false}),
    )?;
    openstack.does("openstack router set --enable --description between edge")?;
    openstack.does("openstack router add subnet edge left6")?;
    openstack.shows(
        "openstack port create --network right --fixed-ip subnet=right6 by-port",
        json!({"name": "by-port"}),
    )?;
    openstack.does("openstack router add port edge by-port")?;
    openstack.is_refused("openstack router delete edge", "409")?;
    openstack.is_refused(
        "openstack port delete by-port",
        "cannot be deleted directly via the port API",
    )?;
    openstack.is_refused(
        "openstack router add subnet edge left6",
        "Router already has a port on subnet",
    )?;
    let edge = openstack.shows(
        "openstack router show edge",
        json!({"description": "between"}),
    )?;
    assert_eq!(
        edge["interfaces_info"].as_array().map(Vec::len),
        Some(2),
        "{edge}"
    );
    openstack.is_refused(
        "openstack subnet pool delete pool",
        "Subnet pool has existing allocations",
    )?;
    openstack.does("openstack router remove subnet edge left6")?;
    openstack.does("openstack router remove port edge by-port")?;
    openstack.does("openstack router delete edge")?;
    openstack.does("openstack network delete left right")?;
    openstack.does("openstack subnet pool delete pool")?;
    openstack.shows("openstack router list", json!([]))?;
    assert!(openstack.typed() >= AT_LEAST[3]);
    Ok(())
}

#[test]
fn tags_agents_and_extensions() -> Outcome {
    let mut openstack = Client::start()?;
    openstack.shows(
        "openstack network create --tag blue --tag v6 tagged",
        json!({"tags": ["blue", "v6"]}),
    )?;
    openstack.shows("openstack network create plain", json!({"tags": []}))?;
    openstack.does("openstack network set --tag plain-one plain")?;
    openstack.shows(
        "openstack network list --tags blue,v6",
        json!([{"Name": "tagged"}]),
    )?;
    openstack.shows(
        "openstack network list --not-tags blue",
        json!([{"Name": "plain"}]),
    )?;
    openstack.shows(
        "openstack network list --any-tags plain-one,red",
        json!([{"Name": "plain"}]),
    )?;
    openstack.does("openstack network unset --tag v6 tagged")?;
    openstack.shows("openstack network show tagged", json!({"tags": ["blue"]}))?;
    openstack.does("openstack network unset --all-tag tagged")?;
    openstack.shows("openstack network list --tags blue", json!([]))?;
    openstack.shows(
        "openstack subnet create --network tagged --subnet-range 2001:db8::/64 --ip-version 6 --tag s sub",
        json!({"tags": ["s"]}),
    )?;
    openstack.shows(
        "openstack port create --network tagged --tag p port",
        json!({"tags": ["p"]}),
    )?;
    openstack.shows("openstack port list --tags p", json!([{"Name": "port"}]))?;
    openstack.shows("openstack network agent list", json!([]))?;
    let extensions = openstack.reads("openstack extension list --network")?;
    let aliases: Vec<&str> = extensions
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|extension| extension["Alias"].as_str())
        .collect();
    for alias in [
        "standard-attr-tag",
        "subnet_allocation",
        "port-security",
        "agent",
    ] {
        assert!(aliases.contains(&alias), "{alias} is among {aliases:?}");
    }
    openstack.shows(
        "openstack extension show port-security",
        json!({"alias": "port-security"}),
    )?;
    assert!(openstack.typed() >= AT_LEAST[4]);
    Ok(())
}

#[test]
fn a_session_of_openstacksdk() -> Outcome {
    let controller = Loopback::start(&[])?;
    let endpoint = format!("http://{}", controller.addresses().api);
    let session = Command::new(python()?)
        .arg(script("session.py"))
        .arg(endpoint)
        .output()?;
    let said = String::from_utf8_lossy(&session.stdout);
    let complained = String::from_utf8_lossy(&session.stderr);
    assert!(session.status.success(), "{said}{complained}");
    assert!(said.ends_with("done\n"), "{said}{complained}");
    Ok(())
}
