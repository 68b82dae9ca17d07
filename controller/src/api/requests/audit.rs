//! The audit log: a line for each write, and for each request that policy refused.
//!
//! Refused and failed requests cost their caller nothing, so each caller gets a limited number of lines for them, and
//! the rest is counted. Every write that was made is logged.

use axum::http::{HeaderMap, Method, StatusCode};
use sextant_responders::throttle::Throttles;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most lines a minute about one caller's refused requests.
const REFUSALS: u32 = 100;
const MINUTE: Duration = Duration::from_secs(60);
/// The most octets of a path in a line, since callers choose its length.
const LONGEST: usize = 256;

/// The caller's user and project, as Keystone, the proxy or the caller says.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallerName {
    pub(crate) user: Option<String>,
    pub(crate) project: Option<String>,
}

impl CallerName {
    pub(crate) fn named(headers: &HeaderMap) -> Self {
        Self {
            user: text(headers, "x-user-id"),
            project: text(headers, "x-project-id"),
        }
    }

    /// This user, for this project.
    pub(crate) fn of(user: &str, project: Option<&str>) -> Self {
        Self {
            user: Some(shortened(user).to_owned()),
            project: project.map(|project| shortened(project).to_owned()),
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?.trim();
    Some(shortened(value).to_owned()).filter(|value| !value.is_empty())
}

/// A request that was answered.
pub(crate) struct Answered<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) status: StatusCode,
    pub(crate) took: Duration,
}

/// Writes the lines.
#[derive(Debug)]
pub(crate) struct Audit {
    refusals: Mutex<Throttles<CallerName>>,
}

impl Default for Audit {
    fn default() -> Self {
        let refusals = Mutex::new(Throttles::new(REFUSALS, MINUTE));
        Self { refusals }
    }
}

impl Audit {
    /// Logs an answered request, if it needs a line.
    pub(crate) fn tell(&self, who: &CallerName, answered: &Answered<'_>) {
        let Answered {
            request_id,
            method,
            path,
            status,
            took,
        } = *answered;
        let refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if method.is_safe() && !refused {
            return;
        }
        let Some(unsaid) = self.admit(who, status) else {
            return;
        };
        let CallerName { user, project } = who;
        let what = if refused { "request refused" } else { "write" };
        let (path, ms) = (
            shortened(path),
            u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        );
        let status = status.as_u16();
        tracing::info!(request_id, user, project, %method, path, status, ms, unsaid, "{what}");
    }

    /// Whether this line is logged. If so, how many lines of the same caller were suppressed before it.
    fn admit(&self, who: &CallerName, status: StatusCode) -> Option<u64> {
        if status.is_success() {
            return Some(0);
        }
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.admit(who, Instant::now())
    }
}

/// As much of a text as fits a line.
fn shortened(text: &str) -> &str {
    let end = (0..=LONGEST.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_caller_is_refused_fills_no_log() {
        let audit = Audit::default();
        let who = |user: &str| CallerName {
            user: Some(user.to_owned()),
            project: None,
        };
        let kinds = [StatusCode::FORBIDDEN, StatusCode::SERVICE_UNAVAILABLE];
        let answers = kinds.into_iter().cycle().take(1000);
        let said = answers.filter(|status| audit.admit(&who("loud"), *status).is_some());
        assert_eq!(said.count(), REFUSALS as usize);
        assert_eq!(audit.admit(&who("loud"), StatusCode::CREATED), Some(0));
        assert_eq!(audit.admit(&who("other"), kinds[1]), Some(0));
    }

    #[test]
    fn a_long_path_is_shortened() {
        assert_eq!(shortened("/v2.0"), "/v2.0");
        assert_eq!(shortened(&"ü".repeat(1000)).len(), LONGEST);
    }
}
