//! The locks of a database (RFC 7047 §4.1.8), as ovsdb-server keeps them: whoever asked first has it, and the others wait in a queue.

use std::collections::{BTreeMap, VecDeque};

/// A connection of a manager.
pub(super) type SessionNumber = u64;

#[derive(Debug, Default)]
pub(super) struct Locks {
    /// The first of each queue has the lock.
    queues: BTreeMap<String, VecDeque<Waiter>>,
}

#[derive(Debug)]
struct Waiter {
    session: SessionNumber,
    has_stolen: bool,
    /// Whether it has written anything on condition that it has the lock.
    has_written: bool,
}

impl Locks {
    /// Asks for a lock; says whether the session has it. `None`: it has asked before.
    pub(super) fn lock(&mut self, name: &str, session: SessionNumber) -> Option<bool> {
        if self.is_asked(name, session) {
            return None;
        }
        let queue = self.queues.entry(name.to_owned()).or_default();
        queue.push_back(Waiter::new(session, false));
        Some(queue.len() == 1)
    }

    /// Takes a lock. Returns who had it, if anybody: it is the next in the queue, but in none if it had stolen the lock itself.
    pub(super) fn steal(
        &mut self,
        name: &str,
        session: SessionNumber,
    ) -> Option<Option<SessionNumber>> {
        if self.is_asked(name, session) {
            return None;
        }
        let queue = self.queues.entry(name.to_owned()).or_default();
        let victim = queue.front_mut().map(|victim| {
            victim.has_written = false;
            (victim.session, victim.has_stolen)
        });
        if victim.is_some_and(|(_, has_stolen)| has_stolen) {
            queue.pop_front();
        }
        queue.push_front(Waiter::new(session, true));
        Some(victim.map(|(victim, _)| victim))
    }

    /// Gives a lock up, or the place in its queue. Returns who has the lock then: ovsdb-server tells it so, even if it had it before.
    pub(super) fn unlock(&mut self, name: &str, session: SessionNumber) -> Option<SessionNumber> {
        if !self.is_asked(name, session) {
            return None;
        }
        let queue = self.queues.get_mut(name)?;
        queue.retain(|waiter| waiter.session != session);
        queue.front().map(|owner| owner.session)
    }

    /// A connection has ended. Returns each lock that it had asked for, with who has that lock then.
    pub(super) fn leave(&mut self, session: SessionNumber) -> Vec<(String, SessionNumber)> {
        let names: Vec<String> = self.queues.keys().cloned().collect();
        let passed = names.into_iter().filter_map(|name| {
            let next = self.unlock(&name, session)?;
            Some((name, next))
        });
        passed.collect()
    }

    pub(super) fn has(&self, name: &str, session: SessionNumber) -> bool {
        let owner = self.queues.get(name).and_then(VecDeque::front);
        owner.is_some_and(|owner| owner.session == session)
    }

    /// The owner has written something on that condition.
    pub(super) fn note_write(&mut self, name: &str) {
        let owner = self.queues.get_mut(name).and_then(VecDeque::front_mut);
        owner.into_iter().for_each(|owner| owner.has_written = true);
    }

    /// Whether anybody has a lock and has written something on that condition.
    pub(super) fn is_used(&self) -> bool {
        let mut owners = self.queues.values().filter_map(VecDeque::front);
        owners.any(|owner| owner.has_written)
    }

    fn is_asked(&self, name: &str, session: SessionNumber) -> bool {
        let queue = self.queues.get(name).into_iter().flatten();
        queue.into_iter().any(|waiter| waiter.session == session)
    }
}

impl Waiter {
    fn new(session: SessionNumber, has_stolen: bool) -> Self {
        Self {
            session,
            has_stolen,
            has_written: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asked_first_has_the_lock_and_the_next_is_told() {
        let mut locks = Locks::default();
        assert_eq!(locks.lock("a", 1), Some(true));
        assert_eq!(locks.lock("a", 1), None);
        assert_eq!(locks.lock("a", 2), Some(false));
        assert_eq!(locks.lock("a", 3), Some(false));
        assert_eq!(locks.lock("b", 2), Some(true));
        assert_eq!(locks.unlock("a", 3), Some(1));
        assert_eq!(locks.unlock("a", 3), None);
        assert_eq!(locks.leave(1), [("a".to_owned(), 2)]);
        assert!(locks.has("a", 2) && !locks.has("a", 3));
        assert_eq!(locks.leave(2), []);
        assert!(!locks.has("a", 2) && !locks.has("b", 2));
    }

    #[test]
    fn who_was_stolen_from_is_the_next() {
        let mut locks = Locks::default();
        for session in 1..=3 {
            locks.lock("a", session);
        }
        locks.unlock("a", 3);
        assert_eq!(locks.steal("a", 3), Some(Some(1)));
        assert_eq!(locks.leave(3), [("a".to_owned(), 1)]);
        assert_eq!(locks.leave(1), [("a".to_owned(), 2)]);
    }

    #[test]
    fn a_thief_that_is_stolen_from_is_in_no_queue() {
        let mut locks = Locks::default();
        assert_eq!(locks.steal("a", 1), Some(None));
        assert_eq!(locks.steal("a", 2), Some(Some(1)));
        assert_eq!(locks.leave(2), []);
        assert_eq!(locks.lock("a", 1), Some(true));
    }

    #[test]
    fn a_lock_is_used_once_its_owner_has_written() {
        let mut locks = Locks::default();
        locks.lock("a", 1);
        assert!(!locks.is_used());
        locks.note_write("a");
        assert!(locks.is_used());
        locks.steal("a", 2);
        assert!(!locks.is_used());
        locks.leave(2);
        assert!(!locks.is_used());
    }
}
