//! Commits: a transaction is sent until it is answered, or for as long as a writer waits.

use super::call::{CALL, CallError, timely};
use super::endpoints::ClusterMembers;
use super::freshness::Freshness;
use super::layout::Layout;
use super::receipts::{Earlier, Receipt, Receipts};
use super::transaction::{EtcdTransaction, Outcome};
use crate::store::{CommitError, OUT_OF_REACH, Precondition, Revision};
use sextant_model::Change;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a writer waits. A cluster that lost its leader has another within about two seconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause before a transaction is sent again.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Committer {
    endpoints: Arc<ClusterMembers>,
    layout: Arc<Layout>,
    freshness: Arc<Freshness>,
    receipts: Receipts,
}

/// A commit on its way.
struct Attempts {
    transaction: EtcdTransaction,
    receipt: Option<Receipt>,
    /// Whether an attempt was not answered, and may have been made.
    in_doubt: bool,
    until: Instant,
}

impl Committer {
    pub(super) fn new(
        endpoints: &Arc<ClusterMembers>,
        layout: &Arc<Layout>,
        freshness: &Arc<Freshness>,
    ) -> Self {
        Self {
            endpoints: endpoints.clone(),
            layout: layout.clone(),
            freshness: freshness.clone(),
            receipts: Receipts::new(endpoints.clone(), layout.clone()),
        }
    }

    pub(super) async fn commit(
        &self,
        changes: Vec<Change>,
        preconditions: Vec<Precondition>,
        latest: Option<Instant>,
    ) -> Result<Revision, CommitError> {
        self.refuse_without_etcd()?;
        let transaction = EtcdTransaction::new(&self.layout, changes, preconditions)
            .map_err(|error| CommitError::Unavailable(error.to_string()))?;
        let patient = Instant::now() + PATIENCE;
        let mut attempts = Attempts {
            transaction,
            receipt: None,
            in_doubt: false,
            until: patient.min(latest.unwrap_or(patient)),
        };
        // Attempts wait for each other where a session begins or a user authenticates.
        let latest = attempts.until + CALL;
        match tokio::time::timeout_at(latest, self.settle(&mut attempts)).await {
            Ok(end) => end,
            Err(_) => {
                let late = CallError::NoAnswer("no answer in time".to_owned());
                Err(self.give_up(&mut attempts, &late))
            }
        }
    }

    async fn settle(&self, attempts: &mut Attempts) -> Result<Revision, CommitError> {
        loop {
            if let Some(end) = self.attempt(attempts).await {
                return end;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// While the cluster is out of reach, nobody waits: writers would queue for each other.
    fn refuse_without_etcd(&self) -> Result<(), CommitError> {
        let age = self.freshness.age();
        if age < OUT_OF_REACH {
            return Ok(());
        }
        let seconds = age.as_secs();
        let why = format!("etcd has not answered for {seconds} seconds");
        Err(CommitError::Unavailable(why))
    }

    /// How the commit ends. `None`: it is to be sent again.
    async fn attempt(&self, attempts: &mut Attempts) -> Option<Result<Revision, CommitError>> {
        match self.send(attempts).await {
            Ok(Outcome::Made(revision)) => {
                self.answered(attempts, Some(revision));
                Some(Ok(revision))
            }
            Ok(Outcome::Failed(precondition)) => {
                if attempts.in_doubt
                    && let Err(end) = self.rule_out(attempts).await
                {
                    return Some(end);
                }
                self.answered(attempts, None);
                Some(Err(CommitError::Conflict(precondition)))
            }
            Ok(Outcome::ReceiptGone) => self.expired(attempts).await,
            Err(CallError::LeaseExpired) => self.expired(attempts).await,
            Err(error @ CallError::NoAnswer(_)) if Instant::now() >= attempts.until => {
                Some(Err(self.give_up(attempts, &error)))
            }
            Err(CallError::NoAnswer(_)) => None,
            Err(CallError::TooLarge(setting)) => {
                self.answered(attempts, None);
                let keys = attempts.transaction.writes();
                let why = format!(
                    "a change of {keys} keys is larger than {setting} of etcd allows: raise it on all members, or ask for less at once"
                );
                Some(Err(CommitError::TooLarge(why)))
            }
            Err(error @ (CallError::Refused(_) | CallError::Compacted)) => {
                Some(Err(self.give_up(attempts, &error)))
            }
        }
    }

    async fn send(&self, attempts: &mut Attempts) -> Result<Outcome, CallError> {
        let receipt = match &mut attempts.receipt {
            Some(receipt) => receipt,
            none => none.insert(self.receipts.take().await?),
        };
        let reached = self.endpoints.reach().await?;
        if Instant::now() >= attempts.until {
            return Err(CallError::NoAnswer("the time is up".to_owned()));
        }
        let request = attempts.transaction.with(receipt);
        // Until an answer says otherwise.
        let was_in_doubt = std::mem::replace(&mut attempts.in_doubt, true);
        let answer = timely(reached.client.kv_client().txn(request)).await;
        match answer {
            Err(CallError::NoAnswer(_)) => self.endpoints.failed(&reached).await,
            Ok(_) | Err(_) => attempts.in_doubt = was_in_doubt,
        }
        let transaction = &attempts.transaction;
        transaction.outcome(&self.layout, &answer?, receipt)
    }

    /// An attempt that was not answered can still arrive, and may be made then. So it is ruled out before anybody hears that
    /// nothing was changed. `Err`: how the commit ends instead.
    async fn rule_out(&self, attempts: &mut Attempts) -> Result<(), Result<Revision, CommitError>> {
        let Some(receipt) = &mut attempts.receipt else {
            return Ok(());
        };
        match self.receipts.rule_out(receipt).await {
            Ok(Earlier::RuledOut) => {
                attempts.in_doubt = false;
                Ok(())
            }
            Ok(Earlier::Made(revision)) => {
                self.answered(attempts, Some(revision));
                Err(Ok(revision))
            }
            // The receipt may be written or not, so it would say nothing about another attempt.
            Err(error) => Err(Err(self.give_up(attempts, &error))),
        }
    }

    /// The receipt can be used again, unless an earlier attempt may still arrive.
    fn answered(&self, attempts: &mut Attempts, made: Option<Revision>) {
        let Some(mut receipt) = attempts.receipt.take() else {
            return;
        };
        if let Some(revision) = made {
            receipt.changed = i64::try_from(revision.0).unwrap_or(i64::MAX);
        }
        match made.is_none() && attempts.in_doubt {
            true => self.receipts.doubt(receipt),
            false => self.receipts.give_back(receipt),
        }
    }

    fn give_up(&self, attempts: &mut Attempts, error: &CallError) -> CommitError {
        self.answered(attempts, None);
        let why = format!("etcd: {error}");
        match attempts.in_doubt {
            true => CommitError::Uncertain(why),
            false => CommitError::Unavailable(why),
        }
    }

    async fn expired(&self, attempts: &mut Attempts) -> Option<Result<Revision, CommitError>> {
        if let Some(receipt) = attempts.receipt.take() {
            self.receipts.expired(receipt.lease).await;
        }
        // Whether an earlier attempt was made can no longer be seen.
        let is_over = attempts.in_doubt || Instant::now() >= attempts.until;
        if !is_over {
            return None;
        }
        Some(Err(self.give_up(attempts, &CallError::LeaseExpired)))
    }
}
