//! The lab's own promises, held without a controller: a bridge made by hand stands in for it.

use sextant_lab::{Guest, GuestSpec, Hypervisor, Lab, LabError, LabOptions, Underlay};
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(10);

type Outcome = Result<(), Box<dyn Error>>;

/// `br-int` as an ordinary learning switch.
fn make_bridge(hypervisor: &Hypervisor) -> Result<(), LabError> {
    hypervisor.vsctl(&[
        "add-br",
        "br-int",
        "--",
        "set",
        "bridge",
        "br-int",
        &hypervisor.datapath().setting(),
        "fail_mode=secure",
        "protocols=OpenFlow13",
    ])?;
    hypervisor.ofctl(&["add-flow", "br-int", "priority=0,actions=NORMAL"])?;
    Ok(())
}

fn guest(hypervisor: &Hypervisor, number: u8) -> Result<Guest, LabError> {
    hypervisor.add_guest(&GuestSpec {
        name: format!("vm{number}"),
        port_id: format!("0000000{number}-1111-2222-3333-444444444444"),
        mac: format!("fa:16:3e:00:00:0{number}"),
    })
}

fn namespaces_of(lab: &str) -> Vec<String> {
    let prefix = format!("{lab}-");
    let entries = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(&prefix))
        .collect()
}

/// Processes that carry the lab's name in their environment or arguments.
fn processes_of(lab: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
        .filter_map(|entry| {
            let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
            let text = [read("environ"), read("cmdline")].concat();
            let text = String::from_utf8_lossy(&text).into_owned();
            text.contains(lab).then_some(text)
        })
        .collect()
}

fn assert_nothing_left(lab: &str) {
    assert_eq!(namespaces_of(lab), Vec::<String>::new());
    assert_eq!(processes_of(lab), Vec::<String>::new());
    assert!(!Path::new("/run/sextant-lab").join(lab).exists());
}

#[test]
fn a_lab_starts_fast_routes_its_underlay_and_leaves_nothing() -> Outcome {
    let begin = Instant::now();
    let lab = Lab::start(LabOptions {
        underlay: Underlay::DualStack,
        ..LabOptions::default()
    })?;
    let took = begin.elapsed();
    eprintln!("the lab started in {took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");

    let (h1, h2) = (lab.hypervisor(1), lab.hypervisor(2));
    for target in [
        h2.endpoint().to_string(),
        h2.endpoint_v4().ok_or("no IPv4 endpoint")?.to_string(),
    ] {
        // The switches learn their neighbours first; one lost request is theirs.
        let said = h1.run(&["ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", &target])?;
        assert!(said.stdout.contains("ttl=63"), "{}", said.stdout);
    }
    for hypervisor in lab.hypervisors() {
        let to_controller = hypervisor.run(&["ping", "-c", "1", "-W", "5", "fd00:c::1"])?;
        assert!(to_controller.stdout.contains(" 0% packet loss"));
    }

    let name = lab.name().to_owned();
    assert!(namespaces_of(&name).len() == 4 && !processes_of(&name).is_empty());
    drop(lab);
    assert_nothing_left(&name);
    Ok(())
}

#[test]
fn a_hypervisor_joins_with_the_operators_lines() -> Outcome {
    let lab = Lab::start(LabOptions {
        hypervisors: 1,
        ..LabOptions::default()
    })?;
    let h1 = lab.hypervisor(1);
    h1.join("vxlan")?;
    let get = |key: &str| h1.vsctl(&["get", "open_vswitch", ".", &format!("external_ids:{key}")]);
    assert_eq!(get("system-id")?.stdout.trim(), "h1");
    assert_eq!(
        get("sextant-encap-ip")?.stdout.trim(),
        "\"2001:db8:77:1::2\""
    );
    assert_eq!(get("sextant-encap-type")?.stdout.trim(), "vxlan");
    assert_eq!(
        get("sextant-bridge-datapath-type")?.stdout.trim(),
        h1.datapath().bridge_type()
    );
    assert_eq!(
        h1.vsctl(&["get-manager"])?.stdout.trim(),
        "tcp:[fd00:c::1]:6640"
    );
    Ok(())
}

