//! Requests to Keystone over HTTP, one at a time: sent, measured, read.

use super::own::Asking;
use super::settings::KeystoneSettings;
use super::token::Token;
use crate::metrics::{KeystoneOutcome, KeystoneRequest, Metrics};
use crate::outgoing::{HttpsClient, TrustError, https_client, innermost};
use axum::body::{Body, to_bytes};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderValue, Request, StatusCode};
use bytes::Bytes;
use hyper_util::client::legacy::Error as HyperError;
use std::time::{Duration, Instant};

/// The longest answer in octets. A token with hundreds of roles has a tenth of this.
const LONGEST: usize = 1 << 20;
/// The header of a token that is issued, or asked about.
pub(super) const SUBJECT: &str = "x-subject-token";

/// What Keystone answers.
pub(super) struct KeystoneReply {
    pub(super) status: StatusCode,
    /// The token that it issues.
    pub(super) subject: Option<HeaderValue>,
    /// The token that it describes, if it does what it was asked for.
    pub(super) described: Option<Token>,
}

/// Why Keystone's answer is of no use, for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct KeystoneFailure(pub(super) String);

impl KeystoneFailure {
    /// It said nothing for so long.
    pub(super) fn late(patience: Duration) -> Self {
        Self(format!("no answer within {patience:?}"))
    }
}

/// Sends requests, over connections that are kept.
pub(super) struct KeystoneClient {
    http: HttpsClient,
    /// The URI of tokens.
    tokens: String,
    metrics: Metrics,
}

impl KeystoneClient {
    pub(super) fn new(settings: &KeystoneSettings, metrics: Metrics) -> Result<Self, TrustError> {
        Ok(Self {
            http: https_client(&settings.cafile, settings.timeout)?,
            tokens: format!("{}/auth/tokens", settings.base()),
            metrics,
        })
    }

    /// Asks what a token is. `query` says more about the question.
    pub(super) async fn describe(
        &self,
        own: &Asking,
        token: &HeaderValue,
        query: &str,
    ) -> Result<KeystoneReply, KeystoneFailure> {
        let uri = format!("{}?{query}", self.tokens);
        // Sextant's own token may have ended. It gets another, and asks again.
        let reply = self
            .send(
                KeystoneRequest::Validate,
                || {
                    Request::get(&uri)
                        .header("x-auth-token", &own.text)
                        .header(SUBJECT, token)
                        .header("openstack-identity-access-rules", "1")
                        .body(Body::empty())
                },
                |status| status == StatusCode::UNAUTHORIZED || is_unknown(status, own),
            )
            .await?;
        if reply.described.is_some() {
            own.has_validated();
        }
        Ok(reply)
    }

    /// Asks for a token.
    pub(super) async fn issue(&self, body: &[u8]) -> Result<KeystoneReply, KeystoneFailure> {
        let body = Bytes::copy_from_slice(body);
        self.send(
            KeystoneRequest::Login,
            || {
                Request::post(&self.tokens)
                    .header(CONTENT_TYPE, "application/json")
                    .body(Body::from(body.clone()))
            },
            |status| status == StatusCode::UNAUTHORIZED,
        )
        .await
    }

    /// Sends a request; again if the connection, which was kept, ended meanwhile. Both kinds change nothing, so that
    /// twice does no harm.
    async fn send(
        &self,
        kind: KeystoneRequest,
        request: impl Fn() -> axum::http::Result<Request<Body>>,
        is_refusal: impl Fn(StatusCode) -> bool,
    ) -> Result<KeystoneReply, KeystoneFailure> {
        let under_way = UnderWay::begun(&self.metrics, kind);
        let first = self.once(kind, request()).await;
        let reply = match first {
            Err(Broken::Connection(_)) => self.once(kind, request()).await,
            other => other,
        };
        let reply = reply.map_err(|broken| KeystoneFailure(broken.to_string()))?;
        under_way.ended(&reply, is_refusal);
        Ok(reply)
    }

    async fn once(
        &self,
        kind: KeystoneRequest,
        request: axum::http::Result<Request<Body>>,
    ) -> Result<KeystoneReply, Broken> {
        let mut request = request.map_err(|error| Broken::Other(error.to_string()))?;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(ACCEPT, json);
        let answer = self.http.request(request).await.map_err(Broken::from)?;
        let (parts, body) = answer.into_parts();
        let body = to_bytes(Body::new(body), LONGEST).await;
        let body = body.map_err(|error| Broken::Other(innermost(&error)))?;
        let mut subject = parts.headers.get(SUBJECT).cloned();
        if let Some(token) = &mut subject {
            // It is in no log.
            token.set_sensitive(true);
        }
        let described = match parts.status == done(kind) {
            true => Token::read(&body),
            false => None,
        };
        Ok(KeystoneReply {
            status: parts.status,
            subject,
            described,
        })
    }
}

/// The status of an answer that does what it was asked for.
fn done(kind: KeystoneRequest) -> StatusCode {
    match kind {
        KeystoneRequest::Validate => StatusCode::OK,
        KeystoneRequest::Login => StatusCode::CREATED,
    }
}

/// Whether a caller's token is refused, by Keystone or, as one that cannot be Keystone's, by a server before it.
pub(super) fn is_unknown(status: StatusCode, own: &Asking) -> bool {
    match status {
        StatusCode::NOT_FOUND
        | StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::URI_TOO_LONG
        | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => true,
        // Keystone does not describe the token of a trust, either, whose trustor is disabled.
        StatusCode::FORBIDDEN => own.may_validate(),
        _ => false,
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Broken {
    /// The connection ended.
    #[error("{0}")]
    Connection(String),
    /// There was no connection, or what came over it is not HTTP.
    #[error("{0}")]
    Other(String),
}

impl From<HyperError> for Broken {
    fn from(error: HyperError) -> Self {
        let reason = innermost(&error);
        match error.is_connect() {
            true => Self::Other(reason),
            false => Self::Connection(reason),
        }
    }
}

/// A request that is counted however it ends, also if nobody waits for it any more.
struct UnderWay<'a> {
    metrics: &'a Metrics,
    kind: KeystoneRequest,
    started: Instant,
    outcome: KeystoneOutcome,
}

impl<'a> UnderWay<'a> {
    fn begun(metrics: &'a Metrics, kind: KeystoneRequest) -> Self {
        Self {
            metrics,
            kind,
            started: Instant::now(),
            outcome: KeystoneOutcome::Failed,
        }
    }

    fn ended(mut self, reply: &KeystoneReply, is_refusal: impl Fn(StatusCode) -> bool) {
        if reply.described.is_some() {
            self.outcome = KeystoneOutcome::Ok;
        } else if is_refusal(reply.status) {
            self.outcome = KeystoneOutcome::Refused;
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let labels = [self.kind.as_str(), self.outcome.as_str()];
        self.metrics
            .keystone_requests
            .with_label_values(&labels)
            .inc();
        let took = self.started.elapsed().as_secs_f64();
        self.metrics.keystone_request_seconds.observe(took);
    }
}
