//! How many Router Solicitations a second a guest gets answered through a real Open vSwitch, by
//! Sextant, by OVN, and by the least that a controller can be.

use clap::Parser;
use sextant_lab::load::{Comparison, Contender, Course, compare};
use sextant_lab::{LabError, MissingTool};
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// Router Solicitations through a real Open vSwitch, in a lab of network namespaces (needs root).
#[derive(Debug, Parser)]
struct Options {
    /// Seconds that each controller is measured.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// In how many turns.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    turns: u16,
    /// Questions at once: enough to keep the switch busy, rather than to measure how it wakes.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u16).range(1..=2048))]
    window: u16,
    /// Leaves OVN out, which is not installed everywhere.
    #[arg(long)]
    without_ovn: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let course = Course {
        time: Duration::from_secs(options.seconds),
        turns: options.turns,
        window: options.window.into(),
        ovn: !options.without_ovn,
    };
    match compare(course) {
        Ok(comparison) => {
            tell(&comparison);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}{}", hint(&error));
            ExitCode::FAILURE
        }
    }
}

fn hint(error: &LabError) -> &'static str {
    let LabError::MissingTools(tools) = error else {
        return "";
    };
    match tools.iter().any(is_ovn) {
        true => "\nOVN can be left out: --without-ovn",
        false => "",
    }
}

fn is_ovn(tool: &MissingTool) -> bool {
    tool.program.starts_with("ovn-")
}

fn tell(comparison: &Comparison) {
    let Comparison {
        sextant,
        ovn,
        trivial,
    } = comparison;
    say(format_args!(
        "{:<26} {:>7} {:>9} {:>9} {:>8} {:>7} {:>9} {:>11} {:>11}",
        "through Open vSwitch",
        "lookups",
        "answers",
        "a second",
        "missing",
        "stalls",
        "ctl µs/a",
        "thread µs/a",
        "switch µs/a"
    ));
    say(row("sextant", sextant));
    if let Some(ovn) = ovn {
        say(row("OVN", ovn));
    }
    say(row("one flow, one fixed frame", trivial));
    let ratio = |other: &Contender| sextant.asked.rate() / other.asked.rate();
    if let Some(ovn) = ovn {
        say(format_args!(
            "sextant answers {:.2} times as many a second as OVN; the least controller {:.2} times",
            ratio(ovn),
            trivial.asked.rate() / ovn.asked.rate()
        ));
    }
    say(format_args!(
        "sextant reaches {:.2} of the least controller's rate",
        ratio(trivial)
    ));
}

fn row(name: &str, contender: &Contender) -> String {
    let (asked, spent) = (&contender.asked, &contender.spent);
    let each = |spent: Duration| format!("{:.2}", contender.each(spent).as_secs_f64() * 1e6);
    let known = |spent: Option<Duration>| spent.map_or_else(|| "-".into(), each);
    format!(
        "{name:<26} {:>7} {:>9} {:>9.0} {:>8} {:>7} {:>9} {:>11} {:>11}",
        contender.lookups,
        asked.answered,
        asked.rate(),
        asked.missing,
        asked.stalls,
        known(spent.controller),
        known(spent.thread),
        each(spent.switch)
    )
}

/// Whoever closes the output early has seen enough.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
