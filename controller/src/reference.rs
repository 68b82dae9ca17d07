//! Reference pages that are generated from the code, so that they cannot drift from it.

use crate::cli::{self, Page};
use crate::config::ConfigError;
use crate::metrics::Metrics;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

/// A reference page, as Markdown.
pub fn page(page: Page) -> String {
    match page {
        Page::Pipeline => sextant_flows::document::pipeline(),
        Page::Metrics => metrics(),
        Page::Configuration => configuration(),
        Page::Cli => command_line(),
        Page::Toml => sample(),
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

/// Writes a man page for each command into a folder, which is made if it is missing.
///
/// # Errors
/// A page cannot be written.
pub fn write_man(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(cli::command(), folder)
}

/// The output of `check-config`.
pub fn verdict(file: &Path, faults: &[ConfigError], json: bool) -> String {
    let mut errors: Vec<String> = faults.iter().map(ToString::to_string).collect();
    // Two sections that share credentials have the same fault.
    let mut known = BTreeSet::new();
    errors.retain(|error| known.insert(error.clone()));
    if json {
        let verdict = serde_json::json!({"file": file, "ok": errors.is_empty(), "error": errors.first(), "errors": errors});
        return format!("{verdict}\n");
    }
    match errors.is_empty() {
        true => format!("{}: ok\n", file.display()),
        false => errors.join("\n") + "\n",
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

/// A configuration file that says nothing but what is so anyway: each key is a comment, with its default.
fn sample() -> String {
    let mut file = String::from(
        "# Sextant's configuration. Every key has a default, which is what its comment says: remove the \"#\" before a key, and\n\
         # before its section, to change it. `sextant check-config FILE` says what is wrong with a file.\n",
    );
    for (section, keys) in crate::config::KEYS {
        if !section.is_empty() {
            let _ = write!(file, "\n\n#[{section}]\n");
        }
        for (key, default, meaning) in *keys {
            let _ = write!(file, "\n{}", comment(meaning));
            let _ = writeln!(file, "#{key} = {}", crate::config::literal(default));
        }
    }
    file
}

/// Text as lines of a comment, without links.
fn comment(text: &str) -> String {
    const WIDTH: usize = 100;
    let mut lines = String::from("#");
    let mut length = 1;
    for word in without_links(text).split_whitespace() {
        if length + 1 + word.len() > WIDTH {
            lines += "\n#";
            length = 1;
        }
        lines += " ";
        lines += word;
        length += 1 + word.len();
    }
    lines + "\n"
}

/// Markdown in which a link is its target in `docs`.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, (_, target), after)) = link(rest) {
        plain += before;
        plain += "docs/";
        plain += target;
        rest = after;
    }
    plain + rest
}

/// What is before a link, its text and target, and what is after.
fn link(text: &str) -> Option<(&str, (&str, &str), &str)> {
    let (linked, rest) = text.split_once("](")?;
    let (before, name) = linked.rsplit_once('[')?;
    let (target, after) = rest.split_once(')')?;
    Some((before, (name, target), after))
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
