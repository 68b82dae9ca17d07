//! Walks a packet through computed flows as Open vSwitch does: for tests, and to explain to an operator.
//!
//! A [`Packet`] is the fields that flows match. [`Tracer::trace`] returns the flows that it met, where it left, and how
//! it looked then. All that our flows use is followed, by Open vSwitch's rules. What a resubmitted table changes stays
//! changed. A packet does not leave by the port where it came in, except through `in_port`. A hop limit that runs out
//! ends it. Meters let everything pass.
//!
//! To the connection tracker every connection is new, unless the trace gets the [`Connections`] that an earlier one
//! left.

mod connections;
mod packet;
mod walk;
mod way;

pub use connections::Connections;
pub use packet::{Packet, UnsettledField};
pub use way::OutputTarget;

use crate::flow::{Cookie, Flow};
use crate::flows::Flows;
use rust_openflow::{Action, Field, Instruction, TableId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use walk::Walk;

/// One look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// In this table.
    pub table: TableId,
    /// The flow that matched. `None` if the packet was dropped.
    pub flow: Option<Cookie>,
    /// The packet as it was looked up.
    pub packet: Packet,
}

/// A packet on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The OpenFlow port.
    pub port: u32,
    /// The packet as it left.
    pub packet: Packet,
}

/// Why a packet, or a copy of it, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drop {
    /// No flow of this table matched.
    Missed {
        /// The table.
        table: TableId,
    },
    /// This flow does nothing with the packet.
    ByFlow(Cookie),
    /// This flow would have forwarded the packet, but its hop limit was spent.
    HopLimit(Cookie),
    /// This flow would have sent the packet back where it came from.
    Hairpin(Cookie),
}

/// What happened to a packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Every look-up, in order.
    pub visits: Vec<Visit>,
    /// What left, in order.
    pub outputs: Vec<Output>,
    /// The flows that sent it up to the controller, and the packet then.
    pub punts: Vec<(Cookie, Packet)>,
    /// Where it ended without leaving.
    pub drops: Vec<Drop>,
}

/// A packet met a flow that the tracer does not follow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// The flow does something that no flow of this crate does.
    #[error("flow {flow:?} has an action that the trace does not follow: {action}")]
    Action {
        /// The flow.
        flow: Cookie,
        /// What it does.
        action: Box<Action>,
    },
    /// The flow has an instruction that no flow of this crate has.
    #[error("flow {0:?} has an instruction that the trace does not follow")]
    Instruction(Cookie),
    /// Flows send the packet round and round.
    #[error("more than {0} look-ups")]
    Endless(usize),
}

/// Flows in the order in which a switch looks them up.
#[derive(Debug)]
pub struct Tracer {
    tables: BTreeMap<TableId, Vec<(Cookie, Flow)>>,
}

impl Tracer {
    /// Sorts the flows that the switch takes.
    #[must_use]
    pub fn new(flows: &Flows) -> Self {
        let mut tables: BTreeMap<TableId, Vec<(Cookie, Flow)>> = BTreeMap::new();
        for (cookie, flow) in flows.installed() {
            tables
                .entry(flow.stage.table())
                .or_default()
                .push((cookie, flow));
        }
        for flows in tables.values_mut() {
            flows.sort_by_key(|(_, flow)| Reverse(flow.priority));
        }
        Self { tables }
    }

    /// What happens to a packet that comes in at the first table.
    ///
    /// # Errors
    /// [`TraceError`]: the flows cannot be followed.
    pub fn trace(&self, packet: Packet) -> Result<Trace, TraceError> {
        self.trace_from(TableId(0), packet)
    }

    /// What happens to a packet that comes in at this table, like one that the controller sends there.
    ///
    /// # Errors
    /// [`TraceError`]: the flows cannot be followed.
    pub fn trace_from(
        &self,
        table: impl Into<TableId>,
        packet: Packet,
    ) -> Result<Trace, TraceError> {
        self.walk(table.into(), packet, &mut Connections::default())
    }

    /// What happens to a packet on a switch that knows these connections. Connections that the packet opens are added.
    ///
    /// # Errors
    /// [`TraceError`]: the flows cannot be followed.
    pub fn trace_among(
        &self,
        packet: Packet,
        known: &mut Connections,
    ) -> Result<Trace, TraceError> {
        self.walk(TableId(0), packet, known)
    }

    fn walk(
        &self,
        table: TableId,
        packet: Packet,
        known: &mut Connections,
    ) -> Result<Trace, TraceError> {
        let mut walk = Walk::new(self, packet, known);
        walk.enter(table)?;
        Ok(walk.trace)
    }

    /// The flow that wins. Clauses of a conjunctive match count only together (ovs-fields(7)). If all clauses of one
    /// match, the packet has its `conj_id`, and is looked up once more.
    fn lookup(&self, table: TableId, packet: &Packet) -> Option<(Cookie, &Flow)> {
        let flows = self.tables.get(&table)?;
        let mut levels = flows.chunk_by(|(_, a), (_, b)| a.priority == b.priority);
        let (cookie, flow) = levels.find_map(|level| {
            first_whole(level, packet).or_else(|| {
                let matching = level
                    .iter()
                    .filter(|(_, flow)| packet.satisfies(&flow.matches));
                let satisfied = conjunction(matching.map(|(_, flow)| flow))?;
                let packet = packet.clone().with(Field::CONJ_ID, satisfied);
                first_whole(flows, &packet)
            })
        })?;
        Some((*cookie, flow))
    }
}

/// The first of these flows that matches a packet by itself, not as a clause.
fn first_whole<'f>(flows: &'f [(Cookie, Flow)], packet: &Packet) -> Option<&'f (Cookie, Flow)> {
    let mut whole = flows
        .iter()
        .filter(|(_, flow)| clauses(flow).next().is_none());
    whole.find(|(_, flow)| packet.satisfies(&flow.matches))
}

/// The clauses that a flow contains: conjunction, number of the clause, how many clauses there are.
fn clauses(flow: &Flow) -> impl Iterator<Item = (u32, u8, u8)> {
    let actions = flow.instructions.iter().filter_map(|instruction| {
        if let Instruction::Apply(actions) = instruction {
            Some(actions)
        } else {
            None
        }
    });
    actions.flatten().filter_map(|action| {
        if let Action::Conjunction {
            id,
            clause,
            clauses,
        } = action
        {
            Some((*id, *clause, *clauses))
        } else {
            None
        }
    })
}

/// A conjunction all of whose clauses are among these flows.
fn conjunction<'f>(flows: impl Iterator<Item = &'f Flow>) -> Option<u32> {
    let mut satisfied: BTreeMap<(u32, u8), BTreeSet<u8>> = BTreeMap::new();
    for (id, clause, of) in flows.flat_map(clauses) {
        satisfied.entry((id, of)).or_default().insert(clause);
    }
    satisfied
        .iter()
        .find(|((_, of), clauses)| clauses.len() == usize::from(*of))
        .map(|((id, _), _)| *id)
}
