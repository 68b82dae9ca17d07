//! Routers' ports.

use crate::{A, cloud, error, path, refused};
use serde_json::{Value, json};

async fn subnet(user: &crate::api::User<'_>, network: &Value, version: u8, cidr: &str) -> Value {
    let given = json!({"network_id": network["id"], "ip_version": version, "cidr": cidr});
    user.make("subnet", given).await
}

fn wish(fixed: Value) -> Value {
    json!({"port": {"fixed_ips": fixed}})
}

fn in_subnet(subnet: &Value, address: &str) -> Value {
    json!({"subnet_id": subnet["id"], "ip_address": address})
}

/// A router's port, which has an address of the first subnet, may leave it once no route needs it.
async fn routes_keep_their_next_hops(
    member: &crate::api::User<'_>,
    router: &Value,
    port: &str,
    [one, third]: [&Value; 2],
) {
    let at = path("routers", router);
    let add = format!("{at}/add_router_interface");
    let route = json!([{"destination": "2001:db8:99::/64", "nexthop": "2001:db8:1::77"}]);
    member
        .put(&at, json!({"router": {"routes": route}}))
        .await
        .ok();
    let moved = wish(json!([{"subnet_id": third["id"], "ip_address": "2001:db8:3::1"}]));
    assert_eq!(
        refused(member.put(port, moved.clone()).await),
        error(409, "RouterInterfaceInUseByRoute")
    );
    let own = wish(json!([in_subnet(one, "2001:db8:1::77")]));
    assert_eq!(
        member.put(port, own).await.error().0,
        400,
        "a next hop is not the router itself"
    );
    member
        .put(&at, json!({"router": {"routes": []}}))
        .await
        .ok();
    member.put(port, moved).await.ok();
    assert_eq!(member.put(port, wish(json!([]))).await.error().0, 400);
    let gone = json!({"port_id": port.strip_prefix("ports/").unwrap()});
    member.put(&add.replace("add_", "remove_"), gone).await.ok();
}

#[tokio::test]
async fn ipv6_addresses_of_a_router_interface_can_change() {
    let cloud = cloud();
    let member = cloud.user(A, "member");
    let (network, other) = (
        member.make("network", json!({})).await,
        member.make("network", json!({})).await,
    );
    let one = subnet(&member, &network, 6, "2001:db8:1::/64").await;
    let four = subnet(&member, &network, 4, "192.0.2.0/24").await;
    let router = member.make("router", json!({})).await;
    let at = path("routers", &router);
    let add = format!("{at}/add_router_interface");
    let port = member.put(&add, json!({"subnet_id": one["id"]})).await.ok();
    let port = format!("ports/{}", port["port_id"].as_str().unwrap());
    let of_one = |address: &str| in_subnet(&one, address);

    for addresses in [
        &["2001:db8:1::5"][..],
        &["2001:db8:1::", "2001:db8:1::7"],
        &["2001:db8:1::9"],
    ] {
        let fixed: Vec<Value> = addresses.iter().map(|address| of_one(address)).collect();
        let changed = member.put(&port, wish(json!(fixed))).await.ok();
        assert_eq!(changed["port"]["fixed_ips"], json!(fixed));
    }
    let kept = member
        .put(&port, wish(json!([{"subnet_id": one["id"]}])))
        .await
        .ok();
    assert_eq!(kept["port"]["fixed_ips"], json!([of_one("2001:db8:1::9")]));

    // What goes with IPv4, other networks, and prefixes that overlap.
    let v4 = json!([of_one("2001:db8:1::9"), {"subnet_id": four["id"]}]);
    let (status, kind, message) = member.put(&port, wish(v4)).await.error();
    assert_eq!((status, kind.as_str()), (400, "BadRequest"));
    assert!(message.ends_with("are not allowed."), "{message}");
    let two = subnet(&member, &other, 6, "2001:db8:2::/64").await;
    let same = subnet(&member, &network, 6, "2001:db8:2::/64").await;
    member.put(&add, json!({"subnet_id": two["id"]})).await.ok();
    for foreign in [&two, &same] {
        let answer = member
            .put(&port, wish(json!([{"subnet_id": foreign["id"]}])))
            .await;
        assert_eq!(answer.error().0, 400);
    }

    let third = subnet(&member, &network, 6, "2001:db8:3::/64").await;
    routes_keep_their_next_hops(&member, &router, &port, [&one, &third]).await;
}

#[tokio::test]
async fn the_gateways_address_can_change_through_its_port() {
    let cloud = cloud();
    let admin = cloud.user("admins", "admin");
    let network = admin
        .make("network", json!({"router:external": true}))
        .await;
    let outside = subnet(&admin, &network, 6, "2001:db8:e::/64").await;
    let gateway = json!({"external_gateway_info": {"network_id": network["id"]}});
    let router = admin.make("router", gateway).await;
    let port = admin.ids("ports?device_owner=network:router_gateway").await;
    let port = format!("ports/{}", port[0]);
    let fixed = json!([{"subnet_id": outside["id"], "ip_address": "2001:db8:e::77"}]);
    admin
        .put(&port, json!({"port": {"fixed_ips": fixed}}))
        .await
        .ok();
    let shown = admin.get(&path("routers", &router)).await.ok();
    assert_eq!(
        shown["router"]["external_gateway_info"]["external_fixed_ips"],
        fixed
    );
    let upstream = json!([{"ip_address": "2001:db8:e::"}]);
    let answer = admin
        .put(&port, json!({"port": {"fixed_ips": upstream}}))
        .await;
    assert_eq!(answer.error().0, 400);
    assert_eq!(admin.get("extensions/ext-gw-mode").await.status, 200);
}
