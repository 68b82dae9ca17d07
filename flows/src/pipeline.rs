//! The tables, registers and priorities of `br-int`, each declared once.
//!
//! A packet only moves down: from a stage to one with a higher table number. `docs/pipeline.md` is generated from these
//! declarations.

mod groups;
mod priorities;
mod registers;
mod stages;

pub use groups::groups;
pub(crate) use groups::{COPY, buckets};
pub use priorities::{PRIORITIES, PrioritySpec};
pub(crate) use priorities::{
    advertise, advertise_options, classify, deliver, entry, fit, guard, known, martians, metadata,
    miss, neighbor, neighbor_guard, next_hop, outside, punt, refuse, replicate, report, route,
    router, routes, rules, switch, translate, tunnel,
};
pub use registers::{
    ADVERTISED_FLAGS, ANSWER_MAC, ARRIVED, BACK, Holding, LONGER, NETWORK, NEXT_HOP, NEXT_MTU,
    OPTION_TYPE, ORIGIN, OUTPUT, PATH, POLICY, PROBLEM, REGISTERS, ROUTER, Register, SENDER_MAC,
    SHARD, SWAPPED_IPV4, TAG,
};
pub use registers::{origin, problem};
pub use stages::{Miss, STAGES, Stage, StageSpec};

use rust_openflow::SwitchConfig;

/// How a switch has to treat fragments for the pipeline to see what it matches.
///
/// `OFPC_FRAG_NX_MATCH` (ovs-ofctl(8), `set-frags`): the first fragment of a packet shows its ports or its ICMP type.
/// By default Open vSwitch shows 0 on every fragment, and a Router Advertisement in two fragments would look like any
/// packet.
pub const SWITCH_CONFIG: SwitchConfig = SwitchConfig {
    flags: 3,
    miss_send_len: 128,
};
