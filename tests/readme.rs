//! "Run it" of the README, typed as it stands: on a controller's machine and on two hypervisors'.

#[path = "readme/console.rs"]
mod console;

use console::{Block, Machine};
use sextant_lab::story::Failure;
use sextant_lab::{Datapath, Hypervisor, Lab, LabOptions, wait_for};
use std::net::Ipv6Addr;
use std::path::Path;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
/// What the README calls `CONTROLLER`, in the lab.
const CONTROLLER: &str = "[fd00:c::1]";

/// The four boxes of "Run it".
struct ReadMe {
    controller: Block,
    hypervisor: Block,
    cloud: Block,
    guest: Block,
}

fn read_me() -> ReadMe {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(path).expect("README.md");
    let blocks = <[Block; 4]>::try_from(console::blocks(&text, "## Run it"));
    match blocks {
        Ok([controller, hypervisor, cloud, guest]) => ReadMe {
            controller,
            hypervisor,
            cloud,
            guest,
        },
        Err(others) => panic!("four boxes are expected in \"Run it\": {others:#?}"),
    }
}

/// What differs from one hypervisor to the next, as the README says. A bridge in userspace is the lab's own.
fn join(machine: &Machine, host: &Hypervisor, block: &Block) -> Result<(), Failure> {
    if host.datapath() == Datapath::Userspace {
        let setting = "external_ids:sextant-bridge-datapath-type=netdev";
        host.vsctl(&["set", "open_vswitch", ".", setting])?;
    }
    let block = block
        .with("system-id=h1", &format!("system-id={}", host.name()))
        .with("2001:db8:77::1", &host.endpoint().to_string())
        .with("CONTROLLER", CONTROLLER);
    for command in block.commands() {
        machine.types(command).map_err(Failure::Observed)?;
    }
    wait_for("is_connected: true, twice", SOON, || {
        let shown = machine.types("ovs-vsctl show")?;
        match shown.matches("is_connected: true").count() {
            2 => Ok(()),
            _ => Err(shown),
        }
    })?;
    Ok(())
}

/// A row of the last table that `openstack` printed.
fn row<'a>(table: &'a str, name: &str) -> Option<&'a str> {
    let cells = |line: &'a str| line.split('|').map(str::trim).collect::<Vec<_>>();
    let mut rows = table.lines().rev().map(cells);
    rows.find_map(|cells| (cells.get(1) == Some(&name)).then(|| cells[2]))
}

/// A guest of this port, in a namespace that goes with the lab.
fn plug(machine: &Machine, namespace: &str, block: &Block, port: &str) -> Result<(), Failure> {
    let address = row(port, "fixed_ips").expect("fixed_ips");
    let block = block
        .with("ID", row(port, "id").expect("an id"))
        .with("MAC", row(port, "mac_address").expect("a MAC"))
        .with("guest1", namespace);
    for command in block.commands() {
        if !command.contains("address show") {
            machine.types(command).map_err(Failure::Observed)?;
            continue;
        }
        wait_for("the address of the port", SOON, || {
            let printed = machine.types(command)?;
            let mut words = printed.split_whitespace();
            let is_its = |word: &str| address.contains(word.trim_end_matches("/64"));
            match words.any(|word| word.starts_with("2001:db8:1:") && is_its(word)) {
                true => Ok(()),
                false => Err(format!("{address} is awaited: {printed}")),
            }
        })?;
    }
    Ok(())
}

#[test]
fn what_the_readme_says_to_type_leads_to_guests_that_reach_each_other() -> Result<(), Failure> {
    let readme = read_me();
    let lab = Lab::start(LabOptions::default())?;
    let controller = Machine::controller(&lab);
    let mut sextant = controller.serves(&lab, &readme.controller)?;
    sextant.wait_line("ready", SOON, |line| line.contains("ready").then_some(()))?;

    let (first, second) = (lab.hypervisor(1), lab.hypervisor(2));
    let machines = [first, second].map(Machine::hypervisor);
    join(&machines[0], first, &readme.hypervisor)?;
    join(&machines[1], second, &readme.hypervisor)?;
    let log = sextant.log_text();
    for said in ["hypervisor connected", "switch connected"] {
        assert_eq!(log.matches(said).count(), 2, "{said}: {log}");
    }

    let printed = controller
        .types(&readme.cloud.script())
        .map_err(Failure::Observed)?;
    let [one, other] = ["guest1", "guest2"].map(|name| format!("{}-{name}", lab.name()));
    plug(&machines[0], &one, &readme.guest, &printed)?;
    let os = &readme.cloud.commands()[0];
    wait_for("the port to be ACTIVE", SOON, || {
        let shown = controller.types(&format!("{os}\nos port show guest1 -c status"))?;
        match row(&shown, "status") {
            Some("ACTIVE") => Ok(()),
            _ => Err(shown),
        }
    })?;

    let create = "os port create --network blue guest2";
    let port = controller
        .types(&format!("{os}\n{create}"))
        .map_err(Failure::Observed)?;
    plug(&machines[1], &other, &readme.guest, &port)?;
    let fixed = row(&printed, "fixed_ips").expect("fixed_ips");
    let address: Ipv6Addr = fixed
        .split('\'')
        .find_map(|word| word.parse().ok())
        .expect("an address");
    wait_for("the guests to reach each other", SOON, || {
        machines[1].types(&format!("ip netns exec {other} ping -c 1 {address}"))
    })?;
    Ok(())
}
