//! How quick the page for operators is with so many hypervisors: each request of its views, and a browser's first view.

use super::{COLD_START, Options, during};
use sextant_lab::LabError;
use sextant_lab::load::{Crowd, Dimensions, Latencies, PageAnswer, milliseconds, say};
use std::time::Duration;

pub(super) fn measure(
    options: &Options,
    dimensions: &Dimensions,
    times: u32,
) -> Result<(), LabError> {
    let limit = Duration::from_secs(options.limit);
    let hypervisors = dimensions.hypervisors;
    let mut crowd = Crowd::start(dimensions, limit).map_err(during(hypervisors, "making ports"))?;
    crowd
        .cold_start()
        .map_err(during(hypervisors, COLD_START))?;
    say(format_args!(
        "{hypervisors} hypervisors, {} ports, {} flows",
        dimensions.ports + dimensions.large_network,
        crowd.flows()
    ));
    let visit = crowd.visit()?;
    visit.ask(times, tell)?;
    let drawn = visit
        .draw(times.div_ceil(10))
        .map_err(during(hypervisors, "a browser"))?;
    say(format_args!(
        "  {:<48} {}",
        "the first view is drawn",
        took(&drawn)
    ));
    Ok(())
}

fn tell(answer: &PageAnswer) {
    say(format_args!(
        "  {:<48} {} {:>9.1} KiB {:>6} rows",
        answer.what,
        took(&answer.latencies),
        answer.octets as f64 / 1024.0,
        answer.rows,
    ));
}

fn took(latencies: &Latencies) -> String {
    let [middle, most] = [0.5, 0.99].map(|share| milliseconds(latencies.percentile(share)));
    format!("{middle:>8.1} ms p50 {most:>8.1} ms p99")
}
