//! What must hold however many write at the same time.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod api;

use api::{Answer, Cloud};
use axum::body::Body;
use axum::http::Request;
use hyper::body::{Bytes, Frame};
use serde_json::{Value, json};
use sextant_controller::api::Identity;
use sextant_controller::store::{
    Boxed, CommitError, Precondition, Revision, Store, Watch, WatchEnded,
};
use sextant_model::{Change, Settings};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;
use tower::ServiceExt;

/// Does the same as so many clients at once.
async fn at_once<F: Future<Output = Answer> + Send + 'static>(
    cloud: &Arc<Cloud>,
    clients: usize,
    request: impl Fn(Arc<Cloud>, usize) -> F,
) -> Vec<Answer> {
    let running: Vec<_> = (0..clients)
        .map(|n| tokio::spawn(request(cloud.clone(), n)))
        .collect();
    let mut answers = Vec::new();
    for request in running {
        answers.push(request.await.unwrap());
    }
    answers
}

async fn network(cloud: &Cloud) -> Value {
    let made = cloud
        .post("networks", json!({"network": {"name": "n"}}))
        .await
        .ok();
    made["network"]["id"].clone()
}

async fn subnet(cloud: &Cloud, network: &Value, cidr: &str, more: Value) -> Value {
    let mut subnet = json!({"network_id": network, "ip_version": 6, "cidr": cidr});
    subnet
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let made = cloud.post("subnets", json!({"subnet": subnet})).await.ok();
    made["subnet"]["id"].clone()
}

async fn make_port(cloud: Arc<Cloud>, network: Value) -> Answer {
    cloud
        .post("ports", json!({"port": {"network_id": network}}))
        .await
}

async fn ports(cloud: &Cloud) -> Vec<Value> {
    cloud.get("ports").await.ok()["ports"]
        .as_array()
        .unwrap()
        .clone()
}

fn addresses(ports: &[Value]) -> Vec<String> {
    let fixed_ips = ports
        .iter()
        .flat_map(|port| port["fixed_ips"].as_array().unwrap());
    fixed_ips
        .map(|fixed| fixed["ip_address"].as_str().unwrap().to_owned())
        .collect()
}