#[test]
fn guests_on_one_bridge_reach_each_other() -> Outcome {
    let lab = Lab::start(LabOptions {
        hypervisors: 1,
        ..LabOptions::default()
    })?;
    let h1 = lab.hypervisor(1);
    make_bridge(h1)?;
    let (a, b) = (guest(h1, 1)?, guest(h1, 2)?);
    let capture = b.capture("icmp6 and ip6[40] == 128")?;
    a.wait_link_local(SOON)?;
    let target = b.wait_link_local(SOON)?;
    assert_eq!(target.to_string(), "fe80::f816:3eff:fe00:2");

    let report = a.ping(target, 3, Duration::from_millis(50))?;
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.hop_limit(), Some(64));
    assert!(a.neighbors()?.iter().any(|entry| {
        entry.address == target && entry.mac.as_deref() == Some("fa:16:3e:00:00:02")
    }));
    a.flush_neighbors()?;
    assert!(a.neighbors()?.iter().all(|entry| entry.mac.is_none()));

    capture.wait_packets(3, SOON)?;
    let packets = capture.stop()?;
    let rows = packets.fields("", &["ipv6.dst", "icmpv6.echo.sequence_number"])?;
    assert_eq!(rows.len(), 3, "{}", packets.summary()?);
    assert_eq!(rows[2], [target.to_string(), "3".to_owned()]);
    let dissected = packets.json("icmpv6.echo.sequence_number == 2")?;
    assert_eq!(dissected.len(), 1);
    assert_eq!(dissected[0]["_source"]["layers"]["ipv6"]["ipv6.hlim"], "64");
    Ok(())
}

/// A tunnel made by hand from one hypervisor to the other.
fn make_tunnel(from: &Hypervisor, to: &Hypervisor, kind: &str) -> Result<(), LabError> {
    from.vsctl(&[
        "--may-exist",
        "add-port",
        "br-int",
        "tunnel",
        "--",
        "set",
        "interface",
        "tunnel",
        &format!("type={kind}"),
        &format!("options:remote_ip=\"{}\"", to.endpoint()),
        &format!("options:local_ip=\"{}\"", from.endpoint()),
        "options:key=42",
    ])
    .map(drop)
}

#[test]
fn tunnels_cross_the_routed_ipv6_underlay() -> Outcome {
    let lab = Lab::start(LabOptions::default())?;
    let (h1, h2) = (lab.hypervisor(1), lab.hypervisor(2));
    make_bridge(h1)?;
    make_bridge(h2)?;
    let (a, b) = (guest(h1, 1)?, guest(h2, 2)?);
    a.wait_link_local(SOON)?;
    let target = b.wait_link_local(SOON)?;
    for (kind, filter) in [("vxlan", "udp port 4789"), ("ip6gre", "ip6 proto 47")] {
        make_tunnel(h1, h2, kind)?;
        make_tunnel(h2, h1, kind)?;
        // Until userspace switches have resolved the router, what they send is lost.
        a.spawn_ping(target, Duration::from_millis(100))?
            .wait_answers(1, SOON)?;
        let capture = h2.capture_underlay(filter)?;
        let report = a.ping(target, 3, Duration::from_millis(20))?;
        assert!(report.is_complete(), "{kind}: {report}");
        capture.wait_packets(6, SOON)?;
        let rows = capture
            .stop()?
            .fields("icmpv6.type == 128", &["ipv6.src", "ipv6.hlim"])?;
        let outer_and_inner = rows[0][0].split(',').collect::<Vec<_>>();
        assert_eq!(outer_and_inner[0], h1.endpoint().to_string(), "{kind}");
        assert_eq!(outer_and_inner[1], "fe80::f816:3eff:fe00:1", "{kind}");
        assert_eq!(rows[0][1], "63,64", "{kind}: one router on the way");
    }
    Ok(())
}

#[test]
fn a_killed_vswitchd_comes_back_and_the_loss_is_counted() -> Outcome {
    let lab = Lab::start(LabOptions::default())?;
    let h1 = lab.hypervisor(1);
    make_bridge(h1)?;
    let (a, b) = (guest(h1, 1)?, guest(h1, 2)?);
    let source = a.wait_link_local(SOON)?;
    let target = b.wait_link_local(SOON)?;

    let flows = h1.flows("br-int")?;
    assert_eq!(flows.len(), 1, "{flows:?}");
    assert_eq!(flows[0].rule, "priority=0 actions=NORMAL");

    let mut ping = a.spawn_ping(target, Duration::from_millis(5))?;
    ping.wait_answers(20, SOON)?;
    let first = h1.vswitchd_pid();
    h1.kill_vswitchd();
    assert_eq!(h1.vswitchd_pid(), None);
    h1.start_vswitchd()?;
    assert!(h1.vswitchd_pid().is_some() && h1.vswitchd_pid() != first);
    assert_eq!(h1.dump_flows("br-int")?, Vec::<String>::new());
    // The kernel's datapath forwards on while ovs-vswitchd is dead; without flows nothing passes either.
    let dropped = b.ping(source, 1, Duration::from_millis(20))?;
    assert_eq!(dropped.received, 0, "{dropped}");
    h1.ofctl(&["add-flow", "br-int", "priority=0,actions=NORMAL"])?;
    ping.wait_answers(20, SOON)?;
    let report = ping.stop()?;
    assert!(!report.lost.is_empty(), "{report}");
    assert!(report.received >= 40, "{report}");

    let endpoint = lab.hypervisor(2).endpoint().to_string();
    h1.run(&["ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", &endpoint])?;
    Ok(())
}

