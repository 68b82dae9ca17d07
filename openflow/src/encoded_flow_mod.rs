//! Flow-mods that are encoded once and sent often.

use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use crate::error::{DecodeError, EncodeError};
use crate::flow_mod::FlowMod;
use crate::message::Message;
use crate::numbers::{Cookie, Xid};

/// Where a message's xid is (`ofp_header`), and where the cookie of a flow-mod ends, with which its body begins.
const XID: usize = 4;
const REST: usize = 16;

/// A flow-mod as octets. Copies share them, each with a cookie of its own.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EncodedFlowMod {
    cookie: Cookie,
    /// The message with its header.
    message: Arc<[u8]>,
}

impl EncodedFlowMod {
    /// Encodes a flow-mod.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] for more than 65535 octets.
    pub fn new(mut flow_mod: FlowMod) -> Result<Self, EncodeError> {
        let cookie = std::mem::replace(&mut flow_mod.cookie, Cookie(0));
        let mut message = BytesMut::with_capacity(256);
        Message::FlowMod(flow_mod).encode(0, &mut message)?;
        Ok(EncodedFlowMod {
            cookie,
            message: message[..].into(),
        })
    }

    /// The same change with another cookie.
    #[must_use]
    pub fn with_cookie(&self, cookie: impl Into<Cookie>) -> Self {
        EncodedFlowMod {
            cookie: cookie.into(),
            message: self.message.clone(),
        }
    }

    /// The message under xid 0 and with cookie 0.
    pub fn as_bytes(&self) -> &[u8] {
        &self.message
    }

    /// The flow-mod.
    ///
    /// # Errors
    /// Its actions are nested deeper than this crate reads.
    pub fn decode(&self) -> Result<FlowMod, DecodeError> {
        let mut message = BytesMut::with_capacity(self.message.len());
        self.put(Xid(0), &mut message);
        FlowMod::decode_message(&message.freeze())
    }

    /// How many octets the message has.
    pub(crate) fn len(&self) -> usize {
        self.message.len()
    }

    /// Appends the message under this xid.
    pub(crate) fn put(&self, xid: Xid, buffer: &mut BytesMut) {
        buffer.put_slice(&self.message[..XID]);
        buffer.put_u32(xid.0);
        buffer.put_u64(self.cookie.0);
        buffer.put_slice(&self.message[REST..]);
    }
}

impl fmt::Debug for EncodedFlowMod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.decode() {
            Ok(flow_mod) => flow_mod.fmt(f),
            Err(error) => error.fmt(f),
        }
    }
}
