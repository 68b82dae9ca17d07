//! A commit as a transaction of etcd.
//!
//! Preconditions become comparisons. If one fails, the transaction reads what was compared instead, so that the answer says
//! which one, at one revision.

use super::call::CallError;
use super::layout::{Layout, format_value};
use super::receipts::Receipt;
use crate::store::{Precondition, Revision};
use etcd_client::{
    Compare, CompareOp, GetOptions, GetResponse, PutOptions, Txn, TxnOp, TxnOpResponse, TxnResponse,
};
use sextant_model::{Change, Key};
use std::collections::BTreeSet;

/// What came of a transaction.
#[derive(Debug)]
pub(super) enum Outcome {
    Made(Revision),
    Failed(Precondition),
    /// The receipt is gone with its lease, and nothing was written.
    ReceiptGone,
}

/// A commit without its receipt.
#[derive(Debug)]
pub(super) struct EtcdTransaction {
    writes: Vec<TxnOp>,
    compares: Vec<Compare>,
    reads: Vec<TxnOp>,
    preconditions: Vec<Precondition>,
}

impl EtcdTransaction {
    pub(super) fn new(
        layout: &Layout,
        changes: Vec<Change>,
        preconditions: Vec<Precondition>,
    ) -> serde_json::Result<Self> {
        let mut compares = vec![Compare::value(
            layout.format(),
            CompareOp::Equal,
            format_value(),
        )];
        let mut reads = vec![TxnOp::get(layout.format(), None)];
        for precondition in &preconditions {
            let key = layout.object(key_of(precondition))?;
            compare(&mut compares, &key, precondition);
            let keys_only = GetOptions::new().with_keys_only();
            reads.push(TxnOp::get(key, Some(keys_only)));
        }
        let changes = last_of_each_key(changes);
        let writes = changes.iter().map(|change| write(layout, change));
        Ok(Self {
            writes: writes.collect::<Result<_, _>>()?,
            compares,
            reads,
            preconditions,
        })
    }

    /// How many keys it writes.
    pub(super) fn writes(&self) -> usize {
        self.writes.len()
    }

    /// The request, which leaves a receipt.
    pub(super) fn with(&self, receipt: &Receipt) -> Txn {
        let mut compares = self.compares.clone();
        let unused = Compare::mod_revision(&*receipt.key, CompareOp::Equal, receipt.changed);
        compares.push(unused);
        let mut writes = self.writes.clone();
        let leased = PutOptions::new().with_lease(receipt.lease);
        writes.push(TxnOp::put(&*receipt.key, "", Some(leased)));
        let mut reads = self.reads.clone();
        reads.push(TxnOp::get(&*receipt.key, None));
        Txn::new().when(compares).and_then(writes).or_else(reads)
    }

    /// What an answer to [`Self::with`] this receipt means.
    pub(super) fn outcome(
        &self,
        layout: &Layout,
        answer: &TxnResponse,
        receipt: &Receipt,
    ) -> Result<Outcome, CallError> {
        if answer.succeeded() {
            let revision = answer.header().map_or(0, |header| header.revision());
            return Ok(Outcome::Made(made_at(revision)));
        }
        let read: Vec<GetResponse> = answer.op_responses().into_iter().filter_map(got).collect();
        let [format, compared @ .., written] = read.as_slice() else {
            return Err(CallError::NoAnswer("it said too little".to_owned()));
        };
        match changed(written) {
            None if receipt.changed > 0 => return Ok(Outcome::ReceiptGone),
            // Sent before, this transaction was made.
            Some(at) if at != receipt.changed => return Ok(Outcome::Made(made_at(at))),
            Some(_) | None => {}
        }
        layout.check_format(format)?;
        let mut judged = self.preconditions.iter().zip(compared);
        let failed = judged.find(|(precondition, now)| !holds(precondition, changed(now)));
        let Some((failed, _)) = failed else {
            return Err(CallError::NoAnswer("it contradicted itself".to_owned()));
        };
        Ok(Outcome::Failed(failed.clone()))
    }
}

fn key_of(precondition: &Precondition) -> &Key {
    match precondition {
        Precondition::Absent(key)
        | Precondition::Present(key)
        | Precondition::Unchanged(key, _) => key,
    }
}

/// The revision of an absent key is 0.
fn compare(compares: &mut Vec<Compare>, key: &str, precondition: &Precondition) {
    let exists = Compare::mod_revision(key, CompareOp::Greater, 0);
    match precondition {
        Precondition::Absent(_) => compares.push(Compare::mod_revision(key, CompareOp::Equal, 0)),
        Precondition::Present(_) => compares.push(exists),
        Precondition::Unchanged(_, since) => {
            let later = i64::try_from(since.0).unwrap_or(i64::MAX).saturating_add(1);
            compares.push(exists);
            compares.push(Compare::mod_revision(key, CompareOp::Less, later));
        }
    }
}

fn holds(precondition: &Precondition, changed: Option<i64>) -> bool {
    match precondition {
        Precondition::Absent(_) => changed.is_none(),
        Precondition::Present(_) => changed.is_some(),
        Precondition::Unchanged(_, since) => changed.is_some_and(|at| made_at(at) <= *since),
    }
}

fn write(layout: &Layout, change: &Change) -> serde_json::Result<TxnOp> {
    let key = layout.object(&change.key())?;
    Ok(match change {
        Change::Put(object) => TxnOp::put(key, serde_json::to_vec(object)?, None),
        Change::Delete(_) => TxnOp::delete(key, None),
    })
}

/// A transaction writes a key at most once.
fn last_of_each_key(changes: Vec<Change>) -> Vec<Change> {
    let mut seen = BTreeSet::new();
    let last = changes.into_iter().rev();
    let mut last: Vec<Change> = last.filter(|change| seen.insert(change.key())).collect();
    last.reverse();
    last
}

pub(super) fn got(answer: TxnOpResponse) -> Option<GetResponse> {
    match answer {
        TxnOpResponse::Get(got) => Some(got),
        TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) | TxnOpResponse::Txn(_) => None,
    }
}

pub(super) fn changed(got: &GetResponse) -> Option<i64> {
    got.kvs().first().map(etcd_client::KeyValue::mod_revision)
}

/// A revision of the cluster as the store's.
pub(super) fn made_at(revision: i64) -> Revision {
    Revision(u64::try_from(revision).unwrap_or(0))
}
