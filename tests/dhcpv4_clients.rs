//! Independent DHCPv4 clients against Sextant, on real Open vSwitch.

use serde_json::json;
use sextant_lab::story::{Outcome, World, ensure};
use sextant_lab::{
    DhcpLease, Dhcpv4Lease, Guest, LabError, Network, Port, PortSpec, SubnetSpec, wait_for,
};
use std::net::Ipv4Addr;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// DHCP message types (RFC 2132 §9.6).
const REQUEST: &str = "3";
const ACK: &str = "5";
const RELEASE: &str = "7";

/// Two hypervisors and a network with an IPv4 subnet.
struct Cloud {
    world: World,
    network: Network,
}

impl Cloud {
    fn start() -> Result<Self, sextant_lab::story::Failure> {
        let mut world = World::start()?;
        world.join()?;
        let api = world.lab.api();
        let network = api.create_network("four")?;
        let routes = json!({"host_routes": [
            {"destination": "203.0.113.0/25", "nexthop": "192.0.2.7"}
        ]});
        let spec = SubnetSpec {
            cidr: "192.0.2.0/24",
            dns: &["192.0.2.53"],
            more: routes.as_object().cloned().unwrap_or_default(),
            ..SubnetSpec::default()
        };
        api.create_subnet(&network, &spec)?;
        Ok(Self { world, network })
    }

    /// A guest on a hypervisor whose port has these attributes besides.
    fn guest(
        &self,
        name: &str,
        host: usize,
        more: serde_json::Value,
    ) -> Result<(Guest, Port), LabError> {
        let mut more = more.as_object().cloned().unwrap_or_default();
        more.insert("device_owner".to_owned(), "compute:nova".into());
        let lab = &self.world.lab;
        let port = lab
            .api()
            .create_port(&self.network, &PortSpec { name, more })?;
        let guest = lab.hypervisor(host).add_guest(&port.guest(name))?;
        self.world.wait_status(&port, "ACTIVE")?;
        Ok((guest, port))
    }
}

fn address(port: &Port) -> String {
    let first = port.addresses.first();
    first.map_or_else(String::new, ToString::to_string)
}

/// What every client is told.
fn leased(port: &Port, lease: &DhcpLease) -> Outcome {
    let told = Dhcpv4Lease::read(lease)?;
    ensure(
        told.address.to_string() == address(port)
            && told.mask == Ipv4Addr::new(255, 255, 255, 0)
            && told.server == GATEWAY
            && told.dns_servers == [Ipv4Addr::new(192, 0, 2, 53)]
            && told.domain == "openstacklocal"
            && told.mtu == "1430",
        || format!("{told:?} for {:?}", port.addresses),
    )?;
    // dhclient writes octets, dhcpcd and udhcpc addresses.
    let octets = "25 203 0 113 0 192 0 2 7 0 192 0 2 1";
    let words = "203.0.113.0/25 192.0.2.7 0.0.0.0/0 192.0.2.1";
    ensure([octets, words].contains(&told.routes.trim()), || {
        format!("routes {:?}", told.routes)
    })
}

fn wait_ipv4(guest: &Guest, wanted: Option<&str>) -> Result<(), LabError> {
    wait_for("the guest's IPv4 address", SOON, || {
        let words = ["ip", "-4", "-o", "addr", "show", "dev", "eth0"];
        let text = guest.run(&words).map_err(|error| error.to_string())?.stdout;
        let there = text
            .split_whitespace()
            .find_map(|word| word.split_once("/24"));
        match there.map(|(address, _)| address) == wanted {
            true => Ok(()),
            false => Err(text),
        }
    })
}

/// Nobody has the gateway's address here, whom clients speak to once they have a lease: what they send is on its way to it
/// all the same.
fn know_gateway(guest: &Guest) -> Outcome {
    let gateway = GATEWAY.to_string();
    let words = [
        "ip",
        "neigh",
        "replace",
        &gateway,
        "lladdr",
        "fa:16:3e:00:00:fe",
        "dev",
        "eth0",
    ];
    guest.run(&words)?;
    Ok(())
}

