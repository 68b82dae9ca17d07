//! Probes of tunnels: frames that one hypervisor's switch sends to another's, to see whether they arrive.

use crate::MacAddr;

/// Their EtherType: IEEE Std 802 - Local Experimental Ethertype 1 (IEEE 802, clause 9.2.4).
pub const PROBE_ETHERTYPE: u16 = 0x88b5;

/// Their destination: locally administered, so that no network card has it.
pub const PROBE_MAC: MacAddr = MacAddr([0x02, 0x73, 0x78, 0x70, 0x72, 0x62]);

/// Their key in the tunnel. No network has it.
pub const PROBE_KEY: u64 = 0;
