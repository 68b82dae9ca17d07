//! Which flows objects want.

use super::ByCookie;
use crate::flow::{Cookie, CookieHasher};
use std::collections::HashSet;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;

/// The cookies of the flows that are wanted. There are many, and a change looks up many: in a sorted set each look-up would
/// touch many far places in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct WantedCookies {
    all: HashSet<Cookie, BuildHasherDefault<CookieHasher>>,
    /// How many more objects want a flow than one. There are few.
    others: ByCookie<u32>,
}

impl WantedCookies {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn contains(&self, cookie: Cookie) -> bool {
        self.all.contains(&cookie)
    }

    /// One more object wants a flow. Says whether none did before.
    pub(super) fn want(&mut self, cookie: Cookie) -> bool {
        let is_new = self.all.insert(cookie);
        if !is_new {
            *self.others.entry(cookie).or_default() += 1;
        }
        is_new
    }

    /// One object wants a flow no longer. Says whether none does.
    pub(super) fn unwant(&mut self, cookie: Cookie) -> bool {
        let Entry::Occupied(mut others) = self.others.entry(cookie) else {
            return self.all.remove(&cookie);
        };
        *others.get_mut() -= 1;
        if *others.get() == 0 {
            others.remove();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_wanted_until_the_last_object_lets_it_go() {
        let mut wanted = WantedCookies::default();
        let cookie = Cookie(7);
        assert_eq!([(); 3].map(|()| wanted.want(cookie)), [true, false, false]);
        assert_eq!(wanted.len(), 1);
        assert_eq!(
            [(); 3].map(|()| wanted.unwant(cookie)),
            [false, false, true]
        );
        assert_eq!(wanted, WantedCookies::default());
        assert!(!wanted.unwant(cookie), "nobody wanted it");
    }
}
