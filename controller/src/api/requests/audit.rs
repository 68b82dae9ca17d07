//! The audit log: a line for each write, and for each request that policy refused.
//!
//! Refused and failed requests cost their caller nothing, so each caller gets a limited number of lines for them, and
//! the rest is counted. Every write that was made is logged.

use crate::api::requests::asked::Asked;
use crate::audit_file::AuditFile;
use crate::clock;
use axum::http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use sextant_responders::throttle::Throttles;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most lines a minute about one caller's refused requests.
const REFUSALS: u32 = 100;
const MINUTE: Duration = Duration::from_secs(60);
/// The most roles in a line.
const ROLES: usize = 16;
/// The most octets of a path in a line, since callers choose its length.
const LONGEST: usize = 256;

/// The caller's user and project, as Keystone, the proxy or the caller says.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallerName {
    pub(crate) user: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) user_name: Option<String>,
    pub(crate) project_name: Option<String>,
    pub(crate) roles: Vec<String>,
    /// For whom a trusted proxy asks.
    pub(crate) forwarded_for: Option<String>,
}

impl CallerName {
    pub(crate) fn named(headers: &HeaderMap) -> Self {
        Self {
            user: text(headers, "x-user-id"),
            project: text(headers, "x-project-id"),
            user_name: text(headers, "x-user-name"),
            project_name: text(headers, "x-project-name"),
            ..Self::default()
        }
    }

    /// This user, for this project.
    pub(crate) fn of(user: &str, project: Option<&str>) -> Self {
        Self {
            user: Some(shortened(user).to_owned()),
            project: project.map(|project| shortened(project).to_owned()),
            ..Self::default()
        }
    }

    /// For whom the proxy asks, if one is trusted.
    pub(crate) fn through_proxy(self, headers: &HeaderMap) -> Self {
        Self {
            forwarded_for: text(headers, "x-forwarded-for"),
            ..self
        }
    }

    /// With the names of roles.
    pub(crate) fn with_roles(self, roles: &[String]) -> Self {
        let roles = roles.iter().take(ROLES);
        Self {
            roles: roles.map(|role| shortened(role).to_owned()).collect(),
            ..self
        }
    }

