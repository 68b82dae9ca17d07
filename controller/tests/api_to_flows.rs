//! From a request to a switch's flows and back: everything between is real, the switch is the test's own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a switch that has nothing needs to do little"
)]

#[path = "switch/mod.rs"]
mod fake;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use fake::{DATAPATH, SOON, Switch, usual};
use rust_openflow::{Command, Message};
use serde_json::{Value, json};
use sextant_controller::admission::Limits;
use sextant_controller::api::{Api, service};
use sextant_controller::config::NameRule;
use sextant_controller::metrics::Metrics;
use sextant_controller::neighbors::Neighbors;
use sextant_controller::seat::Seats;
use sextant_controller::snapshot::{Snapshot, Snapshots};
use sextant_controller::state::{self, Event, Events, Owner};
use sextant_controller::store::{Embedded, Store};
use sextant_controller::switch::{self, Context, Handover, Preparing, Turn};
use sextant_model::{Chassis, ChassisId, Encap, EncapKind, Plugged, PortId, Settings};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tower::ServiceExt;

/// A controller without its listeners for people and hypervisors, and the one switch there is.
struct World {
    api: axum::Router,
    events: Events,
    switch: Switch,
    network: Value,
    plugged: u16,
    folder: PathBuf,
}

/// What a switch was told between two confirmations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    added: usize,
    deleted: usize,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl World {
    /// A cloud with one hypervisor and a network of one stateful subnet.
    async fn start(name: &str) -> Self {
        let name = format!("sextant-to-flows-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let store: Arc<dyn Store> = Arc::new(Embedded::open(&folder.join("store")).unwrap());
        let metrics = Metrics::new().unwrap();
        let (publish, snapshots) = Snapshots::new(Snapshot::default());
        let (events, observed) = state::events();
        let (remember, _) = mpsc::unbounded_channel();
        let mut owner = Owner::new(Settings::default(), publish, remember, metrics.clone());
        let mut watch = store.watch().await.unwrap();
        owner.load(watch.as_mut()).await.unwrap();
        tokio::spawn(owner.run(watch, observed));

        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let context = Context {
            snapshots: snapshots.clone(),
            events: events.clone(),
            metrics: metrics.clone(),
            seats: Seats::default(),
            databases: Seats::default(),
            names: NameRule::default(),
            pauses: Turn::default(),
            preparing: Preparing::new(metrics.clone()),
            neighbors: Neighbors::default(),
            handover: Handover::default(),
            patience: SOON,
            limits: Limits::of_process(),
        };
        tokio::spawn(switch::listen(listener, context));
        let read = Event::HypervisorRead {
            chassis: chassis(),
            interfaces: BTreeMap::new(),
        };
        events.send(read).await.unwrap();
        let mut world = Self {
            api: service(Api::new(store, snapshots, metrics)),
            events,
            switch: Switch::connect(address).await,
            network: Value::Null,
            plugged: 0,
            folder,
        };
        let network = json!({"network": {"name": "n"}});
        world.network = world.ask("POST", "networks", network).await["network"]["id"].take();
        let subnet = json!({"network_id": world.network, "ip_version": 6, "cidr": "2001:db8::/64"});
        world
            .ask("POST", "subnets", json!({ "subnet": subnet }))
            .await;
        world
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(format!("/v2.0/{path}"))
            .body(Body::from(body.to_string()))
            .unwrap();
        let Ok(response) = self.api.clone().oneshot(request).await;
        let octets = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        serde_json::from_slice(&octets).unwrap()
    }

    async fn status(&self, port: PortId) -> String {
        let shown = self.ask("GET", &format!("ports/{port}"), Value::Null).await;
        shown["port"]["status"].as_str().unwrap().to_owned()
    }

    /// Makes a port and plugs it in. Under no group, it changes nothing here before it is plugged in.
    async fn connect(&mut self) -> PortId {
        let port = json!({"port": {"network_id": self.network, "security_groups": []}});
        let made = self.ask("POST", "ports", port).await;
        let id: PortId = made["port"]["id"].as_str().unwrap().parse().unwrap();
        self.plugged += 1;
        let plugged = Plugged {
            chassis: ChassisId::new("h1"),
            ofport: Some(self.plugged),
        };
        self.events.send(Event::Plugged(id, plugged)).await.unwrap();
        id
    }

    /// Does what the switch is told until this port is active, and not before a barrier was answered.
    async fn confirm(&mut self, port: PortId) -> Told {
        let mut told = Told::default();
        loop {
            let Some((xid, message)) = self.switch.next().await else {
                panic!("the controller hung up")
            };
            told.count(&message);
            let confirms = message == Message::BarrierRequest && told != Told::default();
            if confirms {
                assert_eq!(self.status(port).await, "DOWN", "nothing is confirmed");
            }
            if let Some(reply) = usual(&message) {
                self.switch.send(xid, &reply).await;
            }
            if confirms {
                self.becomes_active(port).await;
                return told;
            }
        }
    }

    /// Waits for the news that a confirmation makes.
    async fn becomes_active(&self, port: PortId) {
        let active = async {
            while self.status(port).await != "ACTIVE" {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, active).await.expect("it becomes active");
    }
}

impl Told {
    fn count(&mut self, message: &Message) {
        let Message::BundleAdd(add) = message else {
            return;
        };
        let Message::FlowMod(flow) = &*add.message else {
            return;
        };
        match flow.command {
            Command::Delete | Command::DeleteStrict => self.deleted += 1,
            Command::Add | Command::Modify | Command::ModifyStrict => self.added += 1,
        }
    }
}

fn chassis() -> Chassis {
    Chassis {
        datapath_id: Some(DATAPATH),
        observed: true,
        ..Chassis::new(
            ChassisId::new("h1"),
            Encap {
                endpoints: "2001:db8::1".parse().unwrap(),
                kind: EncapKind::Vxlan,
            },
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_is_active_once_its_flows_are_confirmed_however_many_there_are_no_others_are_sent() {
    let mut world = World::start("one").await;
    let mut told = Vec::new();
    for _ in 0..40 {
        let port = world.connect().await;
        told.push(world.confirm(port).await);
    }
    // The first brings what its network and its hypervisor need as well.
    let (first, later) = (told[0], &told[2..]);
    assert!(first.added > later[0].added, "{told:?}");
    assert!(
        later.iter().all(|told| *told == later[0]),
        "a port costs the same beside 2 as beside 39 others: {later:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_changes_reaches_the_switch_and_nothing_else_does() {
    let mut world = World::start("changed").await;
    let mut ports = Vec::new();
    for _ in 0..3 {
        let port = world.connect().await;
        world.confirm(port).await;
        ports.push(port);
    }
    let path = format!("ports/{}", ports[1]);
    let pairs = json!({"port": {"allowed_address_pairs": [{"ip_address": "2001:db8::/80"}]}});
    world.ask("PUT", &path, pairs).await;
    let mut told = Told::default();
    loop {
        let (xid, message) = world.switch.next().await.unwrap();
        told.count(&message);
        if let Some(reply) = usual(&message) {
            world.switch.send(xid, &reply).await;
        }
        if message == Message::BarrierRequest && told != Told::default() {
            break;
        }
    }
    assert!(told.added > 0 && told.added < 12, "{told:?}");
    for port in ports {
        assert_eq!(world.status(port).await, "ACTIVE", "nobody was cut off");
    }
}
