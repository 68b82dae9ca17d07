//! A request's body, which has a limited time to arrive.

use super::places::ClientPresence;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// Why a body ends early.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// The client took too long.
    #[error("the request's body took too long")]
    Late,
    /// The connection is broken.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
}

/// A body that reports when it is complete.
pub(super) struct Received {
    body: Incoming,
    deadline: Pin<Box<Sleep>>,
    seat: ClientPresence,
}

impl Received {
    pub(super) fn new(body: Incoming, patience: Duration, seat: ClientPresence) -> Self {
        if body.is_end_stream() {
            seat.asked();
        }
        let deadline = Box::pin(sleep(patience));
        Self {
            body,
            deadline,
            seat,
        }
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            if frame.is_none() || self.body.is_end_stream() {
                self.seat.asked();
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)));
        }
        ready!(self.deadline.as_mut().poll(context));
        Poll::Ready(Some(Err(BodyError::Late)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
