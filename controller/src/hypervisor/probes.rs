//! How soon a hypervisor notices that a controller does not answer (`inactivity_probe`, ovs-vswitchd.conf.db(5)).
//!
//! A controller that has ended says so at once by TCP. This is for one whose machine is gone, or that hangs. Where nobody takes
//! over, nothing depends on it, and patience is better: Open vSwitch's own five seconds disconnect hypervisors from a Sextant that is
//! only busy with the others. Where others wait to take over, the owner's silence is noticed soon. The silence of waiting controllers
//! is noticed later. So is that of an owner that was busy when it came to own the hypervisor: otherwise one hypervisor after the
//! other would leave it, and each would make its next owner busy, too.

use super::managers::address;
use std::net::IpAddr;
use std::time::Duration;

/// Where nobody takes over, in milliseconds.
const PATIENT: i64 = 30_000;
/// Where an owner is busy.
const BUSY: i64 = 10_000;
/// The database notices first. The switch decides nothing, so it may be slower.
const OF_SWITCH: i64 = 5_000;
/// For a controller that waits for its turn.
const OF_WAITING: Silence = Silence {
    switch: PATIENT,
    database: 15_000,
};

/// Milliseconds of silence after which a hypervisor asks whether a controller is there; after as long again it gives it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Silence {
    switch: i64,
    database: i64,
}

/// What a hypervisor should grant its controllers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probes(Option<OfSeveral>);

/// The same where there are several.
#[derive(Clone, Debug, PartialEq, Eq)]
struct OfSeveral {
    owner: Silence,
    /// The owner's address. `None`: several controllers have the same target, so each may be the owner.
    at: Option<IpAddr>,
    is_busy: bool,
}

impl Probes {
    /// Where other controllers take over from the owner at this address.
    #[must_use]
    pub fn of_several(interval: Duration, owner: Option<IpAddr>, is_busy: bool) -> Self {
        let database = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
        Self(Some(OfSeveral {
            owner: Silence {
                switch: database.max(OF_SWITCH),
                database,
            },
            at: owner,
            is_busy,
        }))
    }

    /// What a switch should grant the controller at a target, where it grants this now.
    #[must_use]
    pub fn of_switch(&self, target: &str, present: Option<i64>) -> i64 {
        self.wanted(target, present, |silence| silence.switch)
    }

    /// The same of a database. `None`: what it has stays. That is also so for what an administrator has set, which is whatever Sextant
    /// has not `noted`.
    #[must_use]
    pub fn of_database(
        &self,
        target: &str,
        present: Option<i64>,
        noted: Option<i64>,
    ) -> Option<i64> {
        let wanted = self.wanted(target, present, |silence| silence.database);
        let is_ours = present.is_none() || present == noted;
        (is_ours && present != Some(wanted)).then_some(wanted)
    }

    fn wanted(&self, target: &str, present: Option<i64>, of: fn(&Silence) -> i64) -> i64 {
        let Some(several) = &self.0 else {
            return PATIENT;
        };
        let strict = of(&several.owner);
        let is_owner = several.at.is_none_or(|at| address(target) == Some(at));
        if !is_owner {
            return strict.max(of(&OF_WAITING));
        }
        // A strict interval stays: changing it would be more work.
        match several.is_busy && present != Some(strict) {
            true => strict.max(BUSY),
            false => strict,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &str = "tcp:[2001:db8::1]:6640";
    const OTHER: &str = "tcp:[2001:db8::2]:6640";

    fn several(is_busy: bool) -> Probes {
        let at = Some("2001:db8::1".parse().unwrap());
        Probes::of_several(Duration::from_secs(1), at, is_busy)
    }

    #[test]
    fn the_owners_silence_is_noticed_soon_unless_it_is_busy() {
        let (calm, busy) = (several(false), several(true));
        assert_eq!(calm.of_database(OWNER, None, None), Some(1_000));
        assert_eq!(calm.of_switch(OWNER, None), OF_SWITCH);
        assert_eq!(calm.of_database(OTHER, None, None), Some(15_000));
        assert_eq!(calm.of_switch(OTHER, None), PATIENT);
        assert_eq!(busy.of_database(OWNER, None, None), Some(BUSY));
        assert_eq!(busy.of_database(OWNER, Some(1_000), Some(1_000)), None);
        assert_eq!(calm.of_database(OWNER, Some(BUSY), Some(BUSY)), Some(1_000));
    }

    #[test]
    fn one_that_has_become_or_was_the_owner_is_granted_something_else() {
        let calm = several(false);
        let became = calm.of_database(OWNER, Some(15_000), Some(15_000));
        assert_eq!(became, Some(1_000));
        let was = calm.of_database(OTHER, Some(1_000), Some(1_000));
        assert_eq!(was, Some(15_000));
        let alone = Probes::default().of_database(OWNER, Some(1_000), Some(1_000));
        assert_eq!(alone, Some(PATIENT));
    }

    #[test]
    fn what_an_administrator_has_set_stays() {
        for probes in [several(false), several(true), Probes::default()] {
            for target in [OWNER, OTHER] {
                assert_eq!(probes.of_database(target, Some(7_000), None), None);
                assert_eq!(probes.of_database(target, Some(0), Some(1_000)), None);
                assert_eq!(probes.of_database(target, Some(PATIENT), None), None);
            }
        }
    }

    #[test]
    fn each_may_be_the_owner_where_names_are_targets() {
        let probes = Probes::of_several(Duration::from_secs(2), None, false);
        for target in [OWNER, "ssl:controller-1:6640"] {
            assert_eq!(probes.of_database(target, None, None), Some(2_000));
        }
    }
}
