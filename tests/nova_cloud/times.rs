//! How long Nova waits for the controller: from the times in the log of nova-compute.

use super::Outcome;
use super::cloud::{Cloud, say, text};
use super::servers::ports_of;

/// What a boot comes to, in order, and what the log says then.
const STEPS: [(&str, &str); 4] = [
    (
        "Nova asks to be told",
        "Preparing to wait for external event network-vif-plugged-",
    ),
    (
        "the guest's process is there",
        "VM Started (Lifecycle Event)",
    ),
    (
        "the network is ready",
        "Received event network-vif-plugged-",
    ),
    ("the guest runs", "VM Resumed (Lifecycle Event)"),
];

impl Cloud {
    /// Prints when each step of a server's boot was, in milliseconds from the first.
    pub(crate) fn print_times(&mut self, server: &str) -> Outcome {
        let shown = self.desk.reads(&format!("server show {server}"))?;
        let id = text(&shown, "id");
        let port = text(&ports_of(self, server)?[0], "ID");
        let log = self.log_of("h1", "nova-compute")?;
        let mut first = None;
        for (step, words) in STEPS {
            let line = log.lines().find(|line| {
                line.contains(words)
                    && line.contains(&id)
                    && (!words.ends_with('-') || line.contains(&port))
            });
            let line = line.ok_or_else(|| format!("no {words:?} of {id} in the log"))?;
            let time = milliseconds(line).ok_or(line)?;
            let begun = *first.get_or_insert(time);
            say(&format!("{server}: {:>6} ms {step}", time - begun));
        }
        let metrics = self.lab.metrics()?;
        let told = metrics.lines().filter(|line| {
            line.starts_with("sextant_nova_plug_duration_seconds_sum")
                || line.starts_with("sextant_nova_plug_duration_seconds_count")
        });
        told.for_each(say);
        Ok(())
    }
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
