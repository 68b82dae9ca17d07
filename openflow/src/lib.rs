//! OpenFlow 1.3 with the Nicira and ONF extensions of Open vSwitch.
//!
//! Four layers, each usable without the next:
//!
//! - **Codec** ([`Message`], [`Match`], [`Action`], [`Framer`]): bytes to typed values and back, without IO. What it does not
//!   know survives as bytes; what is malformed is refused with its offset and a reason.
//! - **Text** (`Display` of [`Match`], [`Action`], [`FlowMod`], [`multipart::FlowStats`]): the syntax of `ovs-ofctl`.
//! - **Session** ([`Session`], [`Bundle`]): a connection as a state machine, octets and time in, octets and events out.
//! - **Connection** ([`Connection`], feature `tokio`): a session on any stream of tokio.
//!
//! ```
//! use bytes::BytesMut;
//! use rust_openflow::{Action, Field, FlowMod, Instruction, Match, Message, Xid};
//!
//! let solicitations = Match::new()
//!     .with(Field::ETH_TYPE, 0x86dd_u16)
//!     .with(Field::IP_PROTO, 58_u8)
//!     .with(Field::ICMPV6_TYPE, 133_u8);
//! let flow = FlowMod::add(0, 100, solicitations, vec![Instruction::Apply(vec![Action::controller()])]);
//! assert_eq!(flow.to_string(), "table=0, priority=100,icmp6,icmp_type=133 actions=CONTROLLER:65535");
//!
//! let mut buffer = BytesMut::new();
//! Message::FlowMod(flow.clone()).encode(1, &mut buffer)?;
//! assert_eq!(Message::decode(&buffer.freeze())?, (Xid(1), Message::FlowMod(flow)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod actions;
pub mod bundle;
mod bundle_wire;
#[cfg(feature = "tokio")]
pub mod connection;
mod encoded_flow_mod;
mod error;
mod failure;
mod fields;
mod flags;
mod flow_mod;
mod flow_monitor;
mod framer;
mod groups;
mod instructions;
mod matches;
mod message;
mod meters;
pub mod multipart;
mod numbers;
mod oxm;
mod packet_in2;
mod packets;
mod port;
pub mod ports;
mod property;
mod queues;
pub mod session;
mod setup;
mod subfield;
pub mod text;
mod wire;

pub use actions::{
    Action, BundleAction, Ct, HashFields, LEARN_DELETE_LEARNED, LEARN_SEND_FLOW_REMOVED, Learn,
    LearnSpec, LearnTarget, Multipath, Nat, NatKind, NatRange, WHOLE_PACKET, Zone,
};
pub use bundle::{BUNDLE_ADD_OVERHEAD, Bundle, BundleError, BundledFlowMod};
pub use bundle_wire::{BundleAdd, BundleControl, BundleControlType};
#[cfg(feature = "tokio")]
pub use connection::{AskError, Connection, ConnectionError};
pub use encoded_flow_mod::EncodedFlowMod;
pub use error::{DecodeError, EncodeError, Reason};
pub use failure::{ErrorCode, ErrorMessage, ErrorType};
pub use fields::{Field, Format, NICIRA, ONF, OxmId, Prerequisite};
pub use flags::{BundleFlags, Capabilities, FlowFlags, MeterFlags, PortConfig, PortState};
pub use flow_mod::{ALL_TABLES, Command, FlowMod, FlowRemoved, NO_BUFFER, RemovedReason};
pub use flow_monitor::{FlowEvent, FlowUpdate, flow_update_reply, flow_updates, watch_flows};
pub use framer::Framer;
pub use groups::{Bucket, GROUP_ALL, GROUP_ANY, GroupCommand, GroupMod, GroupType};
pub use instructions::Instruction;
pub use matches::{Entry, FieldMatch, Match, MatchError};
pub use message::Message;
pub use meters::{Band, METER_ALL, MeterCommand, MeterMod};
pub use multipart::{MultipartBody, MultipartReply, MultipartRequest};
pub use numbers::{Cookie, PortNo, TableId, Xid};
pub use oxm::{FieldId, UnknownOxm};
pub use packet_in2::{PacketIn2, PacketInFormat};
pub use packets::{PacketIn, PacketInReason, PacketOut};
pub use port::{PortDesc, PortMod, PortReason, PortStatus};
pub use queues::{PacketQueue, QueueConfig, QueueProperty};
pub use session::{Answer, AnswerError, Event, Options, Session, SessionError};
pub use setup::{
    AsyncConfig, Experimenter, Features, Hello, Role, RoleMessage, SwitchConfig, VERSION,
};
pub use subfield::Subfield;

/// The README's example, compiled.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;