fn succeeded(answers: &[Answer]) -> usize {
    answers
        .iter()
        .filter(|answer| answer.status.is_success())
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_clients_on_a_subnet_of_64_addresses_each_gets_one_and_the_next_none() {
    let cloud = Arc::new(Cloud::new());
    let network = network(&cloud).await;
    let pools = json!({"allocation_pools": [{"start": "2001:db8::10", "end": "2001:db8::4f"}]});
    subnet(&cloud, &network, "2001:db8::/64", pools).await;
    let answers = at_once(&cloud, 64, |cloud, _| make_port(cloud, network.clone())).await;
    answers.into_iter().for_each(|answer| drop(answer.ok()));

    let addresses = addresses(&ports(&cloud).await);
    assert_eq!(addresses.len(), 64);
    assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), 64);
    let (status, kind, message) = make_port(cloud, network.clone()).await.error();
    assert_eq!((status, kind.as_str()), (409, "IpAddressGenerationFailure"));
    assert_eq!(
        message,
        format!(
            "No more IP addresses available on network {}.",
            network.as_str().unwrap()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_want_the_same_address_or_mac_one_gets_it() {
    let cloud = Arc::new(Cloud::new());
    let network = network(&cloud).await;
    subnet(&cloud, &network, "2001:db8::/64", json!({})).await;
    let wishes = [
        json!({"network_id": network, "fixed_ips": [{"ip_address": "2001:db8::5"}]}),
        json!({"network_id": network, "mac_address": "fa:16:3e:00:00:05"}),
    ];
    for wish in wishes {
        let answers = at_once(&cloud, 16, |cloud, _| {
            let port = json!({"port": wish});
            async move { cloud.post("ports", port).await }
        });
        assert_eq!(succeeded(&answers.await), 1, "{wish}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_made_while_an_auto_address_subnet_comes_have_its_address() {
    let cloud = Arc::new(Cloud::new());
    let network = network(&cloud).await;
    let slaac = json!({"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"});
    let answers = at_once(&cloud, 40, |cloud, n| {
        let (network, slaac) = (network.clone(), slaac.clone());
        async move {
            if n == 20 {
                subnet(&cloud, &network, "2001:db8::/64", slaac).await;
            }
            make_port(cloud, network).await
        }
    });
    answers
        .await
        .into_iter()
        .for_each(|answer| drop(answer.ok()));
    let ports = ports(&cloud).await;
    assert_eq!(ports.len(), 40);
    for port in ports {
        assert_eq!(port["fixed_ips"].as_array().unwrap().len(), 1, "{port}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subnet_goes_with_its_addresses_or_stays() {
    for round in 0..8 {
        let cloud = Arc::new(Cloud::new());
        let network = network(&cloud).await;
        let id = subnet(&cloud, &network, "2001:db8::/64", json!({})).await;
        let answers = at_once(&cloud, 6, |cloud, n| {
            let (network, id) = (network.clone(), id.clone());
            async move {
                if n == round % 6 {
                    cloud
                        .delete(&format!("subnets/{}", id.as_str().unwrap()))
                        .await
                } else {
                    make_port(cloud, network).await
                }
            }
        });
        let deleted = answers.await[round % 6].status.is_success();
        let left = addresses(&ports(&cloud).await);
        assert_eq!(deleted, left.is_empty(), "{left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_overlapping_subnets_one_is_made() {
    let cloud = Arc::new(Cloud::new());
    let network = network(&cloud).await;
    let answers = at_once(&cloud, 12, |cloud, n| {
        let length = 48 + n;
        let subnet =
            json!({"network_id": network, "ip_version": 6, "cidr": format!("2001:db8::/{length}")});
        async move { cloud.post("subnets", json!({"subnet": subnet})).await }
    });
    assert_eq!(succeeded(&answers.await), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_prefix_of_a_pool_is_taken_once() {
    let cloud = Arc::new(Cloud::new());
    let pool = json!({"subnetpool": {"name": "p", "prefixes": ["2001:db8::/60"]}});
    let pool = cloud.post("subnetpools", pool).await.ok()["subnetpool"]["id"].clone();
    let answers = at_once(&cloud, 20, |cloud, _| {
        let pool = pool.clone();
        async move {
            let network = network(&cloud).await;
            let subnet = json!({"network_id": network, "ip_version": 6, "subnetpool_id": pool});
            cloud.post("subnets", json!({"subnet": subnet})).await
        }
    });
    assert_eq!(succeeded(&answers.await), 16);
    let subnets = cloud.get("subnets?fields=cidr").await.ok();
    let cidrs: BTreeSet<String> = subnets["subnets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|subnet| subnet["cidr"].to_string())
        .collect();
    assert_eq!(cidrs.len(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_overlapping_subnets_one_is_added_to_a_router() {
    let cloud = Arc::new(Cloud::new());
    let router = cloud
        .post("routers", json!({"router": {"name": "r"}}))
        .await
        .ok();
    let path = format!(
        "routers/{}/add_router_interface",
        router["router"]["id"].as_str().unwrap()
    );
    let mut subnets = Vec::new();
    for _ in 0..8 {
        let network = network(&cloud).await;
        subnets.push(subnet(&cloud, &network, "2001:db8::/64", json!({})).await);
    }
    let answers = at_once(&cloud, 8, |cloud, n| {
        let (path, body) = (path.clone(), json!({"subnet_id": subnets[n]}));
        async move { cloud.put(&path, body).await }
    });
    assert_eq!(succeeded(&answers.await), 1);
    assert_eq!(ports(&cloud).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_is_deleted_or_gets_its_interface() {
    for round in 0..8 {
        let cloud = Arc::new(Cloud::new());
        let router = cloud
            .post("routers", json!({"router": {"name": "r"}}))
            .await
            .ok();
        let path = format!("routers/{}", router["router"]["id"].as_str().unwrap());
        let network = network(&cloud).await;
        let subnet = subnet(&cloud, &network, "2001:db8::/64", json!({})).await;
        let answers = at_once(&cloud, 2, |cloud, n| {
            let (path, body) = (path.clone(), json!({"subnet_id": subnet}));
            async move {
                if n == round % 2 {
                    cloud.delete(&path).await
                } else {
                    cloud
                        .put(&format!("{path}/add_router_interface"), body)
                        .await
                }
            }
        });
        assert_eq!(succeeded(&answers.await), 1);
        let attached = !ports(&cloud).await.is_empty();
        assert_eq!(cloud.get(&path).await.status.is_success(), attached);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_ports_of_a_project_make_one_default_group() {
    let cloud = Arc::new(Cloud::new());
    let network = network(&cloud).await;
    let answers = at_once(&cloud, 64, |cloud, n| {
        let port = json!({"port": {"network_id": network, "project_id": "new"}});
        async move {
            if n % 8 == 0 {
                cloud.get("security-groups?project_id=new").await
            } else {
                cloud.post("ports", port).await
            }
        }
    });
    for answer in answers.await {
        answer.ok();
    }

    let groups = cloud.get("security-groups?project_id=new").await.ok();
    let groups = groups["security_groups"].as_array().unwrap().clone();
    assert_eq!(groups.len(), 1, "{groups:?}");
    assert_eq!(
        groups[0]["security_group_rules"].as_array().unwrap().len(),
        4
    );
    let ports = ports(&cloud).await;
    assert_eq!(ports.len(), 56);
    for port in ports {
        assert_eq!(port["security_groups"], json!([groups[0]["id"]]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_goes_or_somebody_uses_it() {
    for round in 0..12 {
        let cloud = Arc::new(Cloud::new());
        let network = network(&cloud).await;
        let group = json!({"security_group": {"name": "g"}});
        let group = cloud.post("security-groups", group).await.ok();
        let group = group["security_group"]["id"].clone();
        let path = format!("security-groups/{}", group.as_str().unwrap());
        let answers = at_once(&cloud, 3, |cloud, n| {
            let (path, network, group) = (path.clone(), network.clone(), group.clone());
            async move {
                if n == round % 3 {
                    cloud.delete(&path).await
                } else {
                    let port = json!({"network_id": network, "security_groups": [group]});
                    cloud.post("ports", json!({"port": port})).await
                }
            }
        });
        let answers = answers.await;
        let gone = answers[round % 3].status.is_success();
        assert_eq!(cloud.get(&path).await.status.is_success(), !gone);
        assert_eq!(ports(&cloud).await.is_empty(), gone, "{answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_goes_with_the_rules_about_it_and_a_rule_is_made_once() {
    for round in 0..12 {
        let cloud = Arc::new(Cloud::new());
        let mut groups = Vec::new();
        for name in ["own", "other"] {
            let group = json!({"security_group": {"name": name}});
            let group = cloud.post("security-groups", group).await.ok();
            groups.push(group["security_group"]["id"].clone());
        }
        let rule = json!({"security_group_rule": {
            "security_group_id": groups[0], "remote_group_id": groups[1], "direction": "ingress", "ethertype": "IPv6"}});
        let path = format!("security-groups/{}", groups[1].as_str().unwrap());
        let answers = at_once(&cloud, 3, |cloud, n| {
            let (path, rule) = (path.clone(), rule.clone());
            async move {
                if n == round % 3 {
                    cloud.delete(&path).await
                } else {
                    cloud.post("security-group-rules", rule).await
                }
            }
        });
        let answers = answers.await;
        answers[round % 3].clone().ok();
        assert!(succeeded(&answers) <= 2, "{answers:?}");
        let left = format!(
            "security-group-rules?remote_group_id={}",
            groups[1].as_str().unwrap()
        );
        assert_eq!(
            cloud.get(&left).await.ok()["security_group_rules"],
            json!([])
        );
    }
}

/// A body that never comes. Says when it is waited for, and ends `_kept` when nobody has it any more.
struct Awaited {
    read: Arc<Notify>,
    _kept: oneshot::Sender<()>,
}

impl hyper::body::Body for Awaited {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.read.notify_one();
        Poll::Pending
    }
}

#[tokio::test]
async fn a_request_whose_caller_has_gone_is_served_no_further() {
    /// Less than a body may take.
    const SOON: Duration = Duration::from_secs(20);
    let cloud = Cloud::new();
    let (kept, dropped) = oneshot::channel();
    let read = Arc::new(Notify::new());
    let body = Body::new(Awaited {
        read: read.clone(),
        _kept: kept,
    });
    let request = Request::post("/v2.0/networks").body(body).unwrap();
    tokio::select! {
        _ = cloud.router().oneshot(request) => panic!("the body does not come"),
        () = read.notified() => {}
    }
    let dropped = timeout(SOON, dropped).await.expect("it is still served");
    assert!(dropped.is_err());
}

/// A store whose commits say when they begin and wait until they may end.
struct Unhurried {
    store: Arc<dyn Store>,
    begun: Arc<Notify>,
    may_end: Arc<Notify>,
}

impl Store for Unhurried {
    fn commit(
        &self,
        changes: Vec<Change>,
        preconditions: Vec<Precondition>,
    ) -> Boxed<'_, Result<Revision, CommitError>> {
        Box::pin(async move {
            self.begun.notify_one();
            self.may_end.notified().await;
            self.store.commit(changes, preconditions).await
        })
    }

    fn watch(&self) -> Boxed<'_, Result<Box<dyn Watch>, WatchEnded>> {
        self.store.watch()
    }
}

#[tokio::test]
async fn a_write_whose_caller_has_gone_is_made_and_counted() {
    let (begun, may_end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let way = |store| -> Arc<dyn Store> {
        Arc::new(Unhurried {
            store,
            begun: begun.clone(),
            may_end: may_end.clone(),
        })
    };
    let cloud = Cloud::writing_by(Settings::default(), Identity::Everyone, way);
    let body = json!({"network": {"name": "n"}}).to_string();
    let request = Request::post("/v2.0/networks")
        .body(Body::from(body))
        .unwrap();
    tokio::select! {
        _ = cloud.router().oneshot(request) => panic!("the commit does not end"),
        () = begun.notified() => {}
    }
    may_end.notify_one();
    let made = ["POST", "/v2.0/networks", "201"];
    let counted = cloud.metrics.api_requests.with_label_values(&made);
    let told = async {
        while counted.get() == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), told)
        .await
        .expect("it is counted");
    assert_eq!(cloud.get("networks").await.ok()["networks"][0]["name"], "n");
}
