//! What routers tell guests of packets that they do not take, as ordinary Linux puts it to use: traceroute, tracepath, path
//! MTU discovery. Packet by packet, tshark says what is on the wire.

use serde_json::json;
use sextant_lab::story::{DualStack, Failure, Outcome, TwoNetworks, World, ensure};
use sextant_lab::{Guest, Hypervisor, Packets, Tools, wait_for};
use std::path::Path;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
/// What blue takes; red takes what the underlay leaves of its own, 1430 octets.
const MTU: &str = "1300";
/// Octets between those of blue and those of red, with their headers.
const LONG: u16 = 1400;
/// What says so, of each family, as tcpdump picks it out.
const TOO_BIG: [&str; 2] = ["icmp6 and ip6[40] == 2", "icmp[0] == 3"];
/// The number with which ping, traceroute and tracepath choose the family.
const FAMILIES: [&str; 2] = ["-6", "-4"];

fn start() -> Result<TwoNetworks, Failure> {
    TwoNetworks::start(World::start()?, json!({}))
}

/// Blue takes less than red.
fn start_narrow() -> Result<TwoNetworks, Failure> {
    TwoNetworks::start(World::start()?, json!({"mtu": 1300}))
}

/// The path of a program that guests run.
fn script(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("routing_errors");
    folder.join(name).to_string_lossy().into_owned()
}

/// What a command says, whether it succeeds or not.
fn said(guest: &Guest, command: &str) -> Result<String, Failure> {
    let script = format!("{command} 2>&1 || true");
    Ok(guest.run(&["sh", "-c", &script])?.stdout)
}

/// Waits until a guest is reached: the first packets of a tunnel wait for its other end's MAC.
fn reached(from: &Guest, target: &str) -> Outcome {
    let words = ["ping", "-n", "-c", "3", "-i", "0.1", "-w", "15", target];
    from.run(&words)?;
    Ok(())
}

/// The lines that begin with the number of a hop, and who answered there.
fn hops(text: &str) -> Vec<(u8, String)> {
    let hop = |line: &str| {
        let mut words = line.split_whitespace();
        let number = words.next()?.trim_end_matches(':').parse().ok()?;
        Some((number, words.next()?.to_owned()))
    };
    text.lines().filter_map(hop).collect()
}

#[test]
fn traceroute_shows_the_router_and_then_the_guest() -> Outcome {
    Tools::check(&["traceroute"])?;
    let TwoNetworks {
        world: _world,
        red,
        blue,
        ..
    } = start()?;
    let (near, far, end) = (red.gateways(), blue.gateways(), blue.addresses());
    for (at, family) in FAMILIES.into_iter().enumerate() {
        reached(&red.guest, &end[at])?;
        let way = |target: &str| -> Result<String, Failure> {
            let command = format!("traceroute {family} -n -q 1 -N 1 -w 10 -m 4 {target}");
            said(&red.guest, &command)
        };
        let text = way(&end[at])?;
        let both = [(1, near[at].clone()), (2, end[at].clone())];
        ensure(hops(&text) == both, || text)?;
        for router in [&near[at], &far[at]] {
            let text = way(router)?;
            ensure(hops(&text) == [(1, router.clone())], || text)?;
        }
    }
    Ok(())
}

#[test]
fn tracepath_finds_the_mtu_of_the_whole_path() -> Outcome {
    Tools::check(&["tracepath"])?;
    let TwoNetworks {
        world: _world,
        red,
        blue,
        ..
    } = start_narrow()?;
    let (near, end) = (red.gateways(), blue.addresses());
    for (at, family) in FAMILIES.into_iter().enumerate() {
        reached(&red.guest, &end[at])?;
        let text = said(
            &red.guest,
            &format!("tracepath {family} -n -m 4 {}", end[at]),
        )?;
        let hops = hops(&text);
        let has = |number: u8, address: &String| hops.contains(&(number, address.clone()));
        let found = text.contains("Resume: pmtu 1300 hops 2 ");
        let whole = found && has(1, &near[at]) && has(2, &end[at]);
        ensure(whole, || text.clone())?;
    }
    Ok(())
}

