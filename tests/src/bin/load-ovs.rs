//! How many Router Solicitations, or Solicits of DHCPv6, a second a guest gets answered through a real Open vSwitch, by
//! Sextant, by OVN, and by the least that a controller can be. And what guests notice when
//! Sextant and OVN are killed and started again.

use clap::Parser;
use sextant_lab::load::{
    Comparison, Contender, Course, Question, RestartCourse, Restarts, compare, milliseconds,
    restart, say,
};
use sextant_lab::{LabError, MissingTool};
use std::process::ExitCode;
use std::time::Duration;

/// For whoever reads the figures.
const EXPLANATION: &str = "\
least: one flow, one fixed frame. on hypervisor: OpenFlow does not leave the host (sextant and least: TCP\n\
over loopback; ovn-controller: Unix socket), so what differs is controllers and pipelines. own host: TCP over\n\
a veth pair and a bridge between namespaces, all of which the kernel does inside ovs-vswitchd's send().";

/// For whoever reads the figures of `--operations`.
const OPERATIONS: &str = "\
lost: of the echoes between two hypervisors all the while. written: of the flows, how many came, went or were written\n\
anew. answers: from the start of the first process until a Router Solicitation is answered, the median and the longest.\n\
Each has two hypervisors with Open vSwitch, which tries to connect to a controller on another host once a second.";

/// Guests' questions through a real Open vSwitch, in a lab of network namespaces (needs root).
#[derive(Debug, Parser)]
struct Options {
    /// Guests ask for a lease by DHCPv6, rather than for routers.
    #[arg(long)]
    dhcpv6: bool,
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
    /// Kills and starts control planes, rather than to measure answers.
    #[arg(long, conflicts_with_all = ["dhcpv6", "seconds", "turns", "window"])]
    operations: bool,
    /// How often each is killed.
    #[arg(long, requires = "operations", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let told = match options.operations {
        true => operate(&options),
        false => measure(&options),
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}{}", hint(&error));
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<(), LabError> {
    let question = match options.dhcpv6 {
        true => Question::Solicit,
        false => Question::RouterSolicitation,
    };
    let comparison = compare(Course {
        question,
        time: Duration::from_secs(options.seconds),
        turns: options.turns,
        window: options.window.into(),
        ovn: !options.without_ovn,
    })?;
    tell(&comparison);
    Ok(())
}

fn operate(options: &Options) -> Result<(), LabError> {
    let restarts = restart(RestartCourse {
        rounds: options.rounds,
        ovn: !options.without_ovn,
    })?;
    say(format_args!(
        "{:<22} {:>6} {:>7} {:>5} {:>6} {:>8} {:>12} {:>12} {:>9}",
        "killed and started",
        "times",
        "echoes",
        "lost",
        "flows",
        "written",
        "answers, ms",
        "at most, ms",
        "memory, MB"
    ));
    for restarts in &restarts {
        say(restarts_row(restarts));
    }
    for restarts in &restarts {
        say(restarts_details(restarts));
    }
    say(OPERATIONS);
    Ok(())
}

fn restarts_row(restarts: &Restarts) -> String {
    let (median, longest) = restarts.until_answer();
    let rounds = restarts.rounds.iter();
    format!(
        "{:<22} {:>6} {:>7} {:>5} {:>6} {:>8} {:>12.0} {:>12.0} {:>9.0}",
        restarts.killed,
        rounds.len(),
        rounds.clone().map(|round| round.echoes).sum::<u32>(),
        rounds.clone().map(|round| round.lost).sum::<usize>(),
        rounds.clone().map(|round| round.flows).sum::<usize>(),
        rounds.map(|round| round.written).sum::<usize>(),
        milliseconds(median),
        milliseconds(longest),
        megabytes(restarts.resident())
    )
}

/// Each kill by itself, and each process.
fn restarts_details(restarts: &Restarts) -> String {
    let rounds = restarts.rounds.iter().map(|round| {
        let (away, answer) = (milliseconds(round.away), milliseconds(round.until_answer));
        format!("{answer:.0} after {away:.0} away")
    });
    let memory = restarts.memory.iter();
    let memory = memory.map(|(name, bytes)| format!("{name} {:.1}", megabytes(*bytes)));
    format!(
        "{}: answers, ms: {}; memory, MB: {}",
        restarts.killed,
        rounds.collect::<Vec<_>>().join(", "),
        memory.collect::<Vec<_>>().join(", ")
    )
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
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
    say(row("sextant, own host", &sextant.apart));
    say(row("sextant, on hypervisor", &sextant.together));
    if let Some(ovn) = ovn {
        say(row("OVN, on hypervisor", ovn));
    }
    say(row("least, own host", &trivial.apart));
    say(row("least, on hypervisor", &trivial.together));
    say(EXPLANATION);
    let places = [
        ("on the hypervisor", sextant.together, trivial.together),
        ("on its own host", sextant.apart, trivial.apart),
    ];
    for (place, sextant, least) in &places {
        say(ratios(place, sextant, ovn.as_ref(), least));
    }
}

/// What a controller in one place reaches.
fn ratios(place: &str, sextant: &Contender, ovn: Option<&Contender>, least: &Contender) -> String {
    let (sextant, least) = (sextant.asked.rate(), least.asked.rate());
    let beside_least = format!(
        "sextant {place}: {:.2} of the least controller's rate there",
        sextant / least
    );
    let Some(ovn) = ovn else {
        return beside_least;
    };
    format!(
        "{beside_least}, {:.2} times OVN's; the least controller {:.2} times OVN's",
        sextant / ovn.asked.rate(),
        least / ovn.asked.rate()
    )
}

fn row(name: &str, contender: &Contender) -> String {
    let (asked, spent) = (&contender.asked, &contender.spent);
    let spent = [spent.controller, spent.thread, Some(spent.switch)];
    let [controller, thread, switch] = spent.map(|spent| match spent {
        Some(spent) => format!("{:.2}", contender.each(spent).as_secs_f64() * 1e6),
        None => "-".to_owned(),
    });
    format!(
        "{name:<26} {:>7} {:>9} {:>9.0} {:>8} {:>7} {:>9} {:>11} {:>11}",
        contender.lookups,
        asked.answered,
        asked.rate(),
        asked.missing,
        asked.stalls,
        controller,
        thread,
        switch
    )
}
