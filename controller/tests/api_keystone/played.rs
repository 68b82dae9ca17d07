//! A Keystone that does what a test wants: it issues tokens to Sextant and describes those that the test has made.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test uses a part, and says where it cannot go on"
)]

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use sextant_controller::http::{self, HttpLimits};
use sextant_controller::keystone::{Credentials, KeystoneSettings};
use sextant_controller::metrics::Metrics;
use sextant_controller::store::Password;
use sextant_controller::stream::Listener;
use sextant_controller::tls::{Tls, TlsFiles};
use std::collections::BTreeMap;
use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// The password that it takes.
const PASSWORD: &str = "right";
/// How many questions it answers at once. Who holds them all keeps it from answering.
pub const PERMITS: u32 = 1000;

/// Keystone, until it is dropped.
pub struct Played {
    pub address: SocketAddr,
    pub asked: Arc<Asked>,
    server: JoinHandle<()>,
}

/// What it knows, and what was asked.
pub struct Asked {
    tokens: Mutex<BTreeMap<String, Value>>,
    /// The tokens that it takes from Sextant, and until when.
    own: Mutex<BTreeMap<String, Instant>>,
    /// The queries and headers of all questions about tokens.
    pub questions: Mutex<Vec<(String, HeaderMap)>>,
    pub logins: AtomicUsize,
    /// The bodies of requests for tokens.
    pub bodies: Mutex<Vec<Value>>,
    /// How long its tokens for Sextant live, in seconds.
    pub own_life: Mutex<i64>,
    /// The services of the cloud.
    pub catalog: Mutex<Value>,
    /// What it answers to all questions, if it is not what it knows.
    pub instead: Mutex<Option<StatusCode>>,
    /// Questions are answered while it has permits.
    pub gate: Semaphore,
    /// Tokens are issued while it has permits.
    pub issuing: Semaphore,
    /// How many questions have come.
    pub came: watch::Sender<usize>,
}

impl Asked {
    pub fn count(&self) -> usize {
        self.questions.lock().unwrap().len()
    }

    pub fn logins(&self) -> usize {
        self.logins.load(Ordering::SeqCst)
    }

    pub async fn until_asked(&self, times: usize) {
        let mut came = self.came.subscribe();
        let waiting = came.wait_for(|came| *came >= times);
        tokio::time::timeout(Duration::from_secs(20), waiting)
            .await
            .unwrap()
            .unwrap();
    }