/// dnsmasq in a guest stands in for Sextant.
fn serve_dhcp(server: &Guest) -> Result<sextant_lab::Process, LabError> {
    server.run(&[
        "ip",
        "-6",
        "addr",
        "add",
        "2001:db8:5::1/64",
        "dev",
        "eth0",
        "nodad",
    ])?;
    let mut process = server.spawn(&[
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--log-facility=-",
        "--log-dhcp",
        "--user=root",
        "--pid-file=",
        "--leasefile-ro",
        "--port=0",
        "--interface=eth0",
        "--enable-ra",
        "--dhcp-range=2001:db8:5::100,2001:db8:5::1ff,64,1h",
        "--dhcp-option=option6:dns-server,[2001:db8:5::53]",
        "--dhcp-option=option6:domain-search,openstacklocal",
    ])?;
    process.wait_line("dnsmasq's start", SOON, |line| {
        line.contains("DHCPv6, IP range").then_some(())
    })?;
    Ok(process)
}

#[test]
fn real_dhcp_clients_get_leases_and_touch_nothing_of_the_machine() -> Outcome {
    let resolver = fs::read_to_string("/etc/resolv.conf")?;
    let lab = Lab::start(LabOptions {
        hypervisors: 1,
        ..LabOptions::default()
    })?;
    let h1 = lab.hypervisor(1);
    make_bridge(h1)?;
    let (server, a, b) = (guest(h1, 1)?, guest(h1, 2)?, guest(h1, 3)?);
    server.wait_link_local(SOON)?;
    let _dnsmasq = serve_dhcp(&server)?;

    let (_client, lease) = a.dhclient(SOON)?;
    assert_eq!(lease.addresses.len(), 1, "{lease:?}");
    assert_eq!(lease.dns_servers[0].to_string(), "2001:db8:5::53");
    assert_eq!(lease.domains, ["openstacklocal"]);
    let address = a.wait_address(lease.addresses[0], SOON)?;
    assert!(address.valid_lifetime <= 3600, "{address:?}");
    a.wait_default_route(SOON)?;

    let (_other, lease) = b.dhcpcd(Duration::from_secs(20))?;
    assert_eq!(lease.addresses.len(), 1, "{lease:?}");
    assert_eq!(lease.dns_servers[0].to_string(), "2001:db8:5::53");
    assert_eq!(lease.domains, ["openstacklocal"]);
    b.wait_address(lease.addresses[0], SOON)?;

    let (_info, lease) = server.dhclient_info(SOON)?;
    assert_eq!(lease.addresses, Vec::<std::net::Ipv6Addr>::new());
    assert_eq!(lease.domains, ["openstacklocal"]);

    assert_eq!(fs::read_to_string("/etc/resolv.conf")?, resolver);
    let (name, inodes) = (lab.name().to_owned(), inodes_of(lab.name()));
    assert!(
        processes_in(&inodes)
            .iter()
            .any(|name| name.contains("dhcpcd"))
    );
    // The clients outlive the lab here: it must end them, and what they started, all the same.
    drop(lab);
    assert_nothing_left(&name);
    assert_eq!(processes_in(&inodes), Vec::<String>::new());
    Ok(())
}

/// The numbers of the lab's network namespaces, which outlive their names while a process is
/// in them.
fn inodes_of(lab: &str) -> Vec<u64> {
    let names = namespaces_of(lab).into_iter();
    names
        .filter_map(|name| fs::metadata(Path::new("/run/netns").join(name)).ok())
        .map(|file| file.ino())
        .collect()
}

fn processes_in(inodes: &[u64]) -> Vec<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let namespace = fs::metadata(entry.path().join("ns/net"));
            namespace.is_ok_and(|file| inodes.contains(&file.ino()))
        })
        .map(|entry| fs::read_to_string(entry.path().join("comm")).unwrap_or_default())
        .collect()
}

