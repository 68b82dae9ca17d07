//! What a switch that refuses a flow lacks.
//!
//! Over OpenFlow it says no more than a type and a code. The type tells whether to look at what the flow matches or at
//! what it does; there, what few datapaths can do is suspected first.

use crate::flow::Flow;
use rust_openflow::{Action, Ct, ErrorCode, ErrorType, Field, Instruction, Zone};
use sextant_model::Capability;

/// `NXBAC_CT_DATAPATH_SUPPORT`: an action of connection tracking that the datapath does not have.
const CT_ACTION: ErrorCode = nicira(42);
/// `NXBMC_CT_DATAPATH_SUPPORT`: the same of a match.
const CT_MATCH: ErrorCode = nicira(43);
/// `OFPFMFC_TABLE_FULL`
const TABLE_FULL: ErrorCode = ErrorCode::Standard { kind: 5, code: 1 };
/// `OFPFMFC_EPERM`
const NOT_PERMITTED: ErrorCode = ErrorCode::Standard { kind: 5, code: 4 };

const fn nicira(kind: u16) -> ErrorCode {
    ErrorCode::Experimenter {
        experimenter: 0x2320,
        kind,
    }
}

/// Whether it is for what a flow is that a switch refuses it. It is not where there is no room, or where the controller may
/// not ask: then any other flow would be refused as well.
pub fn is_about_the_flow(error: ErrorCode) -> bool {
    match error.error_type() {
        ErrorType::BadAction
        | ErrorType::BadInstruction
        | ErrorType::BadMatch
        | ErrorType::FlowModFailed
        | ErrorType::GroupModFailed
        | ErrorType::MeterModFailed
        | ErrorType::Other(_) => error != TABLE_FULL && error != NOT_PERMITTED,
        ErrorType::Experimenter => !is_about_bundles(error),
        ErrorType::HelloFailed
        | ErrorType::BadRequest
        | ErrorType::PortModFailed
        | ErrorType::TableModFailed
        | ErrorType::QueueOpFailed
        | ErrorType::SwitchConfigFailed
        | ErrorType::RoleRequestFailed
        | ErrorType::TableFeaturesFailed => false,
    }
}

/// `OFPBFC_…`, but for those that are about one message (`MSG_BAD_LEN`, `MSG_UNSUP`, `MSG_FAILED`).
fn is_about_bundles(error: ErrorCode) -> bool {
    let name = error.name().unwrap_or_default();
    let of_one = [
        "OFPBFC_MSG_BAD_LEN",
        "OFPBFC_MSG_UNSUP",
        "OFPBFC_MSG_FAILED",
    ];
    name.starts_with("OFPBFC_") && !of_one.contains(&name)
}

/// What a switch lacks that refuses this flow with this error.
pub(crate) fn missing(flow: &Flow, error: ErrorCode) -> Capability {
    let by_action = || strangest(actions(flow).flat_map(needed_by));
    let by_match = || {
        strangest(
            flow.matches
                .fields()
                .filter_map(|entry| matching(entry.field)),
        )
    };
    let found = match error.error_type() {
        ErrorType::MeterModFailed => Some(Capability::Meters),
        ErrorType::BadMatch => by_match(),
        ErrorType::BadAction => by_action(),
        _ if error == CT_MATCH => by_match(),
        _ if error == CT_ACTION => by_action(),
        ErrorType::HelloFailed
        | ErrorType::BadRequest
        | ErrorType::BadInstruction
        | ErrorType::FlowModFailed
        | ErrorType::GroupModFailed
        | ErrorType::PortModFailed
        | ErrorType::TableModFailed
        | ErrorType::QueueOpFailed
        | ErrorType::SwitchConfigFailed
        | ErrorType::RoleRequestFailed
        | ErrorType::TableFeaturesFailed
        | ErrorType::Experimenter
        | ErrorType::Other(_) => by_action().or_else(by_match).or_else(|| metered(flow)),
    };
    found.unwrap_or(Capability::Other)
}

/// The one that fewest datapaths have, if any: the order of [`Capability`] is for people.
fn strangest(needed: impl Iterator<Item = Capability>) -> Option<Capability> {
    let rank = |capability: &Capability| match capability {
        Capability::NdExtensions => 0,
        Capability::CtOriginalTuple => 1,
        Capability::CheckPktLarger => 2,
        Capability::CtNat => 3,
        Capability::CtMark => 4,
        Capability::CtZone => 5,
        Capability::Ct => 6,
        Capability::Multipath => 7,
        Capability::Conjunction => 8,
        Capability::Clone => 9,
        Capability::TunnelFields => 10,
        Capability::NeighborDiscovery => 11,
        Capability::Meters => 12,
        Capability::DecTtl => 13,
        Capability::Vlan => 14,
        Capability::MessageLength | Capability::Other => 15,
    };
    needed.min_by_key(rank)
}

