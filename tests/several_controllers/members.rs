//! Members of etcd fail: guests do not notice, also when there is no majority.

use crate::stage::Stage;
use crate::watch::Watch;
use serde_json::json;
use sextant_lab::story::{Outcome, ensure};
use std::time::Instant;

#[test]
fn no_guest_notices_that_a_member_or_the_leader_of_etcd_is_killed() -> Outcome {
    Stage::tell(|stage| {
        let watch = Watch::start(stage)?;
        let failed = Instant::now();
        let leader = stage.cluster.etcd.wait_leader()?;
        let other = leader % stage.cluster.etcd.size() + 1;
        for member in [other, leader] {
            stage.cluster.etcd.member(member).kill();
            stage.all_write()?;
            stage.cluster.etcd.wait_leader()?;
            stage.cluster.etcd.member(member).launch()?;
            stage.cluster.etcd.member(member).wait_serving()?;
        }
        stage.all_write()?;
        stage.has_one_owner_each()?;
        watch.end(stage, "members of etcd killed", failed)
    })
}

#[test]
fn without_a_majority_of_etcd_guests_are_answered_and_an_owner_is_replaced() -> Outcome {
    Stage::tell(|stage| {
        let owner = stage.owner(1)?;
        let share = stage.share(owner);
        let watch = Watch::start(stage)?;
        let failed = Instant::now();
        stage.cluster.etcd.member(1).kill();
        stage.cluster.etcd.member(2).kill();
        refuses_writes(stage)?;
        watch.goes_on(Instant::now())?;
        watch.end(stage, "no majority of etcd", failed)?;

        let watch = Watch::start(stage)?;
        let failed = Instant::now();
        stage.cluster.controller(owner).kill();
        watch.goes_on(failed)?;
        stage.has_one_owner_each()?;
        watch.end(stage, "killed while etcd has no majority", failed)?;

        let watch = Watch::start(stage)?;
        let mended = Instant::now();
        for member in [1, 2] {
            stage.cluster.etcd.member(member).launch()?;
        }
        for member in [1, 2] {
            stage.cluster.etcd.member(member).wait_serving()?;
        }
        stage.all_write()?;
        stage.cluster.controller(owner).start_again()?;
        stage.wait_share(owner, &share)?;
        stage.all_write()?;
        watch.end(stage, "a majority of etcd again", mended)
    })
}

fn refuses_writes(stage: &Stage) -> Outcome {
    let wanted = json!({"network": {"name": "refused"}});
    for peer in stage.cluster.live() {
        let (status, body) = peer.api()?.post("/v2.0/networks", &wanted)?;
        ensure(status == 503, || {
            format!("{}: {status} {body}", peer.name())
        })?;
    }
    Ok(())
}
