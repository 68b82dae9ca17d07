//! A switch that does not take all flows: it gets all others, and what it lacks is told.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a switch that is told what to refuse needs to do little else"
)]

#[path = "../switch/mod.rs"]
mod fake;
mod kinds;
#[path = "../switch/log.rs"]
mod log;
mod picky;
mod world;

use kinds::kinds;
use log::Log;
use picky::{Picky, Taste};
use rust_openflow::{ErrorCode, FlowMod};
use std::collections::BTreeSet;
use world::{World, until};

const TOLD: &str = "switch refused a flow, which is left out";

/// What a switch says that does not know a kind of match, action or instruction.
fn unknown(kind: &str) -> ErrorCode {
    let (kind, code) = match kind.split(' ').next() {
        Some("match") => (4, 6),
        Some("action") => (2, 0),
        _ => (3, 1),
    };
    ErrorCode::Standard { kind, code }
}

/// The flows of h1: cookie and message.
fn flow_mods(world: &World) -> Vec<FlowMod> {
    let flows = world.wanted();
    flows
        .iter()
        .map(|(cookie, flow)| flow.to_flow_mod(cookie.0))
        .collect()
}

#[tokio::test]
async fn whatever_a_switch_does_not_know_all_else_goes_in() {
    let (log, _guard) = Log::begin();
    let mut world = World::start("each").await;
    world.furnish().await;
    let everything = Picky::connect(world.address, Taste::of_everything()).await;
    let all_active: Vec<&str> = world.ports.keys().copied().collect();
    until("all ports are active", async || {
        world.active().await == all_active
    })
    .await;
    drop(everything);

    let all = flow_mods(&world);
    let every: BTreeSet<String> = all.iter().flat_map(kinds).collect();
    for some in [
        "action CheckPktLarger",
        "action Ct",
        "action Nat",
        "action Multipath",
        "match conj_id",
    ] {
        assert!(
            every.contains(some),
            "the cloud is not rich enough: {every:#?}"
        );
    }
    for kind in every {
        let before = log.lines_with(TOLD).len();
        let refuses = kind.clone();
        let taste = Taste::without(move |flow: &FlowMod| {
            kinds(flow).contains(&refuses).then(|| unknown(&refuses))
        });
        let switch = Picky::connect(world.address, taste).await;
        let (bad, good): (Vec<_>, Vec<_>) =
            all.iter().partition(|flow| kinds(flow).contains(&kind));
        let good: Vec<u64> = good.iter().map(|flow| flow.cookie).collect();
        until(&format!("all but {kind}"), async || {
            switch.cookies() == good && world.agent().await["refused_flows"] == bad.len()
        })
        .await;
        let asked = switch.kept.lock().unwrap().asked.clone();
        assert!(
            bad.iter().all(|flow| asked[&flow.cookie] == 1),
            "{kind} is asked for once"
        );

        let agent = world.agent().await;
        let (active, refused) = (world.active().await, world.refused());
        assert_eq!(refused.values().sum::<u64>(), bad.len() as u64, "{kind}");
        let missing: Vec<&String> = refused.keys().collect();
        let mut shown: Vec<String> = serde_json::from_value(agent["missing"].clone()).unwrap();
        shown.sort();
        assert_eq!(shown.iter().collect::<Vec<_>>(), missing, "{kind}");
        assert_eq!(
            agent["ports_down"],
            world.ports.len() - active.len(),
            "{kind}"
        );
        let touched = bad.iter().any(|flow| is_of_guest(flow));
        assert!(
            !touched || active.len() < world.ports.len(),
            "{kind} is needed by guests"
        );
        let lines = log.lines_with(TOLD).len() - before;
        assert!(
            (1..=missing.len()).contains(&lines),
            "{kind}: {lines} lines"
        );

        // The same switch after an update knows it all.
        drop(switch);
        let better = Picky::connect(world.address, Taste::of_everything()).await;
        until("it is asked again once it connects anew", async || {
            better.cookies().len() == all.len() && world.active().await == all_active
        })
        .await;
        until("nothing is missing any more", async || {
            world.refused().is_empty() && world.agent().await["refused_flows"] == 0
        })
        .await;
    }
}

/// Whether a flow is about what one guest of h1 sends.
fn is_of_guest(flow: &FlowMod) -> bool {
    let port = flow.matches.value(rust_openflow::Field::IN_PORT);
    port.is_some_and(|port| port < 100)
}
