//! Writes `docs/pipeline.md`.

use crate::pipeline::{Miss, REGISTERS, STAGES, Stage};
use std::fmt::Write;

/// The pipeline as a Markdown page.
pub fn pipeline() -> String {
    let mut page = String::from(
        "# The pipeline of br-int\n\n\
         Generated from `flows/src/pipeline.rs` by `sextant reference pipeline`; do not edit.\n\n\
         A packet enters at table 0 and only moves down.\n\n\
         ## Tables\n\n| table | stage | asks | when no flow matches |\n|---|---|---|---|\n",
    );
    for spec in STAGES {
        let miss = match spec.miss {
            Miss::Drop => "drop".to_owned(),
            Miss::Goto(next) => format!("on to {}", name(next)),
        };
        let _ = writeln!(
            page,
            "| {} | {} | {} | {miss} |",
            spec.stage.table(),
            spec.name,
            spec.asks
        );
    }
    page.push_str("\n## Registers\n\n| register | field | holds |\n|---|---|---|\n");
    for spec in REGISTERS {
        let _ = writeln!(
            page,
            "| {} | `{}` | {} |",
            spec.name, spec.field, spec.holds
        );
    }
    page
}

fn name(stage: Stage) -> &'static str {
    STAGES
        .iter()
        .find(|spec| spec.stage == stage)
        .map_or("", |spec| spec.name)
}
