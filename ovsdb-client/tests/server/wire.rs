//! A stream that shows what goes over it, and can spell methods wrongly to get the real answers of an older server.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How the reply to `monitor_cond_since` goes on if the server knew the transaction.
const FOUND: &str = "\"result\":[true,\"";

/// How a probe looks, in either direction.
const PROBE: &str = "\"method\":\"echo\"";

/// What was met so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) respelled: AtomicUsize,
    pub(crate) found: AtomicUsize,
    /// Probes of the server.
    pub(crate) probes: AtomicUsize,
    /// Probes of the client.
    pub(crate) probed: AtomicUsize,
}

#[derive(Debug)]
pub(crate) struct Wire<S> {
    stream: S,
    unknown: &'static [&'static str],
    counts: Arc<Counts>,
}

impl<S> Wire<S> {
    /// The methods in `unknown`, each in its quotes, will be spelled differently.
    pub(crate) fn new(stream: S, unknown: &'static [&'static str], counts: &Arc<Counts>) -> Self {
        Self {
            stream,
            unknown,
            counts: counts.clone(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(context, buffer);
        let text = String::from_utf8_lossy(&buffer.filled()[before..]);
        count(&self.counts.found, &text, FOUND);
        count(&self.counts.probes, &text, PROBE);
        poll
    }
}

fn count(counter: &AtomicUsize, text: &str, pattern: &str) {
    counter.fetch_add(text.matches(pattern).count(), Ordering::Relaxed);
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut text = String::from_utf8(bytes.to_vec()).unwrap();
        count(&self.counts.probed, &text, PROBE);
        for method in self.unknown {
            count(&self.counts.respelled, &text, method);
            text = text.replace(method, &method.replace('m', "M"));
        }
        Pin::new(&mut self.stream).poll_write(context, text.as_bytes())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
