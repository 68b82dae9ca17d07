//! Flows computed step by step are those computed at once, and a switch takes them.

use super::crowd::{self, CrowdStep};
use super::declarations::assert_declared;
use super::names::hypervisor;
use super::steps::{self, HYPERVISORS, Step};
use super::strategies::step;
use crate::support::Cloud;
use crate::support::show::flows_of;
use bytes::BytesMut;
use proptest::prelude::*;
use rust_openflow::{Command, FlowMod, Instruction, Match, Message, TableId, Xid};
use sextant_flows::{Concerned, Difference, Flows, InstalledFlow, Interface, reconcile};
use sextant_model::ChassisId;
use std::collections::{BTreeMap, BTreeSet};

/// A switch, as far as flows go.
#[derive(Default)]
struct Switch {
    flows: BTreeMap<(TableId, u16, Match), FlowMod>,
    meters: BTreeSet<u32>,
}

impl Switch {
    /// Takes the messages as Open vSwitch would; adding a flow over another one would hide a mistake.
    fn take(&mut self, difference: &Difference) {
        for meter in difference.added_meters() {
            assert!(self.meters.insert(*meter), "it is there already");
        }
        for change in difference.flow_mods() {
            let change = change.decode().unwrap();
            match change.command {
                Command::Delete => self.flows.retain(|_, flow| !same(flow, &change)),
                Command::Add => {
                    let key = (change.table, change.priority, change.matches.clone());
                    assert_eq!(self.flows.insert(key, change), None);
                }
                Command::Modify | Command::ModifyStrict | Command::DeleteStrict => {
                    panic!("nothing else is sent")
                }
            }
        }
        for meter in difference.deleted_meters() {
            assert!(self.meters.remove(meter), "it is gone already");
        }
    }

    fn installed(&self) -> BTreeSet<InstalledFlow> {
        let of = |flow: &FlowMod| InstalledFlow {
            table: flow.table,
            cookie: flow.cookie,
        };
        self.flows.values().map(of).collect()
    }
}

fn same(flow: &FlowMod, deleted: &FlowMod) -> bool {
    flow.table == deleted.table && flow.cookie.0 & deleted.cookie_mask == deleted.cookie.0
}

fn installed(flows: &Flows) -> BTreeSet<InstalledFlow> {
    let of = |(cookie, flow): (sextant_flows::Cookie, sextant_flows::Flow)| InstalledFlow {
        table: flow.stage.table(),
        cookie,
    };
    flows.iter().map(of).collect()
}

/// One hypervisor's flows, kept step by step.
struct Followed {
    chassis: ChassisId,
    flows: Flows,
    /// The same, without contents.
    bare: Flows,
    switch: Switch,
}

impl Followed {
    fn new(cloud: &Cloud, number: u8) -> Self {
        let chassis = ChassisId::new(&hypervisor(number));
        let flows = flows_of(cloud, chassis.as_str());
        let mut switch = Switch::default();
        switch.take(&reconcile(&flows, &BTreeSet::new(), &BTreeSet::new()));
        let mut bare = flows.clone();
        bare.drop_contents();
        Self {
            chassis,
            flows,
            bare,
            switch,
        }
    }

    fn follow(&mut self, old: &Cloud, new: &Cloud) {
        let before = installed(&self.flows);
        let links = self.flows.links();
        let uplinks = self.flows.uplinks();
        let interfaces: Vec<Interface> = self.flows.interfaces().cloned().collect();
        let (old, new) = ((&old.intent, &old.facts), (&new.intent, &new.facts));
        let difference = self.flows.update(&self.chassis, old, new);
        let by_the_bare = self.bare.update(&self.chassis, old, new);
        assert_eq!(by_the_bare, difference, "contents change nothing");
        let wanted = Flows::compute(new.0, new.1, &self.chassis);
        assert_eq!(self.flows, wanted, "step by step, and at once");
        assert!(difference.touches_links() || links == wanted.links());
        assert!(difference.touches_links() || interfaces.iter().eq(wanted.interfaces()));
        assert!(difference.touches_uplinks() || uplinks == wanted.uplinks());
        assert_eq!(self.flows.links(), wanted.links());
        assert_eq!(self.flows.meters(), wanted.meters());
        self.switch.take(&difference);
        assert_eq!(self.switch.meters, wanted.meters());
        let after = installed(&wanted);
        assert_eq!(self.switch.installed(), after);
        assert_eq!(difference.additions(), after.difference(&before).count());
        assert_eq!(difference.deletions(), before.difference(&after).count());
    }
}

