//! Where intent is stored, with the facts that must survive a restart.
//!
//! A store is a map from [`Key`] to [`sextant_model::Object`] with one number, the [`Revision`], that grows with each
//! commit. A commit changes all its keys or none. Its preconditions name what the writer has read. A watcher sees each
//! commit completely, and in order.

pub mod backup;
mod embedded;
mod etcd;
mod measured;

pub use embedded::{EMBEDDED_FILE, Embedded, FORMAT, OpenError};
pub use etcd::{
    ClusterCheckup, ClusterMembership, Etcd, EtcdError, EtcdSettings, MemberCheckup, MemberStatus,
    Password, check_endpoint, check_up,
};
pub use measured::Measured;

use serde::{Deserialize, Serialize};
use sextant_model::{Change, Key};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::Instant;

/// How many commits a store has seen.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What a writer has read, and what its changes rely on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing exists under this key.
    Absent(Key),
    /// Something exists under this key.
    Present(Key),
    /// What is under this key exists, and has not changed since this revision.
    Unchanged(Key, Revision),
}

/// Why a commit did not happen. Except after [`CommitError::Uncertain`], nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Another writer was faster. Read again and retry.
    #[error("the precondition {0:?} does not hold")]
    Conflict(Precondition),
    /// The store is broken or unreachable. The request may be tried later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The store takes nothing as large as this commit. The text names the setting that decides.
    #[error("{0}")]
    TooLarge(String),
    /// The store did not answer in time. The commit may have been made, or may yet be.
    #[error("the store did not answer in time, and may have made this change all the same: {0}")]
    Uncertain(String),
}

/// The watch has ended: the store is broken or unreachable.
#[derive(Debug, thiserror::Error)]
#[error("the store's watch has ended: {0}")]
pub struct WatchEnded(pub String);

/// The changes of one commit, or those that bring a watcher up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The revision that these changes lead to.
    pub revision: Revision,
    /// The changes, in order. The first ones that [`Watch::next`] returns lead from the watched revision. From
    /// [`Revision`] 0 they are all objects.
    pub changes: Vec<Change>,
}

/// A future of a store, boxed so that stores are interchangeable at run time.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where intent is stored. An embedded and a distributed store look the same to everybody else.
pub trait Store: Send + Sync {
    /// Makes all changes durably and at once, if all preconditions hold. Cancelling does not undo it.
    fn commit(
        &self,
        changes: Vec<Change>,
        preconditions: Vec<Precondition>,
    ) -> Boxed<'_, Result<Revision, CommitError>>;

    /// Everything stored, as the first [`Committed`], then each commit. No commit is skipped.
    fn watch(&self) -> Boxed<'_, Result<Box<dyn Watch>, WatchEnded>>;

    /// How old what watchers know may be. Zero if nothing can come between them and the store.
    fn age(&self) -> Duration {
        Duration::ZERO
    }

    /// The same as [`Store::commit`], but it is not sent, for the first time or again, after `latest`. One that is given up for that is
    /// [`CommitError::Unavailable`] or [`CommitError::Uncertain`].
    fn commit_until(
        &self,
        changes: Vec<Change>,
        preconditions: Vec<Precondition>,
        latest: Instant,
    ) -> Boxed<'_, Result<Revision, CommitError>> {
        let _ = latest;
        self.commit(changes, preconditions)
    }

    /// Since when what this process knows follows what others commit.
    fn contact(&self) -> Contact {
        Contact::Always
    }

    /// The last commit that a watcher at this revision has seen. Every other watcher sees it too, while the revision itself may belong to
    /// nobody's commit.
    fn last_commit(&self, reached: Revision) -> Revision {
        reached
    }
}

/// The [`Store::age`] from which on the store counts as out of reach. A store that is in reach is asked every second.
pub const OUT_OF_REACH: Duration = Duration::from_secs(5);

/// The longest pause in which a process may take what it knows for the latest.
pub const PAUSE: Duration = Duration::from_secs(2);

/// Since when a process follows what others commit to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    /// Nothing comes between them.
    Always,
    /// It has not begun.
    NotYet,
    /// There was no pause longer than [`PAUSE`].
    Kept {
        /// Since this time.
        since: Instant,
        /// Until this time.
        until: Instant,
    },
}

/// A watcher's place in the sequence of commits.
pub trait Watch: Send {
    /// The next commit. Cancel-safe.
    fn next(&mut self) -> Boxed<'_, Result<Committed, WatchEnded>>;
}
