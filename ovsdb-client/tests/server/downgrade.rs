//! A stream on which newer methods have names that no server knows, to see the real answers of an older one.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Debug)]
pub(crate) struct Downgrade<S> {
    stream: S,
    unknown: &'static [&'static str],
    respelled: Arc<AtomicUsize>,
}

impl<S> Downgrade<S> {
    /// The methods in `unknown`, each in its quotes, will be spelled differently.
    pub(crate) fn new(stream: S, unknown: &'static [&'static str]) -> Self {
        Self {
            stream,
            unknown,
            respelled: Arc::default(),
        }
    }

    /// How many methods were met so far.
    pub(crate) fn respelled(&self) -> Arc<AtomicUsize> {
        self.respelled.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Downgrade<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Downgrade<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut text = String::from_utf8(bytes.to_vec()).unwrap();
        for method in self.unknown {
            let count = text.matches(method).count();
            self.respelled.fetch_add(count, Ordering::Relaxed);
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
