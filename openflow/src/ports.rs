//! Reserved port numbers (OpenFlow 1.3.5, 7.2.1, `OFPP_*`).
//!
//! OpenFlow 1.3 has 32 bits for a port, Nicira's actions have 16; reserved numbers map to 0xff00 and up there.

use crate::numbers::PortNo;
use std::fmt::{self, Display, Formatter};

/// The highest number of a real port.
pub const MAX: PortNo = PortNo(0xffff_ff00);
/// Back where the packet came from; an output to its number is dropped instead.
pub const IN_PORT: PortNo = PortNo(0xffff_fff8);
/// Through the flow tables; packet-out only.
pub const TABLE: PortNo = PortNo(0xffff_fff9);
/// Through the switch's own L2 learning.
pub const NORMAL: PortNo = PortNo(0xffff_fffa);
/// Every port that floods, but the one it came from.
pub const FLOOD: PortNo = PortNo(0xffff_fffb);
/// Every port but the one it came from.
pub const ALL: PortNo = PortNo(0xffff_fffc);
/// Up to the controller.
pub const CONTROLLER: PortNo = PortNo(0xffff_fffd);
/// The bridge's own interface.
pub const LOCAL: PortNo = PortNo(0xffff_fffe);
/// No restriction, or no port.
pub const ANY: PortNo = PortNo(0xffff_ffff);

/// `OFPP_UNSET` of OpenFlow 1.5: no output in the action set.
const UNSET: PortNo = PortNo(0xffff_fff7);

impl PortNo {
    /// The number of 16 bits that Nicira's actions use for a port (`ofputil_port_from_ofp11`).
    #[must_use]
    pub const fn to_short(self) -> u16 {
        self.0 as u16
    }

    /// The port that a Nicira action gives in 16 bits.
    #[must_use]
    pub const fn from_short(port: u16) -> Self {
        if port >= 0xff00 {
            PortNo(0xffff_0000 | port as u32)
        } else {
            PortNo(port as u32)
        }
    }

    /// The name of a reserved port.
    fn name(self) -> Option<&'static str> {
        Some(match self {
            IN_PORT => "IN_PORT",
            TABLE => "TABLE",
            NORMAL => "NORMAL",
            FLOOD => "FLOOD",
            ALL => "ALL",
            CONTROLLER => "CONTROLLER",
            LOCAL => "LOCAL",
            ANY => "ANY",
            UNSET => "UNSET",
            _ => return None,
        })
    }
}

impl Display for PortNo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            // Open vSwitch knows reserved ports by their numbers of OpenFlow 1.0 (`ofputil_port_from_ofp11()`).
            None if *self >= MAX => self.to_short().fmt(f),
            None => self.0.fmt(f),
        }
    }
}
