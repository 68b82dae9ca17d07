//! Independent DHCPv6 clients and diagnostic tools against Sextant, on real Open vSwitch.
//!
//! busybox's udhcpc6 is missing: Debian 12's busybox is built without it (`busybox --list`).

use sextant_lab::story::{DNS, Failure, Outcome, Plugged, World, ensure};
use sextant_lab::{DhcpClient, DhcpLease, Guest, LabError};
use std::net::Ipv6Addr;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const ENDING: Duration = Duration::from_secs(10);

/// DHCPv6 message types (RFC 9915 §7.3).
const CONFIRM: &str = "4";
const REPLY: &str = "7";
const RELEASE: &str = "8";
const INFORMATION_REQUEST: &str = "11";

/// A running client and what it got.
type Got = Result<(DhcpClient, DhcpLease), LabError>;

#[test]
fn dibbler_is_bound_and_releases() -> Outcome {
    bound_and_released(|guest| guest.dibbler(SOON))
}

#[test]
fn wide_is_bound_and_releases() -> Outcome {
    bound_and_released(|guest| guest.wide(SOON))
}

fn bound_and_released(run: impl Fn(&Guest) -> Got) -> Outcome {
    let mut world = World::start()?;
    let resolv_conf = resolv_conf();
    let (_, _, guests) = world.ready()?;
    let plugged = &guests.stateful1;
    let (client, lease) = run(&plugged.guest)?;
    leased(plugged, &lease)?;
    answered(&plugged.guest, RELEASE, || Ok(client.end(ENDING)?))?;
    gone(plugged)?;
    // Once more: the address is the same port's as before.
    let (_client, lease) = run(&plugged.guest)?;
    leased(plugged, &lease)?;
    ensure(self::resolv_conf() == resolv_conf, || {
        "the machine's own resolv.conf was changed".to_owned()
    })
}

#[test]
fn dhclient_confirms_what_it_remembers_and_releases() -> Outcome {
    let mut world = World::start()?;
    let (_, _, guests) = world.ready()?;
    let plugged = &guests.stateful1;
    let (mut client, lease) = plugged.guest.dhclient(SOON)?;
    leased(plugged, &lease)?;
    client.wait_written(plugged.address(), SOON)?;
    // Killed, it has no time to release.
    client.process().kill();
    let mut again = None;
    answered(&plugged.guest, CONFIRM, || {
        again = Some(plugged.guest.dhclient_again(SOON)?);
        Ok(())
    })?;
    plugged.guest.wait_address(plugged.address(), SOON)?;
    answered(&plugged.guest, RELEASE, || {
        Ok(plugged.guest.dhclient_release()?)
    })?;
    gone(plugged)
}

#[test]
fn dhcpcd_confirms_when_its_link_comes_back() -> Outcome {
    let mut world = World::start()?;
    let (lab, _, guests) = world.ready()?;
    let plugged = &guests.stateful2;
    let (mut client, lease) = plugged.guest.dhcpcd(SOON)?;
    leased(plugged, &lease)?;
    answered(&plugged.guest, CONFIRM, || {
        let (host, tap) = (lab.hypervisor(2).namespace(), plugged.guest.tap());
        host.ip(&["link", "set", "dev", tap, "down"])?;
        client
            .process()
            .wait_line("loss of the carrier", SOON, |line| {
                line.contains("carrier lost").then_some(())
            })?;
        host.ip(&["link", "set", "dev", tap, "up"])?;
        let lease = client.wait_lease(SOON)?;
        leased(plugged, &lease)
    })
}

#[test]
fn stateless_guests_get_options_alone() -> Outcome {
    let mut world = World::start()?;
    let (_, _, guests) = world.ready()?;
    let plugged = &guests.stateless2;
    plugged.guest.wait_address(plugged.address(), SOON)?;
    for (name, run) in [
        (
            "dibbler",
            Guest::dibbler_info as fn(&Guest, Duration) -> Got,
        ),
        ("dhcp6c", Guest::wide_info),
        ("dhclient -S", Guest::dhclient_info),
    ] {
        answered(&plugged.guest, INFORMATION_REQUEST, || {
            let (_client, lease) = run(&plugged.guest, SOON)?;
            ensure(lease.addresses.is_empty(), || format!("{name}: {lease:?}"))?;
            options(&lease)
        })?;
    }
    Ok(())
}

