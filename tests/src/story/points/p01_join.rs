//! Hypervisors join.

use crate::Hypervisor;
use crate::story::{Narrator, Outcome, Point, World, ensure};

pub(super) const POINT: Point = Point {
    number: 1,
    title: "Hypervisors join with two lines of ovs-vsctl each",
    asked: "ovs-vsctl set open_vswitch . external_ids:sextant-encap-ip=… ; ovs-vsctl set-manager tcp:[fd00:c::1]:6640",
    run,
};

fn run(world: &mut World, narrator: &mut Narrator) -> Outcome {
    world.join()?;
    for host in world.lab.hypervisors() {
        let name = host.name();
        check(host)?;
        let flows = host.dump_flows("br-int")?.len();
        narrator.observe(format_args!("{name}: br-int made, fail mode secure, OpenFlow13 to the controller, VXLAN port, {flows} flows"));
    }
    let metrics = world.lab.metrics()?;
    for gauge in [
        "sextant_hypervisors_connected 2",
        "sextant_switches_connected 2",
    ] {
        ensure(metrics.contains(gauge), || {
            format!("{gauge} is not in the metrics")
        })?;
    }
    narrator.observe("both are in the metrics: 2 hypervisors, 2 switches");
    Ok(())
}

fn check(host: &Hypervisor) -> Outcome {
    let endpoint = host.endpoint().to_string();
    for (table, record, column, wanted) in [
        ("bridge", "br-int", "fail_mode", "secure"),
        ("bridge", "br-int", "protocols", "[OpenFlow13]"),
        (
            "bridge",
            "br-int",
            "datapath_type",
            host.datapath().bridge_type(),
        ),
        ("interface", "sextant-vxlan6", "type", "vxlan"),
        ("interface", "sextant-vxlan6", "options:remote_ip", "flow"),
        ("interface", "sextant-vxlan6", "options:local_ip", &endpoint),
        ("interface", "sextant-vxlan6", "options:key", "flow"),
    ] {
        let found = host
            .vsctl(&["get", table, record, column])?
            .stdout
            .trim()
            .trim_matches('"')
            .to_owned();
        ensure(found == wanted, || {
            format!(
                "{}: {table} {record} {column} is {found}, not {wanted}",
                host.name()
            )
        })?;
    }
    let controller = host
        .vsctl(&["get-controller", "br-int"])?
        .stdout
        .trim()
        .to_owned();
    ensure(controller == "tcp:[fd00:c::1]:6653", || {
        format!("{}: the controller is {controller}", host.name())
    })
}
