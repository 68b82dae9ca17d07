//! Puts load on a controller over loopback and prints what it costs: with no word about the
//! traffic, the three kinds of it that matter most.

use clap::{Parser, ValueEnum};
use sextant_lab::LabError;
use sextant_lab::load::{Pace, Question, Report, Rig, Size, Traffic, exit_code, say};
use std::process::ExitCode;
use std::time::Duration;

/// Load on a controller of its own (`SEXTANT_BIN`, else the newest build), over loopback.
#[derive(Debug, Parser)]
struct Options {
    /// How many hypervisors.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    switches: u16,
    /// How many guests on each.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=2000))]
    guests: u16,
    /// Seconds that each kind of traffic lasts at most.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Questions at most.
    #[arg(long, default_value_t = 100_000_000)]
    count: u64,
    /// One kind of traffic: what guests ask.
    #[arg(long)]
    ask: Option<Ask>,
    /// Questions at once on each switch, as fast as answers come.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=2048))]
    window: u16,
    /// Questions a second on all switches together, instead of as fast as answers come.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: Option<u32>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Ask {
    /// Router Solicitations.
    Rs,
    /// DHCPv6 Solicits.
    Dhcpv6,
}

impl Options {
    fn traffic(&self, question: Question, pace: Pace) -> Traffic {
        Traffic {
            question,
            pace,
            time: Duration::from_secs(self.seconds),
            count: self.count,
        }
    }

    fn measure(&self, rig: &mut Rig, question: Question, pace: Pace) -> Result<Report, LabError> {
        let report = rig.run(self.traffic(question, pace))?;
        say(&report);
        Ok(report)
    }

    fn window(&self) -> Pace {
        Pace::Window(self.window.into())
    }
}

fn main() -> ExitCode {
    exit_code(run(&Options::parse()))
}

fn run(options: &Options) -> Result<(), LabError> {
    let size = Size {
        switches: options.switches,
        guests: options.guests,
    };
    let mut rig = Rig::start(size)?;
    say(format_args!(
        "{} switches with {} guests each; the controller has {:.1} MiB",
        size.switches,
        size.guests,
        rig.controller()?.resident as f64 / f64::from(1 << 20),
    ));
    say(Report::heading());
    match options.ask {
        Some(ask) => {
            let question = match ask {
                Ask::Rs => Question::RouterSolicitation,
                Ask::Dhcpv6 => Question::Solicit,
            };
            let pace = options
                .rate
                .map_or(options.window(), |rate| Pace::Rate(rate.into()));
            options.measure(&mut rig, question, pace)?;
        }
        None => {
            let fastest = options
                .measure(&mut rig, Question::RouterSolicitation, options.window())?
                .rate();
            options.measure(
                &mut rig,
                Question::RouterSolicitation,
                Pace::Rate((fastest / 2.0).floor()),
            )?;
            options.measure(&mut rig, Question::Solicit, options.window())?;
        }
    }
    Ok(())
}
