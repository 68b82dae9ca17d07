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
#[path = "../switch/served.rs"]
mod served;
mod world;

use kinds::kinds;
use log::Log;
use picky::{Picky, Taste};
use rust_openflow::{ErrorCode, FlowMod, Instruction};
use serde_json::json;
use sextant_flows::pipeline::Stage;
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
    let everything = Picky::connect(world.served.address, Taste::of_everything()).await;
    let all_active: Vec<&str> = world.ports.keys().copied().collect();
    until("all ports are active", async || {
        world.active().await == all_active
    })
    .await;
    drop(everything);

    let all = flow_mods(&world);
    assert!(all.len() > 200, "{} flows are no test", all.len());
    for kind in every_kind(&all) {
        let before = log.lines_with(TOLD).len();
        let refuses = kind.clone();
        let taste = Taste::without(move |flow: &FlowMod| {
            kinds(flow).contains(&refuses).then(|| unknown(&refuses))
        });
        let switch = Picky::connect(world.served.address, taste).await;
        let bad = all_but(&world, &kind, &switch).await;
        let asked = switch.kept.lock().unwrap().asked.clone();
        assert!(
            bad.iter().all(|flow| asked[&flow.cookie] == 1),
            "{kind} is asked for once"
        );

        let missing = shown_as_missing(&world, &kind, &bad).await;
        let lines = log.lines_with(TOLD).len() - before;
        // Where no flow makes advertisements, others take their places, of which some may be refused in turn.
        let waves = if advertises(&bad) { 2 } else { 1 };
        let each_reason_once = 1..=waves * missing.len();
        assert!(
            each_reason_once.contains(&lines),
            "{kind}: {lines} lines of {missing:?}"
        );

        // The same switch after an update knows it all.
        drop(switch);
        let better = Picky::connect(world.served.address, Taste::of_everything()).await;
        until("it is asked again once it connects anew", async || {
            better.cookies().len() == flow_mods(&world).len() && world.active().await == all_active
        })
        .await;
        until("nothing is missing any more", async || {
            world.refused().is_empty() && world.agent().await["refused_flows"] == 0
        })
        .await;
    }
}

/// What flows have, of which a switch may know all but one.
fn every_kind(all: &[FlowMod]) -> BTreeSet<String> {
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
    every
}

/// What lacks flows of a kind is shown, and nothing else. Returns what switches lack for them.
async fn shown_as_missing(world: &World, kind: &str, bad: &[FlowMod]) -> BTreeSet<String> {
    let (active, refused) = (world.active().await, world.refused());
    let agent = world.agent().await;
    assert_eq!(refused.values().sum::<u64>(), bad.len() as u64, "{kind}");
    let missing: BTreeSet<String> = refused.into_keys().collect();
    let shown: BTreeSet<String> = serde_json::from_value(agent["missing"].clone()).unwrap();
    assert_eq!(shown, missing, "{kind}");
    assert_eq!(
        agent["ports_down"],
        world.ports.len() - active.len(),
        "{kind}"
    );
    let touched = bad.iter().any(is_of_guest);
    assert!(
        !touched || active.len() < world.ports.len(),
        "{kind} is needed by guests"
    );
    missing
}

/// Waits until a switch has all flows but those of a kind, and returns these.
async fn all_but(world: &World, kind: &str, switch: &Picky) -> Vec<FlowMod> {
    let apart = || {
        let all = flow_mods(world).into_iter();
        all.partition::<Vec<_>, _>(|flow| kinds(flow).contains(kind))
    };
    until(&format!("all but {kind}"), async || {
        let (bad, good) = apart();
        let cookies = good.iter().map(|flow| flow.cookie);
        switch.cookies().into_iter().eq(cookies)
            && world.agent().await["refused_flows"] == bad.len()
    })
    .await;
    apart().0
}

