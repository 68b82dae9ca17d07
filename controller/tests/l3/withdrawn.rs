use super::*;
use sextant_model::{WITHDRAWN_FOR, Withdrawn};
use std::sync::Arc;

const SERVERS: [&str; 2] = ["2001:db8::53", "2001:db8::54"];

/// A network whose router advertises two prefixes, one with DNS servers.
async fn advertised(cloud: &Cloud) -> (Value, [Value; 2]) {
    let inside = network(cloud, json!({})).await;
    let router = made(cloud, "router", json!({})).await;
    let mut with_servers = slaac();
    with_servers["dns_nameservers"] = json!(SERVERS);
    let first = subnet(cloud, &inside, "2001:db8:a::/64", with_servers).await;
    let second = subnet(cloud, &inside, "2001:db8:b::/64", slaac()).await;
    for subnet in [&first, &second] {
        attach(cloud, &router, subnet).await;
    }
    (router, [first, second])
}

async fn detach(cloud: &Cloud, router: &Value, subnet: &Value) {
    let path = format!("routers/{}/remove_router_interface", id(router));
    let named = json!({"subnet_id": subnet["id"]});
    cloud.put(&path, named).await.ok();
}

fn withdrawn(cloud: &Cloud) -> Vec<Arc<Withdrawn>> {
    let snapshot = cloud.snapshots.latest();
    snapshot.intent.withdrawn.values().cloned().collect()
}

fn texts<T: ToString>(all: impl IntoIterator<Item = T>) -> Vec<String> {
    all.into_iter().map(|one| one.to_string()).collect()
}

#[tokio::test]
async fn what_is_not_advertised_any_more_is_committed_with_its_cause() {
    let cloud = Cloud::new();
    let (router, [first, second]) = advertised(&cloud).await;
    assert_eq!(withdrawn(&cloud), [], "what comes ends nothing");

    let path = format!("subnets/{}", id(&first));
    let fewer = json!({"subnet": {"dns_nameservers": [SERVERS[1]]}});
    cloud.put(&path, fewer).await.ok();
    let [gone] = &withdrawn(&cloud)[..] else {
        panic!("one router's port");
    };
    assert_eq!(texts(gone.dns_servers.keys()), [SERVERS[0]]);
    assert_eq!(gone.prefixes.len(), 0);

    detach(&cloud, &router, &second).await;
    let [gone] = &withdrawn(&cloud)[..] else {
        panic!("the same port");
    };
    assert_eq!(texts(gone.prefixes.keys()), ["2001:db8:b::/64"]);
    assert_eq!(gone.dns_servers.len(), 1, "what went before is kept");

    let path = format!("routers/{}", id(&router));
    let down = json!({"router": {"admin_state_up": false}});
    cloud.put(&path, down).await.ok();
    let [gone] = &withdrawn(&cloud)[..] else {
        panic!("the same port");
    };
    let both = ["2001:db8:a::/64", "2001:db8:b::/64"];
    assert_eq!(texts(gone.prefixes.keys()), both);
    assert_eq!(texts(gone.dns_servers.keys()), SERVERS);
    let latest = gone.prefixes.values().map(|gone| gone.at).max().unwrap();
    assert!(!gone.is_over(latest) && gone.is_over(latest + WITHDRAWN_FOR));
}

#[tokio::test]
async fn what_goes_with_its_port_is_remembered_without_it() {
    let cloud = Cloud::new();
    let (router, subnets) = advertised(&cloud).await;
    for subnet in &subnets {
        detach(&cloud, &router, subnet).await;
    }
    let gone = withdrawn(&cloud);
    let prefixes = gone.iter().flat_map(|gone| gone.prefixes.keys());
    assert_eq!(texts(prefixes), ["2001:db8:a::/64", "2001:db8:b::/64"]);
    for gone in gone {
        assert!(
            !cloud
                .snapshots
                .latest()
                .intent
                .ports
                .contains_key(&gone.port)
        );
    }
}
