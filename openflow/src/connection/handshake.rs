//! The beginning of a session: both sides agree on OpenFlow 1.3, and the switch says what it is.

use std::future::poll_fn;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Connection, ConnectionError};
use crate::failure::{ErrorCode, ErrorMessage};
use crate::message::Message;
use crate::session::Hello;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) async fn shake_hands(&mut self) -> Result<(), ConnectionError> {
        self.queue(&Message::Hello(Hello::openflow13()));
        self.receive_hello().await?;
        let asked = self.queue(&Message::FeaturesRequest);
        loop {
            let frame = self.handshake_frame().await?;
            match self.open(&frame)? {
                Some((xid, Message::FeaturesReply(features))) if xid == asked => {
                    self.features = features;
                    return Ok(());
                }
                Some((xid, Message::Error(error))) if xid == asked => {
                    return Err(ConnectionError::Refused(error));
                }
                Some(_) => self.keep(frame)?,
                None => {}
            }
        }
    }

    /// The next frame while the time of the handshake as a whole runs.
    async fn handshake_frame(&mut self) -> Result<Bytes, ConnectionError> {
        loop {
            if self.is_clogged() {
                return Err(ConnectionError::Flood);
            }
            if let Some(frame) = self.cut_frame()? {
                return Ok(frame);
            }
            if self.ended {
                return Err(ConnectionError::ClosedEarly);
            }
            poll_fn(|context| self.poll_exchange(context)).await?;
        }
    }

    async fn receive_hello(&mut self) -> Result<(), ConnectionError> {
        let frame = self.handshake_frame().await?;
        let message = Message::decode(&frame).map_err(ConnectionError::Framing)?.1;
        if let Message::Error(error) = message {
            return Err(ConnectionError::Refused(error));
        }
        let Message::Hello(hello) = message else {
            return Err(ConnectionError::NoHello);
        };
        if hello.accepts_13(frame[0]) {
            Ok(())
        } else {
            self.refuse_hello(frame[0], hello.versions).await
        }
    }

    /// Tells the peer why, as OpenFlow 1.3.5, 6.3.1 asks.
    async fn refuse_hello(
        &mut self,
        version: u8,
        bitmap: Option<u32>,
    ) -> Result<(), ConnectionError> {
        let data = Bytes::from_static(b"OpenFlow 1.3 only");
        self.queue(&Message::Error(ErrorMessage {
            code: ErrorCode::HELLO_INCOMPATIBLE,
            data,
        }));
        self.flush().await?;
        Err(ConnectionError::Version { version, bitmap })
    }
}
