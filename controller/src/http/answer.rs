//! Reports when an answer has been sent: not when it exists, but when the client has taken all of it.

use super::places::ClientPresence;
use axum::body::{Body, Bytes};
use axum::{Error, http::Response};
use hyper::body::{Frame, SizeHint};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// An answer's body that reports its end.
pub(super) struct AnswerUnderWay {
    body: Body,
    seat: ClientPresence,
}

impl AnswerUnderWay {
    /// The same answer.
    pub(super) fn with(answer: Response<Body>, seat: ClientPresence) -> Response<Self> {
        answer.map(|body| Self { body, seat })
    }
}

impl Drop for AnswerUnderWay {
    fn drop(&mut self) {
        self.seat.handed_over();
    }
}

impl hyper::body::Body for AnswerUnderWay {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A client's stream that reports when everything written has been sent, and when the client reads nothing.
pub(super) struct Outgoing<S> {
    stream: S,
    seat: ClientPresence,
    patience: Duration,
    /// When the client last read something.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Outgoing<S> {
    pub(super) fn new(stream: S, patience: Duration, seat: ClientPresence) -> Self {
        Self {
            stream,
            seat,
            patience,
            waiting: None,
        }
    }

    /// Reports the result of an attempt to send.
    fn told<T>(&mut self, sent: Poll<T>, context: &mut Context<'_>) -> Poll<T> {
        if sent.is_ready() {
            if self.waiting.take().is_some() {
                self.seat.takes();
            }
            return sent;
        }
        let patience = self.patience;
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        if waiting.as_mut().poll(context).is_ready() {
            self.seat.takes_nothing();
        }
        sent
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Outgoing<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Outgoing<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(context, octets);
        self.told(sent, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write_vectored(context, octets);
        self.told(sent, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = Pin::new(&mut self.stream).poll_flush(context);
        let sent = self.told(sent, context);
        if sent.is_ready() {
            self.seat.flushed();
        }
        sent
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
