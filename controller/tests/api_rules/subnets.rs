//! Subnets: many at once, and prefixes from pools.

use crate::api::Cloud;
use crate::{id, made};
use serde_json::{Value, json};

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