#[test]
fn labs_run_side_by_side() -> Outcome {
    let one = Lab::start(LabOptions {
        hypervisors: 1,
        ..LabOptions::default()
    })?;
    let two = Lab::start(LabOptions {
        hypervisors: 1,
        ..LabOptions::default()
    })?;
    assert_ne!(one.name(), two.name());
    let (gone, kept) = (one.name().to_owned(), two.name().to_owned());
    drop(one);
    assert_nothing_left(&gone);
    assert!(!namespaces_of(&kept).is_empty());
    two.hypervisor(1).vsctl(&["show"])?;
    Ok(())
}

#[test]
fn a_panic_leaves_nothing() {
    let mut name = String::new();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let lab = Lab::start(LabOptions {
            hypervisors: 1,
            ..LabOptions::default()
        })
        .unwrap();
        name = lab.name().to_owned();
        panic!("as a failing test does");
    }));
    assert!(outcome.is_err() && !name.is_empty());
    assert_nothing_left(&name);
}

/// Runs this test binary again for another of its tests, and returns it with the name of the
/// lab that it has started.
fn other_process(test: &str) -> Result<(Child, String), Box<dyn Error>> {
    let mut other = Command::new(std::env::current_exe()?)
        .args(["--exact", "--ignored", "--nocapture", test])
        .stderr(Stdio::piped())
        .spawn()?;
    let stderr = other.stderr.take().ok_or("no output")?;
    for line in BufReader::new(stderr).lines() {
        if let Some((_, name)) = line?.split_once("the lab is ") {
            return Ok((other, name.to_owned()));
        }
    }
    Err("the other lab did not start".into())
}

#[test]
fn what_a_killed_lab_left_is_removed_at_the_next_start() -> Outcome {
    let (mut victim, name) = other_process("a_lab_that_never_ends")?;
    victim.kill()?;
    victim.wait()?;
    assert!(!namespaces_of(&name).is_empty() && !processes_of(&name).is_empty());

    let _next = Lab::start(LabOptions {
        hypervisors: 0,
        ..LabOptions::default()
    })?;
    assert_nothing_left(&name);
    Ok(())
}

#[test]
fn a_kept_lab_outlives_its_process_until_it_is_removed() -> Outcome {
    let (mut keeper, name) = other_process("a_lab_that_is_kept")?;
    assert!(keeper.wait()?.success());
    let _next = Lab::start(LabOptions {
        hypervisors: 0,
        ..LabOptions::default()
    })?;
    assert!(!namespaces_of(&name).is_empty() && !processes_of(&name).is_empty());

    assert_eq!(sextant_lab::remove_kept(&["sx0x0".to_owned()])?.len(), 0);
    let only = [name];
    assert_eq!(sextant_lab::remove_kept(&only)?, only);
    let [name] = only;
    assert_nothing_left(&name);
    Ok(())
}

#[test]
#[ignore = "run by the test that removes what it keeps"]
fn a_lab_that_is_kept() -> Outcome {
    let lab = Lab::start(LabOptions {
        hypervisors: 1,
        ..LabOptions::default()
    })?;
    eprintln!("the lab is {}", lab.name());
    Ok(lab.keep(None)?)
}

#[test]
#[ignore = "run by the test that kills it"]
fn a_lab_that_never_ends() {
    let lab = Lab::start(LabOptions {
        hypervisors: 1,
        ..LabOptions::default()
    })
    .unwrap();
    eprintln!("the lab is {}", lab.name());
    loop {
        std::thread::park();
    }
}

#[test]
fn a_program_in_the_controllers_namespace_ends_with_its_value() -> Outcome {
    Lab::tell(
        LabOptions {
            hypervisors: 0,
            ..LabOptions::default()
        },
        |lab| {
            let mut process =
                lab.spawn_in_ctl(&["sh", "-c", "echo one; echo two; exec sleep 99"])?;
            let second = process.wait_line("two", SOON, |line| (line == "two").then_some(2))?;
            assert_eq!(second, 2);
            let pid = process.pid();
            assert!(Path::new(&format!("/proc/{pid}")).exists());
            drop(process);
            assert!(!Path::new(&format!("/proc/{pid}")).exists());
            Ok(())
        },
    )
}

#[test]
fn a_failed_command_tells_its_line_and_reason() -> Outcome {
    let lab = Lab::start(LabOptions {
        hypervisors: 0,
        ..LabOptions::default()
    })?;
    let error = lab
        .in_ctl(&["ip", "link", "show", "dev", "nothere"])
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("link show dev nothere"), "{text}");
    assert!(text.contains("exit status: 1"), "{text}");
    assert!(text.contains("does not exist"), "{text}");
    Ok(())
}
