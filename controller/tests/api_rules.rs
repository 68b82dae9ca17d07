//! What the API does where no recording says it: what follows from observations, lists, tags, conditions, odd input.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod api;

use api::{Cloud, port_id};
use axum::body::Body;
use axum::http::{Method, Request};
use hyper::body::Frame;
use serde_json::{Value, json};
use sextant_model::{Chassis, ChassisId, Encap, EncapKind, Plugged};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};

async fn made(cloud: &Cloud, kind: &str, attributes: Value) -> Value {
    let answer = cloud
        .post(&format!("{kind}s"), json!({kind: attributes}))
        .await
        .ok();
    answer[kind].clone()
}

fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

async fn slaac(cloud: &Cloud, network: &Value, cidr: &str) -> Value {
    let modes = json!({"network_id": network["id"], "ip_version": 6, "cidr": cidr, "ipv6_ra_mode": "slaac",
                       "ipv6_address_mode": "slaac"});
    made(cloud, "subnet", modes).await
}

fn hypervisor(name: &str, ip: &str, kind: EncapKind) -> Chassis {
    Chassis {
        id: ChassisId::new(name),
        encap: Encap {
            ip: ip.parse().unwrap(),
            kind,
        },
        bridge_mappings: BTreeMap::new(),
        datapath_id: None,
        tunnel_ports: BTreeMap::new(),
        patch_ports: BTreeMap::new(),
        observed: true,
    }
}

#[tokio::test]
async fn a_port_shows_where_it_is_and_is_active_once_its_flows_are_confirmed() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    let port = made(&cloud, "port", json!({"network_id": network["id"]})).await;
    let path = format!("ports/{}", id(&port));
    assert_eq!(
        [
            &port["status"],
            &port["binding:vif_type"],
            &port["binding:host_id"]
        ],
        ["DOWN", "unbound", ""]
    );

    let (port, chassis) = (port_id(&port["id"]), ChassisId::new("h1"));
    let plugged = Plugged {
        chassis: chassis.clone(),
        ofport: Some(1),
    };
    cloud
        .observe(move |facts, intent| facts.plug(intent, port, plugged))
        .await;
    let shown = cloud.get(&path).await.ok();
    let shown = &shown["port"];
    assert_eq!(
        [
            &shown["status"],
            &shown["binding:vif_type"],
            &shown["binding:host_id"]
        ],
        ["DOWN", "ovs", "h1"]
    );

    cloud
        .observe(move |facts, _| facts.confirm(port, &chassis))
        .await;
    assert_eq!(cloud.get(&path).await.ok()["port"]["status"], "ACTIVE");
    let mac = json!({"port": {"mac_address": "fa:16:3e:00:00:09"}});
    assert_eq!(cloud.put(&path, mac).await.error().1, "PortBound");
}

#[tokio::test]
async fn the_mtu_follows_from_the_hypervisors() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    assert_eq!(network["mtu"], 1430);
    let chassis = hypervisor("h1", "2001:db8::1", EncapKind::Gre);
    cloud
        .observe(move |facts, _| facts.put_chassis(chassis))
        .await;
    let path = format!("networks/{}", id(&network));
    assert_eq!(cloud.get(&path).await.ok()["network"]["mtu"], 1438);
    let (status, _, message) = cloud
        .put(&path, json!({"network": {"mtu": 1439}}))
        .await
        .error();
    assert_eq!(
        (status, message.as_str()),
        (
            400,
            "Invalid input for operation: Requested MTU is too big, maximum is 1438."
        )
    );
    assert_eq!(
        cloud
            .put(&path, json!({"network": {"mtu": 1300}}))
            .await
            .ok()["network"]["mtu"],
        1300
    );
    assert_eq!(
        cloud.put(&path, json!({"network": {"mtu": 0}})).await.ok()["network"]["mtu"],
        1438
    );

    let agents = cloud.get("agents").await.ok();
    assert_eq!(
        [&agents["agents"][0]["host"], &agents["agents"][0]["alive"]],
        [&json!("h1"), &json!(true)]
    );
}

