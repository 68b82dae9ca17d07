//! Bundles on the wire: ONF extension 230 for OpenFlow 1.3, as Open vSwitch speaks it (`struct ofp14_bundle_ctrl_msg`).

use bytes::{BufMut, BytesMut};

use crate::bundle::BUNDLE_ADD_OVERHEAD;
use crate::encoded_flow_mod::EncodedFlowMod;
use crate::error::{DecodeError, EncodeError};
use crate::failure::ErrorCode;
use crate::flags::BundleFlags;
use crate::message::{Message, put_bundle_add_header};
use crate::numbers::Xid;
use crate::wire::Reader;

/// What to do with a bundle, or what was done (`OFPBCT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundleControlType {
    /// Begin one.
    OpenRequest,
    /// It has begun.
    OpenReply,
    /// No more messages follow.
    CloseRequest,
    /// It is closed.
    CloseReply,
    /// Do it.
    CommitRequest,
    /// It is done.
    CommitReply,
    /// Forget it.
    DiscardRequest,
    /// It is forgotten.
    DiscardReply,
}

const TYPES: [BundleControlType; 8] = [
    BundleControlType::OpenRequest,
    BundleControlType::OpenReply,
    BundleControlType::CloseRequest,
    BundleControlType::CloseReply,
    BundleControlType::CommitRequest,
    BundleControlType::CommitReply,
    BundleControlType::DiscardRequest,
    BundleControlType::DiscardReply,
];

/// Opens, closes, commits or discards a bundle, or answers that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleControl {
    /// The controller's number for the bundle.
    pub bundle: u32,
    /// What to do.
    pub kind: BundleControlType,
    /// How it is committed.
    pub flags: BundleFlags,
}

impl BundleControl {
    pub(crate) fn encode(self, buffer: &mut BytesMut) {
        buffer.put_u32(self.bundle);
        buffer.put_u16(self.kind as u16);
        buffer.put_u16(self.flags.0);
    }

    /// Properties after the fixed part are skipped: none is defined.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bundle = reader.u32()?;
        let number = u16::from_be_bytes(reader.peek()?);
        let Some(kind) = TYPES.get(usize::from(number)).copied() else {
            let error = reader.bad_value("bundle control type", number);
            return Err(error.answered_with(ErrorCode::BAD_BUNDLE_TYPE));
        };
        reader.skip(2)?;
        let flags = BundleFlags(reader.u16()?);
        reader.remainder();
        Ok(BundleControl {
            bundle,
            kind,
            flags,
        })
    }
}

/// Adds a message to a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleAdd {
    /// The controller's number for the bundle.
    pub bundle: u32,
    /// The flags that the bundle was opened with.
    pub flags: BundleFlags,
    /// The xid of the message inside, which Open vSwitch wants to be that of the message around it.
    pub xid: Xid,
    /// The message inside.
    pub message: Box<Message>,
}

impl BundleAdd {
    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        put_target(self.bundle, self.flags, buffer);
        self.message.encode_unchecked(self.xid, buffer);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>, depth: usize) -> Result<Self, DecodeError> {
        let bundle = reader.u32()?;
        reader.skip(2)?;
        let flags = BundleFlags(reader.u16()?);
        let (xid, message) = Message::decode_part(reader, depth + 1)?;
        // Properties may follow; none is defined.
        reader.remainder();
        Ok(BundleAdd {
            bundle,
            flags,
            xid,
            message: Box::new(message),
        })
    }
}

/// Appends the message that adds a flow-mod to a bundle. Its xid is that of the flow-mod, too.
///
/// # Errors
/// [`EncodeError::TooLong`] for more than 65535 octets; `buffer` is as before then.
pub(crate) fn put_add(
    bundle: u32,
    flags: BundleFlags,
    xid: Xid,
    flow_mod: &EncodedFlowMod,
    buffer: &mut BytesMut,
) -> Result<(), EncodeError> {
    let length = flow_mod.len() + BUNDLE_ADD_OVERHEAD;
    let Ok(short) = u16::try_from(length) else {
        return Err(EncodeError::TooLong(length));
    };
    buffer.reserve(length);
    put_bundle_add_header(short, xid, buffer);
    put_target(bundle, flags, buffer);
    flow_mod.put(xid, buffer);
    Ok(())
}

fn put_target(bundle: u32, flags: BundleFlags, buffer: &mut BytesMut) {
    buffer.put_u32(bundle);
    buffer.put_u16(0);
    buffer.put_u16(flags.0);
}
