//! `sextant doctor` looks at hypervisors with real Open vSwitch from outside, and tells each fault that was planted.

use serde_json::Value;
use sextant_lab::story::{Failure, World};
use sextant_lab::{Hypervisor, wait_for};
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// What is said of a hypervisor, as `STATE CHECK: SAYS`, and the exit code.
fn said_of(world: &World, host: &Hypervisor) -> (Vec<String>, Option<i32>) {
    let mut command = Command::new(world.controller.binary());
    command.args(["doctor", "--json", "--hypervisor", &host.database()]);
    let command = command
        .arg("--control-socket")
        .arg(world.controller.control_socket());
    let output = command.output().expect("the doctor runs");
    let rows = String::from_utf8(output.stdout).expect("text");
    let rows = rows
        .lines()
        .map(|row| serde_json::from_str(row).expect("a row is JSON"));
    let rows = rows.map(|row: Value| {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        format!("{} {}: {}", text("state"), text("check"), text("says"))
    });
    (rows.collect(), output.status.code())
}

/// Waits until these are all that is wrong.
fn only_wrong_is(world: &World, host: &Hypervisor, parts: &[&str]) -> Result<(), Failure> {
    wait_for("the doctor's verdict", SOON, || {
        let (said, code) = said_of(world, host);
        let wrong: Vec<_> = said.iter().filter(|line| line.starts_with("bad")).collect();
        let told = |part: &&str| wrong.iter().any(|line| line.contains(*part));
        let as_expected = wrong.len() == parts.len() && parts.iter().all(told);
        match as_expected && code == Some(i32::from(!parts.is_empty())) {
            true => Ok(()),
            false => Err(format!("{code:?}: {said:#?}")),
        }
    })?;
    Ok(())
}

/// Mistakes of an operator, and what a network service before Sextant left.
const FAULTS: [&str; 8] = [
    "set-manager tcp:[fd00:c::1]:6640 tcp:[fd00:c::1]:6641",
    "set open_vswitch . external_ids:sextant-bridge-mappings=physnet9:br-none",
    "set open_vswitch . external_ids:ovn-remote=tcp:127.0.0.1:6642",
    "add-br br-tun -- set bridge br-tun datapath_type=netdev",
    "add-port br-int patch-tun -- set interface patch-tun type=patch options:peer=patch-int",
    "add-port br-tun patch-int -- set interface patch-int type=patch options:peer=patch-tun",
    "--no-wait add-port br-int nodevice",
    "--no-wait set interface nodevice external_ids:iface-id=00000000-0000-4000-8000-00000000000f",
];

#[test]
fn each_fault_of_a_hypervisor_is_told_from_outside() -> Result<(), Failure> {
    let mut world = World::start()?;
    world.addressed()?;
    let [first, second] = [1, 2].map(|number| world.lab.hypervisor(number));
    for host in [first, second] {
        only_wrong_is(&world, host, &[])?;
    }
    let (said, _) = said_of(&world, first);
    for good in [
        "unclear Open vSwitch: The database answers",
        "good identity: Sextant knows it as h1, and is connected to both parts.",
        "good managers: tcp:[fd00:c::1]:6640 is connected",
        "good datapath: ",
    ] {
        assert!(
            said.iter().any(|line| line.starts_with(good)),
            "{good}: {said:#?}"
        );
    }

    for fault in FAULTS {
        second.vsctl(&fault.split(' ').collect::<Vec<_>>())?;
    }
    only_wrong_is(
        &world,
        second,
        &[
            "managers: tcp:[fd00:c::1]:6641 is not connected",
            "mappings: external_ids:sextant-bridge-mappings names bridges that are not there: br-none",
            "interfaces: nodevice of br-int does not work",
            "interfaces: nodevice is for port 00000000-0000-4000-8000-00000000000f, which does not exist",
            "others: Of another network service: external_ids:ovn-remote, bridge br-tun, port patch-tun (patch) of br-int.",
        ],
    )?;
    only_wrong_is(&world, first, &[])?;
    Ok(())
}

#[test]
fn a_name_that_another_hypervisor_has_and_one_that_is_missing_are_told() -> Result<(), Failure> {
    let mut world = World::start()?;
    world.addressed()?;
    let second = world.lab.hypervisor(2);
    second.vsctl(&["set", "open_vswitch", ".", "external_ids:system-id=h1"])?;
    only_wrong_is(
        &world,
        second,
        &["identity: Sextant knows another hypervisor as h1"],
    )?;
    second.vsctl(&["remove", "open_vswitch", ".", "external_ids", "system-id"])?;
    only_wrong_is(
        &world,
        second,
        &["takes part: external_ids:system-id is not set"],
    )?;
    Ok(())
}
