//! Routers: which ports are theirs, and what may not change under them.

use crate::api::Cloud;
use crate::{id, made, slaac};
use serde_json::json;

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
    assert_eq!(cloud.get(&path).await.ok()["port"]["status"], "ACTIVE");

    for (path, wrong) in [
        (&path, json!({"port": {"fixed_ips": []}})),
        (&path, json!({"port": {"device_id": ""}})),
        (&add, json!({"subnet_id": subnet["id"]})),
    ] {
        let answer = cloud.put(path, wrong.clone()).await;
        assert_eq!(answer.error().0, 400, "{wrong}");
    }
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
