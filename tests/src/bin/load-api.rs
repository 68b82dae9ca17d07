//! Measures the API of a controller of its own: what writes, lists and new ports take, beside
//! what they may take.

use clap::Parser;
use sextant_lab::LabError;
use sextant_lab::load::{
    Clients, Connecting, Cycles, Fleet, Inventory, Latencies, exit_code, hostile, milliseconds, say,
};
use std::process::ExitCode;
use std::time::Duration;

/// Load on the API of a controller of its own (`SEXTANT_BIN`, else the newest build), over
/// loopback.
#[derive(Debug, Parser)]
struct Options {
    /// How many ports there are in lists, and beside a new one.
    #[arg(long, default_value_t = 10_000)]
    ports: usize,
    /// How many clients make ports at once.
    #[arg(long, default_value_t = 32)]
    clients: usize,
    /// Seconds that they do.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How many hypervisors.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    hypervisors: u16,
    /// How many ports there are on a network.
    #[arg(long, default_value_t = 100)]
    network: usize,
    /// One measurement, instead of all.
    #[arg(long)]
    only: Option<Only>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Only {
    /// Ports are made.
    Writes,
    /// Ports are listed.
    Lists,
    /// Servers come and go as Nova lets them, beside few and beside many ports.
    Nova,
    /// Ports are made, plugged in, and their flows confirmed.
    Flows,
    /// Requests are made to cost much, and others wait.
    Hostile,
    /// Ports are bound, and the controller's memory is looked at.
    Memory,
}

fn main() -> ExitCode {
    exit_code(run(&Options::parse()))
}

impl Options {
    fn wants(&self, what: Only) -> bool {
        self.only.is_none_or(|only| only == what)
    }
}

fn run(options: &Options) -> Result<(), LabError> {
    say(format_args!(
        "{:<52} {:>10} {:>10}",
        "", "measured", "target"
    ));
    if options.wants(Only::Writes) {
        writes(options)?;
    }
    if options.wants(Only::Lists) {
        lists(options)?;
    }
    if options.wants(Only::Nova) {
        nova(options)?;
    }
    if options.wants(Only::Flows) {
        flows(options)?;
    }
    if options.wants(Only::Hostile) {
        beside_hostile(options)?;
    }
    if options.wants(Only::Memory) {
        memory(options)?;
    }
    Ok(())
}

fn writes(options: &Options) -> Result<(), LabError> {
    const ALONE: usize = 1000;
    let clients = Clients::start()?;
    row("disk alone, p50 ms", p50(&clients.disk(200)?), None);
    clients.one_by_one(100)?;
    let alone = clients.one_by_one(ALONE)?;
    row(
        "port create, one client, p50 ms",
        p50(&alone),
        Some(Target::Below(3.0)),
    );
    row(
        "port create, one client, p99 ms",
        milliseconds(alone.percentile(0.99)),
        None,
    );
    let before = clients.controller()?;
    let (rate, together) =
        clients.at_once(options.clients, Duration::from_secs(options.seconds))?;
    let spent = clients.controller()?.processor_since(&before);
    let many = format!("port creates, {} clients", options.clients);
    row(
        &format!("{many}, a second"),
        rate,
        Some(Target::AtLeast(1000.0)),
    );
    row(&format!("{many}, p50 ms"), p50(&together), None);
    row(
        &format!("{many}, p99 ms"),
        milliseconds(together.percentile(0.99)),
        None,
    );
    let each = milliseconds(spent) / (rate * options.seconds as f64);
    row(&format!("{many}, controller's ms each"), each, None);
    Ok(())
}

fn lists(options: &Options) -> Result<(), LabError> {
    const TIMES: usize = 9;
    const PAGE: usize = 500;
    let clients = Clients::start()?;
    clients.fill(options.ports)?;
    clients.list(1, options.ports)?;
    let before = clients.controller()?;
    let whole = clients.list(TIMES, options.ports)?;
    let spent = clients.controller()?.processor_since(&before);
    let name = format!("list of {} ports", options.ports);
    row(
        &format!("{name}, p50 ms"),
        p50(&whole),
        Some(Target::Below(100.0)),
    );
    let each = milliseconds(spent) / TIMES as f64;
    row(&format!("{name}, controller's ms each"), each, None);
    let pages = clients.pages(TIMES, PAGE, options.ports)?;
    let name = format!("page of {PAGE} of {} ports", options.ports);
    row(
        &format!("{name}, p50 ms"),
        p50(&pages),
        Some(Target::Below(5.0)),
    );
    row(
        &format!("{name}, p99 ms"),
        milliseconds(pages.percentile(0.99)),
        None,
    );
    Ok(())
}

/// Two clouds, a small and a large one, take turns: what else the machine does meets both. Then the large one is listed.
fn nova(options: &Options) -> Result<(), LabError> {
    const FEW: usize = 1000;
    const TURNS: usize = 4;
    let mut small = Inventory::start(FEW)?;
    let mut large = Inventory::start(options.ports)?;
    let resident = mebibytes(large.controller()?.resident);
    let time = Duration::from_secs(options.seconds);
    let (mut few, mut many) = (Cycles::default(), Cycles::default());
    for _ in 0..TURNS {
        few.merge(&small.cycles(options.clients, time)?);
        many.merge(&large.cycles(options.clients, time)?);
    }
    show_cycles(&few, options, FEW);
    show_cycles(&many, options, options.ports);
    let ratio = spent_each(&many) / spent_each(&few);
    row("ratio of controller's ms", ratio, Some(Target::Below(2.0)));
    row("ratio of p50", p50(&many.whole) / p50(&few.whole), None);
    let name = format!("resident memory, {} ports in lists, MiB", options.ports);
    row(&name, resident, None);
    by_filters(&large, options.ports)
}

fn show_cycles(cycles: &Cycles, options: &Options, ports: usize) {
    let name = format!("server's port, {} clients, {ports} ports", options.clients);
    row(&format!("{name}, p50 ms"), p50(&cycles.whole), None);
    row(
        &format!("{name}, controller's ms"),
        spent_each(cycles),
        None,
    );
    row("  its first list, p50 ms", p50(&cycles.lists), None);
    let most = milliseconds(cycles.lists.percentile(0.99));
    row("  its first list, p99 ms", most, None);
}

fn spent_each(cycles: &Cycles) -> f64 {
    milliseconds(cycles.spent) / f64::from(cycles.count.max(1))
}

fn by_filters(inventory: &Inventory, ports: usize) -> Result<(), LabError> {
    const TIMES: u32 = 50;
    const PAGE: usize = 50;
    for (name, query, found) in inventory.filters() {
        let listed = inventory.list(&query, TIMES, found)?;
        let name = format!("{found} of {ports} ports by {name}");
        row(&format!("{name}, p50 ms"), p50(&listed.latencies), None);
        row("  controller's ms each", milliseconds(listed.spent), None);
    }
    let marker = inventory.sample();
    for order in [
        "",
        "&sort_key=id&sort_dir=desc",
        "&sort_key=created_at&sort_dir=desc",
        "&sort_key=name",
    ] {
        let query = format!("limit={PAGE}{order}");
        let listed = inventory.list(&query, TIMES, PAGE)?;
        row(&format!("{query}, p50 ms"), p50(&listed.latencies), None);
        row("  controller's ms each", milliseconds(listed.spent), None);
    }
    let query = format!("limit={PAGE}&sort_key=created_at&marker={marker}&page_reverse=true");
    let listed = inventory.list(&query, TIMES, PAGE)?;
    row(
        "the page before a marker by created_at, p50 ms",
        p50(&listed.latencies),
        None,
    );
    row("  controller's ms each", milliseconds(listed.spent), None);
    Ok(())
}

/// Two clouds of their own, a small and a large one, take turns: what else the machine does meets both.
fn flows(options: &Options) -> Result<(), LabError> {
    const FEW: usize = 10;
    const TURNS: usize = 8;
    let mut small = Fleet::start(options.hypervisors)?;
    small.add_network(FEW)?;
    let mut large = Fleet::start(options.hypervisors)?;
    large.add_network(FEW)?;
    let mut ports = FEW;
    let mut networks = 1;
    while ports < options.ports {
        let more = options.network.min(options.ports - ports);
        large.add_network(more)?;
        ports += more;
        networks += 1;
    }
    small.settle()?;
    large.settle()?;
    let (mut few, mut many) = (Connecting::default(), Connecting::default());
    let mut ratios = Vec::new();
    for _ in 0..TURNS {
        let turn = [connect(&mut small, 0)?, connect(&mut large, 0)?];
        ratios.push(p50(&turn[1].whole) / p50(&turn[0].whole));
        few.merge(&turn[0]);
        many.merge(&turn[1]);
    }
    show(&few, &format!("beside {FEW}"));
    show(&many, &format!("beside {ports}"));
    let ratio = p50(&many.whole) / p50(&few.whole);
    row("ratio of these", ratio, Some(Target::Below(1.3)));
    ratios.sort_by(f64::total_cmp);
    row("ratio of the turns, least", ratios[0], None);
    row("ratio of the turns, most", ratios[TURNS - 1], None);
    let ratio = p50(&many.without_database) / p50(&few.without_database);
    row("ratio without ovsdb-server's part", ratio, None);
    let larger = connect(&mut large, networks - 1)?;
    show(&larger, &format!("on a network of {}", options.network));
    let memory = mebibytes(large.controller()?.resident);
    let name = format!("resident memory, {ports} bound ports, MiB");
    row(&name, memory, None);
    Ok(())
}

/// How long new ports take until they are `ACTIVE`. The first ones wake up what has slept, and are not counted.
fn connect(fleet: &mut Fleet, network: usize) -> Result<Connecting, LabError> {
    const FIRST: u32 = 10;
    const TIMES: u32 = 50;
    fleet.connect(network, FIRST)?;
    fleet.connect(network, TIMES)
}

fn show(connecting: &Connecting, beside: &str) {
    let name = format!("port create to ACTIVE, {beside}");
    row(
        &format!("{name}, p50 ms"),
        p50(&connecting.whole),
        Some(Target::Below(15.0)),
    );
    let parts = [
        ("API's answer", &connecting.answer),
        ("ovsdb-server's part", &connecting.database),
        ("flows confirmed", &connecting.activation),
    ];
    for (part, latencies) in parts {
        row(&format!("  {part}, p50 ms"), p50(latencies), None);
    }
    row(
        &format!("{name}, p99 ms"),
        milliseconds(connecting.whole.percentile(0.99)),
        None,
    );
    row(
        &format!("{name}, controller's ms each"),
        milliseconds(connecting.spent) / f64::from(connecting.times.max(1)),
        None,
    );
}

fn beside_hostile(options: &Options) -> Result<(), LabError> {
    let waited = hostile(options.clients, Duration::from_secs(options.seconds))?;
    let beside = format!("beside {} hostile clients", options.clients);
    row(&format!("get, {beside}, p50 ms"), p50(&waited.client), None);
    row(
        &format!("get, {beside}, p99 ms"),
        p99(&waited.client),
        Some(Target::Below(50.0)),
    );
    row(
        &format!("router solicited, {beside}, p50 ms"),
        p50(&waited.guests),
        None,
    );
    row(
        &format!("router solicited, {beside}, p99 ms"),
        p99(&waited.guests),
        Some(Target::Below(5.0)),
    );
    let rate = waited.answered as f64 / options.seconds as f64;
    row("hostile requests answered, a second", rate, None);
    Ok(())
}

fn memory(options: &Options) -> Result<(), LabError> {
    const PORTS: usize = 1000;
    let mut fleet = Fleet::start(options.hypervisors)?;
    fleet.add_network(PORTS)?;
    fleet.settle()?;
    row(
        &format!("resident memory, {PORTS} ports on one network, MiB"),
        mebibytes(fleet.controller()?.resident),
        Some(Target::Below(60.0)),
    );
    Ok(())
}

#[derive(Clone, Copy)]
enum Target {
    Below(f64),
    AtLeast(f64),
}

fn row(name: &str, measured: f64, target: Option<Target>) {
    let target = match target {
        None => String::new(),
        Some(Target::Below(most)) => verdict('<', most, measured < most),
        Some(Target::AtLeast(least)) => verdict('≥', least, measured >= least),
    };
    say(format_args!("{name:<52} {measured:>10.2} {target:>10}"));
}

fn verdict(sign: char, target: f64, met: bool) -> String {
    let verdict = if met { "" } else { "  MISSED" };
    format!("{sign} {target}{verdict}")
}

fn p50(latencies: &Latencies) -> f64 {
    milliseconds(latencies.percentile(0.5))
}

fn p99(latencies: &Latencies) -> f64 {
    milliseconds(latencies.percentile(0.99))
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
