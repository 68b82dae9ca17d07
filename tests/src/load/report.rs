//! What a run of traffic has shown, as a row of a table.

use super::packets::Question;
use super::traffic::{Pace, Tally, Traffic};
use super::usage::Usage;
use std::fmt;
use std::time::Duration;

/// What a run has shown.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was asked, how fast.
    pub traffic: Traffic,
    /// Right answers; a wrong one, or none, ends a run with an error.
    pub answers: u64,
    /// Router Advertisements that came unasked meanwhile.
    pub unasked: u64,
    /// From the first question to the last answer.
    pub elapsed: Duration,
    /// How long answers took.
    pub latencies: super::Latencies,
    /// The controller before and after.
    pub controller: [Usage; 2],
    /// The generator before and after.
    pub generator: [Usage; 2],
}

impl Report {
    pub(super) fn new(
        traffic: Traffic,
        tally: Tally,
        elapsed: Duration,
        controller: [Usage; 2],
        generator: [Usage; 2],
    ) -> Self {
        Self {
            traffic,
            answers: tally.answered,
            unasked: tally.unasked,
            elapsed,
            latencies: tally.latencies,
            controller,
            generator,
        }
    }

    /// Answers a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.answers as f64 / self.elapsed.as_secs_f64()
    }

    /// Processor time of the controller for an answer.
    #[must_use]
    pub fn controller_time(&self) -> Duration {
        self.each(&self.controller)
    }

    /// Processor time of the generator for an answer.
    #[must_use]
    pub fn generator_time(&self) -> Duration {
        self.each(&self.generator)
    }

    fn each(&self, [before, after]: &[Usage; 2]) -> Duration {
        after
            .processor_since(before)
            .div_f64((self.answers as f64).max(1.0))
    }

    /// The names of the columns.
    #[must_use]
    pub fn heading() -> String {
        format!(
            "{:<28} {:>10} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>17}",
            "traffic",
            "answers",
            "a second",
            "p50 µs",
            "p99 µs",
            "p99.9 µs",
            "ctl µs/a",
            "gen µs/a",
            "ctl memory MiB",
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [middle, most, nearly_all] =
            [0.5, 0.99, 0.999].map(|share| microseconds(self.latencies.percentile(share)));
        let [before, after] = &self.controller;
        let [before, after] =
            [before, after].map(|usage| usage.resident as f64 / f64::from(1 << 20));
        write!(
            f,
            "{:<28} {:>10} {:>10.0} {:>9.0} {:>9.0} {:>9.0} {:>9.2} {:>9.2} {:>8.1} {:>8.1}",
            self.traffic.to_string(),
            self.answers,
            self.rate(),
            middle,
            most,
            nearly_all,
            microseconds(self.controller_time()),
            microseconds(self.generator_time()),
            before,
            after,
        )
    }
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let question = match self.question {
            Question::RouterSolicitation => "RS",
            Question::Solicit => "DHCPv6 Solicit",
        };
        match self.pace {
            Pace::Window(window) => write!(f, "{question}, {window} at once"),
            Pace::Rate(rate) => write!(f, "{question}, {rate:.0} a second"),
        }
    }
}