    /// Knows a token, with what is given over the token of a member.
    pub fn knows(&self, token: &str, more: Value) {
        let mut described = json!({
            "expires_at": utc(3600),
            "user": {"id": "u1", "name": "somebody", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": "p1", "name": "red", "domain": {"id": "default", "name": "Default"}},
            "roles": [{"id": "1", "name": "member"}, {"id": "2", "name": "reader"}],
        });
        let fields = described.as_object_mut().unwrap();
        for (name, value) in more.as_object().unwrap() {
            match value.is_null() {
                true => drop(fields.remove(name)),
                false => drop(fields.insert(name.clone(), value.clone())),
            }
        }
        let mut tokens = self.tokens.lock().unwrap();
        tokens.insert(token.to_owned(), described);
    }

    pub fn revokes(&self, token: &str) {
        self.tokens.lock().unwrap().remove(token);
    }

    /// Whether it has issued this token to Sextant, and takes it.
    pub fn takes(&self, token: &str) -> bool {
        self.own.lock().unwrap().contains_key(token)
    }

    /// No longer takes the tokens that it has issued to Sextant.
    pub fn forgets_sextant(&self) {
        self.own.lock().unwrap().clear();
    }

    pub fn answers_instead(&self, status: Option<StatusCode>) {
        *self.instead.lock().unwrap() = status;
    }
}

/// A time from now, as Keystone writes it.
pub fn utc(seconds: i64) -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "-d", &format!("{seconds} seconds")])
        .arg("+%Y-%m-%dT%H:%M:%S.000000Z")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Played {
    pub async fn start() -> Self {
        Self::listening(None).await
    }

    /// One behind TLS.
    pub async fn with_tls(files: &TlsFiles) -> Self {
        Self::listening(files.open().unwrap()).await
    }

    async fn listening(tls: Option<Tls>) -> Self {
        let asked = Arc::new(Asked {
            tokens: Mutex::default(),
            own: Mutex::default(),
            questions: Mutex::default(),
            logins: AtomicUsize::new(0),
            bodies: Mutex::default(),
            own_life: Mutex::new(3600),
            catalog: Mutex::new(json!([])),
            instead: Mutex::default(),
            gate: Semaphore::new(PERMITS as usize),
            issuing: Semaphore::new(PERMITS as usize),
            came: watch::Sender::new(0),
        });
        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(Listener::new(listener, tls), asked.clone()));
        Self {
            address,
            asked,
            server,
        }
    }

    /// Ends, so that nobody listens at its address.
    pub async fn end(&mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }

    /// Comes back where it was.
    pub async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let listener = Listener::new(listener, None);
        self.server = tokio::spawn(serve(listener, self.asked.clone()));
    }

    pub fn settings(&self) -> KeystoneSettings {
        KeystoneSettings {
            auth_url: format!("http://{}", self.address),
            www_authenticate_uri: "https://keystone.example".to_owned(),
            credentials: Credentials::User {
                username: "sextant".to_owned(),
                password: Password(PASSWORD.to_owned()),
                user_domain_name: "Default".to_owned(),
                project_name: "service".to_owned(),
                project_domain_name: "Default".to_owned(),
            },
            cafile: PathBuf::new(),
            timeout: Duration::from_secs(20),
            token_cache_time: Duration::from_secs(300),
            service_token_roles: vec!["service".to_owned()],
            service_token_roles_required: true,
        }
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: Listener, asked: Arc<Asked>) {
    let tokens = post(issue).get(describe);
    let service = Router::new()
        .route("/v3/auth/tokens", tokens)
        .with_state(asked);
    let metrics = Metrics::new().unwrap();
    let limits = HttpLimits {
        of_an_address: 512,
        ..HttpLimits::default()
    };
    http::serve("keystone", listener, service, limits, metrics, pending()).await;
}

async fn issue(State(asked): State<Arc<Asked>>, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let number = asked.logins.fetch_add(1, Ordering::SeqCst);
    let _permit = asked.issuing.acquire().await.unwrap();
    let identity = &body["auth"]["identity"];
    let right = identity["password"]["user"]["password"] == PASSWORD
        || identity["application_credential"]["secret"] == PASSWORD;
    asked.bodies.lock().unwrap().push(body);
    if !right {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let token = format!("own-{number}");
    let life = *asked.own_life.lock().unwrap();
    let ends = Instant::now() + Duration::from_secs(life.try_into().unwrap_or(0));
    asked.own.lock().unwrap().insert(token.clone(), ends);
    let catalog = asked.catalog.lock().unwrap().clone();
    let body =
        json!({"token": {"expires_at": utc(life), "user": {"id": "sextant"}, "catalog": catalog}});
    let headers = [("x-subject-token", token)];
    (StatusCode::CREATED, headers, axum::Json(body)).into_response()
}

async fn describe(
    State(asked): State<Arc<Asked>>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let words = query.keys().cloned().collect::<Vec<_>>().join("&");
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (own, token) = (text("x-auth-token"), text("x-subject-token"));
    asked.questions.lock().unwrap().push((words, headers));
    asked.came.send_modify(|came| *came += 1);
    let _permit = asked.gate.acquire().await.unwrap();
    if let Some(status) = *asked.instead.lock().unwrap() {
        return status.into_response();
    }
    let until = asked.own.lock().unwrap().get(&own).copied();
    if until.is_none_or(|until| until <= Instant::now()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let known = asked.tokens.lock().unwrap().get(&token).cloned();
    let Some(known) = known else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // Within its window of two days, it describes tokens that have expired to those who ask for them.
    let expired = known["expires_at"].as_str().unwrap() < utc(0).as_str();
    if expired && query.get("allow_expired").is_none_or(|word| word != "1") {
        return StatusCode::NOT_FOUND.into_response();
    }
    axum::Json(json!({"token": known})).into_response()
}
