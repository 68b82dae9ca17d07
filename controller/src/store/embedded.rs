//! The embedded store: one file, one writer.
//!
//! Commits wait for the writer in a bounded queue. It takes all that wait, and checks each one's preconditions against
//! the result of those before it. It writes the good ones in one durable transaction, so under load many commits share
//! one `fsync`.

mod database;
mod file;
pub(in crate::store) mod formats;
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
use writer::{FileWriter, StoreRequest};

/// The name of the file in a data folder.
pub const EMBEDDED_FILE: &str = "sextant.redb";

/// How many requests may wait for the writer before their senders wait.
const QUEUE: usize = 1024;

/// A store in one file of this machine.
///
/// Dropping it waits until everything requested before is written, and the file is closed.
#[derive(Debug)]
pub struct Embedded {
    requests: Option<mpsc::Sender<StoreRequest>>,
    writer: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Opens the store in this file. Makes the file if it does not exist. Reads everything, so it takes a moment.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let (file, contents) = File::open(path)?;
        let (requests, queue) = mpsc::channel(QUEUE);
        let writer = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || FileWriter::new(file, contents).run(queue))
            .map_err(|source| OpenError::Io(path.to_owned(), source))?;
        Ok(Self {
            requests: Some(requests),
            writer: Some(writer),
        })
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> StoreRequest) -> Option<T> {
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
                StoreRequest::Commit(writer::Commit {
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
            match self.ask(StoreRequest::Watch).await {
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
