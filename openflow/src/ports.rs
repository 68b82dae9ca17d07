//! Reserved port numbers (OpenFlow 1.3.5, 7.2.1, `OFPP_*`).
//!
//! OpenFlow 1.3 has 32 bits for a port, Nicira's actions have 16; reserved numbers map to 0xff00 and up there.

/// The highest number of a real port.
pub const MAX: u32 = 0xffff_ff00;
/// Back where the packet came from; an output to its number is dropped instead.
pub const IN_PORT: u32 = 0xffff_fff8;
/// Through the flow tables; packet-out only.
pub const TABLE: u32 = 0xffff_fff9;
/// Through the switch's own L2 learning.
pub const NORMAL: u32 = 0xffff_fffa;
/// Every port that floods, but the one it came from.
pub const FLOOD: u32 = 0xffff_fffb;
/// Every port but the one it came from.
pub const ALL: u32 = 0xffff_fffc;
/// Up to the controller.
pub const CONTROLLER: u32 = 0xffff_fffd;
/// The bridge's own interface.
pub const LOCAL: u32 = 0xffff_fffe;
/// No restriction, or no port.
pub const ANY: u32 = 0xffff_ffff;

/// The number of 16 bits that Nicira's actions use for a port: reserved ones lie at 0xff00 and up (`ofputil_port_from_ofp11`).
pub const fn short(port: u32) -> u16 {
    port as u16
}

/// The OpenFlow 1.3 number of a port that a Nicira action gives in 16 bits.
pub const fn long(port: u16) -> u32 {
    if port >= 0xff00 {
        0xffff_0000 | port as u32
    } else {
        port as u32
    }
}
