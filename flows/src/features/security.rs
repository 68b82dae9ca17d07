//! Security groups: which connections a guest may make and take.
//!
//! Each way has two stages. The first lets through what is allowed always and says whose rules count: the groups of a
//! port are its *policy*, a number in a register, so that ports under the same groups share the flows of their rules. It
//! sends the packet through the connection tracker, in the zone of the port. The second stage holds the rules.
//!
//! Whoever opened a connection is held to the rules with each packet, so a rule that goes away takes its connections with
//! it: the first packet that no rule allows any more marks the connection, and then answers do not pass either. The mark
//! also says which way the connection was allowed, so that nobody on the other side can turn it.
//! `docs/decisions/0004-connections-are-held-to-the-rules.md` has the reasons.

mod always;
mod connections;
mod member;
mod policy;
mod range;
mod rule;

pub(crate) use member::{flows as member, group_of, uses};
pub(crate) use policy::{flows as policy, meter, port};

use crate::flow::Flow;
use crate::pipeline::{OUTPUT, Stage, entry, rules};
use rust_openflow::{Action, Ct, Field, Subfield, Zone};
use sextant_model::{Direction, GroupNumber, IpVersion};

/// What `ct_mark` says of a connection in the zone of a port.
mod mark {
    /// The port's guest may make it.
    pub(super) const EGRESS: u32 = 1;
    /// The port's guest may take it.
    pub(super) const INGRESS: u32 = 2;
    /// It was allowed and is not any more.
    pub(super) const WITHDRAWN: u32 = 4;
}

/// One way through the rules of a port.
pub(crate) struct Way {
    /// From the guest or to it.
    direction: Direction,
    /// Where packets come in.
    entry: Stage,
    /// Where the rules are.
    rules: Stage,
    /// Where what passes goes on.
    next: Stage,
    /// The field that holds the OpenFlow port, whose number is its zone too.
    port: Field,
    /// The mark of connections opened this way.
    own: u32,
    /// The mark of connections opened the other way.
    other: u32,
}

/// What guests send.
pub(crate) const EGRESS: Way = Way {
    direction: Direction::Egress,
    entry: Stage::Egress,
    rules: Stage::EgressRules,
    next: Stage::Router,
    port: Field::IN_PORT,
    own: mark::EGRESS,
    other: mark::INGRESS,
};

/// What is sent to guests.
pub(crate) const INGRESS: Way = Way {
    direction: Direction::Ingress,
    entry: Stage::Ingress,
    rules: Stage::IngressRules,
    next: Stage::Deliver,
    port: OUTPUT.field,
    own: mark::INGRESS,
    other: mark::EGRESS,
};

const WAYS: [&Way; 2] = [&EGRESS, &INGRESS];

impl Way {
    /// The way that rules of a direction look.
    fn of(direction: Direction) -> &'static Self {
        match direction {
            Direction::Egress => &EGRESS,
            Direction::Ingress => &INGRESS,
        }
    }

    /// The field with the other end's address.
    fn remote(&self, family: IpVersion) -> Field {
        match (self.direction, family) {
            (Direction::Ingress, IpVersion::V4) => Field::IPV4_SRC,
            (Direction::Ingress, IpVersion::V6) => Field::IPV6_SRC,
            (Direction::Egress, IpVersion::V4) => Field::IPV4_DST,
            (Direction::Egress, IpVersion::V6) => Field::IPV6_DST,
        }
    }

    /// The connection tracker's zone: the number of the port.
    fn zone(&self) -> Zone {
        Zone::Field(Subfield {
            field: self.port,
            offset: 0,
            bits: 16,
        })
    }

    /// Looks the connection up, and goes on with what is known of it.
    fn track(&self) -> Action {
        Action::Ct(Ct {
            zone: self.zone(),
            table: Some(self.rules.table()),
            ..Ct::default()
        })
    }

    /// Remembers the connection with this mark.
    fn remember(&self, mark: u32) -> Action {
        Action::Ct(Ct {
            commit: true,
            zone: self.zone(),
            exec: vec![Action::set(Field::CT_MARK, mark)],
            ..Ct::default()
        })
    }
}

/// What rules are alike in that look at packets with the same fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    direction: Direction,
    family: IpVersion,
    stateful: bool,
}

/// What the clauses of rules about a group have in common: the group's number, and whether the rules are of stateful
/// groups.
fn conjunction(group: GroupNumber, stateful: bool) -> u32 {
    group.0 << 1 | u32::from(stateful)
}

/// The flows that are the same on every hypervisor.
pub(crate) fn base() -> Vec<Flow> {
    [always::flows(), connections::flows()].concat()
}
