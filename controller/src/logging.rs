//! Logs on standard error.

mod limit;

use limit::LineLimit;
use prometheus::IntCounter;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, registry, reload};

/// The default filter.
pub const DEFAULT: &str = "info";

/// What is wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The filter is empty.
    #[error("it has no level. Levels are off, error, warn, info, debug and trace")]
    Empty,
    /// A part of it is neither a level nor a target of this program.
    #[error(
        "{0:?} is not a level. Levels are off, error, warn, info, debug and trace, alone or as TARGET=LEVEL"
    )]
    Level(String),
    /// A part of it cannot be read.
    #[error("{0:?}: {1}")]
    Directive(String, String),
}

/// What is logged: a level for all, or for a part of the program (`TARGET=LEVEL`), separated by commas.
///
/// # Errors
/// [`FilterError`] names the wrong part. An unknown word is wrong, since it would name a target that does not exist.
pub fn filter(text: &str) -> Result<EnvFilter, FilterError> {
    if text.trim().is_empty() {
        return Err(FilterError::Empty);
    }
    for directive in text.split(',').map(str::trim) {
        let level = directive
            .rsplit_once('=')
            .map_or(directive, |(_, level)| level);
        if level.parse::<LevelFilter>().is_err() || level.is_empty() {
            return Err(FilterError::Level(directive.to_owned()));
        }
    }
    let parsed = EnvFilter::builder().parse(text.replace(' ', ""));
    parsed.map_err(|error| FilterError::Directive(text.to_owned(), error.to_string()))
}

/// Changes what is logged while the process runs.
#[derive(Clone)]
pub struct Logs {
    filter: reload::Handle<EnvFilter, Registry>,
    limit: LineLimit,
}

impl Logs {
    /// Logs this from here on. A filter that is wrong changes nothing; whoever checks the configuration says so.
    pub fn set(&self, text: &str) {
        if let Ok(filter) = filter(text) {
            // It fails only once nothing is logged any more.
            let _ = self.filter.reload(filter);
        }
    }

    /// Counts lines that are left out in a metric from here on.
    pub fn count_left_out(&self, metric: &IntCounter) {
        self.limit.count_in(metric.clone());
    }
}

/// Starts logging, for people or as JSON.
///
/// # Errors
/// The thread that reports what was left out cannot be started.
pub fn start(json: bool) -> std::io::Result<Logs> {
    let (reloaded, filter) = reload::Layer::new(EnvFilter::new(DEFAULT));
    let (limit, signals) = LineLimit::new();
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = match json {
        true => lines.json().flatten_event(true).boxed(),
        false => {
            let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
            lines.with_ansi(is_terminal).boxed()
        }
    };
    registry()
        .with(reloaded)
        .with(limit.clone())
        .with(lines)
        .init();
    let reported = limit.clone();
    std::thread::Builder::new()
        .name("sextant-log".to_owned())
        .spawn(move || limit::report(&reported, &signals))?;
    Ok(Logs { filter, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_for_all_or_for_a_part_is_taken_and_a_word_that_is_none_refused() {
        for right in [
            "info",
            "WARN",
            "off",
            "warn,sextant_controller::api=debug",
            "info, hyper=off",
        ] {
            filter(right).unwrap();
        }
        for wrong in [
            "",
            " ",
            "inof",
            "info,",
            "sextant_controller",
            "a=b",
            "info,x=verbose",
            "=",
            "a=",
        ] {
            filter(wrong).unwrap_err();
        }
    }
}
