//! One packet's walk.

use super::connections::{Connections, forget, mark_of};
use super::{Drop, Output, Packet, Trace, TraceError, Tracer, Visit};
use crate::flow::{Cookie, Flow};
use crate::pipeline;
use rust_openflow::{Action, Ct, Field, HashFields, Instruction, PortNo, TableId, Zone, ports};
use std::ops::ControlFlow;

/// How many look-ups Open vSwitch allows one packet until it is recirculated (`MAX_RESUBMITS`).
const MAX_LOOKUPS: usize = 4096;

/// Whether the following actions and instructions are still executed.
type Next = ControlFlow<()>;

/// A packet under way and what is known of it so far.
pub(super) struct Walk<'t> {
    tracer: &'t Tracer,
    packet: Packet,
    known: &'t mut Connections,
    pub(super) trace: Trace,
    /// Look-ups since the packet was recirculated.
    lookups: usize,
}

impl<'t> Walk<'t> {
    pub(super) fn new(tracer: &'t Tracer, packet: Packet, known: &'t mut Connections) -> Self {
        Self {
            tracer,
            packet,
            known,
            trace: Trace::default(),
            lookups: 0,
        }
    }

    /// Looks up in a table, and goes on from there to the end.
    pub(super) fn enter(&mut self, table: TableId) -> Result<(), TraceError> {
        let mut next = Some(table);
        while let Some(table) = next {
            if self.lookups == MAX_LOOKUPS {
                return Err(TraceError::Endless(MAX_LOOKUPS));
            }
            self.lookups += 1;
            let found = self.tracer.lookup(table, &self.packet);
            let flow = found.map(|(cookie, _)| cookie);
            let packet = self.packet.clone();
            self.trace.visits.push(Visit {
                table,
                flow,
                packet,
            });
            next = match found {
                Some((cookie, flow)) => self.follow(cookie, flow)?,
                None => {
                    self.trace.drops.push(Drop::Missed { table });
                    None
                }
            };
        }
        Ok(())
    }

    /// Executes a flow. Returns the table where the packet goes on.
    fn follow(&mut self, cookie: Cookie, flow: &Flow) -> Result<Option<TableId>, TraceError> {
        if flow.instructions.is_empty() {
            self.trace.drops.push(Drop::ByFlow(cookie));
        }
        for instruction in &flow.instructions {
            match instruction {
                Instruction::Meter(_) => {}
                Instruction::GotoTable(table) => return Ok(Some(*table)),
                Instruction::Apply(actions) => {
                    if self.apply(cookie, actions)?.is_break() {
                        return Ok(None);
                    }
                }
                Instruction::WriteMetadata { .. }
                | Instruction::Write(_)
                | Instruction::Clear
                | Instruction::Raw(_) => return Err(TraceError::Instruction(cookie)),
            }
        }
        Ok(None)
    }

    fn apply(&mut self, cookie: Cookie, actions: &[Action]) -> Result<Next, TraceError> {
        for action in actions {
            if self.act(cookie, action)?.is_break() {
                return Ok(Next::Break(()));
            }
        }
        Ok(Next::Continue(()))
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "most actions are used by no flow of ours"
    )]
    fn act(&mut self, cookie: Cookie, action: &Action) -> Result<Next, TraceError> {
        match action {
            Action::Output { port, .. } => self.output(cookie, *port),
            Action::Controller { .. } => self.output(cookie, ports::CONTROLLER),
            Action::OutputReg { src, .. } => {
                let port = match self.packet.bits(*src) {
                    back if back == u128::from(pipeline::BACK) => ports::IN_PORT,
                    port => port_of(port),
                };
                self.output(cookie, port);
            }
            Action::SetField { field, value, mask } => {
                self.packet.set_masked(*field, *value, *mask)
            }
            Action::Move { src, dst } => self.packet.set_bits(*dst, self.packet.bits(*src)),
            Action::Load { value, dst } => self.packet.set_bits(*dst, u128::from(*value)),
            Action::Resubmit {
                in_port: None,
                table: Some(table),
            } => self.enter(*table)?,
            Action::Group(group) => return self.through_a_group(cookie, *group),
            Action::Ct(ct) => self.through_the_tracker(ct)?,
            Action::CtClear => forget(&mut self.packet),
            Action::Multipath(choice) if choice.fields == HashFields::SymmetricL3L4Udp => {
                let link = self.packet.hash() % (u128::from(choice.max_link) + 1);
                self.packet.set_bits(choice.dst, link);
            }
            Action::CheckPktLarger { length, dst } => {
                let longer = self.packet.length() > usize::from(*length);
                self.packet.set_bits(*dst, longer.into());
            }
            Action::DecTtl => return Ok(self.one_hop_less(cookie)),
            other => {
                return Err(TraceError::Action {
                    flow: cookie,
                    action: Box::new(other.clone()),
                });
            }
        }
        Ok(Next::Continue(()))
    }

    /// A copy goes on with the connection's fields set. The packet itself stays unchanged.
    fn through_the_tracker(&mut self, ct: &Ct) -> Result<(), TraceError> {
        let zone = match ct.zone {
            Zone::Value(zone) => zone,
            Zone::Field(bits) => u16::try_from(self.packet.bits(bits)).unwrap_or_default(),
        };
        if ct.commit {
            let mark = mark_of(&ct.exec);
            self.known.commit(zone, &mut self.packet, mark);
        }
        if let Some(table) = ct.table {
            let itself = self.packet.clone();
            self.known.track(zone, &mut self.packet);
            let lookups = std::mem::take(&mut self.lookups);
            self.enter(table)?;
            (self.packet, self.lookups) = (itself, lookups);
        }
        Ok(())
    }

    /// Copies of the packet, each recirculated, take the group's action lists. The packet itself stays unchanged.
    fn through_a_group(&mut self, cookie: Cookie, number: u32) -> Result<Next, TraceError> {
        let Some(buckets) = pipeline::buckets(number) else {
            return Err(TraceError::Action {
                flow: cookie,
                action: Box::new(Action::Group(number)),
            });
        };
        for bucket in buckets {
            let itself = self.packet.clone();
            let lookups = std::mem::take(&mut self.lookups);
            let _copy_ends = self.apply(cookie, &bucket.actions)?;
            (self.packet, self.lookups) = (itself, lookups);
        }
        Ok(Next::Continue(()))
    }

    fn output(&mut self, cookie: Cookie, port: PortNo) {
        let came_from = self.packet.get(Field::IN_PORT);
        match port {
            ports::CONTROLLER => self.trace.punts.push((cookie, self.packet.clone())),
            ports::IN_PORT => self.leave(port_of(came_from)),
            port if u128::from(port) == came_from => {
                self.trace.drops.push(Drop::Hairpin(cookie));
            }
            port => self.leave(port),
        }
    }

    fn leave(&mut self, port: PortNo) {
        self.trace.outputs.push(Output {
            port: port.0,
            packet: self.packet.clone(),
        });
    }

    fn one_hop_less(&mut self, cookie: Cookie) -> Next {
        let left = self.packet.get(Field::NW_TTL);
        if left <= 1 {
            self.trace.drops.push(Drop::HopLimit(cookie));
            return Next::Break(());
        }
        self.packet.set(Field::NW_TTL, left - 1);
        Next::Continue(())
    }
}

/// The port number in a field of any size.
fn port_of(value: u128) -> PortNo {
    u32::try_from(value).map_or(ports::ANY, PortNo)
}
