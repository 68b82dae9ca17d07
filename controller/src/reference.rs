//! Reference pages that are generated from the code, so that they cannot drift from it.

use crate::cli::{self, Page};
use crate::config::ConfigError;
use crate::metrics::Metrics;
use std::fmt::Write;
use std::path::Path;

/// A reference page, as Markdown.
pub fn page(page: Page) -> String {
    match page {
        Page::Pipeline => sextant_flows::document::pipeline(),
        Page::Metrics => metrics(),
        Page::Configuration => configuration(),
        Page::Cli => command_line(),
    }
}

/// A shell's completion script.
pub fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "sextant", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The man page, as roff.
pub fn man() -> String {
    let mut page = Vec::new();
    let _ = clap_mangen::Man::new(cli::command()).render(&mut page);
    String::from_utf8_lossy(&page).into_owned()
}

/// The output of `check-config`.
pub fn verdict(file: &Path, error: Option<&ConfigError>, json: bool) -> String {
    match (error, json) {
        (None, false) => format!("{}: ok\n", file.display()),
        (Some(error), false) => format!("{error}\n"),
        (error, true) => {
            let verdict = serde_json::json!({"file": file, "ok": error.is_none(), "error": error.map(ToString::to_string)});
            format!("{verdict}\n")
        }
    }
}

fn metrics() -> String {
    let mut page = String::from(
        "# Metrics\n\nGenerated from `controller/src/metrics.rs` by `sextant reference metrics`; do not edit.\n\n\
         | metric | type | labels | meaning |\n|---|---|---|---|\n",
    );
    for (name, kind, labels, help) in Metrics::CATALOGUE {
        let kind = match *kind {
            "IntGauge" | "IntGaugeVec" | "HypervisorGauges" => "gauge",
            "Histogram" | "HistogramVec" | "HistogramOfSizes" => "histogram",
            _ => "counter",
        };
        let _ = writeln!(
            page,
            "| `{name}` | {kind} | {} | {} |",
            labels.join(", "),
            help.trim()
        );
    }
    page + PROCESS_METRICS
}

/// What Prometheus's own library adds.
const PROCESS_METRICS: &str = "\nBeside these there are the process's own, with the names that Prometheus gives them: `process_cpu_seconds_total`, \
    `process_max_fds`, `process_open_fds`, `process_resident_memory_bytes`, `process_start_time_seconds`, `process_threads` and \
    `process_virtual_memory_bytes`.\n";

/// The keys of the configuration file, with their descriptions in the source.
fn configuration() -> String {
    let mut page = String::from(
        "# Configuration\n\nGenerated from `controller/src/config.rs` by `sextant reference configuration`; do not edit.\n\n\
         A TOML file, given with `--config` or `SEXTANT_CONFIG`. Every key has a default. Options of `sextant serve` and\n\
         their environment variables override the file.\n",
    );
    for (section, keys) in crate::config::KEYS {
        let title = if section.is_empty() {
            "At the top".to_owned()
        } else {
            format!("`[{section}]`")
        };
        let _ = write!(
            page,
            "\n## {title}\n\n| key | default | meaning |\n|---|---|---|\n"
        );
        for (key, default, meaning) in *keys {
            let default = match default.is_empty() {
                true => "none".to_owned(),
                false => format!("`{default}`"),
            };
            let _ = writeln!(page, "| `{key}` | {default} | {meaning} |");
        }
    }
    page
}

fn command_line() -> String {
    let mut page = String::from(
        "# Command line\n\nGenerated from `controller/src/cli.rs` by `sextant reference cli`; do not edit.\n",
    );
    let mut command = cli::command().disable_help_subcommand(true).term_width(100);
    command.build();
    describe(&mut command, "sextant", &mut page);
    page
}

fn describe(command: &mut clap::Command, name: &str, page: &mut String) {
    let help = command.render_long_help();
    let _ = write!(page, "\n## `{name}`\n\n```text\n{help}```\n");
    for inner in command.get_subcommands_mut() {
        let name = format!("{name} {}", inner.get_name());
        describe(inner, &name, page);
    }
}
