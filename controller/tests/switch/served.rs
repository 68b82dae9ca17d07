//! A controller without its listeners for people and hypervisors.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

use crate::fake::SOON;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::Value;
use sextant_controller::api::{Api, service};
use sextant_controller::memory;
use sextant_controller::metrics::Metrics;
use sextant_controller::snapshot::{Snapshot, Snapshots};
use sextant_controller::state::{self, Events, Owner};
use sextant_controller::store::{Embedded, Store};
use sextant_controller::switch::{self, SwitchContext};
use sextant_model::Settings;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tower::ServiceExt;

/// Its API, its store, its owner of state, and where switches connect.
pub struct Served {
    api: axum::Router,
    pub address: SocketAddr,
    pub events: Events,
    pub metrics: Metrics,
    pub snapshots: Snapshots,
    folder: PathBuf,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Served {
    pub async fn start(name: &str) -> Self {
        let name = format!("sextant-served-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let store: Arc<dyn Store> = Arc::new(Embedded::open(&folder.join("store")).unwrap());
        let metrics = Metrics::new().unwrap();
        let (publisher, snapshots) = Snapshots::new(Snapshot::default());
        let (events, observed) = state::events();
        let (remember, _) = memory::facts();
        let mut owner = Owner::new(Settings::default(), publisher, remember, metrics.clone());
        let mut watch = store.watch().await.unwrap();
        owner.load(watch.as_mut()).await.unwrap();
        tokio::spawn(owner.run(watch, observed));
        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let context = SwitchContext {
            patience: SOON,
            ..SwitchContext::new(snapshots.clone(), events.clone(), metrics.clone())
        };
        tokio::spawn(switch::listen(listener, context));
        Self {
            api: service(Api::new(store, snapshots.clone(), metrics.clone())),
            address,
            events,
            metrics,
            snapshots,
            folder,
        }
    }

    /// The answer to a request, if it has a body.
    pub async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(format!("/v2.0/{path}"))
            .body(Body::from(body.to_string()))
            .unwrap();
        let Ok(response) = self.api.clone().oneshot(request).await;
        let octets = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let answer: Value = serde_json::from_slice(&octets).unwrap_or_default();
        assert!(
            answer.get("NeutronError").is_none(),
            "{method} {path}: {answer}"
        );
        answer
    }
}
