//! How many Router Solicitations a second a guest gets answered through a real Open vSwitch, by
//! Sextant and by the least that a controller can be.

use clap::Parser;
use sextant_lab::load::{Comparison, Measured, compare};
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// Router Solicitations through a real Open vSwitch, in a lab of network namespaces (needs root).
#[derive(Debug, Parser)]
struct Options {
    /// Seconds that each controller is measured.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Questions at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=2048))]
    window: u16,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match compare(Duration::from_secs(options.seconds), options.window.into()) {
        Ok(comparison) => {
            tell(&comparison);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn tell(comparison: &Comparison) {
    let Comparison {
        lookups,
        sextant,
        controller,
        trivial,
    } = comparison;
    say(format_args!(
        "through Open vSwitch, {lookups} table lookups before the punt"
    ));
    say(format_args!(
        "{:<28} {:>10} {:>10} {:>8} {:>7} {:>10} {:>12}",
        "controller", "answers", "a second", "missing", "stalls", "ctl µs/a", "switch µs/a"
    ));
    let spent = sextant.each(*controller).as_secs_f64() * 1e6;
    say(row("sextant", sextant, &format!("{spent:.2}")));
    say(row("one flow, one fixed frame", trivial, "-"));
    let ratio = sextant.rate() / trivial.rate();
    say(format_args!(
        "sextant reaches {ratio:.2} of the least controller's rate"
    ));
}

fn row(name: &str, measured: &Measured, controller: &str) -> String {
    let switch = measured.each(measured.switch).as_secs_f64() * 1e6;
    let (answered, rate) = (measured.answered, measured.rate());
    let (missing, stalls) = (measured.asked.saturating_sub(answered), measured.stalls);
    format!(
        "{name:<28} {answered:>10} {rate:>10.0} {missing:>8} {stalls:>7} {controller:>10} {switch:>12.2}"
    )
}

/// Whoever closes the output early has seen enough.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
