use super::*;
use std::sync::Arc;

async fn scope(cloud: &Cloud, ip_version: u8) -> Value {
    let wish = json!({"address_scope": {"name": "s", "ip_version": ip_version}});
    let answer = cloud.post("address-scopes", wish).await.ok();
    answer["address_scope"].clone()
}

fn pool(scope: &Value, prefix: &str) -> Value {
    json!({"name": "p", "prefixes": [prefix], "address_scope_id": scope["id"]})
}

#[tokio::test]
async fn a_scope_is_made_changed_and_removed_when_no_pool_is_in_it() {
    let cloud = Cloud::new();
    let scope = scope(&cloud, 6).await;
    assert_eq!(
        [&scope["ip_version"], &scope["shared"], &scope["name"]],
        [&json!(6), &json!(false), &json!("s")]
    );
    let path = format!("address-scopes/{}", id(&scope));
    let renamed = json!({"address_scope": {"name": "t", "shared": true}});
    assert_eq!(
        cloud.put(&path, renamed).await.ok()["address_scope"]["name"],
        "t"
    );
    let listed = cloud.get("address-scopes?name=t").await.ok();
    assert_eq!(listed["address_scopes"].as_array().unwrap().len(), 1);
    let hidden = json!({"address_scope": {"shared": false}});
    assert_eq!(
        cloud.put(&path, hidden).await.error().1,
        "AddressScopeUpdateError"
    );

    let pool = made(&cloud, "subnetpool", pool(&scope, "2001:db8::/48")).await;
    assert_eq!(pool["address_scope_id"], scope["id"]);
    let (status, kind, _) = cloud.delete(&path).await.error();
    assert_eq!((status, kind.as_str()), (409, "AddressScopeInUse"));
    let apart = json!({"subnetpool": {"address_scope_id": null}});
    cloud
        .put(&format!("subnetpools/{}", id(&pool)), apart)
        .await
        .ok();
    cloud.delete(&path).await.ok();
    assert_eq!(cloud.get(&path).await.error().1, "AddressScopeNotFound");
}

#[tokio::test]
async fn pools_of_a_scope_are_of_its_version_and_do_not_overlap_however_they_grow() {
    let cloud = Cloud::new();
    let scope = scope(&cloud, 6).await;
    let refused = |wish: Value| cloud.post("subnetpools", json!({"subnetpool": wish}));
    assert_eq!(
        refused(pool(&scope, "10.0.0.0/8")).await.error().1,
        "IllegalSubnetPoolIpVersionAssociationToAddressScope"
    );
    let first = made(&cloud, "subnetpool", pool(&scope, "2001:db8::/48")).await;
    let second = made(&cloud, "subnetpool", pool(&scope, "2001:db8:1::/48")).await;
    let (status, kind, _) = refused(pool(&scope, "2001:db8::/47")).await.error();
    assert_eq!((status, kind.as_str()), (409, "AddressScopePrefixConflict"));

    let path = format!("subnetpools/{}", id(&second));
    let clash = json!({"prefixes": ["2001:db8:0:8000::/49"]});
    assert_eq!(
        cloud
            .put(&format!("{path}/add_prefixes"), clash)
            .await
            .error()
            .1,
        "AddressScopePrefixConflict"
    );
    let grown = json!({"prefixes": ["2001:db8:2::/48", "2001:db8:3::/48"]});
    assert_eq!(
        cloud.put(&format!("{path}/add_prefixes"), grown).await.ok(),
        json!({"prefixes": ["2001:db8:1::/48", "2001:db8:2::/47"]})
    );
    let shrunk = json!({"prefixes": ["2001:db8:3::/48"]});
    assert_eq!(
        cloud
            .put(&format!("{path}/remove_prefixes"), shrunk)
            .await
            .ok(),
        json!({"prefixes": ["2001:db8:1::/48", "2001:db8:2::/48"]})
    );
    let inside = network(&cloud, json!({})).await;
    let wish = json!({"network_id": inside["id"], "ip_version": 6, "subnetpool_id": second["id"]});
    made(&cloud, "subnet", wish).await;
    let used = json!({"prefixes": ["2001:db8:1::/48"]});
    assert_eq!(
        cloud
            .put(&format!("{path}/remove_prefixes"), used)
            .await
            .error()
            .1,
        "IllegalSubnetPoolPrefixUpdate"
    );
    let nonsense = [json!({}), json!({"prefixes": []}), json!({"prefixes": "x"})];
    for nonsense in nonsense.into_iter().chain([json!({"prefixes": ["x"]})]) {
        let answer = cloud.put(&format!("{path}/add_prefixes"), nonsense).await;
        assert_eq!(answer.error().0, 400);
    }
    assert_eq!(first["address_scope_id"], scope["id"]);
}

#[tokio::test]
async fn a_network_is_in_the_scope_of_its_subnets_and_they_stay_together() {
    let cloud = Cloud::new();
    let scope = scope(&cloud, 6).await;
    let inside = network(&cloud, json!({})).await;
    assert_eq!(inside["ipv6_address_scope"], Value::Null);
    let pools = [
        made(&cloud, "subnetpool", pool(&scope, "2001:db8::/48")).await,
        made(&cloud, "subnetpool", pool(&scope, "2001:db8:1::/48")).await,
    ];
    for pool in &pools {
        let wish =
            json!({"network_id": inside["id"], "ip_version": 6, "subnetpool_id": pool["id"]});
        made(&cloud, "subnet", wish).await;
    }
    let inside = shown(&cloud, "network", &inside).await;
    assert_eq!(
        [&inside["ipv6_address_scope"], &inside["ipv4_address_scope"]],
        [&scope["id"], &Value::Null]
    );
    let outsider = made(
        &cloud,
        "subnetpool",
        json!({"prefixes": ["2001:db8:2::/48"]}),
    )
    .await;
    let wish =
        json!({"network_id": inside["id"], "ip_version": 6, "subnetpool_id": outsider["id"]});
    let (status, kind, _) = cloud.post("subnets", json!({"subnet": wish})).await.error();
    assert_eq!(
        (status, kind.as_str()),
        (400, "NetworkAddressScopeAffinityError")
    );
    let apart = json!({"subnetpool": {"address_scope_id": null}});
    let path = format!("subnetpools/{}", id(&pools[0]));
    assert_eq!(
        cloud.put(&path, apart).await.error().1,
        "NetworkAddressScopeAffinityError"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_overlapping_pools_put_in_a_scope_at_once_one_is() {
    let cloud = Arc::new(Cloud::new());
    let scope = scope(&cloud, 6).await;
    let running: Vec<_> = (0..16)
        .map(|_| {
            let (cloud, wish) = (cloud.clone(), pool(&scope, "2001:db8::/48"));
            tokio::spawn(
                async move { cloud.post("subnetpools", json!({"subnetpool": wish})).await },
            )
        })
        .collect();
    let mut successes = 0;
    for answer in running {
        successes += usize::from(answer.await.unwrap().status.is_success());
    }
    assert_eq!(successes, 1);
}
