//! Tunnels of every protocol, over IPv6 and IPv4, mixed in one cloud: three hypervisors on real Open vSwitch.
//!
//! ```text
//!      h1 (VXLAN) ═══ IPv6: GRE there, VXLAN back ═══ h2 (GRE)
//!          ╲                                         ╱
//!           IPv4: VXLAN both ways      IPv4: VXLAN there, GRE back
//!                      ╲                 ╱
//!                       h3 (VXLAN, IPv4 alone)
//! ```

use serde_json::Value;
use sextant_lab::story::{Failure, Plugged, World};
use sextant_lab::{Hypervisor, LabOptions, Underlay, wait_for};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(50);
const COUNT: u32 = 5;
/// What the worst encapsulation here leaves of 1500 octets: VXLAN over IPv6.
const MTU: u32 = 1430;

/// Three hypervisors that joined at these addresses with these protocols, and a guest on each.
struct Mix {
    guests: Vec<Plugged>,
    world: World,
}

#[derive(Clone, Copy)]
enum Families {
    Both,
    Ipv6,
    Ipv4,
}

fn endpoints(host: &Hypervisor, families: Families) -> String {
    let (ipv6, ipv4) = (host.endpoint(), host.endpoint_v4());
    let ipv4 = ipv4.map(|address| address.to_string()).unwrap_or_default();
    match families {
        Families::Both => format!("{ipv6},{ipv4}"),
        Families::Ipv6 => ipv6.to_string(),
        Families::Ipv4 => ipv4,
    }
}

impl Mix {
    fn start(joining: [(Families, &str); 3]) -> Result<Self, Failure> {
        Self::start_configured("", joining)
    }

    fn start_configured(config: &str, joining: [(Families, &str); 3]) -> Result<Self, Failure> {
        let options = LabOptions {
            hypervisors: 3,
            underlay: Underlay::DualStack,
            ..LabOptions::default()
        };
        let mut world = World::start_in(options, config)?;
        for (host, (families, kind)) in world.lab.hypervisors().iter().zip(joining) {
            host.join_with(&endpoints(host, families), kind)?;
        }
        let mut guests = vec![];
        for host in 1..=3 {
            guests.push(world.plug_into_slaac(&format!("g{host}"), host)?);
        }
        for plugged in &guests {
            plugged.guest.wait_address(plugged.address(), SOON)?;
            plugged.guest.wait_default_route(SOON)?;
        }
        Ok(Self { guests, world })
    }

    fn usual() -> Result<Self, Failure> {
        Self::start([
            (Families::Both, "vxlan"),
            (Families::Both, "gre"),
            (Families::Ipv4, "vxlan"),
        ])
    }

    fn host(&self, number: usize) -> &Hypervisor {
        self.world.lab.hypervisor(number)
    }

    /// Every ordered pair of different guests, by the numbers of their hypervisors.
    fn pairs(&self) -> Vec<(usize, usize)> {
        let all = 1..=self.guests.len();
        let to = |from| all.clone().map(move |to| (from, to));
        all.clone()
            .flat_map(to)
            .filter(|(from, to)| from != to)
            .collect()
    }

    fn guest(&self, number: usize) -> &Plugged {
        &self.guests[number - 1]
    }

    fn metric(&self, series: &str) -> Result<u64, String> {
        let text = self
            .world
            .lab
            .metrics()
            .map_err(|error| error.to_string())?;
        let value = text.lines().find_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            (name == series).then(|| value.to_owned())
        });
        let value = value.ok_or_else(|| format!("no {series}"))?;
        value.parse().map_err(|_| value)
    }

    /// Every echo request is answered.
    fn reaches(&self, from: usize, to: usize) -> Result<(), Failure> {
        let target = self.guest(to).address();
        let report = self.guest(from).guest.ping(target, COUNT, INTERVAL)?;
        match report.is_complete() {
            true => Ok(()),
            false => Err(Failure::Observed(format!("g{from} to g{to}: {report}"))),
        }
    }
}

/// What a frame from one hypervisor to another looks like on the underlay, as pcap-filter(7) says it.
fn outer(mix: &Mix, from: usize, to: usize, kind: &str, ipv6: bool) -> String {
    let address = |number| {
        let families = if ipv6 { Families::Ipv6 } else { Families::Ipv4 };
        endpoints(mix.host(number), families)
    };
    let protocol = match (kind, ipv6) {
        ("gre", true) => "ip6 proto 47",
        ("gre", false) => "ip proto 47",
        _ => "udp dst port 4789",
    };
    let (from, to) = (address(from), address(to));
    format!("src host {from} and dst host {to} and {protocol}")
}

