//! A whole API in the test's process, with the least of an owner of state: it follows the store and publishes what it
//! leads to.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test uses a part, and says where it cannot go on"
)]

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use serde_json::Value;
use sextant_controller::api::{Api, Identity, PolicyFile, loopback, service};
use sextant_controller::http::Peer;
use sextant_controller::metrics::Metrics;
use sextant_controller::renumbering;
use sextant_controller::snapshot::{Publisher, Snapshot, Snapshots};
use sextant_controller::state::{Event, events};
use sextant_controller::store::{Embedded, Measured, Store};
use sextant_model::{Change, Facts, Intent, Key, ObjectKey, PortId, Settings};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tower::ServiceExt;

/// Something that happens to what is observed.
type Observation = Box<dyn FnOnce(&mut Facts, &Intent) + Send>;

/// An API on a store of its own.
pub struct Cloud {
    router: axum::Router,
    api: Api,
    pub metrics: Metrics,
    pub snapshots: Snapshots,
    observations: mpsc::UnboundedSender<Observation>,
    folder: PathBuf,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// An answer: status, body (null if there is none), request id, and the revision of the store that it shows.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
    pub request_id: String,
    pub revision: u64,
}

impl Answer {
    /// The body, of an answer that says that all is well.
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{self:?}");
        self.body
    }

    /// Status, type and message of an error.
    pub fn error(self) -> (u16, String, String) {
        let error = &self.body["NeutronError"];
        let text = |name: &str| {
            error[name]
                .as_str()
                .unwrap_or_else(|| panic!("no error: {self:?}"))
                .to_owned()
        };
        (self.status.as_u16(), text("type"), text("message"))
    }
}

impl Cloud {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Self {
        Self::build(settings, Identity::Everyone)
    }

    /// Callers are who the headers name, from loopback.
    pub fn behind_proxy(settings: Settings) -> Self {
        let trusted_proxies = loopback();
        Self::build(settings, Identity::Headers { trusted_proxies })
    }

    fn build(settings: Settings, identity: Identity) -> Self {
        Self::writing_by(settings, identity, |store| store)
    }

    /// What the API writes takes this way to the store.
    pub fn writing_by(
        settings: Settings,
        identity: Identity,
        way: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "sextant-api-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let store: Arc<dyn Store> = Arc::new(Embedded::open(&folder.join("store")).unwrap());
        let first = Snapshot {
            intent: Intent::new(settings),
            ..Snapshot::default()
        };
        let (publisher, snapshots) = Snapshots::new(first);
        let (observations, observed) = mpsc::unbounded_channel();
        tokio::spawn(own(store.clone(), publisher, observed));
        let metrics = Metrics::new().unwrap();
        let store = Arc::new(Measured::new(way(store), metrics.clone()));
        let api = Api::new(store, snapshots.clone(), metrics.clone());
        api.identify_by(identity);
        let router = service(api.clone());
        Self {
            router,
            api,
            metrics,
            snapshots,
            observations,
            folder,
        }
    }

    /// Identifies callers in this way from now on.
    pub fn identify_by(&self, identity: Identity) {
        self.api.identify_by(identity);
    }

    /// Has these rules decide from now on, as a file of them.
    pub fn decide_by(&self, rules: &str) {
        let path = self.folder.join("policy.yaml");
        std::fs::write(&path, rules).unwrap();
        let file = PolicyFile::read(&path).unwrap_or_else(|error| panic!("{error}"));
        self.api.decide_by(&file);
    }

    /// The service itself.
    pub fn router(&self) -> axum::Router {
        self.router.clone()
    }

    /// Makes something observed, and waits until it is.
    pub async fn observe(&self, observation: impl FnOnce(&mut Facts, &Intent) + Send + 'static) {
        let mut snapshots = self.snapshots.clone();
        let before = self.snapshots.latest();
        self.observations.send(Box::new(observation)).unwrap();
        while Arc::ptr_eq(&before, &self.snapshots.latest()) {
            snapshots.changed().await.unwrap();
        }
    }

    /// Starts the keeper of delegated prefixes. What it has forgotten is.
    pub fn keep_delegations(&self) {
        let (events, mut said) = events();
        let observations = self.observations.clone();
        tokio::spawn(async move {
            while let Some(event) = said.recv().await {
                let Event::Undelegated(subnet, _) = event else {
                    panic!("it says nothing else: {event:?}")
                };
                let forget: Observation = Box::new(move |facts, _| facts.delegate(subnet, None));
                let _ = observations.send(forget);
            }
        });
        let (snapshots, metrics) = (self.snapshots.clone(), self.metrics.clone());
        tokio::spawn(renumbering::run(
            self.api.clone(),
            snapshots,
            events,
            metrics,
        ));
    }

