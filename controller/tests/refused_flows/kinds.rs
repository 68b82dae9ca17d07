//! What kinds of matches, actions and instructions there are in a flow: whatever a switch may not know.

use rust_openflow::{Action, FlowMod, Instruction};
use std::collections::BTreeSet;

/// The kinds in a flow, such as `match ct_state`, `action Move to eth_src`, `instruction Meter`.
pub(crate) fn kinds(flow: &FlowMod) -> BTreeSet<String> {
    let mut kinds = BTreeSet::new();
    for entry in flow.matches.fields() {
        kinds.insert(format!("match {}", entry.field));
    }
    for instruction in &flow.instructions {
        kinds.insert(format!("instruction {}", variant(instruction)));
        if let Instruction::Apply(actions) = instruction {
            of_actions(actions, &mut kinds);
        }
    }
    kinds
}

fn of_actions(actions: &[Action], kinds: &mut BTreeSet<String>) {
    for action in actions {
        let name = variant(action);
        kinds.insert(match action {
            Action::SetField { field, .. } => format!("action {name} {field}"),
            Action::Move { dst, .. } | Action::Load { dst, .. } => {
                format!("action {name} to {}", dst.field)
            }
            _ => format!("action {name}"),
        });
        if let Action::Ct(ct) = action {
            of_actions(&ct.exec, kinds);
        }
    }
}

/// The name of an enum's variant.
fn variant(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    let end = text.find(|letter: char| !letter.is_alphanumeric());
    text[..end.unwrap_or(text.len())].to_owned()
}
