//! How many Router Solicitations a second a guest gets answered through a real Open vSwitch, by
//! Sextant and by the least that a controller can be.

#![allow(clippy::print_stdout, reason = "a table is what it is for")]

use clap::Parser;
use sextant_lab::load::{Comparison, Measured, compare};
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
    println!("through Open vSwitch, {lookups} table lookups before the punt");
    println!(
        "{:<28} {:>10} {:>10} {:>12} {:>12}",
        "controller", "answers", "a second", "ctl µs/a", "switch µs/a"
    );
    let each = |measured: &Measured, all| measured.each(all).as_secs_f64() * 1e6;
    let row = |name: &str, measured: &Measured, controller: String| {
        println!(
            "{name:<28} {:>10} {:>10.0} {controller:>12} {:>12.2}",
            measured.answered,
            measured.rate(),
            each(measured, measured.switch),
        );
    };
    row(
        "sextant",
        sextant,
        format!("{:.2}", each(sextant, *controller)),
    );
    row("one flow, one fixed frame", trivial, "-".to_owned());
    println!(
        "sextant reaches {:.2} of the least controller's rate",
        sextant.rate() / trivial.rate()
    );
}