#[tokio::test]
async fn a_port_keeps_the_addresses_that_it_has_by_itself() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    let mac = json!({"network_id": network["id"], "mac_address": "fa:16:3e:00:00:01"});
    let port = made(&cloud, "port", mac).await;
    let (one, two) = (
        slaac(&cloud, &network, "2001:db8:1::/64").await,
        slaac(&cloud, &network, "2001:db8:2::/64").await,
    );
    let addresses = |port: &Value| -> Vec<String> {
        let fixed = port["port"]["fixed_ips"].as_array().unwrap().iter();
        fixed
            .map(|fixed| fixed["ip_address"].as_str().unwrap().to_owned())
            .collect()
    };
    let path = format!("ports/{}", id(&port));
    let both = [
        "2001:db8:1:0:f816:3eff:fe00:1",
        "2001:db8:2:0:f816:3eff:fe00:1",
    ];
    assert_eq!(addresses(&cloud.get(&path).await.ok()), both);
    let listed = json!({"port": {"fixed_ips": [{"subnet_id": one["id"], "ip_address": both[0]}]}});
    assert_eq!(addresses(&cloud.put(&path, listed).await.ok()), both);
    let moved = json!({"port": {"mac_address": "fa:16:3e:00:00:02"}});
    let both = both.map(|address| address.replace("fe00:1", "fe00:2"));
    assert_eq!(addresses(&cloud.put(&path, moved).await.ok()), both);
    let again = json!({"network_id": network["id"], "mac_address": "fa:16:3e:00:00:01"});
    made(&cloud, "port", again).await;

    cloud.delete(&format!("subnets/{}", id(&one))).await.ok();
    assert_eq!(addresses(&cloud.get(&path).await.ok()), both[1..]);
    cloud.delete(&path).await.ok();
    assert_eq!(
        cloud
            .get(&format!("ports?fixed_ips=subnet_id%3D{}", id(&two)))
            .await
            .ok()["ports"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn what_is_given_back_can_be_taken_again() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({"provider:segmentation_id": 77})).await;
    let subnet = json!({"network_id": network["id"], "ip_version": 6, "cidr": "2001:db8::/64"});
    let wish = |network: &Value| json!({"network_id": network["id"], "mac_address": "fa:16:3e:00:00:01", "fixed_ips": [{"ip_address": "2001:db8::5"}]});
    made(&cloud, "subnet", subnet.clone()).await;
    for _ in 0..2 {
        let port = made(&cloud, "port", wish(&network)).await;
        cloud.delete(&format!("ports/{}", id(&port))).await.ok();
    }
    cloud
        .delete(&format!("networks/{}", id(&network)))
        .await
        .ok();
    assert!(
        cloud.get("subnets").await.ok()["subnets"]
            .as_array()
            .unwrap()
            .is_empty(),
        "subnets go with their network"
    );
    let taken = || json!({"network": {"provider:segmentation_id": 77}});
    cloud.post("networks", taken()).await.ok();
    assert_eq!(
        cloud.post("networks", taken()).await.error().1,
        "TunnelIdInUse"
    );
}

#[tokio::test]
async fn a_port_becomes_a_router_interface_and_is_that_only_through_the_router() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    let subnet = slaac(&cloud, &network, "2001:db8:1::/64").await;
    let router = made(&cloud, "router", json!({})).await;
    let port = made(&cloud, "port", json!({"network_id": network["id"]})).await;
    let (add, remove) = ["add", "remove"]
        .map(|verb| format!("routers/{}/{verb}_router_interface", id(&router)))
        .into();
    let path = format!("ports/{}", id(&port));

    let disguised =
        json!({"port": {"device_owner": "network:router_interface", "device_id": router["id"]}});
    assert_eq!(cloud.put(&path, disguised).await.error().0, 400);
    let done = cloud.put(&add, json!({"port_id": port["id"]})).await.ok();
    assert_eq!(
        [&done["port_id"], &done["subnet_ids"][0]],
        [&port["id"], &subnet["id"]]
    );
    let shown = cloud.get(&path).await.ok();
    assert_eq!(
        [&shown["port"]["device_id"], &shown["port"]["status"]],
        [&router["id"], &json!("ACTIVE")]
    );
    cloud
        .put(
            &format!("routers/{}", id(&router)),
            json!({"router": {"admin_state_up": false}}),
        )
        .await
        .ok();
    assert_eq!(cloud.get(&path).await.ok()["port"]["status"], "DOWN");

    assert_eq!(
        cloud
            .put(&path, json!({"port": {"fixed_ips": []}}))
            .await
            .error()
            .0,
        400
    );
    assert_eq!(
        cloud
            .put(&path, json!({"port": {"device_id": ""}}))
            .await
            .error()
            .0,
        400
    );
    assert_eq!(
        cloud
            .put(&add, json!({"subnet_id": subnet["id"]}))
            .await
            .error()
            .0,
        400
    );
    let gateway = json!({"subnet": {"gateway_ip": null}});
    cloud
        .put(&format!("subnets/{}", id(&subnet)), gateway)
        .await
        .ok();
    cloud
        .put(&remove, json!({"port_id": port["id"]}))
        .await
        .ok();
    assert_eq!(cloud.get(&path).await.error().1, "PortNotFound");
}

