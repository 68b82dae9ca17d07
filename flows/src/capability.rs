//! Finds out which capability a switch lacks that refuses a flow.
//!
//! OpenFlow's error says only a type and a code. The type says whether to look at the match or at the actions of the
//! flow. What else the switch took and refused says which capability is missing.

use crate::flow::{Cookie, Flow};
use rust_openflow::{Action, Ct, ErrorCode, ErrorType, Field, Instruction, Zone};
use sextant_model::Capability;
use std::collections::{BTreeMap, BTreeSet};

/// `NXBAC_CT_DATAPATH_SUPPORT`: an action of connection tracking that the datapath does not have.
const CT_ACTION: ErrorCode = nicira(42);
/// `NXBMC_CT_DATAPATH_SUPPORT`: a match on connection tracking that the datapath does not have.
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

/// Whether a switch refuses a flow for what the flow is. It does not where its table is full, or where the controller
/// may not ask: then it would refuse any other flow as well.
#[must_use]
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

/// Errors about a whole bundle. `MSG_BAD_LEN`, `MSG_UNSUP` and `MSG_FAILED` are about one message in it.
fn is_about_bundles(error: ErrorCode) -> bool {
    let name = error.name().unwrap_or_default();
    let of_one = [
        "OFPBFC_MSG_BAD_LEN",
        "OFPBFC_MSG_UNSUP",
        "OFPBFC_MSG_FAILED",
    ];
    name.starts_with("OFPBFC_") && !of_one.contains(&name)
}

/// What a flow needs, as far as this error may be about it. The switch lacks at least one of these.
pub(crate) fn suspects(flow: &Flow, error: ErrorCode) -> BTreeSet<Capability> {
    match error.error_type() {
        ErrorType::MeterModFailed => [Capability::Meters].into(),
        ErrorType::BadMatch => by_match(flow).collect(),
        ErrorType::BadAction => by_action(flow).collect(),
        _ if error == CT_MATCH => by_match(flow).collect(),
        _ if error == CT_ACTION => by_action(flow).collect(),
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
        | ErrorType::Other(_) => needs(flow).collect(),
    }
}

/// Everything that a flow needs.
pub(crate) fn needs(flow: &Flow) -> impl Iterator<Item = Capability> {
    let metered = flow.instructions.iter();
    let metered = metered.filter(|instruction| matches!(instruction, Instruction::Meter(_)));
    by_action(flow)
        .chain(by_match(flow))
        .chain(metered.map(|_| Capability::Meters))
}

fn by_action(flow: &Flow) -> impl Iterator<Item = Capability> {
    actions(flow).flat_map(needed_by)
}

fn by_match(flow: &Flow) -> impl Iterator<Item = Capability> {
    let fields = flow.matches.fields();
    fields.filter_map(|entry| matching(entry.field))
}

/// Which capability each of these flows lacks, so that the switch lacks as few as possible. Capabilities that other,
/// accepted flows need (`proven`) are not missing.
pub(crate) fn explain(
    refused: &BTreeMap<Cookie, BTreeSet<Capability>>,
    proven: &BTreeSet<Capability>,
) -> BTreeMap<Cookie, Capability> {
    let mut found = BTreeMap::new();
    let mut open: BTreeMap<Cookie, BTreeSet<Capability>> = BTreeMap::new();
    for (cookie, suspects) in refused {
        let left: BTreeSet<Capability> = suspects - proven;
        if left.is_empty() {
            // The switch proved everything, and still refused: the rarest capability is the likeliest reason.
            let strangest = suspects.iter().copied().min_by_key(rank);
            found.insert(*cookie, strangest.unwrap_or(Capability::Other));
        } else {
            open.insert(*cookie, left);
        }
    }
    // Greedy: what explains most refusals is taken as missing first, and the flows that it explains are done.
    while let Some(best) = commonest(&open) {
        open.retain(|cookie, suspects| {
            let explained = suspects.contains(&best);
            found.extend(explained.then_some((*cookie, best)));
            !explained
        });
    }
    found
}

/// The capability that most of these flows need. Between equals, the one that most datapaths have, since the rarer ones
/// rest on it.
fn commonest(flows: &BTreeMap<Cookie, BTreeSet<Capability>>) -> Option<Capability> {
    let mut counts: BTreeMap<Capability, usize> = BTreeMap::new();
    for capability in flows.values().flatten() {
        *counts.entry(*capability).or_default() += 1;
    }
    let most = counts
        .into_iter()
        .max_by_key(|(capability, count)| (*count, rank(capability)));
    most.map(|(capability, _)| capability)
}

/// How many datapaths have a capability: the lower, the fewer. The order of [`Capability`] itself is for people.
fn rank(capability: &Capability) -> u8 {
    match capability {
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
    }
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

/// What a datapath needs to set a field.
fn setting(field: Field) -> Option<Capability> {
    if field == Field::ICMPV6_TYPE || field == Field::ICMPV6_CODE {
        return Some(Capability::NeighborDiscovery);
    }
    matching(field)
}

/// What a datapath needs to match a field.
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

#[cfg(test)]
mod tests {
    use super::*;
    use Capability::{Ct, CtMark, CtNat, CtZone, DecTtl, Multipath};

    fn missing(refused: &[&[Capability]], proven: &[Capability]) -> Vec<Capability> {
        let refused = refused
            .iter()
            .map(|suspects| suspects.iter().copied().collect());
        let refused = (1..).map(Cookie).zip(refused).collect();
        let proven = proven.iter().copied().collect();
        explain(&refused, &proven).into_values().collect()
    }

    #[test]
    fn as_little_as_possible_is_missing() {
        let tracking: [&[Capability]; 4] = [
            &[Ct],
            &[Ct, CtZone],
            &[Ct, CtZone, CtMark],
            &[Ct, CtZone, CtNat],
        ];
        assert_eq!(missing(&tracking, &[]), [Ct; 4]);
        assert_eq!(missing(&tracking[1..], &[Ct, CtMark]), [CtZone; 3]);
        assert_eq!(missing(&tracking[2..], &[Ct, CtZone]), [CtMark, CtNat]);
        assert_eq!(missing(&[&[DecTtl, Multipath]], &[DecTtl]), [Multipath]);
    }

    #[test]
    fn what_cannot_be_explained_is_what_few_have_or_something_else() {
        assert_eq!(missing(&[&[Ct, CtNat]], &[Ct, CtNat]), [CtNat]);
        assert_eq!(missing(&[&[]], &[]), [Capability::Other]);
    }
}
