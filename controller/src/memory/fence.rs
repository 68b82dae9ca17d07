//! Whether the tenure in which a fact was observed may have ended.
//!
//! Another controller that owns the hypervisor since says so in the store, and a commit compares that. But it may say so late. So
//! after a pause in which this controller did not hear of others, or hung, the hypervisor's database has to confirm first that this
//! controller has the lock still.

use super::{FactToStore, TenureProof};
use crate::cluster::Tenures;
use crate::store::{Contact, PAUSE, Store};
use std::sync::Arc;
use tokio::time::Instant;

pub(super) struct Fence {
    store: Arc<dyn Store>,
    tenures: Tenures,
}

/// What may be done with a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may be stored, if the last attempt begins before this time.
    MayGo(Option<Instant>),
    /// The lock was asked for, and has to be confirmed first.
    Waits,
    /// Its tenure has ended.
    Ended,
}

impl Fence {
    pub(super) fn new(store: Arc<dyn Store>, tenures: Tenures) -> Self {
        Self { store, tenures }
    }

    /// What may be done with a fact at this time.
    pub(super) fn judge(&self, told: &FactToStore, now: Instant) -> Verdict {
        let tenure = told.tenure.as_ref();
        let Some(tenure) = tenure.filter(|tenure| tenure.proof == TenureProof::Lock) else {
            return Verdict::MayGo(None);
        };
        let confirmed = self.tenures.held(&tenure.chassis).confirmed;
        let confirmed = confirmed.filter(|known| known.generation == tenure.generation);
        let Some(confirmed) = confirmed else {
            return Verdict::Ended;
        };
        let by_contact = match self.store.contact() {
            Contact::Always => return Verdict::MayGo(None),
            Contact::Kept { since, until } if since <= confirmed.asked => Some(until),
            Contact::Kept { .. } | Contact::NotYet => None,
        };
        let known = by_contact.into_iter().chain([confirmed.asked]).max();
        match known
            .map(|known| known + PAUSE)
            .filter(|until| *until > now)
        {
            Some(until) => Verdict::MayGo(Some(until)),
            None => {
                self.tenures.doubt(&tenure.chassis);
                Verdict::Waits
            }
        }
    }

    /// Waits until facts that wait may be judged otherwise. Cancel-safe.
    pub(super) async fn decided(&self) {
        self.tenures.decided().await
    }
}