    /// With the names of user and project.
    pub(crate) fn called(self, user: Option<&str>, project: Option<&str>) -> Self {
        let [user_name, project_name] =
            [user, project].map(|name| name.map(|name| shortened(name).to_owned()));
        Self {
            user_name,
            project_name,
            ..self
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
    /// Where the request came from.
    pub(crate) peer: Option<SocketAddr>,
    /// What was noted of it, if there is a file to tell.
    pub(crate) asked: Option<&'a Asked>,
}

impl Answered<'_> {
    fn milliseconds(&self) -> u64 {
        u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Writes the lines.
#[derive(Debug)]
pub(crate) struct Audit {
    refusals: Mutex<Throttles<CallerName>>,
    file: Option<AuditFile>,
}

impl Default for Audit {
    fn default() -> Self {
        let refusals = Mutex::new(Throttles::new(REFUSALS, MINUTE));
        Self {
            refusals,
            file: None,
        }
    }
}

impl Audit {
    /// One that writes to a file as well.
    pub(crate) fn to(file: AuditFile) -> Self {
        Self {
            file: Some(file),
            ..Self::default()
        }
    }

    /// Opens the file anew, which may be another one.
    pub(crate) fn reopen(&self, path: &Path) {
        if let Some(file) = &self.file {
            file.reopen(path);
        }
    }

    /// The file, where one is configured.
    fn kept(&self) -> Option<&AuditFile> {
        self.file.as_ref().filter(|file| file.is_kept())
    }

    /// Where to note what a request asks for, if that is told to anybody.
    pub(crate) fn notes(&self, method: &Method) -> Option<Asked> {
        let told = !method.is_safe() && self.kept().is_some();
        told.then(Asked::default)
    }

    /// Logs an answered request, if it needs a line.
    pub(crate) fn tell(&self, who: &CallerName, answered: &Answered<'_>) {
        let Answered {
            request_id,
            method,
            path,
            status,
            ..
        } = *answered;
        let refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if method.is_safe() && !refused {
            return;
        }
        let Some(unsaid) = self.admit(who, status) else {
            return;
        };
        if let Some(file) = self.kept() {
            file.write(&record(who, answered, unsaid));
        }
        let CallerName { user, project, .. } = who;
        let what = if refused { "request refused" } else { "write" };
        let (path, ms) = (shortened(path), answered.milliseconds());
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

/// The line of the file: one object, whose keys are in `docs/guides/identity.md`.
fn record(who: &CallerName, answered: &Answered<'_>, unsaid: u64) -> Value {
    let Answered {
        request_id,
        method,
        path,
        status,
        peer,
        asked,
        ..
    } = *answered;
    let target = AuditTarget::of(path);
    let source = peer.map(|peer| peer.ip().to_canonical().to_string());
    let record = json!({
        "time": clock::rfc3339(clock::now()),
        "request_id": request_id,
        "user_id": who.user,
        "user_name": who.user_name,
        "project_id": who.project,
        "project_name": who.project_name,
        "roles": who.roles,
        "source": source,
        "forwarded_for": who.forwarded_for,
        "method": method.as_str(),
        "path": shortened(path),
        "resource": target.kind,
        "id": target.id,
        "action": target.action,
        "status": status.as_u16(),
        "ms": answered.milliseconds(),
        "unsaid": unsaid,
    });
    let Value::Object(mut record) = record else {
        return record;
    };
    if let Some(asked) = asked {
        asked.add_to(&mut record);
    }
    record.retain(|_, value| !value.is_null());
    record.into()
}

/// What a path is about.
#[derive(Debug, Default, PartialEq, Eq)]
struct AuditTarget<'a> {
    kind: Option<&'a str>,
    id: Option<&'a str>,
    action: Option<&'a str>,
}

impl<'a> AuditTarget<'a> {
    fn of(path: &'a str) -> Self {
        let path = path.strip_prefix("/v2.0/").unwrap_or_default();
        let path = path.strip_suffix(".json").unwrap_or(path);
        let mut parts = path.splitn(3, '/').filter(|part| !part.is_empty());
        Self {
            kind: parts.next().map(shortened),
            id: parts.next().map(shortened),
            action: parts.next().map(shortened),
        }
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
            ..CallerName::default()
        };
        let kinds = [StatusCode::FORBIDDEN, StatusCode::SERVICE_UNAVAILABLE];
        let answers = kinds.into_iter().cycle().take(1000);
        let said = answers.filter(|status| audit.admit(&who("loud"), *status).is_some());
        assert_eq!(said.count(), REFUSALS as usize);
        assert_eq!(audit.admit(&who("loud"), StatusCode::CREATED), Some(0));
        assert_eq!(audit.admit(&who("other"), kinds[1]), Some(0));
    }

    #[test]
    fn a_path_says_what_a_write_is_about() {
        let of = |path| {
            let AuditTarget { kind, id, action } = AuditTarget::of(path);
            [kind, id, action].map(Option::unwrap_or_default)
        };
        assert_eq!(of("/v2.0/networks"), ["networks", "", ""]);
        assert_eq!(of("/v2.0/networks/1.json"), ["networks", "1", ""]);
        let tag = "/v2.0/ports/1/tags/blue";
        assert_eq!(of(tag), ["ports", "1", "tags/blue"]);
        assert_eq!(of("/elsewhere"), ["", "", ""]);
    }

    #[test]
    fn a_long_path_is_shortened() {
        assert_eq!(shortened("/v2.0"), "/v2.0");
        assert_eq!(shortened(&"ü".repeat(1000)).len(), LONGEST);
    }
}