#[tokio::test]
async fn a_gateway_that_a_router_has_is_not_changed_under_it() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    let subnet = slaac(&cloud, &network, "2001:db8:1::/64").await;
    let router = made(&cloud, "router", json!({})).await;
    let add = format!("routers/{}/add_router_interface", id(&router));
    cloud
        .put(&add, json!({"subnet_id": subnet["id"]}))
        .await
        .ok();
    let changed = json!({"subnet": {"gateway_ip": "fe80::1"}});
    let (status, kind, _) = cloud
        .put(&format!("subnets/{}", id(&subnet)), changed)
        .await
        .error();
    assert_eq!((status, kind.as_str()), (409, "GatewayIpInUse"));
    let second = made(&cloud, "router", json!({})).await;
    let add = format!("routers/{}/add_router_interface", id(&second));
    assert_eq!(
        cloud
            .put(&add, json!({"subnet_id": subnet["id"]}))
            .await
            .error()
            .1,
        "IpAddressAlreadyAllocated"
    );
}

#[tokio::test]
async fn many_are_made_together_or_not_at_all() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    let subnet = |cidr: &str| json!({"network_id": network["id"], "ip_version": 6, "cidr": cidr});
    let overlapping = json!({"subnets": [subnet("2001:db8:1::/64"), subnet("2001:db8:1::/48")]});
    assert_eq!(cloud.post("subnets", overlapping).await.error().0, 400);
    assert!(
        cloud.get("subnets").await.ok()["subnets"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let apart =
        json!({"subnets": [subnet("2001:db8:1::/64"), {"subnet": subnet("2001:db8:2::/64")}]});
    assert_eq!(
        cloud.post("subnets", apart).await.ok()["subnets"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn pages_follow_each_other_in_both_directions() {
    let cloud = Cloud::new();
    let names = json!({"networks": [{"name": "d"}, {"name": "a"}, {"name": "c"}, {"name": "b"}, {"name": "e & f"}]});
    cloud.post("networks", names).await.ok();
    let linked = |page: &Value, rel: &str| -> Option<String> {
        let links = page["networks_links"].as_array()?;
        let link = links.iter().find(|link| link["rel"] == rel)?["href"].as_str()?;
        Some(
            link.strip_prefix("http://127.0.0.1:9696/v2.0/")
                .unwrap()
                .to_owned(),
        )
    };
    let names = |page: &Value| -> Vec<String> {
        let networks = page["networks"].as_array().unwrap().iter();
        networks
            .map(|network| network["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let mut page = cloud
        .get("networks?sort_key=name&sort_dir=asc&limit=2")
        .await
        .ok();
    let mut seen = vec![names(&page)];
    while let Some(next) = linked(&page, "next") {
        page = cloud.get(&next).await.ok();
        seen.push(names(&page));
    }
    assert_eq!(seen, [vec!["a", "b"], vec!["c", "d"], vec!["e & f"]]);
    let back = cloud.get(&linked(&page, "previous").unwrap()).await.ok();
    assert_eq!(names(&back), ["c", "d"]);
    assert_eq!(
        names(
            &cloud
                .get("networks?name=e%20%26%20f&fields=name")
                .await
                .ok()
        ),
        ["e & f"]
    );
    let down = cloud
        .get("networks?sort_key=name&sort_dir=desc&limit=1")
        .await
        .ok();
    assert_eq!(names(&down), ["e & f"]);
    for wrong in [
        "limit=x",
        "sort_key=bogus",
        "sort_key=name&sort_dir=up",
        "marker=nobody&limit=1",
    ] {
        assert!(
            cloud
                .get(&format!("networks?{wrong}"))
                .await
                .status
                .is_client_error(),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn lists_are_filtered_by_values_and_tags() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({"name": "n"})).await;
    let subnets = ["2001:db8:1::/64", "2001:db8:2::/64"];
    for cidr in subnets {
        made(&cloud, "subnet", json!({"network_id": network["id"], "ip_version": 6, "cidr": cidr, "enable_dhcp": false})).await;
    }
    let named = made(
        &cloud,
        "port",
        json!({"network_id": network["id"], "name": "p", "device_id": "server"}),
    )
    .await;
    made(&cloud, "port", json!({"network_id": network["id"]})).await;
    let tagged = format!("ports/{}/tags", id(&named));
    cloud
        .put(&tagged, json!({"tags": ["blue", "big"]}))
        .await
        .ok();
    cloud.put(&format!("{tagged}/new"), Value::Null).await.ok();
    cloud.delete(&format!("{tagged}/big")).await.ok();
    assert_eq!(
        cloud.get(&tagged).await.ok()["tags"],
        json!(["blue", "new"])
    );
    assert_eq!(
        cloud.delete(&format!("{tagged}/big")).await.error().1,
        "TagNotFound"
    );
    assert_eq!(
        cloud.put(&tagged, json!({"tags": ["a,b"]})).await.error().0,
        400
    );

    let address = named["fixed_ips"][0]["ip_address"].as_str().unwrap();
    let network = id(&network);
    for (query, count) in [
        ("ports?name=p".to_owned(), 1),
        ("ports?name=p&name=".to_owned(), 2),
        ("ports?device_id=".to_owned(), 1),
        (format!("ports?network_id={network}&admin_state_up=True"), 2),
        (
            format!("ports?network_id={network}&admin_state_up=false"),
            0,
        ),
        (format!("ports?fixed_ips=ip_address%3D{address}"), 1),
        (
            "ports?fixed_ips=ip_address_substr%3D2001%3Adb8".to_owned(),
            2,
        ),
        ("ports?tags=blue,new".to_owned(), 1),
        ("ports?tags=blue,big".to_owned(), 0),
        ("ports?tags-any=blue,big".to_owned(), 1),
        ("ports?not-tags-any=blue".to_owned(), 1),
        (
            format!("subnets?network_id={network}&cidr=2001:db8:2::/64"),
            1,
        ),
        ("subnets?ip_version=4".to_owned(), 0),
        ("subnets?enable_dhcp=false&ip_version=6".to_owned(), 2),
        (format!("networks?id={network}&id=other"), 1),
    ] {
        let page = cloud.get(&query).await.ok();
        let items = page
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .as_array()
            .unwrap();
        assert_eq!(items.len(), count, "{query}");
    }
}

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
async fn subnets_are_taken_from_pools_within_bounds_and_quota() {
    let cloud = Cloud::new();
    let pool = json!({"prefixes": ["2001:db8:1::/48", "2001:db8::/48"], "min_prefixlen": 56, "default_prefixlen": 64,
                      "max_prefixlen": 64, "default_quota": 259});
    let pool = made(&cloud, "subnetpool", pool).await;
    assert_eq!(pool["prefixes"], json!(["2001:db8::/47"]));
    let path = format!("subnetpools/{}", id(&pool));
    let network = made(&cloud, "network", json!({})).await;
    let wish = |more: Value| {
        let mut subnet =
            json!({"network_id": network["id"], "ip_version": 6, "subnetpool_id": pool["id"]});
        subnet
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"subnet": subnet})
    };
    for (more, cidr) in [
        (json!({}), "2001:db8::/64"),
        (json!({"prefixlen": 56}), "2001:db8:0:100::/56"),
        (json!({}), "2001:db8:0:1::/64"),
    ] {
        assert_eq!(
            cloud.post("subnets", wish(more)).await.ok()["subnet"]["cidr"],
            cidr
        );
    }
    let wrong = [
        (json!({"prefixlen": 65}), "MaxPrefixSubnetAllocationError"),
        (
            json!({"cidr": "2001:db8:0:100::/64"}),
            "SubnetAllocationError",
        ),
        (json!({"use_default_subnetpool": true}), "BadRequest"),
    ];
    for (more, kind) in wrong {
        assert_eq!(cloud.post("subnets", wish(more)).await.error().1, kind);
    }
    cloud.post("subnets", wish(json!({}))).await.ok();
    assert_eq!(
        cloud.post("subnets", wish(json!({}))).await.error().1,
        "SubnetPoolQuotaExceeded"
    );
    let smaller = json!({"subnetpool": {"prefixes": ["2001:db8::/48"]}});
    assert_eq!(
        cloud.put(&path, smaller).await.error().1,
        "IllegalSubnetPoolUpdate"
    );
    cloud
        .delete(&format!("networks/{}", id(&network)))
        .await
        .ok();
    cloud.delete(&path).await.ok();
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

#[tokio::test]
async fn odd_values_are_refused_or_taken_but_nothing_breaks() {
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
    ];
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
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
                body[*attribute] = odd;
                let answer = cloud.post(&format!("{kind}s"), json!({*kind: body})).await;
                assert!(answer.status.as_u16() < 500, "{kind} {body}: {answer:?}");
                if let Some(id) = answer.body[*kind]["id"].as_str() {
                    cloud.delete(&format!("{kind}s/{id}")).await.ok();
                }
            }
        }
    }
    for odd in odd_values() {
        for path in ["networks", "subnets", "ports", "routers"] {
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
