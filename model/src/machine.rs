//! What Nova and its driver os-vif have to know of a hypervisor's machine.

use serde::{Deserialize, Serialize};

/// How guests are plugged in on a hypervisor, as its own database says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Its name, by which Nova may know it (`external_ids:hostname`, which Open vSwitch's start sets).
    pub name: Option<String>,
    /// The datapath that its `br-int` has or will have: `system` or `netdev`.
    pub datapath_type: String,
    /// The directory of guests' sockets, where the switch speaks vhost-user.
    pub vhostuser_directory: Option<String>,
}

impl Machine {
    /// The socket of a port, if its guest speaks vhost-user here: named as Neutron's driver for Open vSwitch names it.
    #[must_use]
    pub fn vhostuser_socket(&self, port: crate::PortId) -> Option<String> {
        /// As long as the name of an interface, which os-vif makes of it.
        const LENGTH: usize = 14;
        let directory = self.vhostuser_directory.as_deref()?;
        let mut name = format!("vhu{port}");
        name.truncate(LENGTH);
        Some(format!("{}/{name}", directory.trim_end_matches('/')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PortId;

    #[test]
    fn a_socket_is_named_after_its_port() {
        let port: PortId = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9".parse().unwrap();
        let machine = |directory: Option<&str>| Machine {
            vhostuser_directory: directory.map(str::to_owned),
            ..Machine::default()
        };
        assert_eq!(machine(None).vhostuser_socket(port), None);
        for (directory, socket) in [
            (
                "/var/run/openvswitch",
                "/var/run/openvswitch/vhu0a1b2c3d-4e",
            ),
            ("/vhost/", "/vhost/vhu0a1b2c3d-4e"),
            ("/", "/vhu0a1b2c3d-4e"),
        ] {
            let found = machine(Some(directory)).vhostuser_socket(port);
            assert_eq!(found.as_deref(), Some(socket));
        }
    }
}