/// A flow that only the commit finds wrong is named then, one a bundle.
#[tokio::test]
async fn what_is_refused_at_the_commit_is_left_out_as_well() {
    let mut world = World::start("late").await;
    world.furnish().await;
    let kind = "action CheckPktLarger";
    let mut taste =
        Taste::without(move |flow: &FlowMod| kinds(flow).contains(kind).then(|| unknown(kind)));
    taste.late = true;
    let switch = Picky::connect(world.served.address, taste).await;
    let bad = all_but(&world, kind, &switch).await;
    assert!(bad.len() > 1, "one is no test");
    let all: Vec<&str> = world.ports.keys().copied().collect();
    until("no port waits for that", async || {
        world.active().await == all
    })
    .await;
}

#[tokio::test]
async fn without_meters_it_is_their_want_that_is_told() {
    let (log, _guard) = Log::begin();
    let mut world = World::start("meters").await;
    world.furnish().await;
    let meter = |instruction: &Instruction| matches!(instruction, Instruction::Meter(_));
    let metered = move |flow: &FlowMod| flow.instructions.iter().any(meter);
    let mut taste = Taste::without(move |flow: &FlowMod| {
        metered(flow).then_some(ErrorCode::Standard { kind: 12, code: 2 })
    });
    taste.meters = Some(ErrorCode::Standard { kind: 12, code: 10 });
    let switch = Picky::connect(world.served.address, taste).await;
    let bad = all_but(&world, "instruction Meter", &switch).await;
    let missing = [("meters".to_owned(), bad.len() as u64)].into();
    assert_eq!(world.refused(), missing);
    let lines = log.lines_with(TOLD);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let whole = [
        "OFPMMFC_INVALID_METER",
        "OFPMMFC_OUT_OF_METERS",
        "table=",
        "meter:",
    ];
    assert!(
        whole.iter().all(|part| lines[0].contains(part)),
        "{lines:#?}"
    );
    assert_eq!(log.lines_with("switch refused a message").len(), 0);
}

#[tokio::test]
async fn a_port_that_served_and_is_refused_its_new_flows_goes_down_until_they_change() {
    let mut world = World::start("later").await;
    world.furnish().await;
    let is_forbidden =
        |flow: &FlowMod| flow.matches.value(rust_openflow::Field::CT_TP_DST) == Some(999);
    let taste = Taste::without(move |flow: &FlowMod| {
        is_forbidden(flow).then(|| unknown("match ct_tp_dst"))
    });
    let _switch = Picky::connect(world.served.address, taste).await;
    let all: Vec<&str> = world.ports.keys().copied().collect();
    until("all are active", async || world.active().await == all).await;
    let rule = json!({"security_group_id": world.group, "direction": "ingress", "ethertype": "IPv6",
        "protocol": "tcp", "port_range_min": 999, "port_range_max": 999});
    let rule = world.make("security_group_rule", rule).await;
    until("it is down", async || world.active().await == ["blue1"]).await;
    assert_eq!(world.agent().await["ports_down"], 1);
    world
        .served
        .ask(
            "DELETE",
            &format!("security-group-rules/{rule}"),
            json!(null),
        )
        .await;
    until("it is served again", async || world.active().await == all).await;
}

/// A table that is full is no fault of a flow: nothing is left out, and it is tried again later, which is said once.
#[tokio::test]
async fn where_there_is_no_room_nothing_is_left_out() {
    let (log, _guard) = Log::begin();
    let mut world = World::start("full").await;
    world.furnish().await;
    let full = ErrorCode::Standard { kind: 5, code: 1 };
    let switch = Picky::connect(world.served.address, Taste::without(move |_| Some(full))).await;
    until("three attempts", async || {
        let asked = switch.kept.lock().unwrap().asked.values().copied().max();
        asked.unwrap_or(0) >= 3
    })
    .await;
    assert_eq!(world.agent().await["refused_flows"], 0);
    let lines = log.lines_with("switch refused a change of its flows");
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("OFPFMFC_TABLE_FULL"), "{lines:#?}");
}

fn advertises(flows: &[FlowMod]) -> bool {
    let tables = [Stage::Advertise, Stage::AdvertiseOptions].map(Stage::table);
    flows.iter().any(|flow| tables.contains(&flow.table))
}

/// Whether a flow is about what one guest of h1 sends.
fn is_of_guest(flow: &FlowMod) -> bool {
    let port = flow.matches.value(rust_openflow::Field::IN_PORT);
    port.is_some_and(|port| port < 100)
}
