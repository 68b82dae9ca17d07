//! What a session does with each message of the peer.

use bytes::{Buf, Bytes};
use thiserror::Error;

use super::handshake::Phase;
use super::{Event, Session, SessionError};
use crate::error::DecodeError;
use crate::failure::ErrorMessage;
use crate::message::Message;
use crate::numbers::Xid;

/// `OFPT_ERROR`
const ERROR: u8 = 1;
/// `OFPT_ECHO_REQUEST` and `OFPT_ECHO_REPLY`, which end inside the session.
const ECHO: [u8; 2] = [2, 3];
/// How much of a malformed message goes into the error that answers it (OpenFlow 1.3.5, 7.4.4: at least 64 octets).
const QUOTED: usize = 64;

/// The messages that answer a request (several only for a multipart request), or why there are none.
pub type Answer = Result<Vec<Message>, AnswerError>;

/// Why a request has no answer: the switch's doing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The switch refused the request.
    #[error("the switch refused the request: {0}")]
    Refused(ErrorMessage),
    /// A part of the answer does not follow the specification.
    #[error("the switch's answer is malformed: {0}")]
    Malformed(DecodeError),
    /// The parts are longer together than [`Options::max_answer`](super::Options::max_answer). What is left of them comes as
    /// messages that answer no question.
    #[error("the switch's answer is longer than {0} octets")]
    TooLong(usize),
}

/// What has come of an answer.
#[derive(Debug, Default)]
pub(super) struct AnswerParts {
    messages: Vec<Message>,
    octets: usize,
}

impl Session {
    /// The next thing that happened. To be called until it gives `None`, whenever something was handled.
    ///
    /// Echo requests are answered and the session's own echoes are hidden.
    ///
    /// # Errors
    /// [`SessionError`], every time once there is one. What [`Session::poll_transmit`] has then should still go out.
    pub fn poll_event(&mut self) -> Result<Option<Event>, SessionError> {
        let event = self.next_event();
        self.noting_failure(event)
    }

    /// The answer to one question, before all else that has come: the rest is kept for [`Session::poll_event`].
    ///
    /// # Errors
    /// As [`Session::poll_event`].
    pub fn poll_answer(&mut self, asked: Xid) -> Result<Option<Answer>, SessionError> {
        let answer = self.next_answer(asked);
        self.noting_failure(answer)
    }

    fn noting_failure<T>(&mut self, result: Result<T, SessionError>) -> Result<T, SessionError> {
        if let Err(error) = &result {
            self.failure.get_or_insert_with(|| error.clone());
        }
        result
    }

    fn next_event(&mut self) -> Result<Option<Event>, SessionError> {
        self.check()?;
        if let Some(event) = self.events.pop_front() {
            return Ok(Some(event));
        }
        while !self.is_clogged()
            && let Some(frame) = self.next_frame()?
        {
            if let Some(event) = self.take_frame(frame)? {
                return Ok(Some(event));
            }
        }
        self.check_stall()?;
        Ok(None)
    }

    fn next_answer(&mut self, asked: Xid) -> Result<Option<Answer>, SessionError> {
        self.check()?;
        if let Some(answer) = self.take_answer(asked) {
            return Ok(Some(answer));
        }
        while !self.is_clogged()
            && let Some(frame) = self.cut_frame()?
        {
            if !ECHO.contains(&kind(&frame)) && !self.questions.contains_key(&xid(&frame)) {
                self.keep(frame)?;
                continue;
            }
            let event = self.take_message(&frame);
            self.events.extend(event);
            if let Some(answer) = self.take_answer(asked) {
                return Ok(Some(answer));
            }
        }
        self.check_stall()?;
        Ok(None)
    }

    /// An answer that has come while another one was waited for.
    fn take_answer(&mut self, asked: Xid) -> Option<Answer> {
        let place = self
            .events
            .iter()
            .position(|event| matches!(event, Event::Answer { xid, .. } if *xid == asked))?;
        match self.events.remove(place)? {
            Event::Answer { answer, .. } => Some(answer),
            Event::Ready(_) | Event::Message { .. } | Event::Malformed { .. } => None,
        }
    }

