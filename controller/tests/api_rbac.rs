//! Access policies: sharing what one owns.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod api;
#[path = "rbac/kinds.rs"]
mod kinds;

use api::{Cloud, User};
use serde_json::{Value, json};
use sextant_model::Settings;
use std::sync::Arc;

const A: &str = "11111111111111111111111111111111";
const B: &str = "22222222222222222222222222222222";

fn cloud() -> Cloud {
    Cloud::behind_proxy(Settings::default())
}

fn policy(object: &Value, target: &str, action: &str) -> Value {
    json!({"object_type": "network", "object_id": object["id"], "target_tenant": target, "action": action})
}

async fn share(user: &User<'_>, object: &Value, target: &str) -> Value {
    user.make("rbac_policy", policy(object, target, "access_as_shared"))
        .await
}

fn path(policy: &Value) -> String {
    format!("rbac-policies/{}", policy["id"].as_str().unwrap())
}

async fn shown(user: &User<'_>, network: &Value) -> Value {
    let path = format!("networks/{}", network["id"].as_str().unwrap());
    user.get(&path).await.ok()["network"].clone()
}

#[tokio::test]
async fn a_policy_lets_one_project_use_a_network() {
    let cloud = cloud();
    let (a, b, c) = (
        cloud.user(A, "member"),
        cloud.user(B, "member"),
        cloud.user("c", "member"),
    );
    let network = a.make("network", json!({})).await;
    assert!(b.ids("networks").await.is_empty());
    let policy = share(&a, &network, B).await;
    let expected = json!({
        "id": policy["id"],
        "project_id": A,
        "tenant_id": A,
        "object_type": "network",
        "object_id": network["id"],
        "target_tenant": B,
        "action": "access_as_shared",
    });
    assert_eq!(policy, expected);
    assert_eq!(b.ids("networks").await.len(), 1);
    assert!(c.ids("networks").await.is_empty());
    assert_eq!(shown(&b, &network).await["shared"], true);
    assert_eq!(shown(&a, &network).await["shared"], false);
    b.make("port", json!({"network_id": network["id"]})).await;

    let (status, kind, message) = a.delete(&path(&policy)).await.error();
    let id = network["id"].as_str().unwrap();
    assert_eq!((status, kind.as_str()), (409, "RbacPolicyInUse"));
    assert_eq!(
        message,
        format!(
            "RBAC policy on object {id} cannot be removed because other objects depend on it.\nDetails: Unable to \
             reconfigure sharing settings for network {id}. Multiple tenants are using it."
        )
    );
    let (status, kind, _) = a
        .put(
            &path(&policy),
            json!({"rbac_policy": {"target_tenant": "c"}}),
        )
        .await
        .error();
    assert_eq!((status, kind.as_str()), (409, "RbacPolicyInUse"));
    let ports = b.ids("ports").await;
    b.delete(&format!("ports/{}", ports[0])).await;
    a.put(
        &path(&policy),
        json!({"rbac_policy": {"target_tenant": "c"}}),
    )
    .await
    .ok();
    assert_eq!(c.ids("networks").await.len(), 1);
    assert_eq!(a.delete(&path(&policy)).await.status, 204);
    assert!(c.ids("networks").await.is_empty());
}

