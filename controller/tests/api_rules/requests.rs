//! Requests as such: conditions, names, counts, odd input, bodies that do not come.

use crate::api::Cloud;
use crate::{id, made};
use axum::body::Body;
use axum::http::{Method, Request};
use hyper::body::Frame;
use serde_json::{Value, json};
use std::pin::Pin;
use std::task::{Context, Poll};

#[tokio::test]
async fn a_write_can_demand_the_revision_that_it_rests_on() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    let path = format!("/v2.0/networks/{}", id(&network));
    let renamed = |revision: u64| {
        let request = Request::builder().method(Method::PUT).uri(&path);
        let request = request.header("if-match", format!("revision_number={revision}"));
        request
            .body(Body::from(json!({"network": {"name": "new"}}).to_string()))
            .unwrap()
    };
    let (status, kind, message) = cloud.send(renamed(7)).await.error();
    assert_eq!(
        (status, kind.as_str()),
        (412, "RevisionNumberConstraintFailed")
    );
    assert_eq!(message, "Constrained to 7, but current revision is 1");
    assert_eq!(
        cloud.send(renamed(1)).await.ok()["network"]["revision_number"],
        2
    );
}

#[tokio::test]
async fn requests_are_named_and_counted() {
    let cloud = Cloud::new();
    let one = cloud.get("networks").await;
    let other = cloud.get("networks/nobody").await;
    assert!(one.request_id.starts_with("req-") && one.request_id != other.request_id);
    let text = cloud.metrics.render().unwrap();
    for sample in [
        r#"sextant_api_requests_total{method="GET",route="/v2.0/networks",status="200"} 1"#,
        r#"sextant_api_requests_total{method="GET",route="/v2.0/networks/{id}",status="404"} 1"#,
        r#"sextant_api_request_duration_seconds_count{method="GET",route="/v2.0/networks"} 1"#,
    ] {
        assert!(text.contains(sample), "{text}");
    }
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_with_a_reason() {
    let cloud = Cloud::new();
    let send = |method: Method, path: &'static str, body: Vec<u8>| {
        let request = Request::builder().method(method).uri(path);
        cloud.send(request.body(Body::from(body)).unwrap())
    };
    let too_long = send(Method::POST, "/v2.0/networks", vec![b' '; 9 << 20]).await;
    assert_eq!(too_long.error().0, 413);
    for body in [
        "{\"network\": {\"project_id\": 5}}",
        "{\"network\": {\"project_id\": \"a\", \"tenant_id\": \"b\"}}",
        "[]",
        "5",
        "{",
        "{\"network\": []}",
        "{\"networks\": {}}",
        "{\"networks\": [5]}",
    ] {
        let answer = send(Method::POST, "/v2.0/networks", body.into()).await;
        assert_eq!(answer.error().0, 400, "{body}");
    }
    assert_eq!(
        send(Method::DELETE, "/v2.0/networks", vec![])
            .await
            .error()
            .0,
        405
    );
    assert_eq!(
        send(Method::GET, "/v2.0/networks?name=%ff", vec![])
            .await
            .status,
        200
    );
    assert_eq!(
        send(
            Method::PUT,
            "/v2.0/routers/x/add_router_interface",
            b"{}".to_vec()
        )
        .await
        .error()
        .0,
        400
    );
}

