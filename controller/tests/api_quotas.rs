//! Quotas: what is counted, what is refused, and that it holds however many write.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod api;

use api::Cloud;
use serde_json::{Value, json};
use sextant_model::{Counted, DefaultQuotas, Settings};
use std::sync::Arc;

const A: &str = "11111111111111111111111111111111";
const B: &str = "22222222222222222222222222222222";

async fn set(cloud: &Cloud, limits: Value) {
    let path = format!("quotas/{A}");
    cloud.put(&path, json!({"quota": limits})).await.ok();
}

async fn make(cloud: &Cloud, kind: &str, mut given: Value) -> api::Answer {
    given["project_id"] = A.into();
    cloud.post(&format!("{kind}s"), json!({kind: given})).await
}

#[tokio::test]
async fn the_defaults_are_neutrons_unless_configured() {
    let shown = Cloud::new().get(&format!("quotas/{A}/default")).await.ok();
    let expected = json!({
        "network": 100, "subnet": 100, "subnetpool": -1, "port": 500, "router": 10, "rbac_policy": 10,
        "security_group": 10, "security_group_rule": 100,
    });
    assert_eq!(shown["quota"], expected);
    let quotas = DefaultQuotas::new(|kind| (kind == Counted::Router).then_some(1));
    let cloud = Cloud::with(Settings {
        quotas,
        ..Settings::default()
    });
    let shown = cloud.get(&format!("quotas/{A}")).await.ok();
    assert_eq!(
        (&shown["quota"]["router"], &shown["quota"]["port"]),
        (&json!(1), &json!(-1))
    );
    make(&cloud, "router", json!({})).await.ok();
    let (status, kind, message) = make(&cloud, "router", json!({})).await.error();
    assert_eq!((status, kind.as_str()), (409, "OverQuota"));
    assert_eq!(message, "Quota exceeded for resources: ['router'].");
}

#[tokio::test]
async fn what_is_removed_makes_room_and_what_others_have_takes_none() {
    let cloud = Cloud::new();
    set(&cloud, json!({"network": 2})).await;
    cloud
        .post("networks", json!({"network": {"project_id": B}}))
        .await
        .ok();
    let first = make(&cloud, "network", json!({})).await.ok();
    make(&cloud, "network", json!({})).await.ok();
    assert_eq!(make(&cloud, "network", json!({})).await.status, 409);
    let used = cloud.get(&format!("quotas/{A}/details.json")).await.ok();
    assert_eq!(
        used["quota"]["network"],
        json!({"limit": 2, "used": 2, "reserved": 0})
    );
    cloud
        .delete(&format!(
            "networks/{}",
            first["network"]["id"].as_str().unwrap()
        ))
        .await;
    make(&cloud, "network", json!({})).await.ok();

    let listed = cloud.get("quotas").await.ok();
    assert_eq!(listed["quotas"][0]["project_id"], A);
    assert_eq!(listed["quotas"][0]["network"], 2);
    let path = format!("quotas/{A}");
    assert_eq!(cloud.delete(&path).await.status, 204);
    make(&cloud, "network", json!({})).await.ok();
    let (status, kind, _) = cloud.delete(&path).await.error();
    assert_eq!((status, kind.as_str()), (404, "TenantQuotaNotFound"));
}

#[tokio::test]
async fn many_at_once_are_made_within_the_quota_or_not_at_all() {
    let cloud = Cloud::new();
    set(&cloud, json!({"network": 3})).await;
    let many = |count: usize| json!({"networks": vec![json!({"project_id": A}); count]});
    assert_eq!(cloud.post("networks", many(4)).await.error().1, "OverQuota");
    cloud.post("networks", many(3)).await.ok();
    assert_eq!(cloud.post("networks", many(1)).await.error().1, "OverQuota");
}

#[tokio::test]
async fn limits_are_checked() {
    let cloud = Cloud::new();
    make(&cloud, "network", json!({})).await.ok();
    let path = format!("quotas/{A}");
    let cases = [
        (
            json!({"network": -5}),
            "Invalid input for network. Reason: '-5' is too small - must be at least '-1'.",
        ),
        (json!({"zz": 5}), "Unrecognized attribute(s) 'zz'"),
        (
            json!({"network": 0, "check_limit": true}),
            "Quota limit 0 for network must be greater than or equal to already used 1",
        ),
    ];
    for (quota, expected) in cases {
        let (status, kind, message) = cloud.put(&path, json!({"quota": quota})).await.error();
        assert_eq!(
            (status, kind.as_str(), message.as_str()),
            (400, "HTTPBadRequest", expected)
        );
    }
    set(&cloud, json!({"network": 0})).await;
    set(&cloud, json!({"network": "7"})).await;
    assert_eq!(cloud.get(&path).await.ok()["quota"]["network"], 7);
}

