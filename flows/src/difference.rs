//! Differences between flows, and between what a switch has and what it should have.

use crate::flow::{Cookie, Packed};
use crate::flows::Flows;
use crate::pipeline::Stage;
use rust_openflow::FlowMod;
use std::collections::{BTreeMap, BTreeSet};

/// What to change on a switch, in one atomic bundle.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    add: BTreeMap<Cookie, Packed>,
    delete: BTreeSet<InstalledFlow>,
    meters: bool,
    links: bool,
    uplinks: bool,
}

/// A flow that a switch has, as far as reconciling needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstalledFlow {
    /// Its table.
    pub table: u8,
    /// Its cookie.
    pub cookie: u64,
}

impl Difference {
    /// Whether [`Flows::meters`] may differ.
    pub fn touches_meters(&self) -> bool {
        self.meters
    }

    /// Whether [`Flows::links`] may differ.
    pub fn touches_links(&self) -> bool {
        self.links
    }

    /// Whether [`Flows::uplinks`] may differ.
    pub fn touches_uplinks(&self) -> bool {
        self.uplinks
    }

    /// No flow to change.
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.delete.is_empty()
    }

    /// How many flows are to be added.
    pub fn additions(&self) -> usize {
        self.add.len()
    }

    /// How many flows are to be deleted.
    pub fn deletions(&self) -> usize {
        self.delete.len()
    }

    /// The messages: first what is not wanted goes, then what is missing comes. In an atomic bundle no packet sees the
    /// state between.
    pub fn flow_mods(&self) -> Vec<FlowMod> {
        let delete = self
            .delete
            .iter()
            .map(|flow| FlowMod::delete_by_cookie(flow.table, flow.cookie));
        delete
            .chain(
                self.add
                    .iter()
                    .map(|(cookie, flow)| flow.to_flow_mod(*cookie)),
            )
            .collect()
    }

    /// What an object contributes besides flows has changed.
    pub(crate) fn touch(&mut self, meters: bool, links: bool) {
        self.meters |= meters;
        self.links |= links;
    }

    pub(crate) fn touch_uplinks(&mut self, uplinks: bool) {
        self.uplinks |= uplinks;
    }

    pub(crate) fn want(&mut self, cookie: Cookie, stage: Stage, flow: &Packed) {
        if !self.delete.remove(&installed(cookie, stage)) {
            self.add.insert(cookie, flow.clone());
        }
    }

    pub(crate) fn unwant(&mut self, cookie: Cookie, stage: Stage) {
        if self.add.remove(&cookie).is_none() {
            self.delete.insert(installed(cookie, stage));
        }
    }
}

fn installed(cookie: Cookie, stage: Stage) -> InstalledFlow {
    InstalledFlow {
        table: stage.table(),
        cookie: cookie.0,
    }
}

/// What to change on a switch that has `present` so that it has `wanted`.
pub fn reconcile(wanted: &Flows, present: &BTreeSet<InstalledFlow>) -> Difference {
    let mut difference = Difference {
        add: BTreeMap::new(),
        delete: present.clone(),
        meters: true,
        links: true,
        uplinks: true,
    };
    for (cookie, wanted) in wanted.wanted() {
        difference.want(cookie, wanted.stage, &wanted.flow);
    }
    difference
}