/// Values of every JSON type, and texts that are almost something.
fn odd_values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1.5),
        json!(u64::MAX),
        json!(""),
        json!("x"),
        json!("é\u{0}"),
        json!("::"),
        json!("::/0"),
        json!("255.255.255.255/32"),
        json!("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"),
        json!([]),
        json!([null]),
        json!(["x"]),
        json!([{}]),
        json!([[]]),
        json!({}),
        json!({"x": 1}),
        json!([{"start": "::", "end": "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}]),
        json!([{"start": "::1", "end": "10.0.0.1"}]),
        json!([{"ip_address": "::"}]),
        json!([{"subnet_id": 5}]),
        json!([{"destination": "::/0", "nexthop": "x"}]),
        json!([{"opt_name": null}]),
        json!("a".repeat(300)),
    ]
}

/// Attributes, by the kind of resource that has them.
const ATTRIBUTES: &[(&str, &[&str])] = &[
    (
        "network",
        &[
            "name",
            "admin_state_up",
            "mtu",
            "shared",
            "provider:network_type",
            "provider:segmentation_id",
            "provider:physical_network",
            "project_id",
            "availability_zone_hints",
        ],
    ),
    (
        "subnet",
        &[
            "network_id",
            "ip_version",
            "cidr",
            "gateway_ip",
            "allocation_pools",
            "enable_dhcp",
            "ipv6_ra_mode",
            "ipv6_address_mode",
            "dns_nameservers",
            "host_routes",
            "subnetpool_id",
            "prefixlen",
            "service_types",
        ],
    ),
    (
        "port",
        &[
            "network_id",
            "mac_address",
            "fixed_ips",
            "device_id",
            "allowed_address_pairs",
            "extra_dhcp_opts",
            "binding:profile",
            "security_groups",
            "port_security_enabled",
            "binding:vnic_type",
        ],
    ),
    (
        "subnetpool",
        &[
            "min_prefixlen",
            "max_prefixlen",
            "default_prefixlen",
            "default_quota",
            "is_default",
            "shared",
            "prefixes",
        ],
    ),
    (
        "router",
        &[
            "name",
            "admin_state_up",
            "external_gateway_info",
            "routes",
            "tenant_id",
        ],
    ),
    (
        "security_group",
        &["name", "description", "stateful", "project_id", "shared"],
    ),
    (
        "security_group_rule",
        &[
            "security_group_id",
            "direction",
            "ethertype",
            "protocol",
            "port_range_min",
            "port_range_max",
            "remote_ip_prefix",
            "remote_group_id",
            "remote_address_group_id",
            "description",
        ],
    ),
];

#[tokio::test]
async fn odd_values_are_refused_or_taken_but_nothing_breaks() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    let group = made(&cloud, "security_group", json!({})).await;
    let stock = json!({"network_id": network["id"], "ip_version": 6, "cidr": "2001:db8::/64"});
    for (kind, attributes) in ATTRIBUTES {
        for attribute in *attributes {
            for odd in odd_values() {
                let mut body = if *kind == "subnet" {
                    stock.clone()
                } else {
                    json!({})
                };
                if *kind == "subnetpool" {
                    body["prefixes"] = json!(["2001:db8::/48"]);
                }
                if *kind == "port" {
                    body["network_id"] = network["id"].clone();
                }
                if *kind == "security_group_rule" {
                    body["security_group_id"] = group["id"].clone();
                    body["direction"] = json!("ingress");
                }
                body[*attribute] = odd;
                let path = format!("{}s", kind.replace('_', "-"));
                let answer = cloud.post(&path, json!({*kind: body})).await;
                assert!(answer.status.as_u16() < 500, "{kind} {body}: {answer:?}");
                if let Some(id) = answer.body[*kind]["id"].as_str() {
                    cloud.delete(&format!("{path}/{id}")).await.ok();
                }
            }
        }
    }
    for odd in odd_values() {
        for path in [
            "networks",
            "subnets",
            "ports",
            "routers",
            "security-groups",
            "security-group-rules",
        ] {
            assert!(
                cloud.post(path, odd.clone()).await.status.as_u16() < 500,
                "{path} {odd}"
            );
        }
    }
}

#[tokio::test]
async fn methods_that_clients_make_up_are_counted_together() {
    let cloud = Cloud::new();
    for method in ["BREW", "PROPFIND", "WHEN"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        cloud.request(method, "/v2.0/networks", None).await;
    }
    let text = cloud.metrics.render().unwrap();
    let counted: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("sextant_api_requests_total"))
        .collect();
    assert_eq!(counted.len(), 1, "{counted:?}");
    assert!(counted[0].contains("method=\"other\"") && counted[0].ends_with(" 3"));
}

/// A body that never comes.
struct Stalled;

impl axum::body::HttpBody for Stalled {
    type Data = axum::body::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let cloud = Cloud::new();
    let request = Request::post("/v2.0/networks").body(Body::new(Stalled));
    let answer = cloud.send(request.unwrap()).await;
    assert_eq!(answer.status.as_u16(), 408);
}
