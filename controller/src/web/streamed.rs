//! An answer's body that is made while it is sent.

use axum::Error;
use axum::body::{Body, Bytes};
use hyper::body::Frame;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Sends what comes out of a channel, until nobody holds its other end. If the client leaves, the channel closes.
pub(super) struct Streamed(pub(super) mpsc::Receiver<Vec<u8>>);

impl hyper::body::Body for Streamed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let part = self.0.poll_recv(context);
        part.map(|part| part.map(|part| Ok(Frame::data(part.into()))))
    }
}

impl From<Streamed> for Body {
    fn from(streamed: Streamed) -> Self {
        Self::new(streamed)
    }
}
