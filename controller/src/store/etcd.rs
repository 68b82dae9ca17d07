//! The store for several controllers: a prefix of an etcd cluster, by its v3 API.
//!
//! One commit is one transaction, and each object is one key. An object's last change is the revision of its key, so
//! preconditions are comparisons of revisions. Revisions are those of the cluster: they grow, but not by one.

mod call;
mod checkup;
mod commit;
mod endpoints;
mod filling;
mod follower;
mod freshness;
mod layout;
mod listed;
mod opening;
mod presence;
mod receipts;
mod rows;
mod settings;
mod transaction;
mod watch;

pub use checkup::{ClusterCheckup, MemberCheckup, MemberStatus, check_up};
pub use opening::EtcdError;
pub use settings::{EtcdSettings, Password, check_endpoint};

use super::{Boxed, CommitError, Contact, Precondition, Revision, Store, Watch, WatchEnded};
use crate::cluster::Live;
use commit::Committer;
use endpoints::ClusterMembers;
use follower::Follower;
use freshness::Freshness;
use layout::Layout;
use listed::LatestListing;
use opening::IfMissing;
use presence::ControllerPresence;
use sextant_model::{Change, ControllerName, Object};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch as signal;
use tokio::time::Instant;

/// A store in etcd.
///
/// Dropping it ends its watches.
#[derive(Debug)]
pub struct Etcd {
    endpoints: Arc<ClusterMembers>,
    layout: Arc<Layout>,
    freshness: Arc<Freshness>,
    listing: Arc<LatestListing>,
    committer: Committer,
    /// Held for its end: watches end when it is dropped.
    open: signal::Sender<()>,
}

/// A controller that joins others.
pub struct ClusterMembership {
    /// Who else lives.
    pub live: signal::Receiver<Live>,
    /// Whether this process has its name.
    pub named: signal::Receiver<bool>,
    /// Says that this controller lives for as long as it runs. It ends only when another process has the name.
    pub presence: Boxed<'static, ()>,
}

impl Etcd {
    /// Opens the store under the settings' prefix. Makes it if the prefix is empty.
    ///
    /// # Errors
    /// See [`EtcdError`].
    pub async fn open(settings: &EtcdSettings) -> Result<Self, EtcdError> {
        Self::open_or(settings, IfMissing::Make).await
    }

    /// The same, of a store that is there.
    ///
    /// # Errors
    /// See [`EtcdError`].
    pub async fn open_present(settings: &EtcdSettings) -> Result<Self, EtcdError> {
        Self::open_or(settings, IfMissing::Refuse).await
    }

    /// Makes a store of these objects under a prefix where nothing is.
    ///
    /// # Errors
    /// See [`EtcdError`].
    pub async fn fill(settings: &EtcdSettings, objects: &[Object]) -> Result<(), EtcdError> {
        let endpoints = ClusterMembers::new(settings)?;
        filling::fill(&endpoints, &Layout::new(&settings.prefix), objects).await
    }

    /// The presence of a controller with this name, which listens at this place, where no other process can.
    pub fn join(&self, name: ControllerName, place: Option<String>) -> ClusterMembership {
        let (presence, live, named) =
            ControllerPresence::new(self.endpoints.clone(), self.layout.clone(), name, place);
        ClusterMembership {
            live,
            named,
            presence: Box::pin(presence.last()),
        }
    }

    async fn open_or(settings: &EtcdSettings, missing: IfMissing) -> Result<Self, EtcdError> {
        let endpoints = Arc::new(ClusterMembers::new(settings)?);
        let layout = Arc::new(Layout::new(&settings.prefix));
        opening::prepare(&endpoints, &layout, missing).await?;
        let freshness = Arc::default();
        Ok(Self {
            committer: Committer::new(&endpoints, &layout, &freshness),
            freshness,
            listing: Arc::default(),
            endpoints,
            layout,
            open: signal::channel(()).0,
        })
    }
}

impl Store for Etcd {
    fn commit(
        &self,
        changes: Vec<Change>,
        preconditions: Vec<Precondition>,
    ) -> Boxed<'_, Result<Revision, CommitError>> {
        Box::pin(self.committer.commit(changes, preconditions, None))
    }

    fn commit_until(
        &self,
        changes: Vec<Change>,
        preconditions: Vec<Precondition>,
        latest: Instant,
    ) -> Boxed<'_, Result<Revision, CommitError>> {
        let latest = Some(latest);
        Box::pin(self.committer.commit(changes, preconditions, latest))
    }

    fn contact(&self) -> Contact {
        self.freshness.contact()
    }

    fn watch(&self) -> Boxed<'_, Result<Box<dyn Watch>, WatchEnded>> {
        let closed = self.open.subscribe();
        let follower = Follower::new(
            &self.endpoints,
            &self.layout,
            &self.freshness,
            &self.listing,
        );
        let watch = follower.start(closed);
        Box::pin(std::future::ready(Ok(Box::new(watch) as Box<dyn Watch>)))
    }

    fn age(&self) -> Duration {
        self.freshness.age()
    }

    fn last_commit(&self, reached: Revision) -> Revision {
        self.listing.last_commit(reached)
    }
}
