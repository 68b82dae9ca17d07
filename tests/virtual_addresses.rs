//! Addresses that ports may use besides their own, held by keepalived (VRRPv3): reached through routers, from other
//! hypervisors and from outside, as a next hop, and followed to whoever takes over.

use serde_json::{Value, json};
use sextant_lab::story::site::{Gateway, QUICK, Site, ipv4, reaches};
use sextant_lab::story::{Failure, Outcome, Plugged, SOON, ensure};
use sextant_lab::{Namespace, Network, PingReport, PortSpec, Process, wait_for};
use std::net::Ipv6Addr;

const VIP: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 0x99);
const VIP4: &str = "10.1.0.99";
/// Behind whoever has the address.
const BEHIND: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 1);
/// Behind the router outside.
const FAR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xfa, 0, 0, 0, 0, 1);
/// The MACs of virtual routers 51 (IPv6) and 52 (IPv4) (RFC 9568 §7.3).
const VIRTUAL_MACS: [&str; 2] = ["00:00:5e:00:02:33", "00:00:5e:00:01:34"];
const CONFIGURED: &str = "[external.physnet1]\nipv6_gateway = \"fe80::1\"\n";

/// From which MAC keepalived has its address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mac {
    /// Its interface's.
    Own,
    /// The virtual router's (`use_vmac`).
    Virtual,
}

#[test]
fn an_address_of_keepalived_is_reached_and_followed() -> Outcome {
    let report = Site::tell(CONFIGURED, |site| story(site, Mac::Own))?;
    println!("over the failover: {report}");
    Ok(())
}

#[test]
fn so_is_one_with_a_virtual_mac() -> Outcome {
    let report = Site::tell(CONFIGURED, |site| story(site, Mac::Virtual))?;
    println!("over the failover: {report}");
    Ok(())
}

/// What was lost while the address went from one guest to the other.
fn story(site: &mut Site, mac: Mac) -> Result<PingReport, Failure> {
    let external = site.external(None)?;
    let gateway = site.gateway(&external)?;
    let inside = site.segment(&gateway, &["2001:db8:a::/64", "10.1.0.0/16"])?;
    let beyond = site.segment(&gateway, &["2001:db8:b::/64", "10.2.0.0/16"])?;
    let [left, right] = site.guests(&inside, [("left", 1), ("right", 3)])?;
    let [near, far] = site.guests(&beyond, [("near", 1), ("far", 2)])?;
    for (plugged, router) in [(&left, 1), (&right, 1), (&near, 2), (&far, 2)] {
        dual_stack(plugged, &format!("10.{router}.0.1"))?;
    }
    for plugged in [&left, &right] {
        allow(site, plugged, mac)?;
        plugged
            .guest
            .run(&["ip", "addr", "add", &BEHIND.to_string(), "dev", "lo"])?;
    }
    keep_free(site, &inside)?;
    next_hop(site, &gateway)?;
    let outside = site.upstream.router("edge", None)?;
    outside.address("fe80::1/64")?;
    outside.far(FAR.into())?;
    outside.route("2001:db8:a::/64", Some(gateway.link_local().into()))?;

    let mut first = keepalived(site, &left, 150, mac)?;
    is_master(&mut first)?;
    let mut second = keepalived(site, &right, 100, mac)?;
    for from in [near.guest.namespace(), far.guest.namespace()] {
        reaches(from, VIP)?;
        reaches_ipv4(from)?;
        reaches(from, BEHIND)?;
    }
    reaches(outside.namespace(), VIP)?;

    let mut ping = far.guest.spawn_ping(VIP, QUICK)?;
    ping.wait_answers(50, SOON)?;
    first.terminate(SOON)?;
    is_master(&mut second)?;
    reaches_ipv4(near.guest.namespace())?;
    ping.wait_answers(200, SOON)?;
    let report = ping.stop()?;
    reaches(outside.namespace(), VIP)?;
    reaches(near.guest.namespace(), BEHIND)?;

    let mut again = keepalived(site, &left, 150, mac)?;
    is_master(&mut again)?;
    second.terminate(SOON)?;
    reaches(far.guest.namespace(), VIP)?;
    reaches_ipv4(far.guest.namespace())?;
    Ok(report)
}