#[test]
fn systemd_networkd_does_as_the_advertisement_says() -> Outcome {
    let mut world = World::start()?;
    let (_, _, guests) = world.ready()?;
    for plugged in [&guests.slaac1, &guests.stateful1, &guests.stateless2] {
        let mut networkd = plugged.guest.networkd()?;
        plugged.guest.wait_address(plugged.address(), SOON)?;
        networkd.wait_link(&[("DNS", DNS)], SOON)?;
        if plugged.port.id == guests.stateful1.port.id {
            networkd.wait_link(&[("DOMAINS", "openstacklocal")], SOON)?;
        }
        // It keeps nothing of the answer to an Information-request (v252), but says that it was right.
        if plugged.port.id == guests.stateless2.port.id {
            let log = networkd.process();
            log.wait_line("the Reply", SOON, |line| {
                line.contains("Processed Reply message").then_some(())
            })?;
        }
    }
    Ok(())
}

#[test]
fn rdisc6_sees_the_flags_of_each_mode() -> Outcome {
    let mut world = World::start()?;
    let (_, _, guests) = world.ready()?;
    for (plugged, managed, other) in [
        (&guests.slaac1, "No", "No"),
        (&guests.stateful1, "Yes", "Yes"),
        (&guests.stateless2, "No", "Yes"),
    ] {
        plugged.guest.wait_link_local(SOON)?;
        let text = plugged.guest.run(&["rdisc6", "-1", "eth0"])?.stdout;
        for (label, wanted) in [
            ("Stateful address conf.", managed),
            ("Stateful other conf.", other),
        ] {
            let flag = labelled(&text, label);
            ensure(flag == Some(wanted), || {
                format!("{label} {flag:?}, not {wanted}:\n{text}")
            })?;
        }
    }
    Ok(())
}

#[test]
fn ndisc6_resolves_router_and_guest() -> Outcome {
    let mut world = World::start()?;
    let (_, cloud, guests) = world.ready()?;
    let (asking, peer) = (&guests.slaac1, &guests.slaac2);
    asking.guest.wait_address(asking.address(), SOON)?;
    peer.guest.wait_address(peer.address(), SOON)?;
    let gateway = &cloud.slaac.gateway.mac;
    resolves(&asking.guest, cloud.slaac.gateway_address(), gateway, true)?;
    resolves(
        &asking.guest,
        cloud.slaac.gateway_link_local(),
        gateway,
        true,
    )?;
    resolves(&asking.guest, peer.address(), &peer.port.mac, false)
}

#[test]
fn perfdhcp_loses_nothing_below_the_meter() -> Outcome {
    const EXCHANGES: u32 = 1000;
    const RATE: u32 = 200;
    // An exchange is two packets to the controller: Solicit and Request.
    let mut world = World::start_configured("[punt]\nrate = 1000\nburst = 1000\n")?;
    let (_, _, guests) = world.ready()?;
    let guest = &guests.stateful1.guest;
    guest.wait_link_local(SOON)?;
    let (count, rate) = (EXCHANGES.to_string(), RATE.to_string());
    let words = [
        "perfdhcp", "-6", "-l", "eth0", "-r", &rate, "-n", &count, "-W", "1000000",
    ];
    // It ends with a failure when an exchange is incomplete.
    let text = guest.run(&words)?.stdout;
    println!("{text}");
    for (label, wanted) in [
        ("sent packets", EXCHANGES),
        ("received packets", EXCHANGES),
        ("drops", 0),
    ] {
        let counts: Vec<u32> = counted(&text, label);
        ensure(counts == [wanted; 2], || {
            format!("{label}: {counts:?}, not {wanted} of each exchange:\n{text}")
        })?;
    }
    Ok(())
}

