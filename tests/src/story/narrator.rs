//! Tells what happens, in lines that a person can read along with.

use super::{Failure, Outcome, Point, World};
use std::fmt::Display;
use std::time::{Duration, Instant};

/// A point that was reported, for the table at the end.
#[derive(Clone, Debug)]
pub struct Row {
    /// The point.
    pub point: Point,
    /// Why it does not hold, if it does not.
    pub failure: Option<String>,
    /// How long it took.
    pub took: Duration,
    /// Its last observation.
    pub gist: String,
}

/// Where reports go.
pub struct Narrator {
    say: Box<dyn FnMut(&str)>,
    gist: String,
    began: Instant,
    rows: Vec<Row>,
}

impl std::fmt::Debug for Narrator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Narrator")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl Narrator {
    /// Tells it line by line to `say`.
    pub fn new(say: impl FnMut(&str) + 'static) -> Self {
        Self {
            say: Box::new(say),
            gist: String::new(),
            began: Instant::now(),
            rows: vec![],
        }
    }

    /// A line of its own.
    pub fn say(&mut self, line: impl Display) {
        (self.say)(&line.to_string());
    }

    /// What was observed, with the time since the point began.
    pub fn observe(&mut self, observation: impl Display) {
        self.gist = observation.to_string();
        let line = format!(
            "   {:>7.2} s  {}",
            self.began.elapsed().as_secs_f64(),
            self.gist
        );
        (self.say)(&line);
    }

    /// Returns whether it holds. A failure is reported and remembered.
    ///
    /// # Errors
    /// Why the point does not hold.
    pub fn tell(&mut self, point: Point, world: &mut World) -> Outcome {
        self.began = Instant::now();
        self.gist.clear();
        self.say(format!("\n{:>2}. {}", point.number, point.title));
        self.say(format!("    asked: {}", point.asked));
        let outcome = (point.run)(world, self);
        let failure = outcome.as_ref().err().map(Failure::to_string);
        if let Some(failure) = &failure {
            self.say(format!("    DOES NOT HOLD: {failure}"));
        }
        self.rows.push(Row {
            point,
            failure,
            took: self.began.elapsed(),
            gist: self.gist.clone(),
        });
        outcome
    }

    /// The reported points.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}
