//! Follows a store in etcd, and publishes each commit once and in order.
//!
//! It lists everything, and watches from there on. When the watch breaks, it goes on at the next revision, at whichever member
//! answers. If that revision was compacted, it lists again and publishes the difference.

mod known;
mod pulse;
mod stream;

use super::call::CallError;
use super::endpoints::{ClusterMembers, Reached};
use super::freshness::Freshness;
use super::layout::Layout;
use super::listed::LatestListing;
use super::rows::{self, ListedRows};
use super::transaction::made_at;
use super::watch::{EtcdWatch, QUEUE};
use crate::store::{Committed, WatchEnded};
use known::KnownRows;
use pulse::{Pause, Pulse};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use stream::Heard;
use tokio::sync::{mpsc, watch as signal};
use tokio::time::Instant;

/// The pause before the next member is asked.
const PAUSE: Duration = Duration::from_millis(200);

pub(super) struct Follower {
    endpoints: Arc<ClusterMembers>,
    layout: Arc<Layout>,
    freshness: Arc<Freshness>,
    listing: Arc<LatestListing>,
    commits: mpsc::Sender<Result<Committed, WatchEnded>>,
    known: KnownRows,
    /// The last revision that was published, and whether the next is to be watched or everything listed.
    seen: i64,
    next: Next,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Nothing was published yet.
    Everything,
    /// What was published has a gap.
    Difference,
    Watch,
}

/// Why the follower stopped.
enum Stop {
    /// To be tried again.
    Broken(CallError),
    /// Nobody listens.
    Unheard,
    /// What is stored cannot be read.
    Unreadable(String),
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::Broken(error)
    }
}

impl Follower {
    pub(super) fn new(
        endpoints: &Arc<ClusterMembers>,
        layout: &Arc<Layout>,
        freshness: &Arc<Freshness>,
        listing: &Arc<LatestListing>,
    ) -> Self {
        Self {
            endpoints: endpoints.clone(),
            layout: layout.clone(),
            freshness: freshness.clone(),
            listing: listing.clone(),
            commits: mpsc::channel(QUEUE).0,
            known: KnownRows::default(),
            seen: 0,
            next: Next::Everything,
        }
    }

    /// A watch, fed until it is dropped or `closed` ends.
    pub(super) fn start(mut self, mut closed: signal::Receiver<()>) -> EtcdWatch {
        let (sender, commits) = mpsc::channel(QUEUE);
        self.commits = sender;
        tokio::spawn(async move {
            tokio::select! {
                () = self.run() => {}
                _ = closed.changed() => {}
            }
        });
        EtcdWatch { commits }
    }

    async fn run(mut self) {
        let mut is_lost = false;
        loop {
            match self.follow(&mut is_lost).await {
                Stop::Broken(error) => {
                    if !std::mem::replace(&mut is_lost, true) {
                        let etcd = self.endpoints.names();
                        tracing::warn!(%error, etcd, "the store cannot be followed. What is known stays in force until it can");
                    }
                }
                Stop::Unheard => return,
                Stop::Unreadable(why) => {
                    let _ = self.commits.send(Err(WatchEnded(why))).await;
                    return;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Follows by one member, for as long as it answers.
    async fn follow(&mut self, is_lost: &mut bool) -> Stop {
        let reached = match self.endpoints.reach().await {
            Ok(reached) => reached,
            Err(error) => return Stop::Broken(error),
        };
        let Err(stop) = self.follow_by(&reached, is_lost).await;
        if let Stop::Broken(error) = &stop {
            match error {
                CallError::Compacted => self.next = self.next.or_difference(),
                CallError::NoAnswer(_)
                | CallError::Refused(_)
                | CallError::TooLarge(_)
                | CallError::LeaseExpired => self.endpoints.failed(&reached).await,
            }
        }
        stop
    }

    async fn follow_by(
        &mut self,
        reached: &Reached,
        is_lost: &mut bool,
    ) -> Result<Infallible, Stop> {
        if self.next != Next::Watch {
            let asked = Instant::now();
            let listing = rows::list(reached, &self.layout).await?;
            self.catch_up(listing).await?;
            self.freshness.confirm(asked);
        }
        self.watch(reached, is_lost).await
    }

    async fn watch(&mut self, reached: &Reached, is_lost: &mut bool) -> Result<Infallible, Stop> {
        let layout = self.layout.clone();
        let mut stream = stream::open(reached, &layout, self.seen).await?;
        let mut pulse = Pulse::default();
        let mut beat = pin!(pulse::beat(reached, &layout, Pause::Nothing));
        loop {
            tokio::select! {
                heard = stream.next(&mut self.known, &layout) => match heard? {
                    Heard::Commit(committed) => {
                        self.publish(committed).await?;
                        pulse.reached(self.seen, &self.freshness);
                    }
                    Heard::Progress(revision) => pulse.reached(revision, &self.freshness),
                },
                taken = &mut beat => {
                    let taken = taken?;
                    if std::mem::replace(is_lost, false) {
                        tracing::info!("the store is followed again");
                    }
                    if pulse.take(taken, self.seen, &self.freshness)? {
                        stream.ask_for_progress().await?;
                    }
                    beat.set(pulse::beat(reached, &layout, Pause::Interval));
                }
            }
        }
    }

    /// Publishes everything at first, later what differs.
    async fn catch_up(&mut self, listing: ListedRows) -> Result<(), Stop> {
        if listing.revision < self.seen {
            let why = "it has gone back to an earlier state. Restart to take that over";
            return Err(CallError::Refused(why.to_owned()).into());
        }
        let changes = self.known.replace(&self.layout, &listing.rows);
        let changes = match self.next {
            Next::Everything => changes.map_err(Stop::Unreadable)?,
            Next::Difference | Next::Watch => {
                changes.map_err(|why| Stop::Broken(CallError::Refused(why)))?
            }
        };
        let revision = made_at(listing.revision);
        let last_commit = made_at(listing.last_commit);
        self.listing.note(made_at(self.seen), revision, last_commit);
        self.publish(Committed { revision, changes }).await?;
        self.next = Next::Watch;
        Ok(())
    }

    async fn publish(&mut self, committed: Committed) -> Result<(), Stop> {
        let revision = committed.revision;
        let sent = self.commits.send(Ok(committed)).await;
        sent.map_err(|_| Stop::Unheard)?;
        self.seen = i64::try_from(revision.0).unwrap_or(i64::MAX);
        Ok(())
    }
}

impl Next {
    fn or_difference(self) -> Self {
        match self {
            Self::Everything => Self::Everything,
            Self::Difference | Self::Watch => Self::Difference,
        }
    }
}
