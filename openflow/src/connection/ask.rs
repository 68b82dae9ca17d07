//! Requests whose answer is waited for: the answer is found by its xid, and what comes before it is kept for
//! [`Connection::recv`].

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Connection, ConnectionError};
use crate::error::EncodeError;
use crate::failure::ErrorMessage;
use crate::message::Message;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum AskError {
    /// The switch refused the request.
    #[error("the switch refused the request: {0}")]
    Refused(ErrorMessage),
    /// The request cannot be sent.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The switch ended the connection.
    #[error("the switch closed the connection before its answer")]
    Closed,
    /// The connection failed.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Sends a request and waits for the whole answer: one message, or all parts of a multipart reply.
    ///
    /// Only for messages that a switch answers; behind others, [`Connection::barrier`] tells when they are done. Messages
    /// that are no part of the answer are kept, and received later. Dropping the future loses the answer and nothing else.
    ///
    /// # Errors
    /// [`AskError::Refused`] with the switch's error; else the connection is of no more use, but after a malformed message
    /// ([`ConnectionError::is_fatal`]).
    pub async fn ask(&mut self, request: &Message) -> Result<Vec<Message>, AskError> {
        let asked = self.send(request)?;
        let mut answer = Vec::new();
        loop {
            let part = self.answer_to(asked).await?;
            if let Message::Error(error) = part {
                return Err(AskError::Refused(error));
            }
            let more = matches!(&part, Message::MultipartReply(reply) if reply.more);
            answer.push(part);
            if !more {
                return Ok(answer);
            }
        }
    }

    /// Waits until the switch has done all that was sent before. What it refused of that is received as errors.
    ///
    /// # Errors
    /// As [`Connection::ask`].
    pub async fn barrier(&mut self) -> Result<(), AskError> {
        self.ask(&Message::BarrierRequest).await.map(drop)
    }

    /// The next message of this xid.
    async fn answer_to(&mut self, asked: u32) -> Result<Message, AskError> {
        loop {
            while let Some(frame) = self.cut_unclogged()? {
                match self.open(&frame)? {
                    Some((xid, message)) if xid == asked => return Ok(message),
                    Some(_) => self.keep(frame)?,
                    None => {}
                }
            }
            if !self.wait_for_more().await? {
                return Err(AskError::Closed);
            }
        }
    }
}
