//! Faults that are planted in a cloud, for `sextant why` to name.

use super::{Failure, Outcome, World, ensure};
use crate::{Guest, Hypervisor};
use serde_json::{Value, json};

/// A MAC that no port has.
pub const OTHER_MAC: &str = "02:00:00:00:00:99";

/// The id of no port.
pub const NO_PORT: &str = "00000000-0000-4000-8000-00000000000f";

/// Changes an object: `path` is that of its kind, and its id.
///
/// # Errors
/// Sextant refuses.
pub fn change(world: &World, path: &str, body: &Value) -> Outcome {
    let (status, answer) = world.lab.api().put(&format!("/v2.0/{path}"), body)?;
    ensure(status == 200, || format!("{path}: {status} {answer}"))
}

/// Changes attributes of a port.
///
/// # Errors
/// Sextant refuses.
pub fn change_port(world: &World, port: &str, attributes: &Value) -> Outcome {
    let body = json!({"port": attributes});
    change(world, &format!("ports/{port}"), &body)
}

/// Gives the guest's interface a MAC, and leaves it down.
///
/// # Errors
/// The command fails.
pub fn set_mac(guest: &Guest, mac: &str) -> Outcome {
    guest.run(&["ip", "link", "set", "eth0", "down", "address", mac])?;
    Ok(())
}

/// Brings the guest's interface up, or takes it down.
///
/// # Errors
/// The command fails.
pub fn set_link(guest: &Guest, state: &str) -> Outcome {
    guest.run(&["ip", "link", "set", "eth0", state])?;
    Ok(())
}

/// Takes the guest's interface off the switch.
///
/// # Errors
/// The command fails.
pub fn unplug(host: &Hypervisor, guest: &Guest) -> Outcome {
    host.vsctl(&["del-port", "br-int", guest.tap()])?;
    Ok(())
}

/// Puts the guest's interface on the switch, with the id of a port.
///
/// # Errors
/// The command fails.
pub fn plug_in(host: &Hypervisor, guest: &Guest, port: &str) -> Outcome {
    let (tap, iface_id) = (guest.tap(), iface_id(port));
    let words = ["add-port", "br-int", tap, "--", "set", "interface", tap];
    host.vsctl(&[&words[..], &[&iface_id]].concat())?;
    Ok(())
}

/// Gives the guest's interface, which is on the switch, the id of a port.
///
/// # Errors
/// The command fails.
pub fn set_iface_id(host: &Hypervisor, guest: &Guest, port: &str) -> Outcome {
    host.vsctl(&["set", "interface", guest.tap(), &iface_id(port)])?;
    Ok(())
}

/// The setting of an interface that says which port's it is.
#[must_use]
pub fn iface_id(port: &str) -> String {
    format!("external_ids:iface-id={port}")
}

/// Makes a security group, which begins with rules for what its ports send.
///
/// # Errors
/// Sextant refuses.
pub fn create_group(world: &World, name: &str) -> Result<Value, Failure> {
    let group = json!({"security_group": {"name": name}});
    let (status, group) = world.lab.api().post("/v2.0/security-groups", &group)?;
    ensure(status == 201, || group.to_string())?;
    Ok(group["security_group"].clone())
}

/// Deletes the rules that a security group began with.
///
/// # Errors
/// Sextant refuses.
pub fn delete_rules(world: &World, group: &Value) -> Outcome {
    let rules = group["security_group_rules"].as_array();
    for rule in rules.into_iter().flatten() {
        let id = rule["id"].as_str().unwrap_or_default();
        world.lab.api().delete_object("security-group-rules", id)?;
    }
    Ok(())
}
