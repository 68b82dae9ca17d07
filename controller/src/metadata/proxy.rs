//! Answers guests: finds out who asks, and asks Nova.

use super::guests::{Local, RequestingGuest};
use super::metrics::ServiceMetrics;
use super::nova::{GuestRequest, MetadataApi, NoAnswer};
use crate::http::Peer;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use sextant_model::MetadataClient;
use sextant_responders::throttle::Throttle;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a guest waits until the database says who it is. Its flows may come first.
const INTRODUCTION: Duration = Duration::from_secs(5);
/// The longest body of a request in octets. A password, which is all that guests send, has 255.
const LONGEST: usize = 64 << 10;

/// Answers guests.
pub(super) struct Proxy {
    nova: MetadataApi,
    local: watch::Receiver<Arc<Local>>,
    metrics: ServiceMetrics,
    complaints: Mutex<Throttle>,
}

impl Proxy {
    pub(super) fn new(
        nova: MetadataApi,
        local: watch::Receiver<Arc<Local>>,
        metrics: ServiceMetrics,
    ) -> Self {
        Self {
            nova,
            local,
            metrics,
            complaints: Mutex::default(),
        }
    }

    pub(super) fn service(self: Arc<Self>) -> Router {
        Router::new().fallback(answer).with_state(self)
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let Some(asker) = self.asker(parts.extensions.get::<Peer>().copied()).await else {
            return said(StatusCode::NOT_FOUND, "no instance has this address");
        };
        let Some(path) = parts.uri.path_and_query() else {
            return said(StatusCode::BAD_REQUEST, "a path is missing");
        };
        let Ok(body) = to_bytes(body, LONGEST).await else {
            return said(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long");
        };
        let asked = GuestRequest {
            path: path.to_string(),
            method: parts.method,
            headers: parts.headers,
            body,
        };
        let started = Instant::now();
        let answer = self.nova.ask(&asker, &asked).await;
        let took = started.elapsed();
        self.metrics.nova_seconds.observe(took.as_secs_f64());
        answer.unwrap_or_else(|error| self.failed(&asker, &error))
    }

    /// Who asks, once the database says so.
    async fn asker(&self, peer: Option<Peer>) -> Option<RequestingGuest> {
        let client = MetadataClient::of(peer?.address.ip())?;
        let mut local = self.local.clone();
        let known = local.wait_for(|local| local.asker(client).is_some());
        let known = timeout(INTRODUCTION, known).await.ok()?;
        known.ok()?.asker(client)
    }

    fn failed(&self, asker: &RequestingGuest, error: &NoAnswer) -> Response<Body> {
        let mut complaints = self
            .complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(unsaid) = complaints.admit(Instant::now()) {
            let instance = String::from_utf8_lossy(asker.device.as_bytes());
            tracing::warn!(%instance, %error, unsaid, "Nova does not answer a request for metadata");
        }
        match error {
            NoAnswer::Busy => said(StatusCode::SERVICE_UNAVAILABLE, "too many requests"),
            NoAnswer::Late(_) => said(StatusCode::GATEWAY_TIMEOUT, "Nova does not answer in time"),
            NoAnswer::Broken(_) => said(StatusCode::BAD_GATEWAY, "Nova cannot be reached"),
        }
    }
}

async fn answer(State(proxy): State<Arc<Proxy>>, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let answer = proxy.answer(request).await;
    let status = answer.status();
    let requests = &proxy.metrics.requests;
    requests.with_label_values(&[status.as_str()]).inc();
    tracing::debug!(path, status = status.as_u16(), "answered a guest");
    answer
}

fn said(status: StatusCode, text: &'static str) -> Response<Body> {
    (status, format!("{text}\n")).into_response()
}