/// A switch takes every flow, each says one thing, and no packet goes in circles.
fn assert_well_formed(flows: &Flows) {
    let mut seen = BTreeSet::new();
    for (cookie, flow) in flows.iter() {
        assert_eq!(flow.cookie(), cookie);
        flow.matches.check().unwrap();
        assert_declared(&flow);
        let key = (flow.stage, flow.priority, flow.matches.clone());
        assert!(seen.insert(key), "two flows with one match: {flow:?}");
        let kinds: BTreeSet<_> = flow.instructions.iter().map(kind).collect();
        assert_eq!(
            kinds.len(),
            flow.instructions.len(),
            "one of each: {flow:?}"
        );
        for instruction in &flow.instructions {
            if let Instruction::GotoTable(next) = instruction {
                assert!(*next > flow.stage.table(), "{flow:?}");
            }
        }
        let message = Message::FlowMod(flow.to_flow_mod(cookie.0));
        let mut bytes = BytesMut::new();
        message.encode(Xid(1), &mut bytes).unwrap();
        assert_eq!(Message::decode(&bytes.freeze()).unwrap(), (Xid(1), message));
    }
}

/// A switch takes one instruction of a kind (OpenFlow 1.3.5 §5.9).
fn kind(instruction: &Instruction) -> &'static str {
    match instruction {
        Instruction::Meter(_) => "meter",
        Instruction::Apply(_) => "apply",
        Instruction::GotoTable(_) => "goto",
        Instruction::WriteMetadata { .. }
        | Instruction::Write(_)
        | Instruction::Clear
        | Instruction::Raw(_) => panic!("none of ours"),
    }
}

fn batches() -> impl Strategy<Value = Vec<Vec<Step>>> {
    prop::collection::vec(prop::collection::vec(step(), 1..4), 1..16)
}

/// A change of a small cloud, or of crowds in it.
#[derive(Clone, Debug)]
enum CrowdedStep {
    Small(Step),
    Crowd(CrowdStep),
}

fn crowded_step() -> impl Strategy<Value = CrowdedStep> {
    prop_oneof![
        1 => step().prop_map(CrowdedStep::Small),
        2 => crowd::step().prop_map(CrowdedStep::Crowd),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changes_of_crowds_lead_where_computing_anew_leads(
        batches in prop::collection::vec(prop::collection::vec(crowded_step(), 1..3), 1..12),
    ) {
        let mut cloud = steps::start();
        let mut followed = [0, 1].map(|number| Followed::new(&cloud, number));
        for batch in batches {
            let old = cloud.clone();
            for step in &batch {
                match step {
                    CrowdedStep::Small(step) => step.apply(&mut cloud),
                    CrowdedStep::Crowd(step) => step.apply(&mut cloud),
                }
            }
            followed.iter_mut().for_each(|followed| followed.follow(&old, &cloud));
        }
        followed.iter().for_each(|followed| assert_well_formed(&followed.flows));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changes_lead_where_computing_anew_leads(batches in batches()) {
        let mut cloud = steps::start();
        let mut followed = [0, 1].map(|number| Followed::new(&cloud, number));
        for batch in batches {
            let old = cloud.clone();
            batch.iter().for_each(|step| step.apply(&mut cloud));
            followed.iter_mut().for_each(|followed| followed.follow(&old, &cloud));
        }
        followed.iter().for_each(|followed| assert_well_formed(&followed.flows));
    }

    #[test]
    fn who_is_not_concerned_has_the_same_flows_to_be_confirmed(batches in batches()) {
        let mut cloud = steps::start();
        for batch in batches {
            let old = cloud.clone();
            batch.iter().for_each(|step| step.apply(&mut cloud));
            let known = [&old, &cloud].map(|cloud| (&cloud.intent, &cloud.facts));
            let concerned = Concerned::by_change(known[0], known[1]);
            for number in 0..HYPERVISORS {
                let chassis = ChassisId::new(&hypervisor(number));
                if concerned.includes(&chassis) {
                    continue;
                }
                let [before, after] =
                    known.map(|(intent, facts)| Flows::compute(intent, facts, &chassis));
                prop_assert_eq!(before, after);
                let [before, after] = known.map(|(_, facts)| facts.unconfirmed_on(&chassis));
                prop_assert!(before.eq(after));
            }
        }
    }

    #[test]
    fn reconciling_is_minimal_and_leads_there(
        before in prop::collection::vec(step(), 0..20),
        after in prop::collection::vec(step(), 0..20),
    ) {
        let mut cloud = steps::start();
        before.iter().for_each(|step| step.apply(&mut cloud));
        let old = Followed::new(&cloud, 0);
        after.iter().for_each(|step| step.apply(&mut cloud));
        let wanted = flows_of(&cloud, "h0");
        let mut switch = old.switch;
        let difference = reconcile(&wanted, &switch.installed(), &switch.meters);
        let (present, target) = (switch.installed(), installed(&wanted));
        prop_assert_eq!(difference.additions(), target.difference(&present).count());
        prop_assert_eq!(difference.deletions(), present.difference(&target).count());
        switch.take(&difference);
        prop_assert_eq!(switch.installed(), target);
        prop_assert_eq!(switch.meters, wanted.meters());
    }
}