#[test]
fn what_is_too_long_for_the_next_network_is_told_of_and_then_fits() -> Outcome {
    let TwoNetworks {
        world: _world,
        red,
        blue,
        ..
    } = start_narrow()?;
    for (at, family) in FAMILIES.into_iter().enumerate() {
        let headers = [48, 28][at];
        let payload = usize::from(LONG) - headers;
        let (gateway, target) = (&red.gateways()[at], &blue.addresses()[at]);
        let capture = red.guest.capture(TOO_BIG[at])?;
        let whole = format!("ping {family} -n -c 1 -W 5 -M do -s {payload} {target}");
        let text = said(&red.guest, &whole)?;
        let told = text.to_lowercase().contains(&format!("from {gateway} "))
            && (text.contains("mtu=1300") || text.contains("mtu = 1300"));
        ensure(told, || text)?;
        capture.wait_packets(1, SOON)?;
        let packets = capture.stop()?;
        assert_told(&packets, at, &red, &blue)?;

        let route = red.guest.run(&["ip", "route", "get", target])?.stdout;
        ensure(route.contains(&format!(" mtu {MTU}")), || route)?;
        let pieces = format!("ping {family} -n -c 3 -i 0.1 -w 15 -M want -s {payload} {target}");
        let text = said(&red.guest, &pieces)?;
        ensure(text.contains("3 received"), || text)?;
    }
    Ok(())
}

/// The one error is from the router's port and address on red, has the MTU of blue, and quotes the packet.
fn assert_told(packets: &Packets, at: usize, red: &DualStack, blue: &DualStack) -> Outcome {
    let mtu = ["icmpv6.mtu", "icmp.mtu"][at];
    let (source, target) = [("ipv6.src", "ipv6.dst"), ("ip.src", "ip.dst")][at];
    let fields = ["eth.src", "eth.dst", mtu, source, target];
    let rows = packets.fields("", &fields)?;
    let (own, far, gateway) = (red.addresses(), blue.addresses(), red.gateways());
    let wanted = [
        red.router_ports[at].mac.clone(),
        red.guest.mac().to_owned(),
        MTU.to_owned(),
        format!("{},{}", gateway[at], own[at]),
        format!("{},{}", own[at], far[at]),
    ];
    ensure(rows == [wanted], || format!("{rows:?}"))
}

/// The receiver says that it takes more than its network does, so that only what the router tells makes segments fit.
#[test]
fn tcp_finds_its_way_through_the_narrower_network() -> Outcome {
    let TwoNetworks {
        world: _world,
        red,
        blue,
        ..
    } = start_narrow()?;
    overstate(&blue.guest, "2001:db8:a::/64", &blue.gateways()[0], "1370")?;
    overstate(&blue.guest, "192.0.2.0/25", &blue.gateways()[1], "1390")?;
    for (at, too_big) in TOO_BIG.into_iter().enumerate() {
        let told = red.guest.capture(too_big)?;
        let arriving = blue.guest.capture("tcp")?;
        let (script, port) = (script("transfer.py"), (5001 + at).to_string());
        let take = ["/usr/bin/python3", &script, "take", &port];
        let mut taker = blue.guest.spawn(&take)?;
        taker.wait_line("its listening", SOON, |line| {
            (line == "listening").then_some(())
        })?;
        let target = &blue.addresses()[at];
        let give = ["/usr/bin/python3", &script, "give", target, &port];
        red.guest.run(&give)?;
        taker.wait_line("all octets", SOON, |line| {
            (line == "took 2097152").then_some(())
        })?;
        told.wait_packets(1, SOON)?;
        let arrived = arriving.stop()?;
        let too_long = arrived.fields("frame.len > 1314", &["frame.len"])?;
        ensure(too_long.is_empty(), || format!("{too_long:?}"))?;
        let full = arrived.fields("frame.len == 1314", &["frame.len"])?;
        ensure(!full.is_empty(), || arrived.count().to_string())?;
    }
    Ok(())
}

/// Has a guest announce this largest segment to whom it reaches by a route.
fn overstate(guest: &Guest, prefix: &str, gateway: &str, segment: &str) -> Outcome {
    let route = ["ip", "route", "add", prefix, "via", gateway];
    let words = [&route[..], &["advmss", segment]].concat();
    guest.run(&words)?;
    Ok(())
}

/// What `to_the_router.py` sends to a router's own address, and the type, code and pointer of what it is told.
const TO_THE_ROUTER: [(&str, [&str; 3]); 11] = [
    ("udp", ["1", "4", ""]),
    ("tcp", ["1", "4", ""]),
    ("unassigned protocol", ["4", "1", "6"]),
    ("esp", ["4", "1", "6"]),
    ("hop-by-hop option", ["4", "2", "42"]),
    ("destination option", ["4", "2", "42"]),
    ("routing header", ["4", "0", "42"]),
    ("hop-by-hop options behind others", ["4", "1", "40"]),
    ("tcp over ipv4", ["3", "3", ""]),
    ("unassigned protocol over ipv4", ["3", "2", ""]),
    ("udp over ipv4", ["3", "3", ""]),
];

