//! Tells the log when Keystone cannot be asked, and when it can again.

use super::client::KeystoneFailure;
use sextant_responders::throttle::Throttle;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What the log was told.
#[derive(Debug, Default)]
pub(super) struct Report(Mutex<ReportState>);

#[derive(Debug, Default)]
struct ReportState {
    /// Whether the last line says that Keystone cannot be asked.
    fails: bool,
    lines: Throttle,
}

impl Report {
    /// Keystone could not be asked.
    pub(super) fn failed(&self, failure: &KeystoneFailure) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(unsaid) = told.lines.admit(Instant::now()) {
            told.fails = true;
            let consequence = "callers with tokens that are not known yet get 503";
            tracing::warn!(error = %failure, unsaid, "Keystone cannot be asked: {consequence}");
        }
    }

    /// Keystone has answered. Only who was told that it does not is told so.
    pub(super) fn answered(&self) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut told.fails) {
            tracing::info!("Keystone answers again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_said_is_not_taken_back() {
        let report = Report::default();
        let said = || report.0.lock().unwrap().fails;
        let failure = KeystoneFailure("no answer".to_owned());
        for _ in 0..5 {
            report.failed(&failure);
            assert!(said());
            report.answered();
            assert!(!said());
        }
        report.failed(&failure);
        assert!(!said(), "the sixth within a minute is held back");
    }
}