    /// The first snapshot of which this holds.
    pub async fn once(&self, holds: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        const PATIENCE: Duration = Duration::from_secs(20);
        let mut snapshots = self.snapshots.clone();
        let found = async {
            let mut snapshot = snapshots.latest();
            while !holds(&snapshot) {
                snapshot = snapshots.changed().await.unwrap();
            }
            snapshot
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap()
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let Ok(response) = self.router.clone().oneshot(request).await;
        let status = response.status();
        let request_id = response.headers().get("x-openstack-request-id");
        let request_id = request_id
            .map(|id| id.to_str().unwrap().to_owned())
            .unwrap_or_default();
        let revision = &response.headers()["x-sextant-revision"];
        let revision = revision.to_str().unwrap().parse().unwrap();
        let octets = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body = if octets.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&octets).unwrap()
        };
        Answer {
            status,
            body,
            request_id,
            revision,
        }
    }

    pub async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let octets = body.map_or_else(Body::empty, |body| {
            Body::from(serde_json::to_vec(body).unwrap())
        });
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1:9696");
        self.send(
            request
                .header("accept", "application/json")
                .body(octets)
                .unwrap(),
        )
        .await
    }

    /// A user of a project, with roles, through a trusted proxy.
    pub fn user(&self, project: &str, roles: &str) -> User<'_> {
        User {
            cloud: self,
            from: "[::1]:40000".parse().unwrap(),
            headers: vec![
                ("x-identity-status", "Confirmed".to_owned()),
                ("x-user-id", "somebody".to_owned()),
                ("x-project-id", project.to_owned()),
                ("x-roles", roles.to_owned()),
            ],
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, &format!("/v2.0/{path}"), None)
            .await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.request(Method::POST, &format!("/v2.0/{path}"), Some(&body))
            .await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.request(Method::PUT, &format!("/v2.0/{path}"), Some(&body))
            .await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.request(Method::DELETE, &format!("/v2.0/{path}"), None)
            .await
    }
}

/// Who calls, by what a proxy says.
pub struct User<'a> {
    cloud: &'a Cloud,
    pub from: SocketAddr,
    pub headers: Vec<(&'static str, String)>,
}

impl User<'_> {
    pub async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let octets = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1:9696");
        let request = self.headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, value)
        });
        let peer = Peer {
            address: self.from,
            encrypted: false,
        };
        let request = request.extension(peer).body(octets).unwrap();
        self.cloud.send(request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, &format!("/v2.0/{path}"), None)
            .await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.request(Method::POST, &format!("/v2.0/{path}"), Some(&body))
            .await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.request(Method::PUT, &format!("/v2.0/{path}"), Some(&body))
            .await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.request(Method::DELETE, &format!("/v2.0/{path}"), None)
            .await
    }

    /// Makes one, and returns it.
    pub async fn make(&self, kind: &str, given: Value) -> Value {
        let path = format!("{}s", kind.replace('_', "-")).replace("policys", "policies");
        let made = self
            .post(&path, serde_json::json!({kind: given}))
            .await
            .ok();
        made[kind].clone()
    }

    /// The ids of a list.
    pub async fn ids(&self, path: &str) -> Vec<String> {
        let listed = self.get(path).await.ok();
        let name = path.split('?').next().unwrap().replace('-', "_");
        let mut ids: Vec<String> = listed[name]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    }
}

/// Follows the store and what is observed, and publishes snapshots of both.
async fn own(
    store: Arc<dyn Store>,
    publisher: Publisher,
    mut observed: mpsc::UnboundedReceiver<Observation>,
) {
    let mut watch = store.watch().await.unwrap();
    drop(store);
    let mut snapshot = Snapshot::clone(&publisher.latest());
    loop {
        tokio::select! {
            committed = watch.next() => {
                let Ok(committed) = committed else { return };
                snapshot.revision = committed.revision;
                for change in &committed.changes {
                    apply(&mut snapshot, change);
                }
            }
            observation = observed.recv() => {
                let Some(observation) = observation else { return };
                observation(&mut snapshot.facts, &snapshot.intent);
            }
        }
        publisher.publish(snapshot.clone());
    }
}

fn apply(snapshot: &mut Snapshot, change: &Change) {
    snapshot.intent.apply(change);
    if let Key::Object(ObjectKey::Port(id)) = change.key() {
        snapshot.facts.rebind(&snapshot.intent, id);
    }
}

/// The id of a port, as text, as the model has it.
pub fn port_id(id: &Value) -> PortId {
    id.as_str().unwrap().parse().unwrap()
}
