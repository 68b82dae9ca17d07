//! Security groups: which connections a guest may open and accept.
//!
//! Each direction has two stages. The first lets pass what is always allowed, and sets the *policy*. That is the set of
//! the port's groups, as a number in a register, so that ports under the same groups share the flows of their rules.
//! Then the packet goes through the connection tracker, in the port's zone. The second stage contains the rules.
//!
//! Each packet of a connection's opener is checked against the rules. So a rule that is deleted ends its connections:
//! the first packet that no rule allows marks the connection, and from then on answers do not pass either. The mark
//! also says in which direction the connection was allowed, so that the other side cannot reverse it.
//! `docs/decisions/0004-connections-are-held-to-the-rules.md` has the reasons.

mod always;
mod connections;
mod member;
mod policy;
mod range;
mod rule;

pub(crate) use member::{MemberFinder, MemberMatch, group_of, uses};
pub(crate) use policy::{flows as policy, meter, port, rules_behind};

use crate::flow::Flow;
use crate::pipeline::{OUTPUT, Stage, entry, rules};
use rust_openflow::{Action, Ct, Field, Subfield, Zone};
use sextant_model::{Direction, GroupNumber, IpVersion};

/// What `ct_mark` means in the zone of a port.
mod mark {
    /// The port's guest may open the connection.
    pub(super) const EGRESS: u32 = 1;
    /// The port's guest may accept the connection.
    pub(super) const INGRESS: u32 = 2;
    /// The connection was allowed once, and is not allowed any more.
    pub(super) const WITHDRAWN: u32 = 4;
}

/// One direction through the rules of a port.
pub(crate) struct RulePath {
    /// From the guest or to it.
    direction: Direction,
    /// The stage where packets come in.
    entry: Stage,
    /// The stage with the rules.
    rules: Stage,
    /// The stage where allowed packets go on.
    next: Stage,
    /// The field with the OpenFlow port, whose number is the zone, too.
    port: Field,
    /// The mark of connections opened in this direction.
    own: u32,
    /// The mark of connections opened in the other direction.
    other: u32,
}

/// What guests send.
pub(crate) const EGRESS: RulePath = RulePath {
    direction: Direction::Egress,
    entry: Stage::Egress,
    rules: Stage::EgressRules,
    next: Stage::Router,
    port: Field::IN_PORT,
    own: mark::EGRESS,
    other: mark::INGRESS,
};

/// What is sent to guests.
pub(crate) const INGRESS: RulePath = RulePath {
    direction: Direction::Ingress,
    entry: Stage::Ingress,
    rules: Stage::IngressRules,
    next: Stage::Deliver,
    port: OUTPUT.field,
    own: mark::INGRESS,
    other: mark::EGRESS,
};

const WAYS: [&RulePath; 2] = [&EGRESS, &INGRESS];

impl RulePath {
    /// The way for rules of this direction.
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

    /// Looks the connection up, and goes on in the rules.
    fn track(&self) -> Action {
        Action::Ct(Ct {
            zone: self.zone(),
            table: Some(self.rules.table()),
            ..Ct::default()
        })
    }

    /// Commits the connection with this mark.
    fn remember(&self, mark: u32) -> Action {
        Action::Ct(Ct {
            commit: true,
            zone: self.zone(),
            exec: vec![Action::set(Field::CT_MARK, mark)],
            ..Ct::default()
        })
    }
}

/// What rules have in common that match the same fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RuleKind {
    direction: Direction,
    family: IpVersion,
    stateful: bool,
}

/// The conjunction's id for rules about a group: the group's number, and whether the rules are stateful.
fn conjunction(group: GroupNumber, stateful: bool) -> u32 {
    group.0 << 1 | u32::from(stateful)
}

/// The flows that are the same on every hypervisor.
pub(crate) fn base() -> Vec<Flow> {
    [always::flows(), connections::flows()].concat()
}
