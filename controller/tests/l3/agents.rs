//! Rows of hypervisors, with an owner of state that really owns it.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::Value;
use sextant_controller::api::{Api, Identity, loopback, service};
use sextant_controller::cluster::Tenures;
use sextant_controller::http::Peer;
use sextant_controller::memory;
use sextant_controller::metrics::Metrics;
use sextant_controller::seat::Seats;
use sextant_controller::snapshot::{Snapshot, Snapshots};
use sextant_controller::state::{Event, Events, Owner, events};
use sextant_controller::store::{Embedded, Store};
use sextant_model::{Chassis, ChassisId, Encap, EncapKind, Settings};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use tower::ServiceExt;

struct Site {
    router: axum::Router,
    events: Events,
    seats: Seats<ChassisId>,
    switches: Seats<ChassisId>,
    snapshots: Snapshots,
    folder: PathBuf,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Site {
    async fn new() -> Self {
        Self::with("open", Identity::Everyone).await
    }

    async fn with(name: &str, identity: Identity) -> Self {
        let name = format!("sextant-agents-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let store: Arc<dyn Store> = Arc::new(Embedded::open(&folder.join("store")).unwrap());
        let (publisher, snapshots) = Snapshots::new(Snapshot::default());
        let (events, observed) = events();
        let (remember, remembered) = memory::facts();
        let metrics = Metrics::new().unwrap();
        let mut owner = Owner::new(Settings::default(), publisher, remember, metrics.clone());
        let mut watch = store.watch().await.unwrap();
        owner.load(watch.as_mut()).await.unwrap();
        tokio::spawn(owner.run(watch, observed));
        tokio::spawn(memory::keep(
            store.clone(),
            Tenures::All,
            metrics.clone(),
            remembered,
            tokio::sync::mpsc::unbounded_channel().0,
        ));
        let (seats, switches) = (Seats::default(), Seats::default());
        let api = Api::new(store, snapshots.clone(), metrics).with_identity(identity);
        Self {
            router: service(api.with_hypervisors(seats.clone(), switches.clone(), events.clone())),
            events,
            seats,
            switches,
            snapshots,
            folder,
        }
    }

    async fn send(&self, method: &str, path: &str) -> (StatusCode, Value) {
        self.send_as("admin", method, path).await
    }

    async fn send_as(&self, roles: &str, method: &str, path: &str) -> (StatusCode, Value) {
        let address = "[::1]:40000".parse().unwrap();
        let encrypted = false;
        let request = Request::builder()
            .method(method)
            .uri(format!("/v2.0/{path}"))
            .header("x-user-id", "somebody")
            .header("x-roles", roles)
            .extension(Peer { address, encrypted })
            .body(Body::empty())
            .unwrap();
        let Ok(response) = self.router.clone().oneshot(request).await;
        let status = response.status();
        let octets = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap();
        (status, serde_json::from_slice(&octets).unwrap_or_default())
    }

    /// A hypervisor is read, and everybody knows.
    async fn read(&self, name: &str) {
        let chassis = Chassis {
            observed: true,
            ..Chassis::new(
                ChassisId::new(name),
                Encap {
                    endpoints: "2001:db8::1".parse().unwrap(),
                    kind: EncapKind::Vxlan,
                },
            )
        };
        let interfaces = BTreeMap::new();
        let read = Event::HypervisorRead {
            chassis,
            interfaces,
        };
        self.events.send(read).await.unwrap();
        let mut snapshots = self.snapshots.clone();
        while !snapshots
            .latest()
            .facts
            .chassis()
            .contains_key(&ChassisId::new(name))
        {
            snapshots.changed().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_hypervisor_that_is_gone_is_shown_dead_and_can_be_forgotten() {
    let site = Site::new().await;
    let name = ChassisId::new("h1");
    let here = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let seat = site.seats.take(&name, here).unwrap();
    site.read("h1").await;
    let dead = site.send("GET", "agents?host=h1&alive=false").await.1;
    assert_eq!(dead["agents"][0]["host"], "h1", "its switch is missing");
    let _switch = site.switches.take(&name, here).unwrap();
    let agents = site.send("GET", "agents?host=h1&alive=true").await.1;
    let agent = format!("agents/{}", agents["agents"][0]["id"].as_str().unwrap());
    let zones = site
        .send("GET", "availability_zones?resource=router")
        .await
        .1;
    assert_eq!(
        zones["availability_zones"],
        serde_json::json!([{"name": "nova", "resource": "router", "state": "available"}])
    );
    let (status, refusal) = site.send("DELETE", &agent).await;
    assert_eq!(status, StatusCode::CONFLICT, "{refusal}");

    drop(seat);
    let shown = site.send("GET", &agent).await.1;
    assert_eq!(
        [&shown["agent"]["host"], &shown["agent"]["alive"]],
        [&Value::from("h1"), &Value::from(false)]
    );
    let zones = site
        .send("GET", "availability_zones?state=available")
        .await
        .1;
    assert_eq!(zones["availability_zones"], Value::Array(vec![]));
    assert_eq!(site.send("DELETE", &agent).await.0, StatusCode::NO_CONTENT);
    assert_eq!(site.send("GET", &agent).await.0, StatusCode::NOT_FOUND);
    assert_eq!(site.send("DELETE", &agent).await.0, StatusCode::NOT_FOUND);
    assert_eq!(
        site.send("GET", "agents?colour=blue").await.0,
        StatusCode::BAD_REQUEST
    );

    site.read("h1").await;
    assert_eq!(site.send("GET", &agent).await.0, StatusCode::OK);
}

#[tokio::test]
async fn only_admins_see_agents_and_forget_them() {
    let trusted_proxies = loopback();
    let site = Site::with("proxied", Identity::Headers { trusted_proxies }).await;
    site.read("h1").await;
    let agents = site.send("GET", "agents").await.1;
    let agent = format!("agents/{}", agents["agents"][0]["id"].as_str().unwrap());
    let listed = site.send_as("manager", "GET", "agents").await.1;
    assert_eq!(listed["agents"], Value::Array(vec![]));
    for method in ["GET", "DELETE"] {
        let (status, refusal) = site.send_as("manager", method, &agent).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{refusal}");
    }
    assert_eq!(site.send("GET", &agent).await.0, StatusCode::OK);
    assert_eq!(site.send("DELETE", &agent).await.0, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn agents_of_routers_and_networks_are_for_admins_and_of_what_there_is() {
    let trusted_proxies = loopback();
    let site = Site::with("hosting", Identity::Headers { trusted_proxies }).await;
    for (path, kind) in [
        (
            "routers/6d1d5f5e-0000-4000-8000-000000000001/l3-agents",
            "RouterNotFound",
        ),
        ("routers/no-uuid/l3-agents", "RouterNotFound"),
        (
            "networks/6d1d5f5e-0000-4000-8000-000000000001/dhcp-agents",
            "NetworkNotFound",
        ),
    ] {
        let (status, refusal) = site.send("GET", path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(refusal["NeutronError"]["type"], kind);
        let (status, _) = site.send_as("member", "GET", path).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
    }
}