/// Each error comes from the address that the packet was sent to (RFC 4443 §2.2(a)), be it on another network; of nothing
/// else is there any.
#[test]
fn what_is_for_the_router_itself_and_of_no_use_to_it_is_told_of() -> Outcome {
    let TwoNetworks {
        world: _world,
        red,
        blue,
        ..
    } = start()?;
    for router in [red.gateways(), blue.gateways()] {
        let rows = told_at(&red, &router)?;
        let wanted = due_at(&red, &router);
        ensure(rows == wanted, || format!("{rows:#?}"))?;
    }
    Ok(())
}

/// What the guest is told once it has sent all to these addresses, sorted.
fn told_at(red: &DualStack, [router6, router4]: &[String; 2]) -> Result<Vec<Vec<String>>, Failure> {
    let script = script("to_the_router.py");
    let [mac6, mac4] = red.router_ports.each_ref().map(|port| port.mac.as_str());
    let [own6, own4] = red.addresses();
    let errors = "icmp6 and ip6[40] < 128 or icmp[0] == 3";
    let capture = red.guest.capture(errors)?;
    let (python, me) = ("/usr/bin/python3", red.guest.mac());
    red.guest.run(&[
        python, &script, me, mac6, mac4, &own6, &own4, router6, router4,
    ])?;
    capture.wait_packets(TO_THE_ROUTER.len(), SOON)?;
    let names = [
        "icmpv6.type",
        "icmpv6.code",
        "icmpv6.pointer",
        "icmp.type",
        "icmp.code",
        "ipv6.src",
        "ip.src",
    ];
    let mut rows = capture.stop()?.fields("", &names)?;
    rows.sort();
    Ok(rows)
}

/// What it has to be told then, in the same fields and order.
fn due_at(red: &DualStack, [router6, router4]: &[String; 2]) -> Vec<Vec<String>> {
    let [own6, own4] = red.addresses();
    let (from6, from4) = (format!("{router6},{own6}"), format!("{router4},{own4}"));
    let row = |(name, [kind, code, pointer]): (&str, [&str; 3])| {
        let row = match name.contains("ipv4") {
            true => ["", "", "", kind, code, "", &from4],
            false => [kind, code, pointer, "", "", &from6, ""],
        };
        row.map(str::to_owned).to_vec()
    };
    let mut rows: Vec<_> = TO_THE_ROUTER.into_iter().map(row).collect();
    rows.sort();
    rows
}

/// RFC 4443 §2.4(f), RFC 1812 §4.3.2.8: of hundreds of packets, a guest is told of as many as its meter lets through.
#[test]
fn no_more_is_told_than_the_meter_allows() -> Outcome {
    let world = World::start_configured("[punt]\nrate = 1\nburst = 10\n")?;
    let TwoNetworks {
        world, red, blue, ..
    } = TwoNetworks::start(world, json!({}))?;
    let host = world.lab.hypervisor(1);
    let script = script("spent.py");
    for target in blue.addresses() {
        let before = Metered::by(host)?;
        let told = red
            .guest
            .capture("icmp6 and ip6[40] == 3 or icmp[0] == 11")?;
        let spent = ["/usr/bin/python3", &script, &target, "50"];
        let now = wait_for("hundreds of packets at the meter", SOON, || {
            red.guest.run(&spent).map_err(|error| error.to_string())?;
            let now = Metered::by(host).map_err(|error| error.to_string())?;
            let enough = now.offered >= before.offered + 300;
            // What came before may have used up what the meter lets through at once.
            let any = told.wait_packets(1, Duration::from_secs(1)).is_ok();
            let seen = (enough && any).then_some(now);
            seen.ok_or_else(|| format!("{now:?}"))
        })?;
        let told = u64::try_from(told.stop()?.count()).unwrap_or(u64::MAX);
        let (offered, dropped) = (now.offered - before.offered, now.dropped - before.dropped);
        let few = dropped > offered / 2 && told <= offered - dropped;
        ensure(few, || format!("{offered} {dropped} {told}"))?;
    }
    Ok(())
}

/// What has come to a switch's meters, and what of it they have dropped. Only those of the guest are passed.
#[derive(Clone, Copy, Debug)]
struct Metered {
    offered: u64,
    dropped: u64,
}

impl Metered {
    fn by(host: &Hypervisor) -> Result<Self, Failure> {
        let text = host.ofctl(&["meter-stats", "br-int"])?.stdout;
        let sum = |name: &str| {
            let counts = text.split(name).skip(1);
            let counts = counts.map(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
            counts.sum::<Option<u64>>()
        };
        let read = || {
            Some(Self {
                offered: sum("packet_in_count:")?,
                dropped: sum(" packet_count:")?,
            })
        };
        read().ok_or_else(|| Failure::Observed(text.clone()))
    }
}
