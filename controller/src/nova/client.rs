//! Requests to Nova: `POST os-server-external-events`, and what its answers mean.

use super::plan::NovaEvent;
use super::settings::NovaSettings;
use crate::keystone::{KeystoneFailure, ServiceLogin, ServiceToken};
use crate::metrics::{Metrics, NovaEventName};
use crate::outgoing::{HttpsClient, TrustError, https_client, innermost};
use axum::body::{Body, to_bytes};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

/// The longest answer in octets. One for [`super::BATCH`] events has a hundredth of this.
const LONGEST: usize = 1 << 20;
/// The service's type in Keystone's catalogue.
const SERVICE_TYPE: &str = "compute";
/// How much of an answer that is no good is logged, in octets.
const EXCERPT: usize = 200;

/// Sends events to Nova.
pub(super) struct NovaClient {
    settings: NovaSettings,
    login: ServiceLogin,
    http: HttpsClient,
}

/// What Nova does with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NovaVerdict {
    /// It has taken it.
    Taken,
    /// It does not know the guest, or has no use for the event. That does not change by telling it again.
    Dismissed,
}

/// Why Nova is to be told again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NovaFailure {
    /// There is no token.
    #[error("{0}")]
    Keystone(#[from] KeystoneFailure),
    /// Keystone's catalogue does not say where Nova is.
    #[error(
        "Keystone's catalogue has no endpoint of type compute with interface {interface:?} in region {region:?}"
    )]
    Endpoint {
        /// The interface.
        interface: String,
        /// The region; empty for any.
        region: String,
    },
    /// Nova gives no answer, or none that is of use.
    #[error("{0}")]
    Answer(String),
}

/// An answer, read.
struct NovaReply {
    status: StatusCode,
    body: Bytes,
}

impl NovaClient {
    pub(super) fn new(settings: NovaSettings, metrics: Metrics) -> Result<Self, TrustError> {
        Ok(Self {
            login: ServiceLogin::new(&settings.keystone, settings.section, metrics)?,
            http: https_client(&settings.keystone.cafile, settings.timeout)?,
            settings,
        })
    }

    /// Looks where Nova is, so that the log tells before the first guest whether that is known.
    pub(super) async fn try_out(&self) {
        let token = self.login.token(None).await.map_err(NovaFailure::from);
        match token.and_then(|token| self.base(&token).map(str::to_owned)) {
            Ok(url) => tracing::info!(url, "Nova will be told of guests' ports"),
            Err(error) => {
                tracing::warn!(%error, "Nova cannot be told of ports: guests that boot wait for it")
            }
        }
    }

    /// Asks Nova which version it is, which it says to everybody. Returns its URL.
    pub(super) async fn reach(&self) -> Result<String, NovaFailure> {
        let token = self.login.token(None).await?;
        let base = self.base(&token)?.to_owned();
        let request = Request::get(format!("{}/", base.trim_end_matches('/')))
            .header("x-auth-token", token.text())
            .header(ACCEPT, "application/json")
            .body(Body::empty());
        let request = request.map_err(|error| NovaFailure::Answer(error.to_string()))?;
        let reply = timeout(self.settings.timeout, self.read(request)).await;
        let late = format!("no answer within {:?}", self.settings.timeout);
        let reply = reply.unwrap_or(Err(NovaFailure::Answer(late)))?;
        match reply.status {
            status if status.is_server_error() => {
                Err(NovaFailure::Answer(format!("{base}: {status}")))
            }
            StatusCode::UNAUTHORIZED => Err(NovaFailure::Answer(format!(
                "{base} does not take the token that Keystone has just issued"
            ))),
            _ => Ok(base),
        }
    }

    /// Tells Nova of these. Returns what it does with each, in order.
    pub(super) async fn send(&self, events: &[NovaEvent]) -> Result<Vec<NovaVerdict>, NovaFailure> {
        let body = Bytes::from(written(events).to_string());
        let mut token = self.login.token(None).await?;
        let mut reply = self.post(&token, &body).await?;
        if reply.status == StatusCode::UNAUTHORIZED {
            token = self.login.token(Some(&token)).await?;
            reply = self.post(&token, &body).await?;
        }
        understood(&reply, events)
    }

    async fn post(&self, token: &ServiceToken, body: &Bytes) -> Result<NovaReply, NovaFailure> {
        let base = self.base(token)?;
        let uri = format!("{}/os-server-external-events", base.trim_end_matches('/'));
        let request = Request::post(uri)
            .header("x-auth-token", token.text())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .body(Body::from(body.clone()));
        let request = request.map_err(|error| NovaFailure::Answer(error.to_string()))?;
        let patience = self.settings.timeout;
        match timeout(patience, self.read(request)).await {
            Ok(reply) => reply,
            Err(_) => Err(NovaFailure::Answer(format!(
                "no answer within {patience:?}"
            ))),
        }
    }