#[test]
fn each_pair_talks_over_the_family_that_both_have_with_the_protocol_of_whom_it_sends_to()
-> Result<(), Failure> {
    let mix = Mix::usual()?;
    for (from, to) in mix.pairs() {
        let kind = if to == 2 { "gre" } else { "vxlan" };
        let filter = outer(&mix, from, to, kind, from != 3 && to != 3);
        let capture = mix.host(to).capture_underlay(&filter)?;
        mix.reaches(from, to)?;
        capture.wait_packets(COUNT as usize, SOON)?;
        capture.stop()?;
    }
    for (number, sender) in mix.guests.iter().enumerate() {
        let filter = format!("icmp6 and ether src {}", sender.port.mac);
        let others = mix.guests.iter().enumerate();
        let others = others.filter(|(other, _)| *other != number);
        let captures: Result<Vec<_>, _> = others
            .map(|(_, other)| other.guest.capture(&filter))
            .collect();
        let all_nodes = "ff02::1".parse().expect("an address");
        sender.guest.ping(all_nodes, COUNT, INTERVAL)?;
        for capture in captures? {
            capture.wait_packets(COUNT as usize, SOON)?;
        }
    }
    Ok(())
}

#[test]
fn tcp_fills_packets_of_the_networks_mtu_across_every_pair() -> Result<(), Failure> {
    let mix = Mix::usual()?;
    for plugged in &mix.guests {
        assert_eq!(plugged.guest.ipv6_mtu()?, MTU);
    }
    for (from, to) in mix.pairs() {
        // On the wire: a kernel joins the segments that it receives before a guest sees them.
        let capture = mix.host(to).capture_underlay("greater 1000")?;
        transfer(mix.guest(from), mix.guest(to))?;
        let rows = capture.stop()?.fields("tcp.len > 0", &["ipv6.plen"])?;
        // What it is wrapped in comes first.
        let inner = rows.iter().filter_map(|row| row[0].rsplit(',').next());
        let largest = inner.filter_map(|length| length.parse().ok()).max();
        assert_eq!(largest, Some(MTU - 40), "g{from} to g{to}");
    }
    Ok(())
}

#[test]
fn no_packet_of_a_steady_flow_goes_up() -> Result<(), Failure> {
    let mix = Mix::usual()?;
    let all_nodes = "ff02::1".parse().expect("an address");
    for (from, to) in mix.pairs() {
        for target in [mix.guest(to).address(), all_nodes] {
            let what = format!("100 pings from g{from} to {target} on {to}, and no miss");
            // Something else may have its first packet meanwhile: that is no miss of these.
            wait_for(&what, SOON, || {
                let misses = || -> Result<[u64; 2], String> {
                    let of = |number| mix.host(number).datapath_misses();
                    let both = [of(from), of(to)].map(|one| one.map_err(|error| error.to_string()));
                    let [one, other] = both;
                    Ok([one?, other?])
                };
                let before = misses()?;
                let sender = &mix.guest(from).guest;
                let sent = sender.ping(target, 100, Duration::from_millis(5));
                sent.map_err(|error| error.to_string())?;
                let after = misses()?;
                match before == after {
                    true => Ok(()),
                    false => Err(format!("{before:?}, then {after:?}")),
                }
            })?;
        }
    }
    Ok(())
}

/// Sends 16 MiB over TCP. Where packets of full size are lost, no more is sent than fits the sender's buffer. The client ends
/// when it has sent all, so that some of it may still be under way then.
fn transfer(from: &Plugged, to: &Plugged) -> Result<(), Failure> {
    const SIZE: u64 = 16 << 20;
    let mut server = to
        .guest
        .spawn(&["iperf3", "-6", "-s", "-1", "--forceflush"])?;
    server.wait_line("iperf3 to listen", SOON, |line| {
        line.contains("Server listening").then_some(())
    })?;
    let (size, to_address) = (SIZE.to_string(), to.address().to_string());
    let client = ["iperf3", "-6", "-J", "-n", &size, "-c", &to_address];
    let output = from
        .guest
        .run(&[&["timeout", "120"], &client[..]].concat())?;
    let report: Value = serde_json::from_str(&output.stdout)
        .map_err(|error| Failure::Observed(format!("{error}: {}", output.stdout)))?;
    let sum = |end: &str| &report["end"][end];
    let received = sum("sum_received")["bytes"].as_u64();
    eprintln!(
        "{} to {}: {:.0} Mbit/s, {} retransmissions",
        from.guest.name(),
        to.guest.name(),
        sum("sum_received")["bits_per_second"]
            .as_f64()
            .unwrap_or(0.0)
            / 1e6,
        sum("sum_sent")["retransmits"]
    );
    match received {
        Some(received) if received > SIZE / 2 && report["error"].is_null() => Ok(()),
        _ => Err(Failure::Observed(output.stdout)),
    }
}

