//! What a hypervisor's operator has to act on, said once for as long as it lasts.

use sextant_responders::throttle::Throttle;
use std::collections::BTreeMap;
use std::time::Instant;

/// The longest complaint, in characters: it may quote what the hypervisor has.
const LONGEST_COMPLAINT: usize = 300;

/// What may be wrong with a hypervisor, one thing beside another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Concern {
    /// It may not take part, or cannot: its name, its endpoint, what else it says of itself.
    TakingPart,
    /// It maps provider networks to bridges that it does not have.
    Bridges,
    /// Its database refused a change.
    Change,
}

/// What was said of a hypervisor. Its database can give reason for as many complaints as it likes: five a minute are said.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    said: BTreeMap<Concern, String>,
    throttle: Throttle,
}

/// A complaint that is to be said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DueComplaint {
    /// What is wrong, of at most 300 characters.
    pub(super) text: String,
    /// How many were held back since the last one.
    pub(super) unsaid: u64,
}

impl Complaints {
    /// This is wrong. What is to be said, unless it was said already or too much was.
    pub(super) fn raise(
        &mut self,
        concern: Concern,
        text: &str,
        now: Instant,
    ) -> Option<DueComplaint> {
        let text: String = text.chars().take(LONGEST_COMPLAINT).collect();
        if self.said.get(&concern) == Some(&text) {
            return None;
        }
        self.said.insert(concern, text.clone());
        let unsaid = self.throttle.admit(now)?;
        Some(DueComplaint { text, unsaid })
    }

    /// Nothing of this kind is wrong: once it is again, it is said again.
    pub(super) fn settle(&mut self, concern: Concern) {
        self.said.remove(&concern);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raised(complaints: &mut Complaints, concern: Concern, text: &str) -> bool {
        complaints.raise(concern, text, Instant::now()).is_some()
    }

    #[test]
    fn a_complaint_is_said_once_for_as_long_as_it_lasts() {
        let mut complaints = Complaints::default();
        assert!(raised(&mut complaints, Concern::TakingPart, "no name"));
        assert!(!raised(&mut complaints, Concern::TakingPart, "no name"));
        assert!(raised(&mut complaints, Concern::TakingPart, "no endpoint"));
        complaints.settle(Concern::TakingPart);
        assert!(raised(&mut complaints, Concern::TakingPart, "no endpoint"));
    }

    #[test]
    fn two_that_last_beside_each_other_are_said_once_each() {
        let mut complaints = Complaints::default();
        for turn in 0..3 {
            for concern in [Concern::Bridges, Concern::Change] {
                assert_eq!(raised(&mut complaints, concern, "it is wrong"), turn == 0);
            }
        }
        complaints.settle(Concern::Change);
        assert!(!raised(&mut complaints, Concern::Bridges, "it is wrong"));
        assert!(raised(&mut complaints, Concern::Change, "it is wrong"));
    }

    #[test]
    fn what_changes_without_end_is_cut_and_held_back() {
        let (mut complaints, now) = (Complaints::default(), Instant::now());
        let mut said = 0;
        for number in 0..100 {
            let text = format!("{number}{}", "ä".repeat(1_000));
            let complaint = complaints.raise(Concern::TakingPart, &text, now);
            said += usize::from(complaint.is_some());
            let longest = complaint.map_or(0, |complaint| complaint.text.chars().count());
            assert!(longest <= LONGEST_COMPLAINT, "{longest}");
        }
        assert_eq!(said, 5);
    }
}