#[tokio::test]
async fn a_project_sees_its_own_quota_and_admins_set_it() {
    let cloud = Cloud::behind_proxy(Settings::default());
    let (admin, a) = (cloud.user("admins", "admin"), cloud.user(A, "member"));
    let (own, other) = (format!("quotas/{A}"), format!("quotas/{B}"));
    let limits = json!({"quota": {"port": 1}});
    for path in [
        own.clone(),
        format!("{own}/default"),
        format!("{own}/details"),
    ] {
        a.get(&path).await.ok();
    }
    let cases = [
        (
            a.get(&other).await,
            "rule:get_quota is disallowed by policy",
        ),
        (
            a.get("quotas").await,
            "rule:get_quota is disallowed by policy",
        ),
        (
            a.put(&own, limits.clone()).await,
            "rule:update_quota is disallowed by policy",
        ),
        (
            a.delete(&own).await,
            "rule:delete_quota is disallowed by policy",
        ),
        (
            a.get(&format!("{other}/details")).await,
            "User does not have admin privileges: Only admin is authorized to access quotas for another project.",
        ),
    ];
    for (answer, expected) in cases {
        let (status, _, message) = answer.error();
        assert_eq!((status, message.as_str()), (403, expected));
    }
    admin.put(&own, limits).await.ok();
    assert_eq!(
        a.get("quotas/project").await.ok(),
        json!({"project": {"project_id": A}})
    );
    assert_eq!(
        a.get("quotas/tenant").await.ok(),
        json!({"tenant": {"tenant_id": A}})
    );
}

/// How many of so many clients at once get a port, of those left of a quota.
async fn race(limit: usize, left: usize, clients: usize) -> (usize, Value) {
    let cloud = Arc::new(Cloud::new());
    set(&cloud, json!({"port": limit})).await;
    let network = make(&cloud, "network", json!({})).await.ok()["network"]["id"].clone();
    let port = json!({"network_id": network, "project_id": A});
    let before = json!({"ports": vec![port.clone(); limit - left]});
    cloud.post("ports", before).await.ok();
    let running: Vec<_> = (0..clients)
        .map(|_| {
            let (cloud, port) = (cloud.clone(), port.clone());
            tokio::spawn(async move { cloud.post("ports", json!({"port": port})).await })
        })
        .collect();
    let mut made = 0;
    for answer in running {
        let answer = answer.await.unwrap();
        if answer.status.is_success() {
            made += 1;
        } else {
            assert_eq!(answer.error().1, "OverQuota");
        }
    }
    let details = cloud.get(&format!("quotas/{A}/details")).await.ok();
    (made, details["quota"]["port"]["used"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_clients_10_get_the_last_10() {
    assert_eq!(race(30, 10, 64).await, (10, json!(30)));
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_begin_far_from_the_limit_stop_at_it_as_well() {
    assert_eq!(race(200, 150, 220).await, (150, json!(200)));
}

#[tokio::test(flavor = "multi_thread")]
async fn far_from_the_limit_nobody_is_in_the_way_of_others() {
    let cloud = Arc::new(Cloud::new());
    set(&cloud, json!({"port": 5000})).await;
    let network = make(&cloud, "network", json!({})).await.ok()["network"]["id"].clone();
    // The project's default security group is made by the first who needs it.
    let groups = format!("security-groups?project_id={A}");
    cloud.get(&groups).await.ok();
    let running: Vec<_> = (0..64)
        .map(|_| {
            let (cloud, port) = (
                cloud.clone(),
                json!({"network_id": network, "project_id": A}),
            );
            tokio::spawn(async move { cloud.post("ports", json!({"port": port})).await })
        })
        .collect();
    for answer in running {
        answer.await.unwrap().ok();
    }
    let conflicts = cloud
        .metrics
        .store_commits
        .with_label_values(&["conflict"])
        .get();
    assert_eq!(conflicts, 0);
}