#[test]
fn an_endpoint_that_changes_while_guests_talk_is_followed() -> Result<(), Failure> {
    let mix = Mix::usual()?;
    let (mover, peer) = (mix.host(1), mix.host(2));
    let target = mix.guest(1).address();
    let every = Duration::from_millis(5);
    let mut ping = mix.guest(2).guest.spawn_ping(target, every)?;
    ping.wait_answers(COUNT, SOON)?;
    let ipv4 = endpoints(mover, Families::Ipv4);
    for (endpoints, at) in [
        (ipv4.clone(), ipv4.as_str()),
        (MOVED.to_owned(), MOVED),
        (format!("{ipv4},{MOVED}"), MOVED),
    ] {
        let there = peer.capture_underlay(&format!("dst host {at} and udp dst port 4789"))?;
        let back =
            peer.capture_underlay(&format!("src host {at} and (proto 47 or ip6 proto 47)"))?;
        mover.move_endpoint(&endpoints)?;
        there.wait_packets(COUNT as usize, SOON)?;
        back.wait_packets(COUNT as usize, SOON)?;
        ping.wait_answers(50, SOON)?;
        if at == ipv4 {
            readdress(mover)?;
        }
    }
    mover.vsctl(&[
        "set",
        "open_vswitch",
        ".",
        "external_ids:sextant-encap-type=geneve",
    ])?;
    let there = peer.capture_underlay(&format!("dst host {MOVED} and udp dst port 6081"))?;
    there.wait_packets(COUNT as usize, SOON)?;
    ping.wait_answers(50, SOON)?;
    eprintln!("{}", ping.stop()?);
    mix.reaches(3, 1)
}

/// Another IPv6 address for the first hypervisor.
const MOVED: &str = "2001:db8:77:1::99";

/// Gives the endpoint's device that address instead of the one that it has. The userspace switch sends from the device's
/// address of the route, whatever the tunnel's is, so it must have no other.
fn readdress(host: &Hypervisor) -> Result<(), Failure> {
    let (new, old) = (format!("{MOVED}/64"), format!("{}/64", host.endpoint()));
    let device = host.endpoint_device();
    host.run(&["ip", "addr", "add", &new, "dev", device, "nodad"])?;
    host.run(&["ip", "addr", "del", &old, "dev", device])?;
    Ok(())
}

#[test]
fn what_comes_from_an_unknown_endpoint_is_counted_also_over_a_restart() -> Result<(), Failure> {
    let mut mix = Mix::usual()?;
    mix.reaches(2, 1)?;
    let series = "sextant_tunnel_unknown_endpoint_packets_total{chassis=\"h1\"}";
    // VXLAN with VNI 1, and in it an Ethernet frame of type 0x88b5.
    let header = r"\x08\0\0\0\0\0\x01\0\x33\x33\0\0\0\x01\x02\0\0\0\0\x01\x88\xb5%046d";
    for to in [
        endpoints(mix.host(1), Families::Ipv6),
        endpoints(mix.host(1), Families::Ipv4),
    ] {
        let send = format!("for n in 1 2 3; do printf '{header}' 0 > /dev/udp/{to}/4789; done");
        mix.world.lab.router().run(&["bash", "-c", &send])?;
    }
    // A guest that is just plugged in may be faster than the flows on the others' hypervisors: a few count before.
    let counted = |mix: &Mix| match mix.metric(series) {
        Ok(6..12) => Ok(()),
        other => Err(format!("{other:?}")),
    };
    wait_for("the packets to be counted", SOON, || counted(&mix))?;
    mix.world.controller.restart()?;
    wait_for("the packets to be counted still", SOON, || counted(&mix))?;
    mix.reaches(2, 1)
}

