//! The beginning of a session: both sides agree on OpenFlow 1.3, and the switch says what it is.

use std::time::Instant;

use bytes::Bytes;

use super::{Event, Session, SessionError};
use crate::failure::{ErrorCode, ErrorMessage};
use crate::message::Message;
use crate::numbers::Xid;
use crate::setup::{Features, Hello};

/// How far a session has come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    /// The peer's hello is awaited.
    Hello { limit: Instant },
    /// The switch's features are awaited.
    Features { limit: Instant, asked: Xid },
    /// Messages come and go.
    Ready(Features),
}

impl Phase {
    /// When the handshake has to be over.
    pub(super) fn limit(self) -> Option<Instant> {
        match self {
            Phase::Hello { limit } | Phase::Features { limit, .. } => Some(limit),
            Phase::Ready(_) => None,
        }
    }

    pub(super) fn features(&self) -> Option<&Features> {
        match self {
            Phase::Ready(features) => Some(features),
            Phase::Hello { .. } | Phase::Features { .. } => None,
        }
    }
}

impl Session {
    pub(super) fn take_hello(&mut self, frame: &Bytes, limit: Instant) -> Result<(), SessionError> {
        let (_, message) = Message::decode(frame).map_err(SessionError::Handshake)?;
        if let Message::Error(error) = message {
            return Err(SessionError::Refused(error));
        }
        let Message::Hello(hello) = message else {
            return Err(SessionError::NoHello);
        };
        if !hello.accepts_13(frame[0]) {
            return Err(self.refuse_hello(frame[0], &hello));
        }
        let asked = self.reserve_xids(1);
        self.queue_with_xid(asked, &Message::FeaturesRequest);
        self.phase = Phase::Features { limit, asked };
        Ok(())
    }

    /// Answers a hello of another version with the error that OpenFlow 1.3.5, 6.3.1 asks for.
    fn refuse_hello(&mut self, version: u8, hello: &Hello) -> SessionError {
        self.queue(&Message::Error(ErrorMessage {
            code: ErrorCode::HELLO_INCOMPATIBLE,
            data: Bytes::from_static(b"OpenFlow 1.3 only"),
        }));
        let bitmap = hello.versions;
        SessionError::Version { version, bitmap }
    }

    /// Takes the answer to the request for the switch's features.
    pub(super) fn take_features(&mut self, frame: Bytes) -> Result<Option<Event>, SessionError> {
        let (_, message) = Message::decode(&frame).map_err(SessionError::Handshake)?;
        if let Message::FeaturesReply(features) = message {
            self.phase = Phase::Ready(features);
            return Ok(Some(Event::Ready(features)));
        }
        if let Message::Error(error) = message {
            return Err(SessionError::Refused(error));
        }
        self.keep(frame)?;
        Ok(None)
    }
}
