//! The namespaces that every lab has and the links between them: `ctl`, where the controller
//! runs; `r`, an ordinary Linux router; and one for each hypervisor. A lab with several controllers has one more for each of
//! these and for each member of their store.
//!
//! Addresses of the lab itself skip duplicate address detection (and so start at once);
//! guests keep it. Management is apart from the underlay: the OVSDB session of a hypervisor
//! whose ovs-vswitchd was killed stays up.

use crate::error::LabError;
use crate::namespace::Namespace;
use crate::plan::{self, CONTROLLER, End, UNDERLAY_DEVICE, UNDERLAY_MTU, Underlay};
use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr};

/// No autoconfiguration and no DAD: the lab sets its own addresses.
const STATIC: &[(&str, &str)] = &[
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/all/accept_dad", "0"),
];

/// The controller's namespace, with the bridge that is the management link.
pub(crate) fn control(lab: &str) -> Result<Namespace, LabError> {
    let namespace = Namespace::create(lab, "ctl")?;
    namespace.sysctl(STATIC)?;
    namespace.ip_batch(&format!(
        "link add name mgmt type bridge mcast_snooping 0\n\
         addr add {CONTROLLER}/64 dev mgmt nodad\n\
         link set dev mgmt up"
    ))?;
    Ok(namespace)
}

/// The underlay's router.
pub(crate) fn router(lab: &str) -> Result<Namespace, LabError> {
    let namespace = Namespace::create(lab, "r")?;
    namespace.sysctl(STATIC)?;
    namespace.sysctl(&[
        ("ipv6/conf/all/forwarding", "1"),
        ("ipv4/conf/all/forwarding", "1"),
    ])?;
    Ok(namespace)
}

/// A hypervisor's namespace, linked to the router and to the controller.
pub(crate) fn hypervisor(
    control: &Namespace,
    router: &Namespace,
    lab: &str,
    number: u16,
    underlay: Underlay,
) -> Result<Namespace, LabError> {
    let namespace = Namespace::create(lab, &format!("h{number}"))?;
    namespace.sysctl(STATIC)?;
    // Guests' taps are ports of a switch: the host's own stack must not speak on them.
    namespace.sysctl(&[
        ("ipv6/conf/default/disable_ipv6", "1"),
        ("ipv4/conf/all/arp_ignore", "1"),
    ])?;
    link_management(control, &namespace, number)?;
    link_underlay(router, &namespace, number, underlay)?;
    Ok(namespace)
}

/// A namespace with nothing but this address on the management link, and its wire.
pub(crate) fn managed(
    control: &Namespace,
    role: &str,
    address: Ipv6Addr,
) -> Result<(Namespace, Wire), LabError> {
    let namespace = Namespace::create(control.lab(), role)?;
    namespace.sysctl(STATIC)?;
    let device = format!("mgmt-{role}");
    link_to_management(control, &device, &namespace, address)?;
    let control = control.clone();
    Ok((namespace, Wire { control, device }))
}

/// What links a namespace with the management link.
#[derive(Debug)]
pub(crate) struct Wire {
    control: Namespace,
    device: String,
}

impl Wire {
    /// Nothing passes, and whoever waits for an answer hears nothing.
    pub(crate) fn cut(&self) -> Result<(), LabError> {
        self.set("down")
    }

    pub(crate) fn mend(&self) -> Result<(), LabError> {
        self.set("up")
    }

    fn set(&self, state: &str) -> Result<(), LabError> {
        self.control
            .ip(&["link", "set", "dev", &self.device, state])
            .map(drop)
    }
}

fn link_management(control: &Namespace, host: &Namespace, number: u16) -> Result<(), LabError> {
    link_to_management(
        control,
        &format!("mgmt{number}"),
        host,
        plan::management(number),
    )
}

/// Its end is `mgmt`; that of the bridge is `device`.
fn link_to_management(
    control: &Namespace,
    device: &str,
    host: &Namespace,
    address: Ipv6Addr,
) -> Result<(), LabError> {
    control.ip_batch(&format!(
        "link add name {device} type veth peer name mgmt netns {}\n\
         link set dev {device} master mgmt\n\
         link set dev {device} up",
        host.name()
    ))?;
    host.sysctl(&[("ipv6/conf/mgmt/disable_ipv6", "0")])?;
    host.ip_batch(&format!(
        "addr add {address}/64 dev mgmt nodad\n\
         link set dev mgmt up"
    ))
}

fn link_underlay(
    router: &Namespace,
    host: &Namespace,
    number: u16,
    underlay: Underlay,
) -> Result<(), LabError> {
    let mut lines = format!(
        "link add name h{number} mtu {UNDERLAY_MTU} type veth peer name {UNDERLAY_DEVICE} mtu {UNDERLAY_MTU} netns {}\n",
        host.name()
    );
    add_addresses(
        &mut lines,
        &format!("h{number}"),
        number,
        End::Router,
        underlay,
    );
    router.ip_batch(&lines)?;
    // What the router itself sends must have its checksums before it meets the userspace switch.
    router.run(&["ethtool", "-K", &format!("h{number}"), "tx", "off"])?;
    host.ip_batch(&format!("link set dev {UNDERLAY_DEVICE} up"))
}

/// Gives a device the endpoint addresses and the default routes, also when its device comes
/// back, or is still there, after a restart of ovs-vswitchd.
pub(crate) fn address_endpoint(
    host: &Namespace,
    device: &str,
    number: u16,
    underlay: Underlay,
) -> Result<(), LabError> {
    let ipv6 = format!("ipv6/conf/{device}/disable_ipv6");
    host.sysctl(&[(&ipv6, "0")])?;
    let mut lines = String::new();
    add_addresses(&mut lines, device, number, End::Hypervisor, underlay);
    for (gateway, _) in plan::underlay(number, End::Router, underlay) {
        let _ = writeln!(lines, "route replace default via {gateway} dev {device}");
    }
    host.ip_batch(&lines)
}

fn add_addresses(lines: &mut String, device: &str, number: u16, end: End, underlay: Underlay) {
    for (address, length) in plan::underlay(number, end, underlay) {
        let flag = match address {
            IpAddr::V4(_) => "",
            IpAddr::V6(_) => " nodad",
        };
        let _ = writeln!(lines, "addr replace {address}/{length} dev {device}{flag}");
    }
    let _ = writeln!(lines, "link set dev {device} up");
}
