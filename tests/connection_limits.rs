//! How many connections a guest may have: a limit for each zone of the connection tracker, on real Open vSwitch.
//!
//! Open vSwitch takes it from its database from version 3.3 on. Before that the database gets the column here, as by an update,
//! so that what Sextant writes is seen on every version; that the limit holds, on those that know it.

use serde_json::{Value, json};
use sextant_lab::story::{Failure, Outcome, SOON, World, ensure};
use sextant_lab::{Hypervisor, wait_for};

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
const COLUMN: &str = "ct_zone_default_limit";

fn limited(zone_limit: u32) -> String {
    format!("[conntrack]\nzone_limit = {zone_limit}\n")
}

fn installed_schema() -> Value {
    let schema = std::fs::read_to_string(SCHEMA).expect("Open vSwitch is installed");
    serde_json::from_str(&schema).expect("a schema")
}

/// Whether this Open vSwitch takes limits from its database.
fn knows_limits() -> bool {
    !installed_schema()["tables"]["Datapath"]["columns"][COLUMN].is_null()
}

/// Gives the database the column that later versions have, if it lacks it.
fn give_column(host: &Hypervisor, world: &World) -> Outcome {
    if knows_limits() {
        return Ok(());
    }
    let mut schema = installed_schema();
    let key = json!({"type": "integer", "minInteger": 0, "maxInteger": 4_294_967_295_u32});
    schema["tables"]["Datapath"]["columns"][COLUMN] =
        json!({"type": {"key": key, "min": 0, "max": 1}});
    let file = world.lab.home().join("with-limits.ovsschema");
    std::fs::write(&file, schema.to_string()).expect("a file");
    let file = file.display().to_string();
    host.run(&["ovsdb-client", "convert", &host.database(), &file])?;
    Ok(())
}

/// One operation on the database.
fn transact(host: &Hypervisor, operation: Value) -> Result<Value, String> {
    let request = json!(["Open_vSwitch", operation]).to_string();
    let words = ["ovsdb-client", "transact", &host.database(), &request];
    let output = host.run(&words).map_err(|error| error.to_string())?;
    serde_json::from_str(&output.stdout).map_err(|error| error.to_string())
}

/// The limit of each datapath.
fn limits(host: &Hypervisor) -> Result<Vec<Option<u64>>, String> {
    let select = json!({"op": "select", "table": "Datapath", "where": [], "columns": [COLUMN]});
    let answer = transact(host, select)?;
    let rows = answer[0]["rows"].as_array();
    let rows = rows.ok_or_else(|| answer.to_string())?;
    Ok(rows.iter().map(|row| row[COLUMN].as_u64()).collect())
}

/// What somebody else does to all datapaths.
fn others_set(host: &Hypervisor, limit: Value) {
    let row = json!({COLUMN: limit});
    let update = json!({"op": "update", "table": "Datapath", "where": [], "row": row});
    let answer = transact(host, update).expect("a transaction");
    assert_eq!(answer[0]["count"], 1, "{answer}");
}

fn wait_limits(host: &Hypervisor, expected: &[Option<u64>]) -> Outcome {
    wait_for(&format!("limits {expected:?}"), SOON, || {
        let found = limits(host)?;
        match found == expected {
            true => Ok(()),
            false => Err(format!("{found:?}")),
        }
    })?;
    Ok(())
}

/// Waits until Sextant has gone through all that it wants of the hypervisor once more.
fn looked_at_again(host: &Hypervisor) -> Outcome {
    host.vsctl(&["set", "bridge", "br-int", "fail_mode=standalone"])?;
    wait_for("the bridge to be mended", SOON, || {
        let mode = host.vsctl(&["get", "bridge", "br-int", "fail_mode"]);
        match mode.map_err(|error| error.to_string())?.stdout.trim() {
            "secure" => Ok(()),
            mode => Err(mode.to_owned()),
        }
    })?;
    Ok(())
}

#[test]
fn the_limit_is_set_where_nobody_else_has_set_one_and_goes_with_sextant() -> Outcome {
    let mut world = World::start_configured(&limited(300))?;
    world.join()?;
    give_column(world.lab.hypervisor(1), &world)?;
    wait_limits(world.lab.hypervisor(1), &[Some(300)])?;

    world.reconfigure(&limited(400))?;
    wait_limits(world.lab.hypervisor(1), &[Some(400)])?;

    for theirs in [json!(77), json!(["set", []])] {
        let host = world.lab.hypervisor(1);
        others_set(host, theirs.clone());
        world.reconfigure(&limited(500))?;
        let host = world.lab.hypervisor(1);
        looked_at_again(host)?;
        assert_eq!(limits(host).expect("limits"), [theirs.as_u64()]);
        world.reconfigure(&limited(400))?;
    }

    others_set(world.lab.hypervisor(1), json!(400));
    world.reconfigure(&limited(0))?;
    wait_limits(world.lab.hypervisor(1), &[None])?;
    world.reconfigure(&limited(500))?;
    let host = world.lab.hypervisor(1);
    wait_limits(host, &[Some(500)])?;

    host.leave()?;
    wait_limits(host, &[])
}

/// Sends a datagram to each of as many ports.
const FLOOD: &str = "
import socket, sys
target, count = sys.argv[1], int(sys.argv[2])
sender = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
for port in range(10000, 10000 + count):
    sender.sendto(b'x', (target, port))
";

/// How many connections the connection tracker has that begin at this address, by zone.
fn connections(host: &Hypervisor, source: &str) -> Result<Vec<usize>, Failure> {
    let table = host.appctl(&["dpctl/dump-conntrack"])?.stdout;
    let begins = format!("src={source},");
    let mut zones = std::collections::BTreeMap::<&str, usize>::new();
    for line in table.lines().filter(|line| line.contains(&begins)) {
        let (_, zone) = line.split_once("zone=").unwrap_or_default();
        let zone = zone.split(',').next().unwrap_or_default();
        *zones.entry(zone).or_default() += 1;
    }
    Ok(zones.into_values().collect())
}

#[test]
fn a_guest_that_opens_too_many_connections_is_held_to_its_own() -> Outcome {
    let mut world = World::start_configured(&limited(200))?;
    world.addressed()?;
    let (lab, _, guests) = world.ready()?;
    let (host, flooder, other) = (lab.hypervisor(1), &guests.slaac1, &guests.slaac1b);
    if knows_limits() {
        wait_limits(host, &[Some(200)])?;
    }
    let target = guests.slaac2.address().to_string();
    let source = flooder.address().to_string();
    flooder
        .guest
        .run(&["python3", "-c", FLOOD, &target, "600"])?;
    let zones = wait_for("connections to be remembered", SOON, || {
        let zones = connections(host, &source).map_err(|failure| format!("{failure:?}"))?;
        match zones.iter().max() {
            Some(most) if *most >= 200 => Ok(zones),
            _ => Err(format!("{zones:?}")),
        }
    })?;
    let held = zones.iter().all(|zone| *zone <= 210);
    ensure(held == knows_limits(), || format!("{zones:?}"))?;
    // Not the flooder's target, whose own zone is full of what it let in.
    let report = other.guest.ping(
        guests.stateful2.address(),
        3,
        std::time::Duration::from_millis(50),
    )?;
    ensure(report.received == 3, || report.to_string())
}
