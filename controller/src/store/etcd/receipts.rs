//! Receipts say whether a commit was made when its answer got lost.
//!
//! A commit also writes a key of its own, and requires that nothing has written it since. So the same transaction can be
//! sent again: it is made once, whatever arrives twice or late. A receipt is used again after its commit was answered.
//! One whose commit was given up is written before the next commit, so that the old one can no longer arrive.
//! All belong to a lease, with which they go when the controller is gone.

use super::call::{CallError, timely};
use super::endpoints::ClusterMembers;
use super::layout::Layout;
use super::transaction::{changed, got, made_at};
use crate::store::Revision;
use etcd_client::{Compare, CompareOp, GetResponse, PutOptions, Txn, TxnOp};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use uuid::Uuid;

/// How long receipts outlive the last renewal. No request waits in a network or a halted member for so long.
const LEASE: Duration = Duration::from_secs(3600);
/// The age at which a commit renews the lease.
const RENEW: Duration = Duration::from_secs(1200);

/// How many receipts are written at once: within the operations that etcd takes unless configured.
const VOIDED_AT_ONCE: usize = 100;

/// A key that one commit at a time writes.
#[derive(Debug)]
pub(super) struct Receipt {
    pub(super) key: String,
    pub(super) lease: i64,
    /// The revision of the last commit that wrote it, 0 at first.
    pub(super) changed: i64,
}

/// What became of an attempt that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Earlier {
    /// It was not made, and cannot be any more.
    RuledOut,
    /// It was made at this revision.
    Made(Revision),
}

#[derive(Debug)]
pub(super) struct Receipts {
    endpoints: Arc<ClusterMembers>,
    layout: Arc<Layout>,
    session: Mutex<Option<StoreSession>>,
    /// Apart from the session, which waits for etcd: nobody waits to bring a receipt back.
    returned: std::sync::Mutex<Returned>,
}

#[derive(Debug, Default)]
struct Returned {
    answered: Vec<Receipt>,
    doubtful: Vec<Receipt>,
}

#[derive(Debug)]
struct StoreSession {
    name: String,
    lease: i64,
    renewed: Instant,
    /// Receipts of commits that were answered, and the number of the next new one.
    free: Vec<Receipt>,
    next: u64,
    /// Receipts of commits that were given up, and may yet arrive.
    doubtful: Vec<Receipt>,
}

impl Receipts {
    pub(super) fn new(endpoints: Arc<ClusterMembers>, layout: Arc<Layout>) -> Self {
        Self {
            endpoints,
            layout,
            session: Mutex::new(None),
            returned: std::sync::Mutex::default(),
        }
    }

    /// A receipt that no other commit has.
    pub(super) async fn take(&self) -> Result<Receipt, CallError> {
        let mut current = self.session.lock().await;
        if let Some(session) = current.as_mut()
            && session.renewed.elapsed() > RENEW
        {
            match self.renew(session.lease).await {
                Ok(()) => session.renewed = Instant::now(),
                Err(CallError::LeaseExpired) => *current = None,
                Err(error) => return Err(error),
            }
        }
        let session = match current.as_mut() {
            Some(session) => session,
            None => current.insert(self.begin().await?),
        };
        session.take_back(std::mem::take(&mut *self.returned()));
        self.void(session).await?;
        Ok(session.receipt(&self.layout))
    }

    /// Takes one back whose commit was given up, and may yet arrive.
    pub(super) fn doubt(&self, receipt: Receipt) {
        self.returned().doubtful.push(receipt);
    }

    fn returned(&self) -> MutexGuard<'_, Returned> {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the receipts of commits that were given up, so that none of these can be made any more.
    async fn void(&self, session: &mut StoreSession) -> Result<(), CallError> {
        while !session.doubtful.is_empty() {
            let first = session.doubtful.len().saturating_sub(VOIDED_AT_ONCE);
            let leased = PutOptions::new().with_lease(session.lease);
            let some = session.doubtful[first..].iter();
            let writes: Vec<_> = some
                .map(|one| TxnOp::put(&*one.key, "", Some(leased.clone())))
                .collect();
            let reached = self.endpoints.reach().await?;
            let request = Txn::new().and_then(writes);
            let answer = timely(reached.client.kv_client().txn(request)).await;
            if matches!(answer, Err(CallError::NoAnswer(_))) {
                self.endpoints.failed(&reached).await;
            }
            let changed = answer?.header().map_or(0, |header| header.revision());
            for mut receipt in session.doubtful.drain(first..) {
                receipt.changed = changed;
                session.free.push(receipt);
            }
        }
        Ok(())
    }