#[test]
fn two_without_a_common_family_are_told_of_until_they_have_one() -> Result<(), Failure> {
    let mut mix = Mix::start([
        (Families::Ipv6, "geneve"),
        (Families::Both, "vxlan"),
        (Families::Ipv4, "gre"),
    ])?;
    let complaint = mix
        .world
        .controller
        .wait_line("the complaint", SOON, |line| {
            line.contains("no tunnel").then(|| line.to_owned())
        })?;
    assert!(complaint.contains("WARN"), "{complaint}");
    assert_eq!(mix.metric("sextant_tunnels_missing"), Ok(1));
    assert_eq!(unreached(&mix)?, ["h1: [\"h3\"]", "h2: []", "h3: [\"h1\"]"]);
    for (from, to) in [(1, 2), (2, 1), (2, 3), (3, 2)] {
        mix.reaches(from, to)?;
    }
    let lost = mix
        .guest(1)
        .guest
        .ping(mix.guest(3).address(), COUNT, INTERVAL)?;
    assert_eq!(lost.received, 0, "{lost}");

    mix.host(3)
        .move_endpoint(&endpoints(mix.host(3), Families::Both))?;
    wait_for("guests to reach each other", SOON, || {
        mix.reaches(1, 3).map_err(|error| error.to_string())
    })?;
    assert_eq!(mix.metric("sextant_tunnels_missing"), Ok(0));
    assert_eq!(unreached(&mix)?, ["h1: []", "h2: []", "h3: []"]);
    Ok(())
}

/// The hypervisors to which each has no tunnel, as the API says.
fn unreached(mix: &Mix) -> Result<Vec<String>, Failure> {
    let (_, agents) = mix.world.lab.api().get("/v2.0/agents?sort_key=host")?;
    let agents = agents["agents"].as_array().into_iter().flatten();
    let row = |agent: &Value| {
        let host = agent["host"].as_str().unwrap_or_default();
        format!("{host}: {}", agent["configurations"]["no_tunnel_to"])
    };
    Ok(agents.map(row).collect())
}

#[test]
fn hypervisors_watch_each_other_where_that_is_asked_for() -> Result<(), Failure> {
    let mut mix = Mix::start_configured(
        "[tunnel]\nbfd = true\n",
        [
            (Families::Both, "vxlan"),
            (Families::Ipv6, "gre"),
            (Families::Ipv4, "geneve"),
        ],
    )?;
    for (from, to) in [(1, 2), (2, 1), (1, 3), (3, 1)] {
        wait_state(&mix, (from, to), 3)?;
        mix.reaches(from, to)?;
    }
    let taken = mix.host(1).dump_flows("br-int")?;
    let taken = taken.iter().find(|flow| flow.contains("tp_dst=3784"));
    let is_taken = |flow: &String| !flow.contains("n_packets=0,");
    assert!(
        taken.is_some_and(is_taken),
        "BFD is no dropped packet: {taken:?}"
    );
    assert!(state(&mix, (2, 3)).is_err(), "they have no tunnel");
    assert_eq!(mix.metric("sextant_tunnels_missing"), Ok(1), "h2 and h3");
    let lost = format!("{}/128", mix.host(2).endpoint());
    let router = mix.world.lab.router();
    router.ip(&["route", "add", "blackhole", &lost])?;
    wait_state(&mix, (2, 1), 1)?;
    assert_eq!(state(&mix, (1, 3)), Ok(3), "another way");
    wait_missing(&mix, 2)?;
    let complaint = mix
        .world
        .controller
        .wait_line("the complaint", SOON, |line| {
            line.contains("no BFD packet comes back")
                .then(|| line.to_owned())
        })?;
    assert!(complaint.contains("WARN"), "{complaint}");
    let host = unreached(&mix)?;
    assert_eq!(host[1], "h2: [\"h3\",\"h1\"]", "{host:?}");
    router.ip(&["route", "del", "blackhole", &lost])?;
    wait_state(&mix, (2, 1), 3)?;
    wait_state(&mix, (1, 2), 3)?;
    wait_missing(&mix, 1)
}

/// What BFD of one hypervisor says of another.
fn state(mix: &Mix, (from, to): (usize, usize)) -> Result<u64, String> {
    let series = format!("sextant_tunnel_bfd_state{{chassis=\"h{from}\",peer=\"h{to}\"}}");
    mix.metric(&series)
}

fn wait_state(mix: &Mix, pair: (usize, usize), wanted: u64) -> Result<(), Failure> {
    let what = format!("BFD of h{} with h{}", pair.0, pair.1);
    wait_for(&what, SOON, || match state(mix, pair) {
        Ok(state) if state == wanted => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    Ok(())
}

fn wait_missing(mix: &Mix, count: u64) -> Result<(), Failure> {
    wait_for("the missing tunnels to be counted", SOON, || {
        match mix.metric("sextant_tunnels_missing") {
            Ok(missing) if missing == count => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })?;
    Ok(())
}
