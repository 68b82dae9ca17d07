//! Differences between flows, and between what a switch has and what it should have.

use crate::flow::{Cookie, KeptFlow, Packed, PackedFlow};
use crate::flows::Flows;
use crate::pipeline::Stage;
use rust_openflow::{BundledFlowMod, FlowMod, TableId};
use std::collections::{BTreeMap, BTreeSet};
use std::vec;

/// What to change on a switch, in one atomic bundle.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    add: BTreeMap<Cookie, Packed>,
    delete: BTreeSet<InstalledFlow>,
    add_meters: BTreeSet<u32>,
    delete_meters: BTreeSet<u32>,
    links: bool,
    uplinks: bool,
}

/// A flow that a switch has, as far as reconciling needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstalledFlow {
    /// Its table.
    pub table: TableId,
    /// Its cookie.
    pub cookie: Cookie,
}

/// The flow-mods of a difference, made one by one.
#[derive(Debug)]
pub struct FlowMods {
    delete: vec::IntoIter<InstalledFlow>,
    add: vec::IntoIter<(Cookie, Packed)>,
}

impl Iterator for FlowMods {
    type Item = BundledFlowMod;

    fn next(&mut self) -> Option<BundledFlowMod> {
        if let Some(flow) = self.delete.next() {
            let delete = FlowMod::delete_by_cookie(flow.table, flow.cookie);
            return Some(delete.into());
        }
        let (cookie, flow) = self.add.next()?;
        Some(flow.to_flow_mod(cookie))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.delete.len() + self.add.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for FlowMods {}

impl Difference {
    /// The meters that are to be added, before the flows that pass them.
    #[must_use]
    pub fn added_meters(&self) -> &BTreeSet<u32> {
        &self.add_meters
    }

    /// The meters that no flow passes any more once the flows are changed.
    #[must_use]
    pub fn deleted_meters(&self) -> &BTreeSet<u32> {
        &self.delete_meters
    }

    /// Whether [`Flows::links`] may differ.
    #[must_use]
    pub fn touches_links(&self) -> bool {
        self.links
    }

    /// Whether [`Flows::uplinks`] may differ.
    #[must_use]
    pub fn touches_uplinks(&self) -> bool {
        self.uplinks
    }

    /// Whether no flow and no meter is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.changes_flows() && self.add_meters.is_empty() && self.delete_meters.is_empty()
    }

    /// Whether flows are to be changed.
    #[must_use]
    pub fn changes_flows(&self) -> bool {
        !(self.add.is_empty() && self.delete.is_empty())
    }

    /// How many flows are touched. A flow that is deleted and added again counts once.
    #[must_use]
    pub fn flows(&self) -> usize {
        let deleted = self.delete.iter();
        let renewed = deleted.filter(|flow| self.add.contains_key(&flow.cookie));
        self.add.len() + self.delete.len() - renewed.count()
    }

    /// Deletes these flows, and adds them again where they are wanted: the switch has something else under their
    /// cookies.
    pub fn renew(&mut self, flows: impl IntoIterator<Item = InstalledFlow>) {
        self.delete.extend(flows);
    }

    /// How many flows are to be added.
    #[must_use]
    pub fn additions(&self) -> usize {
        self.add.len()
    }

    /// How many flows are to be deleted.
    #[must_use]
    pub fn deletions(&self) -> usize {
        self.delete.len()
    }

    /// The messages: deletions first, then additions, since a renewed flow has the same cookie. In an atomic bundle no
    /// packet sees the state between.
    #[must_use]
    pub fn flow_mods(&self) -> FlowMods {
        let add: Vec<_> = self
            .add
            .iter()
            .map(|(cookie, flow)| (*cookie, flow.clone()))
            .collect();
        let delete: Vec<_> = self.delete.iter().copied().collect();
        FlowMods {
            delete: delete.into_iter(),
            add: add.into_iter(),
        }
    }

    /// The flows that messages of [`Difference::flow_mods`] add, each with the value given for its message. Deletions
    /// are passed over.
    #[must_use]
    pub fn added_by<T: Copy>(&self, places: &BTreeMap<usize, T>) -> BTreeMap<Cookie, T> {
        let numbered = (self.delete.len()..).zip(self.add.keys());
        let said = numbered.filter_map(|(place, cookie)| Some((*cookie, *places.get(&place)?)));
        said.collect()
    }

    /// Leaves these flows out of the additions.
    pub fn leave_out<'a>(&mut self, cookies: impl IntoIterator<Item = &'a Cookie>) {
        for cookie in cookies {
            self.add.remove(cookie);
        }
    }

    /// An object advertises something else.
    pub(crate) fn touch_links(&mut self) {
        self.links = true;
    }

    pub(crate) fn want_meter(&mut self, meter: u32) {
        if !self.delete_meters.remove(&meter) {
            self.add_meters.insert(meter);
        }
    }

    pub(crate) fn unwant_meter(&mut self, meter: u32) {
        if !self.add_meters.remove(&meter) {
            self.delete_meters.insert(meter);
        }
    }

    /// Other routers speak on external networks, or they speak otherwise.
    pub(crate) fn touch_uplinks(&mut self) {
        self.uplinks = true;
    }

    // A flow that goes and comes within one update stays: then there is nothing to send.
    pub(crate) fn want(&mut self, flow: &PackedFlow) {
        let kept = flow.kept;
        if !self.delete.remove(&installed(kept.cookie, kept.stage)) {
            self.add.insert(kept.cookie, flow.content.clone());
        }
    }

    pub(crate) fn unwant(&mut self, flow: KeptFlow) {
        if self.add.remove(&flow.cookie).is_none() {
            self.delete.insert(installed(flow.cookie, flow.stage));
        }
    }
}

fn installed(cookie: Cookie, stage: Stage) -> InstalledFlow {
    InstalledFlow {
        table: stage.table(),
        cookie,
    }
}

/// What to change on a switch that has these flows and meters, so that it has `wanted`, whose contents are there.
#[must_use]
pub fn reconcile(
    wanted: &Flows,
    flows: &BTreeSet<InstalledFlow>,
    meters: &BTreeSet<u32>,
) -> Difference {
    let wanted_meters = wanted.installable_meters();
    let mut difference = Difference {
        add: BTreeMap::new(),
        delete: flows.clone(),
        add_meters: &wanted_meters - meters,
        delete_meters: meters - &wanted_meters,
        links: true,
        uplinks: true,
    };
    for flow in wanted.installable() {
        let installed = installed(flow.cookie, flow.stage);
        if flows.contains(&installed) {
            difference.delete.remove(&installed);
        } else if let Some(content) = wanted.packed(flow.cookie) {
            difference.add.insert(flow.cookie, content.clone());
        }
    }
    difference
}