fn actions(flow: &Flow) -> impl Iterator<Item = &Action> {
    let lists = flow
        .instructions
        .iter()
        .filter_map(|instruction| match instruction {
            Instruction::Apply(actions) | Instruction::Write(actions) => Some(actions),
            Instruction::GotoTable(_)
            | Instruction::WriteMetadata { .. }
            | Instruction::Clear
            | Instruction::Meter(_)
            | Instruction::Raw(_) => None,
        });
    lists.flatten()
}

fn metered(flow: &Flow) -> Option<Capability> {
    let passes = |instruction: &Instruction| matches!(instruction, Instruction::Meter(_));
    let metered = flow.instructions.iter().any(passes);
    metered.then_some(Capability::Meters)
}

fn needed_by(action: &Action) -> Vec<Capability> {
    let one = match action {
        Action::Ct(ct) => return tracking(ct),
        Action::SetField { field, .. } => setting(*field),
        Action::Move { src, dst } => setting(dst.field).or_else(|| matching(src.field)),
        Action::Load { dst, .. } => setting(dst.field),
        Action::CtClear => Some(Capability::Ct),
        Action::Nat(_) => Some(Capability::CtNat),
        Action::ResubmitCt { .. } => Some(Capability::CtOriginalTuple),
        Action::CheckPktLarger { .. } => Some(Capability::CheckPktLarger),
        Action::Controller { meter, .. } => meter.map(|_| Capability::Meters),
        Action::Clone(_) => Some(Capability::Clone),
        Action::Conjunction { .. } => Some(Capability::Conjunction),
        Action::Multipath(_) => Some(Capability::Multipath),
        Action::DecTtl | Action::DecTtlIds(_) | Action::SetTtl(_) => Some(Capability::DecTtl),
        Action::PushVlan(_) | Action::PopVlan => Some(Capability::Vlan),
        Action::Output { .. }
        | Action::OutputReg { .. }
        | Action::OutputTrunc { .. }
        | Action::Group(_)
        | Action::SetQueue(_)
        | Action::PopQueue
        | Action::DeleteField(_)
        | Action::Resubmit { .. }
        | Action::PushMpls(_)
        | Action::PopMpls(_)
        | Action::SetMplsTtl(_)
        | Action::DecMplsTtl
        | Action::Learn(_)
        | Action::Note(_)
        | Action::Bundle(_)
        | Action::StackPush(_)
        | Action::StackPop(_)
        | Action::Exit
        | Action::Raw(_) => None,
    };
    one.into_iter().collect()
}

fn tracking(ct: &Ct) -> Vec<Capability> {
    let zone = (ct.zone != Zone::default()).then_some(Capability::CtZone);
    let force = ct.force.then_some(Capability::CtOriginalTuple);
    let inside = ct.exec.iter().flat_map(needed_by);
    [Capability::Ct]
        .into_iter()
        .chain(zone)
        .chain(force)
        .chain(inside)
        .collect()
}

/// What it takes to set a field.
fn setting(field: Field) -> Option<Capability> {
    if field == Field::ICMPV6_TYPE || field == Field::ICMPV6_CODE {
        return Some(Capability::NeighborDiscovery);
    }
    matching(field)
}

/// What it takes to match a field.
fn matching(field: Field) -> Option<Capability> {
    const FIELDS: [(&[Field], Capability); 9] = [
        (
            &[Field::ND_RESERVED, Field::ND_OPTIONS_TYPE],
            Capability::NdExtensions,
        ),
        (
            &[Field::ND_TARGET, Field::ND_SLL, Field::ND_TLL],
            Capability::NeighborDiscovery,
        ),
        (
            &[
                Field::CT_NW_PROTO,
                Field::CT_NW_SRC,
                Field::CT_NW_DST,
                Field::CT_IPV6_SRC,
                Field::CT_IPV6_DST,
                Field::CT_TP_SRC,
                Field::CT_TP_DST,
            ],
            Capability::CtOriginalTuple,
        ),
        (&[Field::CT_MARK, Field::CT_LABEL], Capability::CtMark),
        (&[Field::CT_ZONE], Capability::CtZone),
        (&[Field::CT_STATE], Capability::Ct),
        (&[Field::CONJ_ID], Capability::Conjunction),
        (
            &[
                Field::TUN_ID,
                Field::TUN_SRC,
                Field::TUN_DST,
                Field::TUN_IPV6_SRC,
                Field::TUN_IPV6_DST,
            ],
            Capability::TunnelFields,
        ),
        (&[Field::VLAN_TCI], Capability::Vlan),
    ];
    let row = FIELDS.iter().find(|(fields, _)| fields.contains(&field));
    row.map(|(_, capability)| *capability)
}
