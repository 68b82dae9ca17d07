//! How long Nova waits for the controller: from the times in the logs of Nova.

use super::Outcome;
use super::cloud::{Cloud, say, text};
use super::servers::ports_of;
use std::error::Error;

/// What nova-compute's log says of a boot, in order, and what it means.
const STEPS: [(&str, &str); 4] = [
    ("Successfully plugged vif ", "os-vif has plugged in"),
    (
        "Received event network-vif-plugged-",
        "the hypervisor is told",
    ),
    (
        "VM Started (Lifecycle Event)",
        "the guest's process is there",
    ),
    ("VM Resumed (Lifecycle Event)", "the guest runs"),
];
const EVENTS: &str = "\"POST /v2.1/os-server-external-events";

impl Cloud {
    /// Prints the steps of a server's boot on `h1`, in milliseconds from the moment that its interface was there.
    pub(crate) fn print_times(&mut self, server: &str) -> Outcome {
        let id = self.id_of(server)?;
        let port = text(&ports_of(self, server)?[0], "ID");
        let log = self.log_of("h1", "nova-compute")?;
        let mut times = vec![];
        for (words, step) in STEPS {
            let of = if words.ends_with(')') { &id } else { &port };
            let mut lines = log.lines();
            let line = lines.find(|line| line.contains(words) && line.contains(of.as_str()));
            let line = line.ok_or_else(|| format!("no {words:?} of {of} in the log"))?;
            times.push((milliseconds(line).ok_or(line)?, step));
        }
        let (plugged, told, started) = (times[0].0, times[1].0, times[2].0);
        let events = events(self)?;
        let first = events.iter().filter_map(|line| begin(line));
        times.extend(
            first
                .filter(|begun| *begun >= plugged)
                .min()
                .map(|begun| (begun, "Nova's API is asked")),
        );
        times.sort_unstable();
        for (time, step) in times {
            say(&format!("{server}: {:>5} ms {step}", time - plugged));
        }
        let waited = (told - started).max(0);
        say(&format!("{server}: {waited:>5} ms waited Nova for it"));
        Ok(())
    }
}

/// The lines of Nova's log that are about events.
fn events(cloud: &Cloud) -> Result<Vec<String>, Box<dyn Error>> {
    let log = cloud.log_of("ctl", "nova-api")?;
    let lines = log.lines().filter(|line| line.contains(EVENTS));
    Ok(lines.map(str::to_owned).collect())
}

/// Every event that Nova was sent so far was taken by it.
pub(crate) fn events_are_taken(cloud: &Cloud) -> Outcome {
    let events = events(cloud)?;
    let taken = events.iter().all(|line| line.contains("status: 200"));
    match taken && !events.is_empty() {
        true => Ok(()),
        false => Err(format!("{events:#?}").into()),
    }
}

/// When a request came: its line is written at its end, and says how many seconds it took.
fn begin(line: &str) -> Option<i64> {
    let (_, took) = line.rsplit_once("time: ")?;
    let end = took.find(|c: char| !c.is_ascii_digit() && c != '.');
    let took: f64 = took.get(..end.unwrap_or(took.len()))?.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "a request takes seconds")]
    let took = (took * 1000.0) as i64;
    Some(milliseconds(line)? - took)
}

/// `2026-11-30 10:40:09.776` since midnight.
fn milliseconds(line: &str) -> Option<i64> {
    let time = line.get(11..23)?;
    let (seconds, thousandths) = time.split_once('.')?;
    let mut sum = 0;
    for part in seconds.split(':') {
        sum = sum * 60 + part.parse::<i64>().ok()?;
    }
    Some(sum * 1000 + thousandths.parse::<i64>().ok()?)
}
