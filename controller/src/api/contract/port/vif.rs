//! How Nova plugs in a port's interface, as `binding:vif_type` and `binding:vif_details` say.
//!
//! It follows from where the port is to be and what is known of that hypervisor, whenever somebody asks: a hypervisor that
//! comes later needs no port to be bound anew. Nova gives up a guest whose port could not be bound. So a hypervisor that is
//! known will do while it is away, until it counts as gone; and a port whose interface is there stays bound.

use super::binding::place;
use crate::api::contract::view::ResourceView;
use serde::Serialize;
use sextant_model::{Chassis, INTEGRATION_BRIDGE, Machine, Port};

/// What Open vSwitch can plug in by itself.
pub(super) const NORMAL: &str = "normal";

/// The type of an interface that cannot be plugged in where it is to be.
pub(super) const FAILED: &str = "binding_failed";

/// The values of `binding:vnic_type` in Neutron. All but the first are for hardware.
pub(super) const VNIC_TYPES: [&str; 11] = [
    NORMAL,
    "direct",
    "macvtap",
    "baremetal",
    "direct-physical",
    "virtio-forwarder",
    "smart-nic",
    "accelerator-direct",
    "accelerator-direct-physical",
    "vdpa",
    "remote-managed",
];

/// How an interface is plugged in.
enum Vif<'a> {
    /// Nobody has said where.
    Unbound,
    /// It cannot be, where it is to be.
    Failed,
    /// On this machine, if it has told of itself.
    Bound(Option<&'a Machine>),
}

pub(super) fn vif_type(port: &Port, view: ResourceView<'_>) -> &'static str {
    match vif(port, view) {
        Vif::Unbound => "unbound",
        Vif::Failed => FAILED,
        Vif::Bound(Some(machine)) if machine.vhostuser_directory.is_some() => "vhostuser",
        Vif::Bound(_) => "ovs",
    }
}

/// What Nova needs to plug an interface in. Empty for a port that is not bound.
pub(super) fn vif_details(port: &Port, view: ResourceView<'_>) -> VifDetails {
    let bound = match vif(port, view) {
        Vif::Unbound | Vif::Failed => None,
        Vif::Bound(machine) => Some(OpenVswitch::plugging(port, machine)),
    };
    VifDetails { bound }
}

fn vif<'a>(port: &Port, view: ResourceView<'a>) -> Vif<'a> {
    let named = port.host_id.as_str();
    let place = place(port, view);
    if named.is_empty() && place.is_none() {
        return Vif::Unbound;
    }
    if port.vnic_type != NORMAL {
        return Vif::Failed;
    }
    if named.is_empty() {
        let chassis = place.and_then(|place| view.facts.chassis().get(place));
        return Vif::Bound(chassis.and_then(|chassis| chassis.machine.as_ref()));
    }
    let mut known = view.facts.chassis_named(named).peekable();
    // Somebody who has not told its name may be the one that is meant.
    if known.peek().is_none() && view.facts.has_unnamed_chassis() {
        return Vif::Bound(None);
    }
    match known.find(|chassis| can_have(chassis, port, view)) {
        Some(chassis) => Vif::Bound(chassis.machine.as_ref()),
        None => Vif::Failed,
    }
}

/// Whether a hypervisor has a port's interface, or can have it: it is not gone, and reaches the port's network.
fn can_have(chassis: &Chassis, port: &Port, view: ResourceView<'_>) -> bool {
    let binding = view.facts.binding(port.id);
    if binding.is_some_and(|binding| binding.chassis == chassis.id) {
        return true;
    }
    let network = view.intent.networks.get(&port.network_id);
    let physical = network.and_then(|network| network.physical_network.as_deref());
    let reaches = physical.is_none_or(|physical| chassis.reaches(physical));
    reaches && !view.facts.gone().contains(&chassis.id)
}

/// `binding:vif_details`.
#[derive(Serialize)]
pub(super) struct VifDetails {
    #[serde(flatten)]
    bound: Option<OpenVswitch>,
}

/// What Neutron's driver for Open vSwitch gives and os-vif reads.
#[derive(Serialize)]
struct OpenVswitch {
    /// Sextant's flows filter, so Nova need not.
    port_filter: bool,
    connectivity: &'static str,
    bridge_name: &'static str,
    ovs_hybrid_plug: bool,
    /// os-vif gives the bridge this datapath, also one that has another.
    #[serde(skip_serializing_if = "Option::is_none")]
    datapath_type: Option<String>,
    #[serde(flatten)]
    vhostuser: Option<VhostUser>,
}

/// How guest and switch meet: the guest serves a socket.
#[derive(Serialize)]
struct VhostUser {
    vhostuser_mode: &'static str,
    vhostuser_socket: String,
    vhostuser_ovs_plug: bool,
}

impl OpenVswitch {
    fn plugging(port: &Port, machine: Option<&Machine>) -> Self {
        let socket = machine.and_then(|machine| machine.vhostuser_socket(port.id));
        Self {
            port_filter: true,
            connectivity: "l2",
            bridge_name: INTEGRATION_BRIDGE,
            ovs_hybrid_plug: false,
            datapath_type: machine.map(|machine| machine.datapath_type.clone()),
            vhostuser: socket.map(|vhostuser_socket| VhostUser {
                vhostuser_mode: "server",
                vhostuser_socket,
                vhostuser_ovs_plug: true,
            }),
        }
    }
}
