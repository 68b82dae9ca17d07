//! What others change on a hypervisor is noticed and mended while the controller is connected: on real Open vSwitch.

use sextant_lab::story::{Failure, World};
use sextant_lab::{Hypervisor, wait_for};
use std::collections::BTreeSet;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// The series of one kind.
fn mended(world: &World, kind: &str) -> u64 {
    let series = format!("sextant_drift_mended_total{{kind=\"{kind}\"}} ");
    let page = world.lab.metrics().unwrap_or_default();
    let count = page.lines().find_map(|line| line.strip_prefix(&series));
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

const KINDS: [&str; 6] = ["flow", "meter", "group", "switch", "bridge", "port"];

fn all_mended(world: &World) -> [u64; 6] {
    KINDS.map(|kind| mended(world, kind))
}

/// What `ovs-ofctl` prints of flows, without what counts and ages.
fn flows(host: &Hypervisor) -> Result<Vec<String>, String> {
    let words = ["--no-stats", "dump-flows", "br-int"];
    let printed = host.ofctl(&words).map_err(|error| error.to_string())?;
    let mut flows: Vec<String> = printed.stdout.lines().map(str::to_owned).collect();
    flows.sort_unstable();
    Ok(flows)
}

fn meters(host: &Hypervisor) -> Result<String, String> {
    let printed = host.ofctl(&["dump-meters", "br-int"]);
    printed
        .map(|printed| {
            let mut lines: Vec<&str> = printed.stdout.lines().skip(1).collect();
            lines.sort_unstable();
            lines.join("\n")
        })
        .map_err(|error| error.to_string())
}

/// Waits until something is as it was, and the metric of this kind has gone up.
fn is_mended<T: PartialEq + std::fmt::Debug>(
    world: &World,
    kind: &str,
    before: (u64, &T),
    now: impl Fn(&Hypervisor) -> Result<T, String>,
) {
    let mended_again = wait_for(&format!("{kind} to be mended"), SOON, || {
        let found = now(world.lab.hypervisor(1))?;
        match mended(world, kind) > before.0 && found == *before.1 {
            true => Ok(()),
            false => Err(format!("{found:?}")),
        }
    });
    if let Err(error) = mended_again {
        panic!("{error}");
    }
}

fn settled() -> World {
    let mut world = World::start().expect("the lab starts");
    world.addressed().expect("guests have addresses");
    assert_eq!(all_mended(&world), [0; 6], "all that happened is our own");
    world
}

#[test]
fn flows_that_others_delete_change_or_add_are_mended() -> Result<(), Failure> {
    let world = settled();
    let host = || world.lab.hypervisor(1);
    let before = flows(host()).map_err(Failure::Observed)?;
    let one = host().flows("br-int")?;
    let one = one.iter().find(|flow| flow.table == 0).expect("a flow");
    let cookie = format!("cookie={:#x}/-1", one.cookie);
    let double = format!(
        "cookie={:#x},table=0,priority=1,udp,actions=drop",
        one.cookie
    );
    for words in [
        &["del-flows", "br-int"][..],
        &["del-flows", "br-int", &cookie],
        &["mod-flows", "br-int", "table=12,actions=drop"],
        &[
            "add-flow",
            "br-int",
            "table=3,priority=77,ip,actions=NORMAL",
        ],
        &["add-flow", "br-int", &double],
        &["del-meters", "br-int"],
    ] {
        let counted = mended(&world, "flow");
        host().ofctl(words)?;
        is_mended(&world, "flow", (counted, &before), flows);
    }
    let told = std::fs::read_to_string(world.controller.log_path()).unwrap_or_default();
    let told = told
        .lines()
        .filter(|line| line.contains("somebody else changed"));
    assert!(
        told.clone()
            .all(|line| line.contains("WARN") && line.contains("h1"))
    );
    assert!(
        (1..=6).contains(&told.count()),
        "one line each, and not more"
    );
    Ok(())
}

#[test]
fn meters_groups_fragments_and_ports_flags_are_mended() -> Result<(), Failure> {
    let world = settled();
    let host = || world.lab.hypervisor(1);
    let before = meters(host()).map_err(Failure::Observed)?;
    let first = before.split_whitespace().next().expect("a meter");
    let other_rate = format!("{first},pktps,band=type=drop,rate=1");
    for words in [
        &["del-meter", "br-int", first][..],
        &["mod-meter", "br-int", &other_rate],
        &[
            "add-meter",
            "br-int",
            "meter=99999,pktps,band=type=drop,rate=5",
        ],
    ] {
        let counted = mended(&world, "meter");
        host().ofctl(words)?;
        is_mended(&world, "meter", (counted, &before), meters);
    }

    // Those that the pipeline needs, and no others.
    let groups = |host: &Hypervisor| {
        let groups = host.ofctl(&["dump-groups", "br-int"]);
        let groups = groups.map_err(|error| error.to_string())?.stdout;
        let groups = groups.lines().filter(|line| line.contains("group_id="));
        Ok(groups.map(str::to_owned).collect::<BTreeSet<_>>())
    };
    let before = groups(host()).map_err(Failure::Observed)?;
    assert_eq!(before.len(), 2);
    for words in [
        &["add-group", "br-int", "group_id=5,type=all,bucket=drop"][..],
        &["mod-group", "br-int", "group_id=1,type=all,bucket=drop"],
        &["del-groups", "br-int"],
    ] {
        let counted = mended(&world, "group");
        host().ofctl(words)?;
        is_mended(&world, "group", (counted, &before), groups);
    }
    let fragments = |host: &Hypervisor| {
        let found = host.ofctl(&["get-frags", "br-int"]);
        found
            .map(|found| found.stdout)
            .map_err(|error| error.to_string())
    };
    let as_wanted = fragments(host()).map_err(Failure::Observed)?;
    host().ofctl(&["set-frags", "br-int", "drop"])?;
    is_mended(&world, "switch", (0, &as_wanted), fragments);

    host().ofctl(&["mod-port", "br-int", "sextant-vxlan6", "no-receive"])?;
    is_mended(&world, "port", (0, &false), |host| {
        let ports = host.ofctl(&["dump-ports-desc", "br-int"]);
        let ports = ports.map_err(|error| error.to_string())?.stdout;
        Ok(ports.contains("NO_RECV"))
    });
    Ok(())
}

#[test]
fn what_others_change_while_nobody_looks_is_mended_at_once() -> Result<(), Failure> {
    let mut world = settled();
    let before = flows(world.lab.hypervisor(1)).map_err(Failure::Observed)?;
    world.controller.kill();
    let host = world.lab.hypervisor(1);
    host.ofctl(&["mod-flows", "br-int", "table=12,actions=drop"])?;
    host.ofctl(&["mod-port", "br-int", "sextant-vxlan6", "no-forward"])?;
    let changed = flows(host).map_err(Failure::Observed)?;
    assert_ne!(changed, before);
    world.controller.start_again()?;
    is_mended(&world, "flow", (0, &before), flows);
    is_mended(&world, "port", (0, &false), |host| {
        let ports = host.ofctl(&["dump-ports-desc", "br-int"]);
        let ports = ports.map_err(|error| error.to_string())?.stdout;
        Ok(ports.contains("NO_FWD"))
    });
    world.controller.restart()?;
    world.lab.wait_settled(SOON)?;
    assert_eq!(all_mended(&world), [0; 6], "what came back is as it was");
    Ok(())
}

/// What `ovs-vsctl` prints of what Sextant sets.
fn settings(host: &Hypervisor) -> Result<String, String> {
    let read = |words: &[&str]| {
        let printed = host.vsctl(words);
        printed
            .map(|printed| printed.stdout)
            .map_err(|error| error.to_string())
    };
    let columns = "fail_mode,datapath_id,other_config,stp_enable,rstp_enable";
    let columns = format!("--columns={columns}");
    Ok([
        read(&[&columns, "list", "bridge", "br-int"])?,
        read(&["get-controller", "br-int"])?,
        read(&["list-ports", "br-int"])?,
        read(&["get", "interface", "sextant-vxlan6", "type", "options"])?,
    ]
    .concat())
}

#[test]
fn the_bridges_settings_and_sextants_ports_are_mended() -> Result<(), Failure> {
    let world = settled();
    let host = || world.lab.hypervisor(1);
    let before = settings(host()).map_err(Failure::Observed)?;
    for (kind, words) in [
        ("bridge", &["set-fail-mode", "br-int", "standalone"][..]),
        ("bridge", &["del-controller", "br-int"]),
        ("bridge", &["set-controller", "br-int", "tcp:[::1]:6"]),
        (
            "bridge",
            &[
                "set",
                "bridge",
                "br-int",
                "other_config:datapath-id=00000000000000ff",
            ],
        ),
        ("bridge", &["clear", "bridge", "br-int", "other_config"]),
        (
            "bridge",
            &["set", "bridge", "br-int", "protocols=OpenFlow10"],
        ),
        ("bridge", &["set", "bridge", "br-int", "rstp_enable=true"]),
        ("port", &["del-port", "br-int", "sextant-vxlan6"]),
        (
            "port",
            &["set", "interface", "sextant-vxlan6", "options:key=7"],
        ),
        ("port", &["set", "interface", "sextant-vxlan6", "type=gre"]),
    ] {
        let counted = mended(&world, kind);
        host().vsctl(&[&["--no-wait"], words].concat())?;
        is_mended(&world, kind, (counted, &before), settings);
    }
    // Guests are where they were.
    let found = wait_for("all flows", SOON, || match flows(host()) {
        Ok(flows) if flows.len() > 10 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    found.map_err(|error| Failure::Observed(error.to_string()))
}
