//! Logs on standard error.

use std::sync::Arc;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::fmt;

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
pub struct Logs(Arc<dyn Fn(EnvFilter) + Send + Sync>);

impl Logs {
    /// Logs this from here on. A filter that is wrong changes nothing; whoever checks the configuration says so.
    pub fn set(&self, text: &str) {
        if let Ok(filter) = filter(text) {
            (self.0)(filter);
        }
    }
}

/// Starts logging, for people or as JSON.
pub fn start(json: bool) -> Logs {
    let logs = fmt()
        .with_env_filter(EnvFilter::new(DEFAULT))
        .with_writer(std::io::stderr)
        .with_target(false);
    if json {
        let logs = logs.json().flatten_event(true).with_filter_reloading();
        let handle = logs.reload_handle();
        logs.init();
        Logs(Arc::new(move |filter| drop(handle.reload(filter))))
    } else {
        let logs = logs
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .with_filter_reloading();
        let handle = logs.reload_handle();
        logs.init();
        Logs(Arc::new(move |filter| drop(handle.reload(filter))))
    }
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
