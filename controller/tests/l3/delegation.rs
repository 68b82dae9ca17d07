use super::*;
use sextant_model::Settings;

fn wish(network: &Value, more: Value) -> Value {
    let mut subnet = json!({"network_id": network["id"], "ip_version": 6});
    let fields = subnet.as_object_mut().unwrap();
    fields.extend(slaac().as_object().unwrap().clone());
    fields.extend(more.as_object().unwrap().clone());
    subnet
}

#[tokio::test]
async fn subnets_wait_for_their_prefixes_side_by_side_and_ports_with_them() {
    let cloud = Cloud::new();
    let inside = network(&cloud, json!({})).await;
    let port = made(&cloud, "port", json!({"network_id": inside["id"]})).await;
    let router = made(&cloud, "router", json!({})).await;
    let delegated = json!({"subnetpool_id": "prefix_delegation"});
    for _ in 0..2 {
        let subnet = made(&cloud, "subnet", wish(&inside, delegated.clone())).await;
        assert_eq!([&subnet["cidr"], &subnet["gateway_ip"]], ["::/64", "::"]);
        attach(&cloud, &router, &subnet).await;
    }
    let port = shown(&cloud, "port", &port).await;
    let waiting = addresses(&port["fixed_ips"]);
    assert_eq!(waiting.len(), 2);
    assert!(
        waiting.iter().all(|ip| ip.starts_with("::f816:3eff:fe")),
        "{waiting:?}"
    );
    let model = cloud.snapshots.latest().intent.ports[&api::port_id(&port["id"])].clone();
    assert_eq!(model.ipv6_addresses().count(), 0);

    let interfaces = cloud
        .get("ports?device_owner=network:router_interface")
        .await
        .ok();
    assert_eq!(interfaces["ports"].as_array().unwrap().len(), 1);
    assert_eq!(
        addresses(&interfaces["ports"][0]["fixed_ips"]),
        ["::", "::"]
    );
}

#[tokio::test]
async fn the_default_pool_is_delegation_only_where_that_is_switched_on() {
    let by_default = json!({"use_default_subnetpool": true});
    let off = Cloud::new();
    let inside = network(&off, json!({})).await;
    let refused = off
        .post(
            "subnets",
            json!({"subnet": wish(&inside, by_default.clone())}),
        )
        .await;
    assert_eq!(
        refused.error().2,
        "Bad subnets request: No default subnetpool found for IPv6."
    );

    let on = Cloud::with(Settings {
        ipv6_pd_enabled: true,
        ..Settings::default()
    });
    let inside = network(&on, json!({})).await;
    let subnet = made(&on, "subnet", wish(&inside, by_default)).await;
    assert_eq!(subnet["subnetpool_id"], "prefix_delegation");
    let pools = json!({"subnetpool_id": "prefix_delegation", "allocation_pools": [{"start": "::5", "end": "::6"}]});
    let refused = on
        .post("subnets", json!({"subnet": wish(&inside, pools)}))
        .await;
    assert_eq!(
        refused.error().2,
        "Bad subnets request: allocation_pools allowed only for specific subnet requests.."
    );
}
