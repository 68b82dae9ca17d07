//! What Nova knows of a guest's port: what it was told of it last.
//!
//! It is stored, so that nothing is lost where Sextant ends while Nova has not answered, and several controllers do not all tell it.

use crate::{ChassisId, ControllerName, FixedIp, Port, PortId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What the `device_owner` of a guest's port begins with.
const GUEST_OWNER: &str = "compute:";

/// What Nova knows of a guest's port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NovaPort {
    /// The port, which may be gone.
    pub port: PortId,
    /// The server (Nova's guest) that has it.
    pub server: Uuid,
    /// The interface that Nova knows to be plugged in.
    pub plugged: Option<KnownPlug>,
    /// The addresses that the port had when Nova looked last.
    pub fixed_ips: Vec<FixedIp>,
    /// Which of several controllers tells Nova what comes next. `None`: nothing is under way.
    pub teller: Option<ControllerName>,
}

/// An interface that is plugged in, and has its flows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownPlug {
    /// The hypervisor.
    pub chassis: ChassisId,
    /// Its OpenFlow port. `None` where it was known from the store alone.
    pub ofport: Option<u16>,
}

impl KnownPlug {
    /// Whether both are the same interface, as far as is known.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let same_port = match (self.ofport, other.ofport) {
            (Some(one), Some(other)) => one == other,
            (None, _) | (_, None) => true,
        };
        self.chassis == other.chassis && same_port
    }
}

impl Port {
    /// Nova's guest that has this port.
    #[must_use]
    pub fn server(&self) -> Option<Uuid> {
        match self.device_owner.starts_with(GUEST_OWNER) {
            true => self.device_id.parse().ok(),
            false => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MacAddr, NetworkId};

    #[test]
    fn only_ports_of_nova_with_a_uuid_have_a_server() {
        let server = Uuid::from_u128(7);
        let text = server.to_string();
        for (owner, device, expected) in [
            ("compute:nova", text.as_str(), Some(server)),
            ("compute:", &text, Some(server)),
            ("compute:nova", "reserved_dhcp_port", None),
            ("compute:nova", "", None),
            ("network:dhcp", &text, None),
            ("", &text, None),
        ] {
            let mut port = Port::new(PortId::MIN, NetworkId::MIN, MacAddr([2; 6]));
            (port.device_owner, port.device_id) = (owner.to_owned(), device.to_owned());
            assert_eq!(port.server(), expected, "{owner} {device}");
        }
    }
}
