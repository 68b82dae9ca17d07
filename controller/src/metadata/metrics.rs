//! The metrics of the metadata service, on a page of its own: the service is a process on each hypervisor.

use crate::metrics::Metrics;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{
    Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry, TEXT_FORMAT, TextEncoder,
};

/// What of the controller's metrics this process has, too.
const SHARED: &str = "sextant_connections_refused_total";
/// Seconds that an answer may take.
const SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// What the service counts.
#[derive(Clone, Debug)]
pub(super) struct ServiceMetrics {
    registry: Registry,
    /// What the listeners count.
    pub(super) of_process: Metrics,
    /// Answers to guests, by status.
    pub(super) requests: IntCounterVec,
    /// How long Nova took.
    pub(super) nova_seconds: Histogram,
    /// The guests that are known.
    pub(super) guests: IntGauge,
    /// Whether the hypervisor's database is connected.
    pub(super) database_connected: IntGauge,
}

impl ServiceMetrics {
    pub(super) fn new() -> prometheus::Result<Self> {
        let requests = Opts::new(
            "sextant_metadata_requests_total",
            "Requests of guests for metadata, by the status of the answer.",
        );
        let seconds = HistogramOpts::new(
            "sextant_metadata_nova_duration_seconds",
            "Time until Nova has answered a request for metadata, in seconds, also if it did not.",
        );
        let metrics = Self {
            registry: Registry::new(),
            of_process: Metrics::new()?,
            requests: IntCounterVec::new(requests, &["status"])?,
            nova_seconds: Histogram::with_opts(seconds.buckets(SECONDS.to_vec()))?,
            guests: IntGauge::new(
                "sextant_metadata_guests",
                "Guests of this hypervisor that can get metadata.",
            )?,
            database_connected: IntGauge::new(
                "sextant_metadata_database_connected",
                "1 if the hypervisor's database is connected, else 0.",
            )?,
        };
        let registry = &metrics.registry;
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.nova_seconds.clone()))?;
        registry.register(Box::new(metrics.guests.clone()))?;
        registry.register(Box::new(metrics.database_connected.clone()))?;
        Ok(metrics)
    }

    fn page(&self) -> prometheus::Result<String> {
        let mut page = String::new();
        TextEncoder::new().encode_utf8(&self.registry.gather(), &mut page)?;
        let of_process = self.of_process.render()?;
        for line in of_process.lines().filter(|line| line.contains(SHARED)) {
            page += line;
            page.push('\n');
        }
        Ok(page)
    }
}

/// `GET /metrics`.
pub(super) fn service(metrics: ServiceMetrics) -> Router {
    Router::new()
        .route("/metrics", get(page))
        .with_state(metrics)
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn page(State(metrics): State<ServiceMetrics>) -> Response {
    match metrics.page() {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