    fn check(&self) -> Result<(), SessionError> {
        self.failure.clone().map_or(Ok(()), Err)
    }

    /// Whether it is an error that no further message can be had.
    fn check_stall(&self) -> Result<(), SessionError> {
        let in_handshake = self.phase.features().is_none();
        if self.is_clogged() {
            // Nothing but answers to echoes can have been queued in a handshake.
            return if in_handshake {
                Err(SessionError::Flood)
            } else {
                Ok(())
            };
        }
        match self.ended {
            true if in_handshake => Err(SessionError::ClosedEarly),
            true if !self.incoming.is_empty() => Err(SessionError::Cut),
            _ => Ok(()),
        }
    }

    /// What was kept comes first, once nothing is added to it.
    fn next_frame(&mut self) -> Result<Option<Bytes>, SessionError> {
        if self.phase.features().is_some()
            && let Some(kept) = self.kept.pop_front()
        {
            self.kept_bytes -= kept.len();
            return Ok(Some(kept));
        }
        self.cut_frame()
    }

    fn take_frame(&mut self, frame: Bytes) -> Result<Option<Event>, SessionError> {
        match self.phase {
            Phase::Ready(_) => Ok(self.take_message(&frame)),
            Phase::Hello { limit } => self.take_hello(&frame, limit).map(|()| None),
            Phase::Features { asked, .. } if xid(&frame) == asked => self.take_features(frame),
            Phase::Features { .. } if ECHO.contains(&kind(&frame)) => Ok(self.take_message(&frame)),
            Phase::Features { .. } => self.keep(frame).map(|()| None),
        }
    }

    /// Decodes a message; echoes end here.
    fn take_message(&mut self, frame: &Bytes) -> Option<Event> {
        match Message::decode(frame) {
            Ok((xid, Message::EchoRequest(data))) => {
                self.queue_with_xid(xid, &Message::EchoReply(data));
                None
            }
            Ok((_, Message::EchoReply(_))) => None,
            Ok((xid, message)) if self.questions.contains_key(&xid) => {
                self.gather(xid, message, frame.len())
            }
            Ok((xid, message)) => Some(Event::Message { xid, message }),
            Err(error) => Some(self.complain(frame, error)),
        }
    }

    /// Adds a part to the answer to a question.
    fn gather(&mut self, xid: Xid, message: Message, octets: usize) -> Option<Event> {
        let mut parts = self.questions.remove(&xid)?;
        if let Message::Error(error) = message {
            let answer = Err(AnswerError::Refused(error));
            return Some(Event::Answer { xid, answer });
        }
        parts.octets += octets;
        if parts.octets > self.options.max_answer {
            let answer = Err(AnswerError::TooLong(self.options.max_answer));
            return Some(Event::Answer { xid, answer });
        }
        let more = matches!(&message, Message::MultipartReply(reply) if reply.more);
        parts.messages.push(message);
        if more {
            self.questions.insert(xid, parts);
            return None;
        }
        let answer = Ok(parts.messages);
        Some(Event::Answer { xid, answer })
    }

    /// Answers a malformed message with an error, unless it is one itself.
    fn complain(&mut self, frame: &Bytes, error: DecodeError) -> Event {
        let xid = xid(frame);
        if kind(frame) != ERROR {
            let data = frame.slice(..frame.len().min(QUOTED));
            let code = error.to_error_code();
            self.queue_with_xid(xid, &Message::Error(ErrorMessage { code, data }));
        }
        if self.questions.remove(&xid).is_some() {
            let answer = Err(AnswerError::Malformed(error));
            return Event::Answer { xid, answer };
        }
        Event::Malformed { xid, error }
    }
}

fn kind(frame: &Bytes) -> u8 {
    frame.get(1).copied().unwrap_or_default()
}

fn xid(frame: &Bytes) -> Xid {
    Xid(frame.get(4..8).map_or(0, |mut xid| xid.get_u32()))
}
