//! A hypervisor's database fails while the hypervisor changes hands.

use crate::stage::Stage;
use crate::watch::Watch;
use sextant_lab::story::{Outcome, SOON};
use sextant_lab::wait_for;
use std::time::Instant;

#[test]
fn a_database_that_ends_during_a_takeover_leaves_one_owner() -> Outcome {
    Stage::tell(|stage| {
        for moment in [Moment::WithTheOwner, Moment::UnderTheNextOwner] {
            let owner = stage.owner(1)?;
            let share = stage.share(owner);
            let watch = Watch::start(stage)?;
            let failed = Instant::now();
            stage.cluster.controller(owner).kill();
            if moment == Moment::UnderTheNextOwner {
                wait_for("the next owner", SOON, || match stage.owner(1) {
                    Ok(next) if next != owner => Ok(()),
                    other => Err(format!("{other:?}")),
                })?;
            }
            let host = stage.lab.hypervisor(1);
            host.kill_ovsdb_server();
            host.start_ovsdb_server()?;
            watch.goes_on(Instant::now())?;
            stage.has_one_owner_each()?;
            stage.cluster.controller(owner).start_again()?;
            stage.wait_share(owner, &share)?;
            let failure = format!("database ended {moment:?}");
            watch.end_without_database(stage, &failure, failed)?;
        }
        Ok(())
    })
}

/// When the database ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    WithTheOwner,
    UnderTheNextOwner,
}
