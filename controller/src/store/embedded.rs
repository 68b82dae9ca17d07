//! The embedded store: one file, one writer.
//!
//! A thread owns the database. Commits wait for it in a bounded queue; it takes all that wait, checks the preconditions
//! of each against what the ones before it lead to, and writes the good ones in a single durable transaction: under load
//! many commits share one `fsync`. Everything stored is in memory as well, as structurally shared values, so that
//! checking costs look-ups and a new watcher gets all there is without touching the disk.

mod database;
mod file;
mod formats;
mod watch;
mod writer;

pub use file::OpenError;
pub use formats::FORMAT;

use super::{Boxed, CommitError, Precondition, Revision, Store, Watch, WatchEnded};
use file::File;
use sextant_model::Change;
use std::path::Path;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};
use writer::{Request, Writer};

/// How many requests wait for the writer before those who make them wait themselves.
const QUEUE: usize = 1024;

/// A store in one file of this machine.
///
/// Dropping it waits until what was asked before is written and the file is closed.
#[derive(Debug)]
pub struct Embedded {
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Opens the store in this file, making it if there is none. Reads everything, so it takes a moment.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let (file, contents) = File::open(path)?;
        let (requests, queue) = mpsc::channel(QUEUE);
        let writer = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || Writer::new(file, contents).run(queue))
            .map_err(|source| OpenError::Io(path.to_owned(), source))?;
        Ok(Self {
            requests: Some(requests),
            writer: Some(writer),
        })
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.requests.as_ref()?.send(request(answer)).await.ok()?;
        answered.await.ok()
    }
}

const CLOSED: &str = "its writer has ended";

impl Store for Embedded {
    fn commit(
        &self,
        changes: Vec<Change>,
        preconditions: Vec<Precondition>,
    ) -> Boxed<'_, Result<Revision, CommitError>> {
        Box::pin(async move {
            self.ask(|answer| {
                Request::Commit(writer::Commit {
                    changes,
                    preconditions,
                    answer,
                })
            })
            .await
            .unwrap_or_else(|| Err(CommitError::Unavailable(CLOSED.to_owned())))
        })
    }

    fn watch(&self) -> Boxed<'_, Result<Box<dyn Watch>, WatchEnded>> {
        Box::pin(async move {
            match self.ask(Request::Watch).await {
                Some(watch) => Ok(Box::new(watch) as Box<dyn Watch>),
                None => Err(WatchEnded(CLOSED.to_owned())),
            }
        })
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's writer has panicked");
        }
    }
}
