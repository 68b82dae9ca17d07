//! A hypervisor's owner fails in each of the ways there are, and comes back.

use crate::stage::Stage;
use crate::watch::Watch;
use sextant_lab::story::{Outcome, ensure};
use std::time::{Duration, Instant};

/// Leases of the dead end after five seconds. Then the first that lives takes what is not its own, when it has settled.
const UNTIL_LEASES_END: Duration = Duration::from_secs(6);
/// A lock that has passed to one whose lease has ended is taken from it without settling.
const PASSED_OVER: Duration = Duration::from_secs(6);

#[test]
fn an_owner_that_is_killed_is_replaced_and_takes_its_share_again() -> Outcome {
    Stage::tell(|stage| {
        let owner = stage.owner(1)?;
        let share = stage.share(owner);
        let watch = Watch::start(stage)?;
        let failed = Instant::now();
        stage.cluster.controller(owner).kill();
        watch.goes_on(failed)?;
        stage.has_one_owner_each()?;
        watch.end(stage, "killed", failed)?;

        stage.plug_everywhere("late")?;

        let watch = Watch::start(stage)?;
        let started = Instant::now();
        stage.cluster.controller(owner).start_again()?;
        stage.wait_share(owner, &share)?;
        watch.end(stage, "started again", started)
    })
}

#[test]
fn an_owner_that_is_halted_is_replaced_and_does_not_disturb_when_it_wakes_up() -> Outcome {
    Stage::tell(|stage| {
        let owner = stage.owner(1)?;
        let share = stage.share(owner);
        let watch = Watch::start(stage)?;
        let failed = Instant::now();
        stage.cluster.controller(owner).halt()?;
        watch.goes_on(failed)?;
        stage.has_one_owner_each()?;
        watch.end(stage, "halted", failed)?;

        let watch = Watch::start(stage)?;
        let woken = Instant::now();
        stage.cluster.controller(owner).wake()?;
        watch.goes_on(woken)?;
        stage.wait_share(owner, &share)?;
        watch.end(stage, "woken up", woken)
    })
}

#[test]
fn an_owner_that_is_cut_off_is_replaced_and_takes_its_share_again() -> Outcome {
    Stage::tell(|stage| {
        let owner = stage.owner(1)?;
        let share = stage.share(owner);
        let watch = Watch::start(stage)?;
        let failed = Instant::now();
        stage.cluster.controller(owner).cut()?;
        watch.goes_on(failed)?;
        stage.has_one_owner_each()?;
        watch.end(stage, "cut off", failed)?;

        let watch = Watch::start(stage)?;
        let mended = Instant::now();
        stage.cluster.controller(owner).mend()?;
        watch.goes_on(mended)?;
        stage.wait_share(owner, &share)?;
        watch.end(stage, "back on the network", mended)
    })
}

#[test]
fn an_owner_that_loses_the_store_alone_is_replaced() -> Outcome {
    Stage::tell(|stage| {
        let owner = stage.owner(1)?;
        let share = stage.share(owner);
        let watch = Watch::start(stage)?;
        let failed = Instant::now();
        stage.cluster.controller(owner).lose_store()?;
        stage.has_one_owner_each()?;
        watch.end(stage, "without the store", failed)?;

        stage.plug_everywhere("late")?;

        let watch = Watch::start(stage)?;
        let found = Instant::now();
        stage.cluster.controller(owner).find_store()?;
        stage.wait_share(owner, &share)?;
        watch.end(stage, "with the store again", found)
    })
}

#[test]
fn an_owner_that_loses_its_hypervisor_alone_is_replaced_for_that_one() -> Outcome {
    Stage::tell(|stage| {
        let owner = stage.owner(1)?;
        let share = stage.share(owner);
        let watch = Watch::start(stage)?;
        let failed = Instant::now();
        let host = stage.lab.hypervisor(1);
        stage.cluster.controllers()[owner - 1].lose_hypervisor(host)?;
        watch.goes_on(failed)?;
        stage.has_one_owner_each()?;
        watch.end(stage, "without the hypervisor", failed)?;
        let next = stage.owner(1)?;
        ensure(next != owner, || format!("c{owner} owns it still"))?;

        let watch = Watch::start(stage)?;
        let found = Instant::now();
        stage.cluster.controllers()[owner - 1].find_hypervisor(host)?;
        stage.wait_share(owner, &share)?;
        watch.end(stage, "with the hypervisor again", found)
    })
}

#[test]
fn the_last_controller_takes_over_from_one_that_is_killed_and_one_that_is_halted() -> Outcome {
    Stage::tell(|stage| {
        let owner = stage.owner(1)?;
        let share = stage.share(owner);
        for halted in (1..=3).filter(|number| *number != owner) {
            let watch = Watch::start(stage)?;
            let failed = Instant::now();
            stage.cluster.controller(owner).kill();
            stage.cluster.controller(halted).halt()?;
            watch.goes_on(failed)?;
            stage.has_one_owner_each()?;
            watch.end(stage, "killed, and another halted", failed)?;

            let watch = Watch::start(stage)?;
            let mended = Instant::now();
            stage.cluster.controller(halted).wake()?;
            stage.cluster.controller(owner).start_again()?;
            stage.wait_share(owner, &share)?;
            watch.end(stage, "both back", mended)?;
        }
        Ok(())
    })
}

/// ovsdb-server lets a session that took the lock from another, and lost it so itself, wait in no queue.
#[test]
fn one_that_is_the_next_and_is_halted_is_passed_over_once_its_lease_has_ended() -> Outcome {
    Stage::tell(|stage| {
        let first = stage.owner(1)?;
        let share = stage.share(first);
        stage.cluster.controller(first).kill();
        stage.has_one_owner_each()?;
        let second = stage.owner(1)?;
        stage.cluster.controller(second).kill();
        stage.has_one_owner_each()?;
        let third = stage.owner(1)?;
        for (back, share) in [(second, vec![1]), (first, share)] {
            stage.cluster.controller(back).start_again()?;
            stage.wait_share(back, &share)?;
        }

        let watch = Watch::start(stage)?;
        let failed = Instant::now();
        stage.cluster.controller(third).halt()?;
        stage.cluster.controller(first).kill();
        watch.goes_on(failed)?;
        let took = failed.elapsed();
        stage.has_one_owner_each()?;
        watch.end(stage, "killed, and the third halted", failed)?;
        ensure(took < UNTIL_LEASES_END + PASSED_OVER, || {
            format!("c{second} owned it after {took:?} only")
        })
    })
}
