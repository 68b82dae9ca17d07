//! Measures a controller of its own with many hypervisors that are played beside it: how long it takes until all is as it
//! should be after a start, a change, a storm or a restart, and what that costs. Or several controllers with a cluster of etcd.

mod page;
mod several;

use clap::Parser;
use sextant_lab::LabError;
use sextant_lab::load::{Crowd, Dimensions, Episode, Lives, Side, exit_code, milliseconds, say};
use std::process::ExitCode;
use std::time::Duration;

/// A controller of its own (`SEXTANT_BIN`, else the newest build) with many hypervisors, over loopback.
#[derive(Debug, Parser)]
struct Options {
    /// How many hypervisors; several, by commas, are measured one after the other.
    #[arg(long, default_value = "10,100,1000", value_delimiter = ',')]
    hypervisors: Vec<usize>,
    /// How many controllers. With several, etcd is their store.
    #[arg(long, default_value_t = 1)]
    controllers: u8,
    /// With several controllers: each hypervisor connects to one of them alone, the first to the first, and so on.
    #[arg(long)]
    one_each: bool,
    /// With several controllers: only what a hypervisor costs its owner and another controller.
    #[arg(long)]
    cost_only: bool,
    /// Seconds after which one of several controllers takes its share.
    #[arg(long, default_value_t = 10)]
    settle_after: u16,
    /// How many ports of guests each hypervisor has.
    #[arg(long, default_value_t = 10)]
    ports: usize,
    /// How many ports a network has.
    #[arg(long, default_value_t = 20)]
    network: usize,
    /// On how many hypervisors a network has its ports.
    #[arg(long, default_value_t = 4)]
    spread: usize,
    /// How many ports one more network has, over all hypervisors.
    #[arg(long, default_value_t = 0)]
    large_network: usize,
    /// Whether each network is a project of its own, or all are one's.
    #[arg(long, default_value = "many")]
    projects: Projects,
    /// Only the page for operators is measured, each of its requests so many times.
    #[arg(long, value_name = "TIMES")]
    page: Option<u32>,
    /// How many ports are plugged in one by one.
    #[arg(long, default_value_t = 20)]
    lives: u32,
    /// For how many seconds nothing happens while the idle controller is measured.
    #[arg(long, default_value_t = 10)]
    idle: u64,
    /// To how many processors the controller is held while hypervisors are there, by a control group: `0.33`. Needs the
    /// right to make one.
    #[arg(long)]
    cpu: Option<f64>,
    /// Seconds after which an event that has not come to rest counts as one that never does.
    #[arg(long, default_value_t = 300)]
    limit: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Projects {
    One,
    Many,
}

const COLD_START: &str = "cold start";
const SWITCHES_CUT: &str = "all switches cut";
const DATABASES_CUT: &str = "all databases cut";
const RESTART: &str = "kill -9 and restart";
const LIVES: &str = "a port's life";

/// What was measured with so many hypervisors.
struct Column {
    hypervisors: usize,
    start: Episode,
    lives: Lives,
    switches: Episode,
    databases: Episode,
    restart: Episode,
    idle: Duration,
    flows: usize,
    memory: u64,
}

fn main() -> ExitCode {
    exit_code(run(&Options::parse()))
}

fn run(options: &Options) -> Result<(), LabError> {
    let mut columns: Vec<Column> = vec![];
    for &hypervisors in &options.hypervisors {
        if options.controllers > 1 {
            several::measure(options, &dimensions(options, hypervisors))?;
            continue;
        }
        if let Some(times) = options.page {
            page::measure(options, &dimensions(options, hypervisors), times)?;
            continue;
        }
        let column = measure(options, hypervisors)?;
        tell(&column, columns.first());
        columns.push(column);
    }
    Ok(())
}

fn dimensions(options: &Options, hypervisors: usize) -> Dimensions {
    Dimensions {
        hypervisors,
        ports: hypervisors * options.ports,
        network: options.network,
        spread: options.spread,
        large_network: options.large_network,
        one_project: options.projects == Projects::One,
    }
}

/// Says with an error how many hypervisors there were, and what was measured.
fn during(hypervisors: usize, part: &str) -> impl FnOnce(LabError) -> LabError {
    let what = format!("{hypervisors} hypervisors, {part}");
    move |error| error.during(what)
}

fn measure(options: &Options, hypervisors: usize) -> Result<Column, LabError> {
    let limit = Duration::from_secs(options.limit);
    let mut crowd = Crowd::start(&dimensions(options, hypervisors), limit)
        .map_err(during(hypervisors, "making ports"))?;
    if let Some(processors) = options.cpu {
        crowd.hold_to(processors)?;
    }
    let start = crowd
        .cold_start()
        .map_err(during(hypervisors, COLD_START))?;
    let (flows, memory) = (crowd.flows(), crowd.controller()?.resident);
    let time = Duration::from_secs(options.idle.max(1));
    let idle = crowd.idle(time)?.div_f64(time.as_secs_f64());
    Ok(Column {
        hypervisors,
        start,
        flows,
        memory,
        idle: idle * 60,
        lives: crowd
            .live(options.lives, idle)
            .map_err(during(hypervisors, LIVES))?,
        switches: crowd
            .cut(Side::Switch)
            .map_err(during(hypervisors, SWITCHES_CUT))?,
        databases: crowd
            .cut(Side::Database)
            .map_err(during(hypervisors, DATABASES_CUT))?,
        restart: crowd.restart().map_err(during(hypervisors, RESTART))?,
    })
}

/// Each figure, and how often it holds that of the first column.
fn tell(column: &Column, first: Option<&Column>) {
    say(format_args!(
        "{} hypervisors, {} flows",
        column.hypervisors, column.flows
    ));
    type Of = fn(&Column) -> &Episode;
    let episodes: [(&str, Of); 4] = [
        (COLD_START, |column| &column.start),
        (SWITCHES_CUT, |column| &column.switches),
        (DATABASES_CUT, |column| &column.databases),
        (RESTART, |column| &column.restart),
    ];
    for (name, of) in episodes {
        tell_episode(name, of(column), first.map(of));
    }
    tell_lives(&column.lives, first.map(|first| &first.lives));
    say(format_args!(
        "  {:<24} {:>8.2} CPU s a minute",
        "idle",
        column.idle.as_secs_f64()
    ));
    say(format_args!(
        "  {:<24} {:>8.1} MiB",
        "memory",
        column.memory as f64 / f64::from(1 << 20)
    ));
}

fn tell_episode(name: &str, episode: &Episode, first: Option<&Episode>) {
    let scrapes = &episode.scrapes;
    let scraped = [0.5, 0.99].map(|share| milliseconds(scrapes.answers.percentile(share)));
    say(format_args!(
        "  {name:<24} {:>8.2} s {:>8.2} CPU s {:>6} sessions lost {:>6} switches read {:>6} computed {:>6} changes {:>9} flow-mods{}",
        episode.took.as_secs_f64(),
        episode.processor.as_secs_f64(),
        episode.lost,
        episode.reads,
        episode.computations,
        episode.changes,
        episode.flow_mods,
        ratio(first.map(|first| first.processor), episode.processor),
    ));
    say(format_args!(
        "  {:<24} {:>8.1} ms p50 {:>8.1} ms p99 {:>9.1} KiB {:>8} lines logged",
        "  its metrics, its log",
        scraped[0],
        scraped[1],
        scrapes.longest_page as f64 / 1024.0,
        episode.lines,
    ));
}

fn tell_lives(lives: &Lives, first: Option<&Lives>) {
    let middle = lives.activation.percentile(0.5);
    say(format_args!(
        "  {:<24} {:>8.2} ms p50 {:>8.2} ms p99{}",
        "port plugged to ACTIVE",
        milliseconds(middle),
        milliseconds(lives.activation.percentile(0.99)),
        ratio(first.map(|first| first.activation.percentile(0.5)), middle),
    ));
    let each = processor_each(lives);
    say(format_args!(
        "  {:<24} {:>8.2} CPU ms{}, {:.1} sessions woken",
        LIVES,
        milliseconds(each),
        ratio(first.map(processor_each), each),
        lives.woken as f64 / f64::from(lives.times.max(1)),
    ));
}

fn processor_each(lives: &Lives) -> Duration {
    lives.processor / lives.times.max(1)
}

fn ratio(first: Option<Duration>, now: Duration) -> String {
    match first.filter(|first| !first.is_zero()) {
        Some(first) => format!(
            "   ({:.1} times the first)",
            now.as_secs_f64() / first.as_secs_f64()
        ),
        None => String::new(),
    }
}
