//! What clients asked of a subnet's addresses, and when they were answered; whether there is an order in which one thing after the
//! other happened that explains all answers (Herlihy and Wing, "Linearizability", 1990).
//!
//! Addresses do not depend on each other, so each is judged alone (the same, theorem 1): it is free, and given to one port, and free
//! again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// What was asked for a port that has, or gets, an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Give,
    TakeBack,
}

/// A request, from when it was sent to when it was known what came of it.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) asked: Asked,
    pub(super) port: String,
    pub(super) sent: Instant,
    /// `None`: it is not known whether it was done.
    pub(super) answered: Option<Instant>,
}

/// The operations on each address.
#[derive(Debug, Default)]
pub(super) struct History(BTreeMap<String, Vec<Operation>>);

impl History {
    pub(super) fn note(&mut self, address: &str, operation: Operation) {
        let operations = self.0.entry(address.to_owned()).or_default();
        operations.push(operation);
    }

    /// These ports are there: what would have taken their addresses back, and was not answered, was not done.
    pub(super) fn were_not_taken_back(&mut self, ports: &BTreeSet<String>) {
        for operations in self.0.values_mut() {
            operations.retain(|operation| {
                let is_in_doubt = operation.answered.is_none();
                let took_back = operation.asked == Asked::TakeBack && is_in_doubt;
                !(took_back && ports.contains(&operation.port))
            });
        }
    }

    /// How many operations it has.
    pub(super) fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// An address whose operations no order explains.
    pub(super) fn unexplained(&self) -> Option<(&str, &[Operation])> {
        let mut all = self.0.iter();
        let found = all.find(|(_, operations)| !Search::new(operations).is_explained());
        found.map(|(address, operations)| (&**address, &**operations))
    }
}

/// A search for an order (Wing and Gong, "Testing and Verifying Concurrent Objects", 1993): the next operation is one that was sent
/// before any other that is left was answered.
struct Search<'a> {
    operations: &'a [Operation],
    /// What was tried in vain: the operations that are left, and who has the address.
    tried: BTreeSet<(Vec<usize>, Option<&'a str>)>,
}

impl<'a> Search<'a> {
    fn new(operations: &'a [Operation]) -> Self {
        Self {
            operations,
            tried: BTreeSet::new(),
        }
    }

    fn is_explained(&mut self) -> bool {
        let all = (0..self.operations.len()).collect();
        self.goes_on(all, None)
    }

    fn goes_on(&mut self, left: Vec<usize>, holder: Option<&'a str>) -> bool {
        let operations = self.operations;
        let answers = left.iter().filter_map(|&at| operations[at].answered);
        // Those that are left may never have been done.
        let Some(first_answer) = answers.min() else {
            return true;
        };
        if !self.tried.insert((left.clone(), holder)) {
            return false;
        }
        let next = left.iter().enumerate();
        let mut next = next.filter(|&(_, &at)| operations[at].sent <= first_answer);
        next.any(|(place, &at)| {
            let Some(holder) = operations[at].done(holder) else {
                return false;
            };
            let mut left = left.clone();
            left.remove(place);
            self.goes_on(left, holder)
        })
    }
}

impl Operation {
    /// Who has the address once this was done, if it can be done.
    fn done<'a>(&'a self, holder: Option<&str>) -> Option<Option<&'a str>> {
        match (self.asked, holder) {
            (Asked::Give, None) => Some(Some(&self.port)),
            (Asked::TakeBack, Some(port)) if port == self.port => Some(None),
            (Asked::Give | Asked::TakeBack, _) => None,
        }
    }
}

#[test]
fn what_one_order_explains_is_told_from_what_none_does() {
    use Asked::{Give, TakeBack};
    let begin = Instant::now();
    let at = |seconds| begin + std::time::Duration::from_secs(seconds);
    for (operations, is_explained) in [
        // One port after the other.
        (
            vec![("a", Give, 0, 1), ("a", TakeBack, 2, 3), ("b", Give, 4, 5)],
            true,
        ),
        // The second was answered while the first was being taken back.
        (
            vec![("a", Give, 0, 1), ("b", Give, 3, 4), ("a", TakeBack, 2, 9)],
            true,
        ),
        // It was answered before.
        (
            vec![("a", Give, 0, 1), ("b", Give, 2, 3), ("a", TakeBack, 4, 5)],
            false,
        ),
        (vec![("a", Give, 0, 1), ("b", Give, 0, 1)], false),
        // Whether it was taken back is not known.
        (
            vec![("a", Give, 0, 1), ("a", TakeBack, 2, 0), ("b", Give, 3, 4)],
            true,
        ),
        (vec![("a", Give, 0, 1), ("a", TakeBack, 2, 0)], true),
        // The unknown one cannot have been done before it was sent.
        (
            vec![("a", Give, 0, 1), ("b", Give, 2, 3), ("a", TakeBack, 4, 0)],
            false,
        ),
        // What was never given was taken back.
        (vec![("a", TakeBack, 0, 1)], false),
        // It was given, and nobody was told.
        (vec![("a", Give, 0, 0), ("a", TakeBack, 1, 2)], true),
        (
            vec![("a", Give, 0, 0), ("b", Give, 1, 2), ("a", TakeBack, 3, 4)],
            false,
        ),
    ] {
        let mut history = History::default();
        for (port, asked, sent, answered) in operations.clone() {
            let operation = Operation {
                asked,
                port: port.to_owned(),
                sent: at(sent),
                answered: (answered > 0).then(|| at(answered)),
            };
            history.note("2001:db8::1", operation);
        }
        let unexplained = history.unexplained();
        assert_eq!(unexplained.is_none(), is_explained, "{operations:?}");
    }
}