#[tokio::test]
async fn shared_and_external_are_policies_for_every_project() {
    let cloud = cloud();
    let (admin, b) = (cloud.user("admins", "admin"), cloud.user(B, "member"));
    let network = admin
        .make("network", json!({"shared": true, "router:external": true}))
        .await;
    let listed = admin.get("rbac-policies?sort_key=action").await.ok();
    let actions: Vec<[&str; 2]> = listed["rbac_policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|policy| ["action", "target_tenant"].map(|name| policy[name].as_str().unwrap()))
        .collect();
    assert_eq!(
        actions,
        [["access_as_external", "*"], ["access_as_shared", "*"]]
    );

    let net = format!("networks/{}", network["id"].as_str().unwrap());
    b.make("port", json!({"network_id": network["id"]})).await;
    let unshare = json!({"network": {"shared": false}});
    let (status, kind, message) = admin.put(&net, unshare.clone()).await.error();
    assert_eq!((status, kind.as_str()), (409, "InvalidSharedSetting"));
    assert!(
        message.ends_with("Multiple tenants are using it."),
        "{message}"
    );
    // Another permission for the same project makes the general one dispensable.
    share(&admin, &network, B).await;
    let changed = admin.put(&net, unshare).await.ok();
    assert_eq!(changed["network"]["shared"], false);
    assert_eq!(shown(&b, &network).await["shared"], true);

    admin
        .put(&net, json!({"network": {"router:external": false}}))
        .await
        .ok();
    assert_eq!(admin.ids("rbac-policies").await.len(), 1);
    assert_eq!(
        admin
            .delete(&format!("ports/{}", b.ids("ports").await[0]))
            .await
            .status,
        204
    );
    assert_eq!(admin.delete(&net).await.status, 204);
    assert!(admin.ids("rbac-policies").await.is_empty());
}

#[tokio::test]
async fn a_network_is_external_for_whom_a_policy_says() {
    let cloud = cloud();
    let (admin, b, c) = (
        cloud.user("admins", "admin"),
        cloud.user(B, "member"),
        cloud.user("c", "member"),
    );
    let network = admin.make("network", json!({})).await;
    let policy = admin
        .make("rbac_policy", policy(&network, B, "access_as_external"))
        .await;
    assert_eq!(shown(&b, &network).await["router:external"], true);
    assert_eq!(shown(&b, &network).await["shared"], false);
    assert!(c.ids("networks").await.is_empty());
    assert_eq!(admin.delete(&path(&policy)).await.status, 204);
    assert_eq!(shown(&admin, &network).await["router:external"], false);
}

fn given(object_type: &str, object: &Value, target: &str, action: &str) -> Value {
    let policy = json!({"object_type": object_type, "object_id": object["id"], "target_tenant": target, "action": action});
    json!({"rbac_policy": policy})
}

/// Who asks for what, and the status, kind and message of the refusal.
type WrongPolicy<'a> = (&'a User<'a>, Value, u16, &'static str, &'static str);

fn wrong_policies<'a>(
    [admin, a, b]: [&'a User<'a>; 3],
    network: &Value,
    pool: &Value,
) -> Vec<WrongPolicy<'a>> {
    let nowhere = json!({"id": "00000000-0000-0000-0000-000000000000"});
    vec![
        (
            a,
            given("router", network, B, "access_as_shared"),
            400,
            "InvalidInput",
            "Invalid input for operation: 'router' is not a valid RBAC object type.",
        ),
        (
            a,
            given("subnetpool", pool, B, "access_as_external"),
            400,
            "InvalidActionForType",
            "Invalid action 'access_as_external' for object type 'subnetpool'. Valid actions: ('access_as_shared',)",
        ),
        (
            admin,
            given("network", &nowhere, B, "access_as_shared"),
            404,
            "NetworkNotFound",
            "Network 00000000-0000-0000-0000-000000000000 could not be found.",
        ),
        (
            b,
            given("network", network, B, "access_as_shared"),
            400,
            "InvalidInput",
            "Invalid input for operation: Only admins can manipulate policies on networks they do not own.",
        ),
        (
            a,
            given("network", network, "*", "access_as_shared"),
            403,
            "PolicyNotAuthorized",
            "(rule:create_rbac_policy and rule:create_rbac_policy:target_tenant) is disallowed by policy",
        ),
        (
            a,
            json!({"rbac_policy": {"object_type": "network"}}),
            400,
            "HTTPBadRequest",
            "Failed to parse request. Required attribute 'object_id' not specified",
        ),
        (
            a,
            json!({"rbac_policy": {"name": "n"}}),
            400,
            "HTTPBadRequest",
            "Unrecognized attribute(s) 'name'",
        ),
    ]
}

#[tokio::test]
async fn wrong_policies_are_refused() {
    let cloud = cloud();
    let (admin, a, b) = (
        cloud.user("admins", "admin"),
        cloud.user(A, "member"),
        cloud.user(B, "member"),
    );
    let network = a.make("network", json!({})).await;
    let pool = a
        .make("subnetpool", json!({"prefixes": ["2001:db8::/48"]}))
        .await;
    for (user, given, status, kind, message) in wrong_policies([&admin, &a, &b], &network, &pool) {
        let error = user.post("rbac-policies", given.clone()).await.error();
        assert_eq!(
            error,
            (status, kind.to_owned(), message.to_owned()),
            "{given}"
        );
    }
    let policy = share(&a, &network, B).await;
    let again = json!({"rbac_policy": self::policy(&network, B, "access_as_shared")});
    let (status, kind, _) = a.post("rbac-policies", again).await.error();
    assert_eq!((status, kind.as_str()), (409, "DuplicateRbacPolicy"));
    let (status, kind, message) = b.get(&path(&policy)).await.error();
    assert_eq!(
        (status, kind.as_str()),
        (404, "RbacPolicyNotFound"),
        "{message}"
    );
    let change = json!({"rbac_policy": {"action": "access_as_external"}});
    let (status, _, message) = a.put(&path(&policy), change).await.error();
    assert_eq!(
        (status, message.as_str()),
        (400, "Cannot update read-only attribute action")
    );
}

#[tokio::test]
async fn a_pool_is_shared_by_policy_until_somebody_took_from_it() {
    let cloud = cloud();
    let (a, b) = (cloud.user(A, "member"), cloud.user(B, "member"));
    let pool = a
        .make(
            "subnetpool",
            json!({"prefixes": ["2001:db8::/48"], "default_prefixlen": 64}),
        )
        .await;
    let given = json!({"object_type": "subnetpool", "object_id": pool["id"], "target_tenant": B, "action": "access_as_shared"});
    let policy = a.make("rbac_policy", given).await;
    assert_eq!(b.ids("subnetpools").await.len(), 1);
    let network = b.make("network", json!({})).await;
    let subnet = json!({"network_id": network["id"], "ip_version": 6, "subnetpool_id": pool["id"]});
    b.make("subnet", subnet).await;
    let (status, kind, message) = a.delete(&path(&policy)).await.error();
    assert_eq!((status, kind.as_str()), (409, "RbacPolicyInUse"));
    assert!(message.ends_with(&format!("project_id={B}")), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_make_the_same_policy_one_does() {
    let cloud = Arc::new(cloud());
    let network = cloud.user(A, "member").make("network", json!({})).await;
    let running: Vec<_> = (0..8)
        .map(|_| {
            let (cloud, given) = (cloud.clone(), policy(&network, B, "access_as_shared"));
            tokio::spawn(async move {
                let given = json!({"rbac_policy": given});
                cloud.user(A, "member").post("rbac-policies", given).await
            })
        })
        .collect();
    let mut made = 0;
    for answer in running {
        made += usize::from(answer.await.unwrap().status == 201);
    }
    assert_eq!(made, 1);
}
