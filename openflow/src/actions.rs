//! Actions: what is done to a packet, in order (OpenFlow 1.3.5, 7.2.5, and ovs-actions(7)).
//!
//! Standard actions are in [`standard`], Nicira's in [`nicira`] with the larger ones in files of their own. An action that
//! has no name here, or that uses a field without one, is kept as the bytes that came ([`Action::Raw`]).

use bytes::{Bytes, BytesMut};

use crate::error::{DecodeError, Reason};
use crate::failure::ErrorCode;
use crate::fields::Field;
use crate::numbers::{PortNo, TableId};
use crate::oxm::FieldId;
use crate::packets::PacketInReason;
use crate::ports;
use crate::subfield::Subfield;
use crate::wire::Reader;

mod conntrack;
pub(crate) mod learn;
mod nicira;
mod selection;
mod standard;

pub use conntrack::{Ct, Nat, NatKind, NatRange, Zone};
pub use learn::{LEARN_DELETE_LEARNED, LEARN_SEND_FLOW_REMOVED, Learn, LearnSpec, LearnTarget};
pub use selection::{BundleAction, HashFields, Multipath};

/// Actions inside actions (`clone`, `ct(exec(…))`) are followed this far.
const MAX_DEPTH: usize = 32;
/// An action's maximum length for a packet sent up means the whole packet (`OFPCML_NO_BUFFER`).
pub const WHOLE_PACKET: u16 = 0xffff;

/// One action.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send out of a port.
    Output {
        /// The port, or a reserved one.
        port: PortNo,
        /// Bytes to send up where the port is the controller; [`WHOLE_PACKET`] for all.
        max_len: u16,
    },
    /// Send out of the port that a field holds.
    OutputReg {
        /// Where the port number is.
        src: Subfield,
        /// As in `Output`.
        max_len: u16,
    },
    /// Send the beginning of the packet out of a port.
    OutputTrunc {
        /// The port.
        port: PortNo,
        /// Bytes to send.
        max_len: u32,
    },
    /// Send up with more to say than `Output` can (`controller(…)`).
    Controller {
        /// Bytes to send up; [`WHOLE_PACKET`] for all.
        max_len: u16,
        /// The connection, as the controller named itself; 0 by default.
        id: u16,
        /// The reason that the packet-in gives.
        reason: PacketInReason,
        /// Bytes for the controller itself, in packet-in2.
        userdata: Bytes,
        /// Stop here until the controller resumes the packet.
        pause: bool,
        /// The meter that the packet passes first.
        meter: Option<u32>,
    },
    /// Go through a group.
    Group(u32),
    /// Use a queue of the output port.
    SetQueue(u32),
    /// Back to the default queue.
    PopQueue,
    /// Set bits of a field.
    SetField {
        /// The field.
        field: Field,
        /// The bits wanted.
        value: u128,
        /// The bits set; [`Field::full_mask`] for the whole field.
        mask: u128,
    },
    /// Copy bits of a field to another.
    Move {
        /// From where.
        src: Subfield,
        /// To where; as many bits.
        dst: Subfield,
    },
    /// Set up to 64 bits of a field (`load:`).
    Load {
        /// The bits wanted, right-aligned.
        value: u64,
        /// Where to.
        dst: Subfield,
    },
    /// Set a field to nothing. Open vSwitch can do that to tunnel metadata, whose fields have no name here: see
    /// [`FieldId::tunnel_metadata`].
    DeleteField(FieldId),
    /// Look up again, and come back.
    Resubmit {
        /// As if it had come from this port (16-bit numbers); `None` for the one it did.
        in_port: Option<u16>,
        /// In this table; `None` for the current one.
        table: Option<TableId>,
    },
    /// Look up again with the original addresses and ports of the tracked connection.
    ResubmitCt {
        /// As in `Resubmit`.
        in_port: Option<u16>,
        /// As in `Resubmit`.
        table: Option<TableId>,
    },
    /// One hop less; a packet that runs out goes to the controller.
    DecTtl,
    /// The same, and names the controllers that want to know.
    DecTtlIds(Vec<u16>),
    /// Set the hop limit.
    SetTtl(u8),
    /// Add a VLAN tag of this Ethertype.
    PushVlan(u16),
    /// Take the outer VLAN tag off.
    PopVlan,
    /// Add an MPLS label of this Ethertype.
    PushMpls(u16),
    /// Take the outer MPLS label off; what is inside has this Ethertype.
    PopMpls(u16),
    /// Set the outer label's time to live.
    SetMplsTtl(u8),
    /// One hop less on the outer label.
    DecMplsTtl,
    /// Through the connection tracker.
    Ct(Ct),
    /// Translate addresses; inside `Ct` only.
    Nat(Nat),
    /// Forget what the connection tracker said.
    CtClear,
    /// Add a flow made from the packet.
    Learn(Box<Learn>),
    /// Does nothing but be read by people.
    Note(Bytes),
    /// Says that this flow satisfies a clause of a conjunctive match (ovs-fields(7)).
    Conjunction {
        /// The `conj_id` that the packet gets when all clauses are satisfied.
        id: u32,
        /// The clause, from 0.
        clause: u8,
        /// How many clauses there are.
        clauses: u8,
    },
    /// Do this to a copy.
    Clone(Vec<Action>),
    /// Choose a number by hashing the packet.
    Multipath(Multipath),
    /// Choose a port by hashing the packet.
    Bundle(BundleAction),
    /// Set a bit to whether the packet is longer than this.
    CheckPktLarger {
        /// Bytes, without the Ethernet checksum.
        length: u16,
        /// The bit.
        dst: Subfield,
    },
    /// Push bits on the stack.
    StackPush(Subfield),
    /// Pop bits from the stack.
    StackPop(Subfield),
    /// Stop here.
    Exit,
    /// An action without a name here, header included; a multiple of 8 bytes.
    Raw(Bytes),
}

