//! Writes `docs/pipeline.md`.

use crate::pipeline::{self, Miss, PRIORITIES, PrioritySpec, REGISTERS, STAGES, Stage, StageSpec};
use rust_openflow::{GroupCommand, GroupMod};
use std::cmp::Reverse;
use std::fmt::Write;

/// The pipeline as a Markdown page.
#[must_use]
pub fn pipeline() -> String {
    let mut page = String::from(
        "# The pipeline of br-int\n\n\
         Generated from `flows/src/pipeline/` by `sextant reference pipeline`; do not edit.\n\n\
         A packet enters at table 0 and only moves down.\n",
    );
    tables(&mut page);
    registers(&mut page);
    priorities(&mut page);
    groups(&mut page);
    page
}

fn tables(page: &mut String) {
    page.push_str(
        "\n## Tables\n\n| table | stage | asks | when no flow matches |\n|---|---|---|---|\n",
    );
    for spec in STAGES {
        let miss = match spec.miss {
            Miss::Drop => "drop".to_owned(),
            Miss::Goto(next) => format!("on to {}", next.name()),
        };
        let (table, name, asks) = (spec.stage.table(), spec.name, spec.asks());
        let _ = writeln!(page, "| {table} | {name} | {asks} | {miss} |");
    }
}

fn registers(page: &mut String) {
    page.push_str(
        "\n## Registers\n\n\
         Two registers may share bits where one is read for the last time before the other is set.\n\n\
         | register | bits | set from | read until | holds |\n|---|---|---|---|---|\n",
    );
    for register in REGISTERS {
        let (name, bits, holds) = (register.name, register.subfield(), register.holds());
        let (from, to) = (register.from.name(), register.to.name());
        let _ = writeln!(page, "| {name} | `{bits}` | {from} | {to} | {holds} |");
    }
}

fn priorities(page: &mut String) {
    page.push_str(
        "\n## Priorities\n\n\
         Of the flows of a stage that match a packet the highest wins.\n\n\
         | table | stage | priority | which flows |\n|---|---|---|---|\n",
    );
    for StageSpec { stage, name, .. } in STAGES {
        for spec in of_stage(*stage) {
            let (table, priority, holds) = (stage.table(), number(spec), spec.holds());
            let _ = writeln!(page, "| {table} | {name} | {priority} | {holds} |");
        }
    }
}

fn groups(page: &mut String) {
    page.push_str(
        "\n## Groups\n\n\
         Group 1 sends a copy of a frame through stage replicate, by group 2, which recirculates it.\n\n",
    );
    for group in pipeline::groups() {
        let group = GroupMod {
            command: GroupCommand::Add,
            ..group
        };
        let _ = writeln!(page, "    {group}");
    }
}

/// The priorities of a stage, the highest first.
fn of_stage(stage: Stage) -> Vec<&'static PrioritySpec> {
    let mut specs: Vec<_> = PRIORITIES
        .iter()
        .filter(|spec| spec.stages.contains(&stage))
        .collect();
    specs.sort_by_key(|spec| Reverse(spec.highest));
    specs
}

fn number(spec: &PrioritySpec) -> String {
    match spec.lowest == spec.highest {
        true => spec.lowest.to_string(),
        false => format!("{} to {}", spec.lowest, spec.highest),
    }
}
