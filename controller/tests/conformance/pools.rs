//! Subnet pools and address scopes.

use crate::api::User;
use crate::{A, B, cloud, error, path, refused};
use serde_json::{Value, json};

async fn share(user: &User<'_>, kind: &str, object: &Value, target: &str) -> crate::Answer {
    let policy = json!({"object_type": kind, "object_id": object["id"],
                        "target_tenant": target, "action": "access_as_shared"});
    user.post("rbac-policies", json!({"rbac_policy": policy}))
        .await
}

#[tokio::test]
async fn prefix_lengths_are_text_but_in_the_answer_to_a_change() {
    let cloud = cloud();
    let member = cloud.user(A, "member");
    let lengths = |pool: &Value| {
        ["min_prefixlen", "max_prefixlen", "default_prefixlen"].map(|name| pool[name].clone())
    };
    for given in [json!("48"), json!(48)] {
        let pool = json!({"name": "p", "prefixes": ["2001:db8::/40"], "min_prefixlen": given});
        let pool = member.make("subnetpool", pool).await;
        let text = ["48", "128", "48"].map(Value::from);
        assert_eq!(lengths(&pool), text);
        let at = path("subnetpools", &pool);
        assert_eq!(lengths(&member.get(&at).await.ok()["subnetpool"]), text);
        let list = format!(
            "subnetpools?id={}&min_prefixlen=48",
            pool["id"].as_str().unwrap()
        );
        assert_eq!(
            lengths(&member.get(&list).await.ok()["subnetpools"][0]),
            text
        );
        let change = json!({"subnetpool": {"max_prefixlen": "100", "default_prefixlen": 64}});
        let changed = member.put(&at, change).await.ok();
        assert_eq!(
            lengths(&changed["subnetpool"]),
            [48, 100, 64].map(Value::from)
        );
    }
    // Put in order they are numbers all the same.
    for length in [128, 64, 96] {
        let pool = json!({"name": "ordered", "prefixes": ["2001:db8:f000::/36"], "default_prefixlen": length});
        member.make("subnetpool", pool).await;
    }
    let listed = member
        .get("subnetpools?name=ordered&sort_key=default_prefixlen&sort_dir=asc")
        .await
        .ok();
    let listed = listed["subnetpools"].as_array().unwrap().iter();
    let listed: Vec<&str> = listed
        .map(|pool| pool["default_prefixlen"].as_str().unwrap())
        .collect();
    assert_eq!(listed, ["64", "96", "128"]);
}

#[tokio::test]
async fn a_pool_is_shared_with_those_only_who_can_use_its_scope() {
    let cloud = cloud();
    let (admin, a) = (cloud.user("admins", "admin"), cloud.user(A, "member"));
    let scope = a
        .make("address_scope", json!({"name": "s", "ip_version": 6}))
        .await;
    let pool =
        json!({"name": "p", "prefixes": ["2001:db8:1::/48"], "address_scope_id": scope["id"]});
    let pool = a.make("subnetpool", pool).await;
    let no_access = error(400, "InvalidInput");
    assert_eq!(refused(share(&a, "subnetpool", &pool, B).await), no_access);
    assert_eq!(
        refused(share(&admin, "subnetpool", &pool, "*").await),
        no_access
    );
    let shared = json!({"name": "q", "prefixes": ["2001:db8:2::/48"], "address_scope_id": scope["id"], "shared": true});
    assert_eq!(
        refused(
            admin
                .post("subnetpools", json!({"subnetpool": shared}))
                .await
        ),
        no_access
    );

    share(&a, "address_scope", &scope, B).await.ok();
    share(&a, "subnetpool", &pool, B).await.ok();
    assert_eq!(
        refused(share(&a, "subnetpool", &pool, &"3".repeat(32)).await),
        no_access
    );
    assert_eq!(
        refused(share(&admin, "subnetpool", &pool, "*").await),
        no_access
    );
    share(&admin, "address_scope", &scope, "*").await.ok();
    share(&admin, "subnetpool", &pool, "*").await.ok();
}

#[tokio::test]
async fn a_pool_in_a_scope_of_others_stays_as_it_is() {
    let cloud = cloud();
    let (admin, a, b) = (
        cloud.user("admins", "admin"),
        cloud.user(A, "member"),
        cloud.user(B, "member"),
    );
    let scope = a
        .make("address_scope", json!({"name": "s", "ip_version": 6}))
        .await;
    let policy = share(&a, "address_scope", &scope, B).await.ok();
    let pool =
        json!({"name": "p", "prefixes": ["2001:db8:1::/48"], "address_scope_id": scope["id"]});
    let pool = path("subnetpools", &b.make("subnetpool", pool).await);
    let kind = error(400, "IllegalSubnetPoolUpdate");
    for change in [
        json!({"name": "x"}),
        json!({"address_scope_id": null}),
        json!({"prefixes": ["2001:db8::/40"]}),
    ] {
        let answer = b.put(&pool, json!({"subnetpool": change})).await;
        assert_eq!(refused(answer), kind, "{change}");
    }
    let more = json!({"prefixes": ["2001:db8:7::/48"]});
    assert_eq!(
        refused(b.put(&format!("{pool}/add_prefixes"), more).await),
        kind
    );
    admin
        .put(&pool, json!({"subnetpool": {"name": "x"}}))
        .await
        .ok();
    let policy = path("rbac-policies", &policy["rbac_policy"]);
    assert_eq!(
        refused(a.delete(&policy).await),
        error(409, "RbacPolicyInUse")
    );
    assert_eq!(b.delete(&pool).await.status, 204);
    assert_eq!(a.delete(&policy).await.status, 204);
}
