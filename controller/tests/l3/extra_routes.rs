use super::*;
use std::sync::Arc;

async fn router_on(cloud: &Cloud, cidr: &str) -> (Value, Value) {
    let inside = network(cloud, json!({})).await;
    let subnet = subnet(cloud, &inside, cidr, slaac()).await;
    let router = made(cloud, "router", json!({})).await;
    attach(cloud, &router, &subnet).await;
    (router, subnet)
}

fn route(destination: &str, nexthop: &str) -> Value {
    json!({"destination": destination, "nexthop": nexthop})
}

fn many(count: usize) -> Vec<Value> {
    (0..count)
        .map(|n| route(&format!("2001:db8:{n:x}:1::/64"), "2001:db8:1::5"))
        .collect()
}

#[tokio::test]
async fn a_next_hop_is_a_neighbour_and_not_the_router() {
    let cloud = Cloud::new();
    let (router, _) = router_on(&cloud, "2001:db8:1::/64").await;
    let path = format!("routers/{}", id(&router));
    for (wrong, reason) in [
        (
            route("2001:db8:a::/48", "2001:db8:2::5"),
            "the nexthop is not connected with router",
        ),
        (
            route("2001:db8:a::/48", "fe80::5"),
            "the nexthop is not connected with router",
        ),
        (
            route("2001:db8:a::/48", "2001:db8:1::"),
            "the nexthop is used by router",
        ),
        (
            route("10.0.0.0/8", "2001:db8:1::5"),
            "the nexthop is not of the IP version of the destination",
        ),
    ] {
        let (destination, nexthop) = (
            wrong["destination"].as_str().unwrap(),
            wrong["nexthop"].as_str().unwrap(),
        );
        let expected = format!(
            "Invalid format for routes: [{{'destination': '{destination}', 'nexthop': '{nexthop}'}}], {reason}"
        );
        let answer = cloud
            .put(&path, json!({"router": {"routes": [wrong]}}))
            .await;
        assert_eq!(answer.error(), (400, "InvalidRoutes".to_owned(), expected));
    }
    let twice = [
        route("2001:db8:a::/48", "2001:db8:1::5"),
        route("2001:db8:a::/48", "2001:db8:1::5"),
    ];
    let (status, _, message) = cloud
        .put(&path, json!({"router": {"routes": twice}}))
        .await
        .error();
    assert_eq!(status, 400);
    assert!(message.contains("Duplicate hostroute"), "{message}");

    let (_, kind, _) = cloud
        .put(&path, json!({"router": {"routes": many(31)}}))
        .await
        .error();
    assert_eq!(kind, "RoutesExhausted");
    let full = change(&cloud, &router, json!({"routes": many(30)})).await;
    assert_eq!(full["routes"].as_array().unwrap().len(), 30);
    let made_with = json!({"router": {"routes": many(1)}});
    assert_eq!(
        cloud.post("routers", made_with).await.error().2,
        "Attribute 'routes' not allowed in POST"
    );
}

#[tokio::test]
async fn what_a_route_needs_stays() {
    let cloud = Cloud::new();
    let (router, subnet_needed) = router_on(&cloud, "2001:db8:1::/64").await;
    let outside = external(&cloud).await;
    subnet(&cloud, &outside, "2001:db8:e::/64", json!({})).await;
    let ways = json!({
        "external_gateway_info": {"network_id": outside["id"]},
        "routes": [route("2001:db8:a::/48", "2001:db8:1::5"), route("::/0", "2001:db8:e::1234")],
    });
    change(&cloud, &router, ways).await;
    let path = format!("routers/{}/remove_router_interface", id(&router));
    let named = json!({"subnet_id": subnet_needed["id"]});
    assert_eq!(
        cloud.put(&path, named.clone()).await.error(),
        (
            409,
            "RouterInterfaceInUseByRoute".to_owned(),
            format!(
                "Router interface for subnet {} on router {} cannot be deleted, as it is required by one or more routes.",
                id(&subnet_needed),
                id(&router)
            )
        )
    );
    let shut = json!({"router": {"external_gateway_info": null}});
    let (status, kind, _) = cloud
        .put(&format!("routers/{}", id(&router)), shut)
        .await
        .error();
    assert_eq!((status, kind.as_str()), (400, "InvalidRoutes"));
    change(
        &cloud,
        &router,
        json!({"external_gateway_info": null, "routes": []}),
    )
    .await;
    cloud.put(&path, named).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_added_and_removed_at_once_are_all_added_and_removed() {
    let cloud = Arc::new(Cloud::new());
    let (router, _) = router_on(&cloud, "2001:db8:1::/64").await;
    let old = route("2001:db8:a::/48", "2001:db8:1::5");
    change(&cloud, &router, json!({"routes": [old]})).await;
    let running: Vec<_> = (0..16)
        .map(|n| {
            let (cloud, path) = (cloud.clone(), format!("routers/{}", id(&router)));
            let (verb, routes) = match n {
                0 => ("remove_extraroutes", json!([old])),
                n => (
                    "add_extraroutes",
                    json!([route(&format!("2001:db8:b:{n:x}::/64"), "2001:db8:1::5")]),
                ),
            };
            tokio::spawn(async move {
                let wish = json!({"router": {"routes": routes}});
                cloud.put(&format!("{path}/{verb}"), wish).await.ok()
            })
        })
        .collect();
    for change in running {
        assert_eq!(change.await.unwrap()["router"]["id"], router["id"]);
    }
    let routes = shown(&cloud, "router", &router).await["routes"].clone();
    assert_eq!(routes.as_array().unwrap().len(), 15);
    assert!(!routes.as_array().unwrap().contains(&old));
    let path = format!("routers/{}/add_extraroutes", id(&router));
    assert_eq!(cloud.put(&path, json!({})).await.error().0, 400);
    let far = json!({"router": {"routes": [route("::/0", "2001:db8:9::1")]}});
    assert_eq!(cloud.put(&path, far).await.error().1, "InvalidRoutes");
}

#[tokio::test]
async fn one_destination_may_have_several_next_hops() {
    let cloud = Cloud::new();
    let (router, _) = router_on(&cloud, "2001:db8:1::/64").await;
    let path = format!("routers/{}", id(&router));
    let routes = json!([
        route("2001:db8:a::/48", "2001:db8:1::5"),
        route("2001:db8:a::/48", "2001:db8:1::6"),
    ]);
    let changed = cloud
        .put(&path, json!({"router": {"routes": routes}}))
        .await
        .ok();
    assert_eq!(changed["router"]["routes"], routes);
}
