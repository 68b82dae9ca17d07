//! What Nova is told of ports on real Open vSwitch: where it may plug them in, and how.

use serde_json::{Value, json};
use sextant_lab::story::{Failure, World};
use sextant_lab::{Datapath, Port, PortSpec, wait_for};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// The port as the API shows it, once it has this type.
fn wait_vif_type(world: &World, port: &Port, expected: &str) -> Value {
    let path = format!("/v2.0/ports/{}", port.id);
    let shown = wait_for(&format!("{expected} of {}", port.id), SOON, || {
        let shown = world.lab.api().get(&path);
        let (_, shown) = shown.map_err(|error| error.to_string())?;
        match shown["port"]["binding:vif_type"] == expected {
            true => Ok(shown["port"].clone()),
            false => Err(shown.to_string()),
        }
    });
    shown.unwrap_or_else(|error| panic!("{error}"))
}

/// This machine's Open vSwitch may have no DPDK. So its database is made to say that it has, which ovs-vswitchd would undo.
#[test]
fn nova_is_told_how_to_plug_in_also_while_the_hypervisor_is_away() -> Result<(), Failure> {
    let mut world = World::start_configured("[gateway]\ngone_after = 3600")?;
    world.join()?;
    let network = world.lab.api().create_network("blue")?;
    let named = json!({"binding:host_id": "one.example"});
    let spec = PortSpec {
        more: named.as_object().cloned().unwrap_or_default(),
        ..PortSpec::default()
    };
    let port = world.lab.api().create_port(&network, &spec)?;
    assert_eq!(port.body["binding:vif_type"], "binding_failed");
    assert_eq!(port.body["binding:vif_details"], json!({}));

    let host = world.lab.hypervisor(1);
    let set = |what: &str| host.vsctl(&["set", "open_vswitch", ".", what]);
    set("external_ids:hostname=one.example")?;
    let shown = wait_vif_type(&world, &port, "ovs");
    let datapath_type = host.datapath().bridge_type();
    assert_eq!(shown["binding:vif_details"]["datapath_type"], datapath_type);

    host.kill_vswitchd();
    host.vsctl(&[
        "--no-wait",
        "set",
        "open_vswitch",
        ".",
        "external_ids:sextant-vhostuser-socket-dir=/run/sockets",
        "iface_types=dpdkvhostuserclient",
    ])?;
    let expected = match host.datapath() {
        Datapath::Userspace => "vhostuser",
        Datapath::System => "ovs",
    };
    let before = wait_vif_type(&world, &port, expected);
    if host.datapath() == Datapath::Userspace {
        let socket = format!("/run/sockets/vhu{}", &port.id[..11]);
        assert_eq!(before["binding:vif_details"]["vhostuser_socket"], socket);
    }

    host.vsctl(&["--no-wait", "del-manager"])?;
    world.controller.restart()?;
    let after = wait_vif_type(&world, &port, expected);
    assert_eq!(after, before, "it is known, though it is not connected");
    Ok(())
}