impl Action {
    /// Sends out of `port`; a packet that goes to the controller goes whole.
    pub fn output(port: impl Into<PortNo>) -> Self {
        let port = port.into();
        Action::Output {
            port,
            max_len: if port == ports::CONTROLLER {
                WHOLE_PACKET
            } else {
                0
            },
        }
    }

    /// Sends the whole packet up.
    pub fn controller() -> Self {
        Action::output(ports::CONTROLLER)
    }

    /// Sets the whole of `field`.
    pub fn set(field: Field, value: impl Into<u128>) -> Self {
        Action::SetField {
            field,
            value: value.into(),
            mask: field.full_mask(),
        }
    }

    /// Copies the whole of `src` into the whole of `dst`.
    pub fn copy(src: Field, dst: Field) -> Self {
        Action::Move {
            src: Subfield::whole(src),
            dst: Subfield::whole(dst),
        }
    }

    /// Looks up again in `table`, and comes back.
    pub fn resubmit(table: impl Into<TableId>) -> Self {
        Action::Resubmit {
            in_port: None,
            table: Some(table.into()),
        }
    }
}

pub(crate) fn encode_list(buffer: &mut BytesMut, list: &[Action]) {
    list.iter()
        .for_each(|action| standard::encode(buffer, action));
}

/// Actions up to the end of `reader`.
pub(crate) fn decode_list(reader: &mut Reader<'_>) -> Result<Vec<Action>, DecodeError> {
    decode_nested(reader, 0).map_err(|error| error.inside(ErrorCode::BAD_ACTION_LENGTH))
}

fn decode_nested(reader: &mut Reader<'_>, depth: usize) -> Result<Vec<Action>, DecodeError> {
    if depth > MAX_DEPTH {
        return Err(reader.error(Reason::Nesting(MAX_DEPTH)));
    }
    let mut found = Vec::with_capacity(if reader.is_empty() { 0 } else { 4 });
    while !reader.is_empty() {
        found.push(decode_one(reader, depth)?);
    }
    Ok(found)
}

fn decode_one(reader: &mut Reader<'_>, depth: usize) -> Result<Action, DecodeError> {
    let [a, b, c, d] = reader.peek()?;
    let (kind, length) = (
        u16::from_be_bytes([a, b]),
        usize::from(u16::from_be_bytes([c, d])),
    );
    if length < 8 || !length.is_multiple_of(8) {
        return Err(reader.bad_length("action", length));
    }
    let mut part = reader.part(length)?;
    let whole = part.clone();
    part.skip(4)?;
    match standard::decode(kind, &mut part, depth)? {
        Some(_) if part.left() >= 8 => Err(whole.bad_length("action", length)),
        Some(action) => Ok(action),
        None => Ok(Action::Raw(whole.clone().remainder())),
    }
}
