//! The same with several controllers and a cluster of etcd.

use super::{Options, during};
use sextant_lab::LabError;
use sextant_lab::load::{
    Change, Cost, Dimensions, Return, Several, Shares, Spending, Start, Takeover, Targets,
    milliseconds, say,
};
use std::time::Duration;

/// The controller that is killed.
const KILLED: usize = 0;

pub(super) fn measure(options: &Options, dimensions: &Dimensions) -> Result<(), LabError> {
    let hypervisors = dimensions.hypervisors;
    let limit = Duration::from_secs(options.limit);
    let time = Duration::from_secs(options.idle.max(1));
    if options.cost_only {
        let cost = Several::cost(dimensions, time, limit).map_err(during(hypervisors, "cost"))?;
        tell_cost(&cost);
        return Ok(());
    }
    let controllers = options.controllers;
    let several = Several::start(controllers, dimensions, options.settle_after, limit);
    let mut several = several.map_err(during(hypervisors, "making ports"))?;
    let targets = match options.one_each {
        true => Targets::One,
        false => Targets::All,
    };
    let start = several.cold_start(targets);
    let start = start.map_err(during(hypervisors, "cold start"))?;
    let flows = several.flows();
    say(format_args!(
        "{hypervisors} hypervisors, {controllers} controllers, {flows} flows"
    ));
    tell_start(&start);
    let shares = several.shares().map_err(during(hypervisors, "shares"))?;
    tell_shares(&shares);
    tell_idle(&several.idle(time)?, time);
    tell_change(
        &several
            .live(options.lives)
            .map_err(during(hypervisors, "a port's life"))?,
    );
    if options.one_each {
        let again = several.restart(KILLED);
        tell_return(&again.map_err(during(hypervisors, "kill -9"))?);
        return Ok(());
    }
    let takeover = several
        .kill(KILLED)
        .map_err(during(hypervisors, "kill -9"))?;
    tell_takeover(&takeover);
    let again = several.start_again(KILLED, takeover.share);
    tell_return(&again.map_err(during(hypervisors, "its return"))?);
    drop(several);
    let cost = Several::cost(dimensions, time, limit).map_err(during(hypervisors, "cost"))?;
    tell_cost(&cost);
    Ok(())
}

fn tell_start(start: &Start) {
    say(format_args!(
        "  {:<24} {:>8.2} s {} {:>9} flow-mods",
        "cold start",
        start.took.as_secs_f64(),
        seconds(&start.spending, 1.0),
        start.flow_mods,
    ));
}

fn tell_shares(shares: &Shares) {
    let owned = shares.owned.iter().map(|&owned| owned as f64);
    let owned = each(owned.collect(), 0);
    say(format_args!("  {:<24} {owned}", "hypervisors of each"));
    let memory = shares.memory.iter();
    let memory = memory.map(|&octets| octets as f64 / f64::from(1 << 20));
    let memory = each(memory.collect(), 1);
    say(format_args!("  {:<24} {memory} MiB", "memory of each"));
}

fn tell_idle(spending: &Spending, time: Duration) {
    let minute = seconds(spending, 60.0 / time.as_secs_f64());
    say(format_args!("  {:<24} {minute} a minute", "idle"));
}

fn tell_change(change: &Change) {
    let numbers = 1..=change.seen.len();
    let names = numbers.map(|number| format!("  at controller {number}"));
    let names = names.chain(["  at the first".to_owned(), "  at the last".to_owned()]);
    let latencies = change.seen.iter().chain([&change.first, &change.last]);
    say("  port plugged to ACTIVE");
    for (name, latencies) in names.zip(latencies) {
        say(format_args!(
            "  {name:<24} {:>8.2} ms p50 {:>8.2} ms p99",
            milliseconds(latencies.percentile(0.5)),
            milliseconds(latencies.percentile(0.99)),
        ));
    }
    say(format_args!(
        "  {:<24} {:>8.1} commits {:>8.1} keys {:>8.0} octets",
        "stored in a port's life", change.commits, change.keys, change.octets,
    ));
}

fn tell_takeover(takeover: &Takeover) {
    say(format_args!(
        "  {:<24} {:>8.2} ms until owned, {:.2} ms until in hand, {} hypervisors, {} flow-mods",
        "kill -9",
        milliseconds(takeover.owned),
        milliseconds(takeover.in_hand),
        takeover.share,
        takeover.flow_mods,
    ));
}

fn tell_return(again: &Return) {
    say(format_args!(
        "  {:<24} {:>8.2} s until ready, {:.2} s more until it owns its share, {} flow-mods",
        "its return",
        again.ready.as_secs_f64(),
        again.owned.as_secs_f64(),
        again.flow_mods,
    ));
}

fn tell_cost(cost: &Cost) {
    let [owner, other] = cost.memory.map(|octets| octets / 1024.0);
    let known = cost.known / 1024.0;
    say(format_args!(
        "  {:<24} {owner:>8.1} KiB with its owner, {other:.1} KiB with another ({:.2}), {known:.1} KiB of it are known by the store",
        "memory of a hypervisor",
        other / owner,
    ));
    let [owner, other] = cost.idle.map(|time| time.as_secs_f64());
    say(format_args!(
        "  {:<24} {owner:>8.2} CPU s a minute with their owner, {other:.2} CPU s with another ({:.2})",
        "all hypervisors, idle",
        other / owner,
    ));
}

/// What each controller has used, and etcd.
fn seconds(spending: &Spending, factor: f64) -> String {
    let used = spending.controllers.iter();
    let used = used.map(|used| used.as_secs_f64() * factor);
    let each = each(used.collect(), 2);
    let etcd = spending.etcd.as_secs_f64() * factor;
    format!("{each} CPU s, etcd {etcd:.2} CPU s")
}

/// The figure of each controller; of many, the least, the greatest and all together.
fn each(figures: Vec<f64>, digits: usize) -> String {
    const MANY: usize = 8;
    if figures.len() <= MANY {
        let words = figures.iter().map(|figure| format!("{figure:.digits$}"));
        return words.collect::<Vec<_>>().join(" ");
    }
    let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = figures.iter().copied().fold(0.0, f64::max);
    let all: f64 = figures.iter().sum();
    format!("{least:.digits$} to {greatest:.digits$}, together {all:.digits$}")
}
