//! `sextant events`: what happened at a port lately.

use super::named_port::port_named;
use crate::clock;
use crate::control::table::table;
use crate::control::{Give, OperatorView, Verb, VerbError};
use crate::port_history::PortEvent;
use clap::Args;
use serde::{Deserialize, Serialize};
use sextant_model::PortId;

/// Options of `events`.
#[derive(Clone, Debug, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsVerb {
    /// The port: its id, its name, one of its addresses, or its MAC.
    #[arg(value_name = "PORT")]
    pub port: String,
    /// Only events after the one of this number.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    #[serde(default)]
    pub after: u64,
    /// Show events as they happen, until interrupted.
    #[arg(long)]
    #[serde(skip)]
    pub follow: bool,
}

/// An event, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// The port.
    pub port_id: PortId,
    /// Its number among the port's events. The first that is shown is not 1 where older ones are forgotten.
    pub number: u64,
    /// When it happened first, in UTC.
    pub first: String,
    /// When it happened last, in UTC.
    pub last: String,
    /// How often, with nothing else in between.
    pub times: u64,
    /// What happened.
    pub event: String,
    /// What became of it.
    pub outcome: String,
}

impl EventRow {
    /// What is shown of an event.
    pub(crate) fn new(port_id: PortId, event: &PortEvent) -> Self {
        Self {
            port_id,
            number: event.number,
            first: clock::rfc3339(event.first),
            last: clock::rfc3339(event.last),
            times: event.times,
            event: event.what.to_owned(),
            outcome: event.outcome.clone().into_owned(),
        }
    }
}

impl EventRow {
    fn line(&self) -> String {
        let Self {
            number,
            last,
            times,
            event,
            outcome,
            ..
        } = self;
        format!("{last}  {number}  {event}: {outcome} (times: {times})\n")
    }
}

impl Verb for EventsVerb {
    type Row = EventRow;

    fn answer(&self, known: &OperatorView, give: Give<'_, EventRow>) -> Result<(), VerbError> {
        let port = port_named(&known.snapshots.latest(), &self.port)?;
        let events = known.history.of(port.id);
        let rows = events.iter().map(|event| EventRow::new(port.id, event));
        rows.filter(|row| row.number > self.after)
            .try_for_each(give)
    }

    fn following(&self, last: Option<&EventRow>) -> Option<Self> {
        // The last one may happen again.
        let after = last.map_or(self.after, |last| last.number.saturating_sub(1));
        self.follow.then(|| Self {
            after,
            ..self.clone()
        })
    }

    fn show(&self, rows: &[EventRow]) -> String {
        if self.follow {
            return rows.iter().map(EventRow::line).collect();
        }
        let Some(first) = rows.first() else {
            return "nothing happened at this port since Sextant started\n".to_owned();
        };
        let forgotten = match first.number {
            0 | 1 => String::new(),
            number => format!("# {} older events are forgotten\n", number - 1),
        };
        let cells = rows.iter().map(|row| {
            [
                row.number.to_string(),
                row.first.clone(),
                row.last.clone(),
                row.times.to_string(),
                row.event.clone(),
                row.outcome.clone(),
            ]
        });
        let head = ["NUMBER", "FIRST", "LAST", "TIMES", "EVENT", "OUTCOME"];
        format!("{forgotten}{}", table(head, cells))
    }
}