    /// Where Nova is.
    fn base<'a>(&'a self, token: &'a ServiceToken) -> Result<&'a str, NovaFailure> {
        let NovaSettings {
            endpoint,
            interface,
            region,
            ..
        } = &self.settings;
        let base = match endpoint.as_str() {
            "" => token.endpoint(SERVICE_TYPE, interface, region),
            endpoint => Some(endpoint),
        };
        base.ok_or_else(|| NovaFailure::Endpoint {
            interface: interface.clone(),
            region: region.clone(),
        })
    }

    async fn read(&self, request: Request<Body>) -> Result<NovaReply, NovaFailure> {
        let answer = self.http.request(request).await;
        let answer = answer.map_err(|error| NovaFailure::Answer(innermost(&error)))?;
        let (parts, body) = answer.into_parts();
        let body = to_bytes(Body::new(body), LONGEST).await;
        Ok(NovaReply {
            status: parts.status,
            body: body.map_err(|error| NovaFailure::Answer(innermost(&error)))?,
        })
    }
}

/// The body of a request. Neutron gives a status with the events of plugging alone.
fn written(events: &[NovaEvent]) -> Value {
    let events = events.iter().map(|event| {
        let mut written = json!({
            "name": event.name.as_str(),
            "server_uuid": event.server,
            "tag": event.port.to_string(),
        });
        match event.name {
            NovaEventName::VifPlugged | NovaEventName::VifUnplugged => {
                written["status"] = "completed".into();
            }
            NovaEventName::Changed | NovaEventName::VifDeleted => {}
        }
        written
    });
    json!({"events": Vec::from_iter(events)})
}

/// An event in Nova's answer.
#[derive(Deserialize)]
struct AnsweredEvent {
    name: String,
    server_uuid: String,
    #[serde(default)]
    tag: String,
    code: Option<u16>,
}

#[derive(Deserialize)]
struct AnsweredEvents {
    events: Vec<AnsweredEvent>,
}

/// What an answer says of each event.
fn understood(reply: &NovaReply, events: &[NovaEvent]) -> Result<Vec<NovaVerdict>, NovaFailure> {
    match reply.status {
        StatusCode::OK => Ok(vec![NovaVerdict::Taken; events.len()]),
        StatusCode::MULTI_STATUS => {
            let answered: AnsweredEvents = serde_json::from_slice(&reply.body)
                .map_err(|error| NovaFailure::Answer(format!("207 and {error}")))?;
            Ok(events
                .iter()
                .map(|event| verdict_of(&answered.events, event))
                .collect())
        }
        // Nova knows none of the guests. What else answers so is not Nova.
        StatusCode::NOT_FOUND if is_of_nova(&reply.body) => {
            Ok(vec![NovaVerdict::Dismissed; events.len()])
        }
        StatusCode::BAD_REQUEST if is_of_nova(&reply.body) => {
            tracing::error!(
                answer = excerpt(&reply.body),
                "Nova refuses events as malformed"
            );
            Ok(vec![NovaVerdict::Dismissed; events.len()])
        }
        StatusCode::UNAUTHORIZED => {
            let reason = "Nova does not take the token that Keystone has just issued";
            Err(NovaFailure::Answer(reason.to_owned()))
        }
        StatusCode::FORBIDDEN => Err(NovaFailure::Answer(
            "Sextant's user may not send events: it needs the role service or admin in Nova's eyes"
                .to_owned(),
        )),
        status => {
            let answer = excerpt(&reply.body);
            Err(NovaFailure::Answer(format!("{status} {answer}")))
        }
    }
}

fn verdict_of(answered: &[AnsweredEvent], event: &NovaEvent) -> NovaVerdict {
    let (server, tag) = (event.server.to_string(), event.port.to_string());
    let answer = answered
        .iter()
        .find(|one| one.name == event.name.as_str() && one.server_uuid == server && one.tag == tag);
    match answer.and_then(|answer| answer.code) {
        Some(200) => NovaVerdict::Taken,
        Some(_) | None => NovaVerdict::Dismissed,
    }
}

/// Whether an answer is one of Nova's own: an object with one member that has code and message.
fn is_of_nova(body: &[u8]) -> bool {
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return false;
    };
    members.values().any(|member| member.get("code").is_some())
}

fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.chars().take(EXCERPT).collect()
}
