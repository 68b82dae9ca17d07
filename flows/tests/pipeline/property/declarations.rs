//! Flows keep to what the pipeline declares: their priorities, and where registers mean something.

use rust_openflow::{Action, Field, Instruction, Subfield, Zone};
use sextant_flows::Flow;
use sextant_flows::pipeline::{PRIORITIES, REGISTERS, Register};

pub(super) fn assert_declared(flow: &Flow) {
    let named = PRIORITIES
        .iter()
        .any(|spec| spec.covers(flow.stage, flow.priority));
    assert!(named, "no name for the priority of {flow:?}");
    for touched in matched(flow).chain(acted_on(flow)).filter(is_register) {
        let meaning = REGISTERS
            .iter()
            .any(|register| is_within(&touched, register, flow));
        assert!(meaning, "{touched:?} means nothing there: {flow:?}");
    }
}

fn is_within(touched: &Subfield, register: &Register, flow: &Flow) -> bool {
    let bits = register.offset..register.offset + register.width;
    touched.field == register.field
        && bits.start <= touched.offset
        && touched.offset + touched.bits <= bits.end
        && (register.from..=register.to).contains(&flow.stage)
}

fn is_register(touched: &Subfield) -> bool {
    (0..16).any(|number| touched.field == Field::reg(number))
        || (0..8).any(|number| touched.field == Field::xreg(number))
        || (0..4).any(|number| touched.field == Field::xxreg(number))
}

fn matched(flow: &Flow) -> impl Iterator<Item = Subfield> {
    flow.matches.fields().map(|entry| {
        let lowest = entry.mask.trailing_zeros() as u16;
        let highest = 128 - entry.mask.leading_zeros() as u16;
        Subfield::new(entry.field, lowest, highest - lowest)
    })
}

fn acted_on(flow: &Flow) -> impl Iterator<Item = Subfield> {
    let actions = flow.instructions.iter().flat_map(|instruction| {
        let Instruction::Apply(actions) = instruction else {
            return [].iter();
        };
        actions.iter()
    });
    actions.flat_map(touched)
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "most actions touch no field"
)]
fn touched(action: &Action) -> Vec<Subfield> {
    match action {
        Action::SetField { field, .. } => vec![Subfield::whole(*field)],
        Action::Load { dst, .. } | Action::CheckPktLarger { dst, .. } => vec![*dst],
        Action::Move { src, dst } => vec![*src, *dst],
        Action::OutputReg { src, .. } => vec![*src],
        Action::Multipath(multipath) => vec![multipath.dst],
        Action::Ct(tracked) => {
            let zone = match tracked.zone {
                Zone::Field(field) => Some(field),
                Zone::Value(_) => None,
            };
            let inner = tracked.exec.iter().flat_map(touched);
            zone.into_iter().chain(inner).collect()
        }
        _ => vec![],
    }
}
