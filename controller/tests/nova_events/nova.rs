//! A Nova that does what a test wants: it takes events, with tokens that the played Keystone has issued.

use crate::played::Asked;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use sextant_controller::http::{self, HttpLimits};
use sextant_controller::metrics::Metrics;
use sextant_controller::stream::Listener;
use std::collections::BTreeMap;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(20);

/// Nova, until it is dropped.
pub(crate) struct PlayedNova {
    pub(crate) address: SocketAddr,
    pub(crate) told: Arc<Told>,
    server: JoinHandle<()>,
}

/// What it was told.
pub(crate) struct Told {
    keystone: Arc<Asked>,
    /// The requests that it took: their events, and when they came.
    requests: watch::Sender<Vec<(Instant, Vec<Value>)>>,
    /// How many requests are at its door, or were.
    pub(crate) came: watch::Sender<usize>,
    /// How many requests were not taken.
    pub(crate) refused: watch::Sender<usize>,
    /// The codes of events for these servers. Others are known.
    pub(crate) codes: Mutex<BTreeMap<String, u16>>,
    /// What it answers to all requests, if it is not what it does.
    pub(crate) instead: Mutex<Option<(StatusCode, String)>>,
    /// Requests are answered while it has permits.
    pub(crate) gate: Semaphore,
}

impl Told {
    /// All events that it took, as `name server port`.
    pub(crate) fn events(&self) -> Vec<(String, String, String)> {
        let requests = self.requests.borrow();
        let events = requests.iter().flat_map(|(_, events)| events);
        let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
        events
            .map(|event| {
                (
                    text(event, "name"),
                    text(event, "server_uuid"),
                    text(event, "tag"),
                )
            })
            .collect()
    }

    /// The requests that it took.
    pub(crate) fn requests(&self) -> Vec<(Instant, Vec<Value>)> {
        self.requests.borrow().clone()
    }

    /// Waits until it has taken so many events.
    pub(crate) async fn until(&self, count: usize) {
        let mut requests = self.requests.subscribe();
        let enough = requests.wait_for(|requests| {
            let taken: usize = requests.iter().map(|(_, events)| events.len()).sum();
            taken >= count
        });
        let waited = tokio::time::timeout(PATIENCE, enough).await;
        assert!(waited.is_ok(), "{:?}", self.events());
    }

    /// Waits until so many requests have been at its door.
    pub(crate) async fn until_came(&self, count: usize) {
        reach(&self.came, count).await;
    }

    /// Waits until it has refused so many requests.
    pub(crate) async fn until_refused(&self, count: usize) {
        reach(&self.refused, count).await;
    }

    pub(crate) fn answers_instead(&self, answer: Option<(StatusCode, &str)>) {
        let answer = answer.map(|(status, body)| (status, body.to_owned()));
        *self.instead.lock().unwrap() = answer;
    }

    /// Answers events for a server with this code.
    pub(crate) fn answers(&self, server: &str, code: u16) {
        self.codes.lock().unwrap().insert(server.to_owned(), code);
    }

    fn refuse(&self, answer: impl IntoResponse) -> Response {
        self.refused.send_modify(|refused| *refused += 1);
        answer.into_response()
    }
}

async fn reach(counter: &watch::Sender<usize>, count: usize) {
    let mut counter = counter.subscribe();
    let enough = counter.wait_for(|now| *now >= count);
    let waited = tokio::time::timeout(PATIENCE, enough).await;
    waited.unwrap().unwrap();
}

impl PlayedNova {
    /// One that takes tokens of this Keystone.
    pub(crate) async fn start(keystone: Arc<Asked>) -> Self {
        let told = Arc::new(Told {
            keystone,
            requests: watch::Sender::new(vec![]),
            came: watch::Sender::new(0),
            refused: watch::Sender::new(0),
            codes: Mutex::default(),
            instead: Mutex::default(),
            gate: Semaphore::new(1000),
        });
        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(listener, told.clone()));
        Self {
            address,
            told,
            server,
        }
    }

    /// Ends, so that nobody listens at its address.
    pub(crate) async fn end(&mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }

    /// Comes back where it was.
    pub(crate) async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.server = tokio::spawn(serve(listener, self.told.clone()));
    }

    /// Its URL, as Keystone's catalogue has it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/v2.1/", self.address)
    }
}

impl Drop for PlayedNova {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, told: Arc<Told>) {
    let service = Router::new()
        .route("/v2.1/os-server-external-events", post(take))
        .with_state(told);
    let metrics = Metrics::new().unwrap();
    let listener = Listener::new(listener, None);
    http::serve(
        "nova",
        listener,
        service,
        HttpLimits::default(),
        metrics,
        pending(),
    )
    .await;
}

async fn take(State(told): State<Arc<Told>>, headers: HeaderMap, body: Bytes) -> Response {
    let came = Instant::now();
    told.came.send_modify(|came| *came += 1);
    let _permit = told.gate.acquire().await.unwrap();
    let instead = told.instead.lock().unwrap().clone();
    if let Some(instead) = instead {
        return told.refuse(instead);
    }
    let token = headers["x-auth-token"].to_str().unwrap();
    if !told.keystone.takes(token) {
        return told.refuse(StatusCode::UNAUTHORIZED);
    }
    let body: Value = serde_json::from_slice(&body).unwrap();
    let events = body["events"].as_array().unwrap().clone();
    told.requests
        .send_modify(|requests| requests.push((came, events.clone())));
    answer(&told, events)
}

/// As Nova answers: 404 where it knows no guest, 207 where it does not take each event.
fn answer(told: &Told, mut events: Vec<Value>) -> Response {
    let codes = told.codes.lock().unwrap();
    for event in &mut events {
        let code = codes.get(event["server_uuid"].as_str().unwrap());
        let code = *code.unwrap_or(&200);
        event["code"] = code.into();
        event["status"] = if code == 200 { "completed" } else { "failed" }.into();
    }
    let with = |code: u64| events.iter().filter(|event| event["code"] == code).count();
    if with(404) == events.len() {
        let error =
            json!({"itemNotFound": {"code": 404, "message": "No instances found for any event"}});
        return (StatusCode::NOT_FOUND, axum::Json(error)).into_response();
    }
    let status = match with(200) == events.len() {
        true => StatusCode::OK,
        false => StatusCode::MULTI_STATUS,
    };
    (status, axum::Json(json!({"events": events}))).into_response()
}