/// Gives a guest its IPv4 address and route.
fn dual_stack(plugged: &Plugged, router: &str) -> Outcome {
    let address = format!("{}/16", ipv4(&plugged.port));
    let guest = &plugged.guest;
    guest.run(&["ip", "addr", "add", &address, "dev", "eth0"])?;
    guest.run(&["ip", "route", "add", "default", "via", router])?;
    Ok(())
}

fn allow(site: &Site, plugged: &Plugged, mac: Mac) -> Outcome {
    let vip = VIP.to_string();
    let mut pairs = vec![
        json!({"ip_address": vip}),
        json!({"ip_address": VIP4}),
        json!({"ip_address": "2001:db8:ff::/48"}),
    ];
    if mac == Mac::Virtual {
        let [six, four] = VIRTUAL_MACS;
        pairs.push(json!({"ip_address": vip, "mac_address": six}));
        pairs.push(json!({"ip_address": VIP4, "mac_address": four}));
    }
    let port = json!({"port": {"allowed_address_pairs": pairs}});
    put(site, &format!("/v2.0/ports/{}", plugged.port.id), &port)
}

/// As load balancers do: a port has the address, and is never plugged in.
fn keep_free(site: &Site, network: &Network) -> Outcome {
    let addresses = json!([{"ip_address": VIP4}]);
    let more = json!({"fixed_ips": addresses, "admin_state_up": false});
    let spec = PortSpec {
        name: "kept",
        more: more.as_object().cloned().unwrap_or_default(),
    };
    site.world.lab.api().create_port(network, &spec)?;
    Ok(())
}

fn next_hop(site: &Site, gateway: &Gateway) -> Outcome {
    let route = json!({"destination": "2001:db8:ff::/48", "nexthop": VIP.to_string()});
    let router = json!({"router": {"routes": [route]}});
    put(
        site,
        &format!("/v2.0/routers/{}", gateway.router.id),
        &router,
    )
}

fn put(site: &Site, path: &str, wanted: &Value) -> Outcome {
    let (status, body) = site.world.lab.api().put(path, wanted)?;
    ensure(status == 200, || format!("{path}: {status} {body}"))
}

/// keepalived with both addresses, each of a virtual router of its own.
fn keepalived(site: &Site, plugged: &Plugged, priority: u8, mac: Mac) -> Result<Process, Failure> {
    let instance = |family: &str, number: u8, address: &str| {
        let virtual_mac = match mac {
            Mac::Own => String::new(),
            Mac::Virtual => format!("use_vmac vrrp{family}\n vmac_xmit_base"),
        };
        format!(
            "vrrp_instance {family} {{\n state BACKUP\n interface eth0\n \
             virtual_router_id {number}\n priority {priority}\n advert_int 0.1\n \
             {virtual_mac}\n virtual_ipaddress {{\n {address}\n }}\n}}\n"
        )
    };
    let text = format!(
        "global_defs {{\n vrrp_version 3\n}}\n{}{}",
        instance("six", 51, &format!("{VIP}/64")),
        instance("four", 52, &format!("{VIP4}/16"))
    );
    let home = site.world.lab.home();
    let file = |kind: &str| {
        let name = format!("{}-keepalived.{kind}", plugged.guest.name());
        home.join(name).display().to_string()
    };
    let written = std::fs::write(file("conf"), text);
    written.map_err(|error| Failure::Observed(error.to_string()))?;
    let process = plugged.guest.spawn(&[
        "keepalived",
        "--dont-fork",
        "--log-console",
        "--vrrp",
        "--use-file",
        &file("conf"),
        "--pid",
        &file("pid"),
        "--vrrp_pid",
        &file("vrrp-pid"),
    ])?;
    Ok(process)
}

/// Waits until it has both addresses.
fn is_master(keepalived: &mut Process) -> Outcome {
    let mut missing = 2;
    keepalived.wait_line("MASTER twice", SOON, |line| {
        missing -= u32::from(line.contains("Entering MASTER STATE"));
        (missing == 0).then_some(())
    })?;
    Ok(())
}

fn reaches_ipv4(from: &Namespace) -> Outcome {
    wait_for(&format!("{} to reach {VIP4}", from.name()), SOON, || {
        let words = ["ping", "-n", "-c", "1", "-W", "1", VIP4];
        let answered = from.run(&words);
        answered.map(drop).map_err(|error| error.to_string())
    })?;
    let words = ["ping", "-n", "-c", "5", "-i", "0.1", "-W", "2", VIP4];
    let said = from.run(&words)?.stdout;
    ensure(said.contains("5 received"), || said)
}
