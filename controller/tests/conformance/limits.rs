//! Lists are bounded before anything else is looked at.

use crate::api::{Answer, Cloud};
use serde_json::{Value, json};

async fn made(cloud: &Cloud, kind: &str, given: Value) -> Value {
    let body = json!({kind: given});
    cloud.post(&format!("{kind}s"), body).await.ok()[kind].clone()
}

fn kind(answer: Answer) -> String {
    let (status, kind, message) = answer.error();
    assert_eq!(status, 400, "{message}");
    kind
}

fn long(item: &Value, length: usize) -> Value {
    Value::Array(vec![item.clone(); length])
}

const BAD: &str = "HTTPBadRequest";

/// A path, what its body is wrapped in, a list in it, how long that may be, and what is said of a longer one.
type Listed = (
    String,
    Option<&'static str>,
    &'static str,
    usize,
    &'static str,
);

fn lists(subnet: &str, port: &str, router: &str, pool: &str) -> Vec<Listed> {
    let exhausted = "RoutesExhausted";
    vec![
        (
            subnet.to_owned(),
            Some("subnet"),
            "host_routes",
            20,
            "HostRoutesExhausted",
        ),
        (
            subnet.to_owned(),
            Some("subnet"),
            "dns_nameservers",
            5,
            "DNSNameServersExhausted",
        ),
        (
            subnet.to_owned(),
            Some("subnet"),
            "allocation_pools",
            64,
            BAD,
        ),
        (subnet.to_owned(), Some("subnet"), "service_types", 64, BAD),
        (port.to_owned(), Some("port"), "fixed_ips", 64, BAD),
        (
            port.to_owned(),
            Some("port"),
            "allowed_address_pairs",
            10,
            "AllowedAddressPairExhausted",
        ),
        (port.to_owned(), Some("port"), "security_groups", 64, BAD),
        (port.to_owned(), Some("port"), "extra_dhcp_opts", 64, BAD),
        (router.to_owned(), Some("router"), "routes", 30, exhausted),
        (pool.to_owned(), Some("subnetpool"), "prefixes", 64, BAD),
        (
            format!("{router}/add_extraroutes"),
            Some("router"),
            "routes",
            30,
            exhausted,
        ),
        (
            format!("{router}/remove_extraroutes"),
            Some("router"),
            "routes",
            30,
            exhausted,
        ),
        (format!("{pool}/add_prefixes"), None, "prefixes", 64, BAD),
        (format!("{pool}/remove_prefixes"), None, "prefixes", 64, BAD),
        (format!("{port}/tags"), None, "tags", 64, BAD),
    ]
}

#[tokio::test]
async fn no_list_of_any_request_is_longer_than_it_may_be() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    let subnet = json!({"network_id": network["id"], "ip_version": 6, "cidr": "2001:db8::/64"});
    let subnet = made(&cloud, "subnet", subnet).await;
    let port = made(&cloud, "port", json!({"network_id": network["id"]})).await;
    let router = made(&cloud, "router", json!({})).await;
    let pool = made(
        &cloud,
        "subnetpool",
        json!({"name": "p", "prefixes": ["2001:db8:1::/48"]}),
    )
    .await;
    let at = |collection: &str, object: &Value| {
        format!("{collection}/{}", object["id"].as_str().unwrap())
    };
    let (subnet, port) = (at("subnets", &subnet), at("ports", &port));
    let (router, pool) = (at("routers", &router), at("subnetpools", &pool));
    // What is in the lists makes no sense: nobody is to look at it.
    let junk = json!({"junk": "junk"});
    for (path, envelope, list, most, expected) in lists(&subnet, &port, &router, &pool) {
        let body = |length| match envelope {
            Some(envelope) => json!({envelope: {list: long(&junk, length)}}),
            None => json!({list: long(&json!("junk"), length)}),
        };
        for length in [most + 1, 20_000] {
            let answer = cloud.put(&path, body(length)).await;
            assert_eq!(kind(answer.clone()), expected, "{path} {list} {length}");
            assert!(!answer.error().2.contains("junk"), "{path} {list}");
        }
        let short = cloud.put(&path, body(1)).await;
        assert!(
            short.status.is_success() || kind(short) != "RoutesExhausted",
            "{path}"
        );
    }
    let info = json!({"network_id": network["id"], "external_fixed_ips": long(&junk, 65)});
    let answer = cloud
        .put(&router, json!({"router": {"external_gateway_info": info}}))
        .await;
    assert_eq!(kind(answer), BAD);
    let many = json!({"ports": long(&json!({"network_id": network["id"]}), 1001)});
    assert_eq!(kind(cloud.post("ports", many).await), BAD);
    let hidden = json!({"ports": [{"network_id": network["id"], "fixed_ips": long(&junk, 65)}]});
    assert_eq!(kind(cloud.post("ports", hidden).await), BAD);
}

#[tokio::test]
async fn as_many_as_may_be_are_taken() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    let pools: Vec<Value> = (0..64)
        .rev()
        .map(|n| json!({"start": format!("2001:db8::{n:x}:1"), "end": format!("2001:db8::{n:x}:ffff")}))
        .collect();
    let subnet = json!({"network_id": network["id"], "ip_version": 6, "cidr": "2001:db8::/64", "allocation_pools": pools});
    let subnet = made(&cloud, "subnet", subnet).await;
    let fixed: Vec<Value> = (1..=64)
        .map(|n| json!({"ip_address": format!("2001:db8::{n:x}")}))
        .collect();
    let port = made(
        &cloud,
        "port",
        json!({"network_id": network["id"], "fixed_ips": fixed}),
    )
    .await;
    assert_eq!(port["fixed_ips"].as_array().unwrap().len(), 64);

    // Wherever in the list they are, those that overlap are found.
    let mut overlapping = pools;
    overlapping[5] = json!({"start": "2001:db8::20:5", "end": "2001:db8::20:6"});
    let at = format!("subnets/{}", subnet["id"].as_str().unwrap());
    let (status, kind, message) = cloud
        .put(&at, json!({"subnet": {"allocation_pools": overlapping}}))
        .await
        .error();
    assert_eq!(
        (status, kind.as_str()),
        (409, "OverlappingAllocationPools"),
        "{message}"
    );
}