/// The values of the lines `LABEL: VALUE`: perfdhcp prints one a kind of exchange.
fn counted(text: &str, label: &str) -> Vec<u32> {
    let values = text.lines().filter_map(|line| line.split_once(':'));
    values
        .filter(|(name, _)| name.trim() == label)
        .filter_map(|(_, value)| value.trim().parse().ok())
        .collect()
}

fn labelled<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(label))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

fn leased(plugged: &Plugged, lease: &DhcpLease) -> Outcome {
    ensure(lease.addresses == [plugged.address()], || {
        format!("{:?}, not {}", lease.addresses, plugged.address())
    })?;
    options(lease)?;
    plugged.guest.wait_address(plugged.address(), SOON)?;
    Ok(())
}

fn options(lease: &DhcpLease) -> Outcome {
    let servers: Vec<String> = lease.dns_servers.iter().map(Ipv6Addr::to_string).collect();
    ensure(
        servers == [DNS] && lease.domains == ["openstacklocal"],
        || format!("DNS {servers:?}, domains {:?}", lease.domains),
    )
}

/// The client has taken its address off the interface.
fn gone(plugged: &Plugged) -> Outcome {
    let wanted = plugged.address();
    Ok(plugged
        .guest
        .wait_network("the released address to go", SOON, |guest| {
            let addresses = guest.global_addresses()?;
            let there = addresses.iter().any(|found| found.address == wanted);
            Ok(if there {
                Err(format!("{addresses:?}"))
            } else {
                Ok(())
            })
        })?)
}

/// While `act` runs, the guest sends a message of this type and gets a Reply with the same
/// transaction id, and status Success unless it asked for options alone (RFC 9915 §18.3.3,
/// §18.3.6, §18.3.7).
fn answered(guest: &Guest, message: &str, act: impl FnOnce() -> Outcome) -> Outcome {
    let capture = guest.capture("udp port 546 or udp port 547")?;
    act()?;
    capture.wait_packets(2, SOON)?;
    let fields = ["dhcpv6.msgtype", "dhcpv6.xid", "dhcpv6.status_code"];
    let rows = capture.stop()?.fields("dhcpv6", &fields)?;
    let sent: Vec<_> = rows.iter().filter(|row| row[0] == message).collect();
    let success = match message {
        INFORMATION_REQUEST => "",
        _ => "0",
    };
    let is_answer = |reply: &Vec<String>| {
        reply[0] == REPLY
            && sent.iter().any(|sent| sent[1] == reply[1])
            && reply[2].split(',').all(|status| status == success)
    };
    ensure(rows.iter().any(is_answer), || {
        format!("message {message} has no answer of success: {rows:?}")
    })
}

/// ndisc6 prints the MAC, and the wire has the Router flag.
fn resolves(guest: &Guest, target: Ipv6Addr, mac: &str, router: bool) -> Outcome {
    let capture = guest.capture("icmp6 and ip6[40] == 136")?;
    let target = target.to_string();
    let words = ["ndisc6", "-1", "-r", "5", &target, "eth0"];
    let text = guest.run(&words)?.stdout;
    ensure(text.to_lowercase().contains(mac), || {
        format!("{target} is not at {mac}:\n{text}")
    })?;
    capture.wait_packets(1, SOON)?;
    let fields = ["icmpv6.nd.na.target_address", "icmpv6.nd.na.flag.r"];
    let rows = capture.stop()?.fields("", &fields)?;
    let wanted = if router { "1" } else { "0" };
    let said = rows.iter().filter(|row| row[0] == target);
    let flags: Vec<&str> = said.map(|row| row[1].as_str()).collect();
    ensure(
        !flags.is_empty() && flags.iter().all(|flag| *flag == wanted),
        || format!("the Router flag of {target}: {rows:?}"),
    )
}

fn resolv_conf() -> Result<String, String> {
    std::fs::read_to_string("/etc/resolv.conf").map_err(|error| error.to_string())
}

#[test]
fn what_perfdhcp_prints_is_read() -> Result<(), Failure> {
    let text = "sent packets: 10\nreceived packets: 9\ndrops: 1\nsent packets: 9\n";
    ensure(counted(text, "sent packets") == [10, 9], || text.to_owned())
}