    /// Writes the receipt of a commit of which an earlier attempt may still arrive, so that it can be made no more.
    pub(super) async fn rule_out(&self, receipt: &mut Receipt) -> Result<Earlier, CallError> {
        let unused = Compare::mod_revision(&*receipt.key, CompareOp::Equal, receipt.changed);
        let leased = PutOptions::new().with_lease(receipt.lease);
        let request = Txn::new()
            .when([unused])
            .and_then([TxnOp::put(&*receipt.key, "", Some(leased))])
            .or_else([TxnOp::get(&*receipt.key, None)]);
        let reached = self.endpoints.reach().await?;
        let answer = timely(reached.client.kv_client().txn(request)).await;
        if matches!(answer, Err(CallError::NoAnswer(_))) {
            self.endpoints.failed(&reached).await;
        }
        let answer = answer?;
        if answer.succeeded() {
            receipt.changed = answer.header().map_or(0, |header| header.revision());
            return Ok(Earlier::RuledOut);
        }
        let read: Vec<GetResponse> = answer.op_responses().into_iter().filter_map(got).collect();
        let written = read.first().and_then(changed);
        // Without its receipt it can no longer be seen.
        let written = written.ok_or(CallError::LeaseExpired)?;
        Ok(Earlier::Made(made_at(written)))
    }

    /// Takes one back whose commit was answered.
    pub(super) fn give_back(&self, receipt: Receipt) {
        self.returned().answered.push(receipt);
    }

    /// Notes that a lease is no more, and its receipts with it.
    pub(super) async fn expired(&self, lease: i64) {
        let mut session = self.session.lock().await;
        if session
            .as_ref()
            .is_some_and(|session| session.lease == lease)
        {
            *session = None;
        }
    }

    async fn begin(&self) -> Result<StoreSession, CallError> {
        let reached = self.endpoints.reach().await?;
        let seconds = i64::try_from(LEASE.as_secs()).unwrap_or(i64::MAX);
        let mut leases = reached.client.lease_client();
        let granted = timely(leases.grant(seconds, None)).await;
        if granted.is_err() {
            self.endpoints.failed(&reached).await;
        }
        Ok(StoreSession {
            name: Uuid::new_v4().to_string(),
            lease: granted?.id(),
            renewed: Instant::now(),
            free: Vec::new(),
            next: 0,
            doubtful: Vec::new(),
        })
    }

    async fn renew(&self, lease: i64) -> Result<(), CallError> {
        let reached = self.endpoints.reach().await?;
        let mut leases = reached.client.lease_client();
        let renewed = timely(leases.keep_alive(lease)).await;
        if matches!(renewed, Err(CallError::NoAnswer(_))) {
            self.endpoints.failed(&reached).await;
        }
        renewed.map(|_| ())
    }
}

impl StoreSession {
    /// Takes its receipts. Those of an earlier session are gone.
    fn take_back(&mut self, returned: Returned) {
        let Returned {
            mut answered,
            mut doubtful,
        } = returned;
        for receipts in [&mut answered, &mut doubtful] {
            receipts.retain(|receipt| receipt.lease == self.lease);
        }
        self.free.append(&mut answered);
        self.doubtful.append(&mut doubtful);
    }

    fn receipt(&mut self, layout: &Layout) -> Receipt {
        if let Some(free) = self.free.pop() {
            return free;
        }
        let number = self.next;
        self.next += 1;
        Receipt {
            key: layout.receipt(&self.name, number),
            lease: self.lease,
            changed: 0,
        }
    }
}