/// While `act` runs the guest sends a message of one type and gets one of the other with the same transaction id.
fn answered(
    guest: &Guest,
    (asked, answer): (&str, &str),
    act: impl FnOnce() -> Outcome,
) -> Outcome {
    let capture = guest.capture("udp port 67 or udp port 68")?;
    act()?;
    capture.wait_packets(2, SOON)?;
    let rows = capture
        .stop()?
        .fields("dhcp", &["dhcp.option.dhcp", "dhcp.id"])?;
    let sent: Vec<_> = rows.iter().filter(|row| row[0] == asked).collect();
    let is_answer =
        |row: &Vec<String>| row[0] == answer && sent.iter().any(|sent| sent[1] == row[1]);
    ensure(rows.iter().any(is_answer), || {
        format!("message {asked} is not answered with {answer}: {rows:?}")
    })
}

#[test]
fn dhclient_is_bound_and_releases() -> Outcome {
    let cloud = Cloud::start()?;
    let (guest, port) = cloud.guest("d1", 1, json!({}))?;
    answered(&guest, (REQUEST, ACK), || {
        let (_client, lease) = guest.dhclient4(SOON)?;
        leased(&port, &lease)?;
        wait_ipv4(&guest, Some(&address(&port)))?;
        know_gateway(&guest)?;
        let capture = guest.capture("udp port 67")?;
        guest.dhclient4_release()?;
        capture.wait_packets(1, SOON)?;
        let rows = capture.stop()?.fields("dhcp", &["dhcp.option.dhcp"])?;
        ensure(rows.iter().any(|row| row[0] == RELEASE), || {
            format!("no release: {rows:?}")
        })?;
        wait_ipv4(&guest, None).map_err(Into::into)
    })?;
    // Once more: the address is the same port's as before.
    let (_client, lease) = guest.dhclient4(SOON)?;
    leased(&port, &lease)
}

#[test]
fn dhcpcd_is_bound_on_another_hypervisor() -> Outcome {
    let cloud = Cloud::start()?;
    let (guest, port) = cloud.guest("d2", 2, json!({}))?;
    let (_client, lease) = guest.dhcpcd4(SOON)?;
    leased(&port, &lease)?;
    wait_ipv4(&guest, Some(&address(&port))).map_err(Into::into)
}

#[test]
fn udhcpc_is_bound_and_renews_by_unicast() -> Outcome {
    let cloud = Cloud::start()?;
    let (guest, port) = cloud.guest("u1", 1, json!({}))?;
    let (mut client, lease) = guest.udhcpc(&[], SOON)?;
    leased(&port, &lease)?;
    know_gateway(&guest)?;
    let capture = guest.capture("udp dst port 67 and dst host 192.0.2.1")?;
    answered(&guest, (REQUEST, ACK), || {
        let pid = client.process().pid().to_string();
        guest.run(&["kill", "-USR1", &pid])?;
        let lease = client.wait_lease(SOON)?;
        ensure(lease.reason == "RENEW", || format!("{lease:?}"))?;
        leased(&port, &lease)
    })?;
    capture.wait_packets(1, SOON)?;
    Ok(())
}

#[test]
fn a_port_gives_its_own_options_and_what_to_boot_by_architecture() -> Outcome {
    let cloud = Cloud::start()?;
    let options = json!({"extra_dhcp_opts": [
        {"opt_name": "bootfile-name", "opt_value": "undionly.kpxe", "ip_version": 4},
        {"opt_name": "tag:arch-7,bootfile-name", "opt_value": "ipxe.efi", "ip_version": 4},
        {"opt_name": "mtu", "opt_value": "1300", "ip_version": 4}
    ]});
    let (guest, _port) = cloud.guest("p1", 1, options)?;
    for (architecture, file) in [("0x5d:0000", "undionly.kpxe"), ("0x5d:0007", "ipxe.efi")] {
        let (client, lease) = guest.udhcpc(&["-x", architecture], SOON)?;
        let told = lease.variables.get("new_boot_file").map(String::as_str);
        ensure(told == Some(file), || format!("{architecture}: {told:?}"))?;
        let mtu = Dhcpv4Lease::read(&lease)?.mtu;
        ensure(mtu == "1300", || mtu)?;
        drop(client);
    }
    Ok(())
}

#[test]
fn systemd_networkd_is_bound() -> Outcome {
    let cloud = Cloud::start()?;
    let (guest, port) = cloud.guest("n1", 1, json!({}))?;
    let networkd = guest.networkd()?;
    wait_ipv4(&guest, Some(&address(&port)))?;
    let told = [("DNS", "192.0.2.53"), ("DOMAINS", "openstacklocal")];
    networkd.wait_link(&told, SOON).map_err(Into::into)
}
