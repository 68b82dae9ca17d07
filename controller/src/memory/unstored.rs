//! The facts that wait to be stored.

use super::FactToStore;
use super::fence::{Fence, Verdict};
use sextant_model::{Fact, Key};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// How many facts are stored at once. etcd takes 128 comparisons in a transaction unless configured: a fact has up to four, and
/// the commit itself two.
const AT_ONCE: usize = 30;

/// The latest of each fact that is not stored yet.
#[derive(Debug, Default)]
pub(super) struct UnstoredFacts {
    /// Others rest on these, so they go first.
    claims: BTreeMap<Key, FactToStore>,
    others: BTreeMap<Key, FactToStore>,
    /// Others rest on what these take away, so they go last.
    renounced: BTreeMap<Key, FactToStore>,
    /// Those that wait until the lock of their hypervisor was confirmed again.
    parked: BTreeMap<Key, FactToStore>,
}

/// Some facts whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Portion {
    /// To be stored.
    pub(super) facts: Vec<FactToStore>,
    /// When the last attempt to store them may begin.
    pub(super) until: Option<Instant>,
    /// To be dropped: the tenure in which they were observed has ended.
    pub(super) ended: Vec<FactToStore>,
}

impl Portion {
    pub(super) fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.ended.is_empty()
    }
}

impl UnstoredFacts {
    pub(super) fn add(&mut self, told: Vec<FactToStore>) {
        for told in told {
            let key = told.change.key();
            self.parked.remove(&key);
            let is_claim = told.is_claim();
            if is_claim {
                self.renounced.remove(&key);
            } else if is_ownership(&key) {
                self.claims.remove(&key);
            }
            self.place(&key, is_claim).insert(key, told);
        }
    }

    fn place(&mut self, key: &Key, is_claim: bool) -> &mut BTreeMap<Key, FactToStore> {
        match (is_ownership(key), is_claim) {
            (false, _) => &mut self.others,
            (true, true) => &mut self.claims,
            (true, false) => &mut self.renounced,
        }
    }

    /// Those that were not stored wait again, unless later ones do.
    pub(super) fn put_back(&mut self, facts: Vec<FactToStore>) {
        for fact in facts {
            let key = fact.change.key();
            let all = [&self.claims, &self.others, &self.renounced, &self.parked];
            if all.iter().all(|waiting| !waiting.contains_key(&key)) {
                let is_claim = fact.is_claim();
                self.place(&key, is_claim).insert(key, fact);
            }
        }
    }

    /// Some of those that may be stored now. The others wait.
    pub(super) fn take(&mut self, fence: &Fence, now: Instant) -> Portion {
        let mut portion = Portion::default();
        while portion.facts.len() < AT_ONCE {
            let first = self.claims.pop_first();
            let next = first.or_else(|| self.others.pop_first());
            let Some((key, told)) = next.or_else(|| self.renounced.pop_first()) else {
                break;
            };
            match fence.judge(&told, now) {
                Verdict::MayGo(until) => {
                    portion.until = portion.until.into_iter().chain(until).min();
                    portion.facts.push(told);
                }
                Verdict::Waits => drop(self.parked.insert(key, told)),
                Verdict::Ended => portion.ended.push(told),
            }
        }
        portion
    }

    pub(super) fn has_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    /// Locks were confirmed, or tenures have ended: those that waited for that are looked at again.
    pub(super) fn unpark(&mut self) {
        let parked = std::mem::take(&mut self.parked);
        self.put_back(parked.into_values().collect());
    }
}

fn is_ownership(key: &Key) -> bool {
    matches!(key, Key::Fact(Fact::Ownership(_)))
}
