//! `X-Sextant-Revision` between controllers on one cluster: what a caller has seen by one of them, it finds by another.

use super::member::Member;
use super::settings;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use serde_json::{Value, json};
use sextant_controller::api::{Api, service};
use sextant_controller::metrics::Metrics;
use sextant_controller::snapshot::{Publisher, Snapshot, Snapshots};
use sextant_controller::store::{
    Boxed, CommitError, Etcd, Measured, Precondition, Revision, Store, Watch, WatchEnded,
};
use sextant_model::Change;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tower::ServiceExt;

/// The API of a controller, and what it follows the cluster with.
struct Half {
    router: Router,
    metrics: Metrics,
    asked: Arc<Notify>,
    follower: Follower,
}

struct Follower {
    watch: Box<dyn Watch>,
    publisher: Publisher,
}

struct Answer {
    status: u16,
    revision: u64,
    body: Value,
}

impl Half {
    /// One that knows what is stored, and nothing that is stored from then on.
    async fn on(member: &Member) -> Self {
        let etcd = Etcd::open(&settings([member.url()])).await.unwrap();
        let watch = etcd.watch().await.unwrap();
        let (publisher, snapshots) = Snapshots::new(Snapshot::default());
        let mut follower = Follower { watch, publisher };
        follower.step().await;
        let (metrics, asked) = (Metrics::new().unwrap(), Arc::default());
        let store = AskedForItsAge {
            store: Measured::new(Arc::new(etcd), metrics.clone()),
            asked: Arc::clone(&asked),
        };
        let api = Api::new(Arc::new(store), snapshots, metrics.clone());
        Self {
            router: service(api),
            metrics,
            asked,
            follower,
        }
    }

    /// One that knows all that is stored.
    async fn following(member: &Member) -> Router {
        let Self {
            router,
            mut follower,
            ..
        } = Self::on(member).await;
        tokio::spawn(async move { while follower.step().await.is_some() {} });
        router
    }

    fn waits(&self, outcome: &str) -> u64 {
        let waits = &self.metrics.api_revision_waits;
        waits.with_label_values(&[outcome]).get()
    }
}

impl Follower {
    /// Takes in the next commit.
    async fn step(&mut self) -> Option<Revision> {
        let committed = self.watch.next().await.ok()?;
        let mut snapshot = Snapshot::clone(&self.publisher.latest());
        snapshot.revision = committed.revision;
        for change in &committed.changes {
            snapshot.intent.apply(change);
        }
        self.publisher.publish(snapshot);
        Some(committed.revision)
    }

    async fn reach(&mut self, revision: u64) {
        while self.step().await.unwrap() < Revision(revision) {}
    }
}

/// Says when it is asked how old it is, as it is by a request that begins to wait.
struct AskedForItsAge {
    store: Measured,
    asked: Arc<Notify>,
}

impl Store for AskedForItsAge {
    fn commit(
        &self,
        changes: Vec<Change>,
        preconditions: Vec<Precondition>,
    ) -> Boxed<'_, Result<Revision, CommitError>> {
        self.store.commit(changes, preconditions)
    }

    fn watch(&self) -> Boxed<'_, Result<Box<dyn Watch>, WatchEnded>> {
        self.store.watch()
    }

    fn age(&self) -> Duration {
        self.asked.notify_one();
        self.store.age()
    }

    fn last_commit(&self, reached: Revision) -> Revision {
        self.store.last_commit(reached)
    }
}

async fn ask(
    router: &Router,
    method: Method,
    path: &str,
    body: &Value,
    seen: Option<u64>,
) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(format!("/v2.0/{path}"));
    let request = match seen {
        Some(seen) => request.header("x-sextant-revision", seen),
        None => request,
    };
    let body = match body.is_null() {
        true => Body::empty(),
        false => Body::from(body.to_string()),
    };
    let Ok(response) = router.clone().oneshot(request.body(body).unwrap()).await;
    let revision = &response.headers()["x-sextant-revision"];
    let (status, revision) = (response.status().as_u16(), revision.to_str().unwrap());
    let revision = revision.parse().unwrap();
    let octets = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    Answer {
        status,
        revision,
        body: serde_json::from_slice(&octets).unwrap_or_default(),
    }
}

async fn make_network(router: &Router) -> Answer {
    let body = json!({"network": {"name": "n"}});
    ask(router, Method::POST, "networks", &body, None).await
}

async fn networks(router: &Router, seen: Option<u64>) -> Answer {
    ask(router, Method::GET, "networks", &Value::Null, seen).await
}

#[tokio::test]
async fn a_request_waits_for_what_its_caller_has_seen_by_another_controller() {
    let member = Member::alone();
    let one = Half::following(&member).await;
    let mut two = Half::on(&member).await;
    let made = make_network(&one).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let before = networks(&two.router, None).await;
    assert_eq!(before.body["networks"], json!([]), "it is behind");
    assert!(before.revision < made.revision);
    two.asked.notified().await;

    let (asked, follower) = (two.asked.clone(), &mut two.follower);
    let catch_up = async {
        asked.notified().await;
        follower.reach(made.revision).await;
    };
    let (after, ()) = tokio::join!(networks(&two.router, Some(made.revision)), catch_up);
    assert_eq!(after.status, 200, "{}", after.body);
    assert_eq!(after.body["networks"][0]["name"], "n");
    assert_eq!(after.revision, made.revision);
    assert_eq!(two.waits("reached"), 1);
}

#[tokio::test]
async fn a_write_rests_on_what_its_caller_has_seen_by_another_controller() {
    let member = Member::alone();
    let one = Half::following(&member).await;
    let mut two = Half::on(&member).await;
    let made = make_network(&one).await;
    let network = made.body["network"]["id"].clone();
    let subnet =
        json!({"subnet": {"network_id": network, "ip_version": 6, "cidr": "2001:db8::/64"}});
    let seen = Some(made.revision);
    let (asked, follower) = (two.asked.clone(), &mut two.follower);
    let follow = async {
        asked.notified().await;
        while follower.step().await.is_some() {}
    };
    let written = ask(&two.router, Method::POST, "subnets", &subnet, seen);
    let written = tokio::select! {
        written = written => written,
        () = follow => panic!("the watch has ended"),
    };
    assert_eq!(written.status, 201, "{}", written.body);
    assert!(written.revision > made.revision);
}

#[tokio::test]
async fn who_starts_later_names_no_revision_that_others_are_never_told_of() {
    let member = Member::alone();
    let one = Half::following(&member).await;
    let made = make_network(&one).await;
    let network = made.body["network"]["id"].as_str().unwrap();
    let path = format!("networks/{network}");
    let gone = ask(&one, Method::DELETE, &path, &Value::Null, None).await;
    assert_eq!(gone.status, 204);
    // The cluster's revision grows, and nobody commits.
    let client = etcd_client::Client::connect([member.url()], None).await;
    let mut client = client.unwrap();
    for _ in 0..3 {
        client.put("/elsewhere", "", None).await.unwrap();
    }

    let two = Half::on(&member).await;
    let by_two = networks(&two.router, Some(gone.revision)).await;
    assert_eq!((by_two.status, by_two.revision), (200, gone.revision));
    let by_one = networks(&one, Some(by_two.revision)).await;
    assert_eq!(by_one.status, 200, "{}", by_one.body);
    assert_eq!(by_one.body, by_two.body);
}
