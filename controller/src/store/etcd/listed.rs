//! Which commit was the last one when everything was listed.
//!
//! A cluster's revision also grows with what is no commit of the store: its neighbours' keys, leases that end. A listing is made at such a
//! revision, which those who watch are never told of. So it cannot be compared between controllers, but the last commit can.

use crate::store::Revision;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The latest listing.
#[derive(Debug, Default)]
pub(super) struct LatestListing(Mutex<Option<Listed>>);

#[derive(Clone, Copy, Debug)]
struct Listed {
    at: Revision,
    last_commit: Revision,
}

impl LatestListing {
    /// Notes a listing, and the last commit that can be seen in it. One that was known before still counts: its traces may be gone.
    pub(super) fn note(&self, before: Revision, at: Revision, last_commit: Revision) {
        let last_commit = last_commit.max(self.last_commit(before));
        *self.listed() = Some(Listed { at, last_commit });
    }

    /// The last commit that is known at this revision: the revision itself, unless it is that of the listing.
    pub(super) fn last_commit(&self, reached: Revision) -> Revision {
        match *self.listed() {
            Some(Listed { at, last_commit }) if at == reached => last_commit,
            Some(_) | None => reached,
        }
    }

    fn listed(&self) -> MutexGuard<'_, Option<Listed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_commit_never_goes_back_though_its_traces_may_be_gone() {
        let listing = LatestListing::default();
        listing.note(Revision(0), Revision(9), Revision(7));
        assert_eq!(listing.last_commit(Revision(9)), Revision(7));
        assert_eq!(listing.last_commit(Revision(10)), Revision(10), "watched");
        listing.note(Revision(10), Revision(12), Revision(8));
        assert_eq!(listing.last_commit(Revision(12)), Revision(10));
        listing.note(Revision(12), Revision(14), Revision(13));
        assert_eq!(listing.last_commit(Revision(14)), Revision(13));
    }
}
