//! Sharing of security groups and address scopes, and what goes by way of neither name nor list.

use super::*;

fn sharing(kind: &str, object: &Value, target: &str) -> Value {
    json!({"object_type": kind, "object_id": object["id"], "target_tenant": target, "action": "access_as_shared"})
}

fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

#[tokio::test]
async fn a_port_comes_under_a_group_of_another_project_only_if_it_is_shared() {
    let cloud = cloud();
    let (a, b) = (cloud.user(A, "member"), cloud.user(B, "member"));
    let group = a.make("security_group", json!({"name": "web"})).await;
    let network = b.make("network", json!({})).await;
    let wish = json!({"network_id": network["id"], "security_groups": [group["id"]]});
    let refused = b.post("ports", json!({"port": wish})).await.error();
    assert_eq!(
        (refused.0, refused.1.as_str()),
        (404, "SecurityGroupNotFound")
    );
    let own = b.make("port", json!({"network_id": network["id"]})).await;
    let port = format!("ports/{}", id(&own));
    let change = json!({"port": {"security_groups": [group["id"]]}});
    assert_eq!(b.put(&port, change.clone()).await.error().0, 404);

    let shared = a
        .make("rbac_policy", sharing("security_group", &group, B))
        .await;
    let seen = b.get("security-groups?shared=true").await.ok();
    assert_eq!(seen["security_groups"][0]["id"], group["id"]);
    assert_eq!(seen["security_groups"].as_array().unwrap().len(), 1);
    assert_eq!(a.ids("security-groups?shared=true").await.len(), 0);
    b.put(&port, change).await.ok();
    let (status, kind, _) = a.delete(&path(&shared)).await.error();
    assert_eq!((status, kind.as_str()), (409, "RbacPolicyInUse"));
    b.put(&port, json!({"port": {"security_groups": []}}))
        .await
        .ok();
    assert_eq!(a.delete(&path(&shared)).await.status, 204);
    let group = format!("security-groups/{}", id(&group));
    assert_eq!(b.get(&group).await.error().1, "SecurityGroupNotFound");
}

#[tokio::test]
async fn rules_are_those_of_the_groups_project() {
    let cloud = cloud();
    let (a, b) = (cloud.user(A, "member"), cloud.user(B, "member"));
    let (web, own) = (
        a.make("security_group", json!({"name": "web"})).await,
        b.make("security_group", json!({"name": "own"})).await,
    );
    let rule = |group: &Value, more: Value| {
        let mut rule =
            json!({"security_group_id": group["id"], "direction": "ingress", "ethertype": "IPv6"});
        rule.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"security_group_rule": rule})
    };
    let about = json!({"remote_group_id": web["id"]});
    let (status, kind, _) = b
        .post("security-group-rules", rule(&own, about.clone()))
        .await
        .error();
    assert_eq!((status, kind.as_str()), (404, "SecurityGroupNotFound"));
    let foreign = b.post("security-group-rules", rule(&web, json!({}))).await;
    let (status, kind, message) = foreign.error();
    assert_eq!(
        (status, kind.as_str()),
        (403, "PolicyNotAuthorized"),
        "{message}"
    );
    let nowhere = json!({"id": "00000000-0000-0000-0000-000000000000"});
    let (status, kind, _) = b
        .post("security-group-rules", rule(&nowhere, json!({})))
        .await
        .error();
    assert_eq!((status, kind.as_str()), (404, "SecurityGroupNotFound"));

    a.make("rbac_policy", sharing("security_group", &web, B))
        .await;
    b.post("security-group-rules", rule(&own, about)).await.ok();
    let foreign = b.post("security-group-rules", rule(&web, json!({}))).await;
    assert_eq!(
        foreign.error().0,
        403,
        "what is shared is the owner's still"
    );
    let mine = b.get("security-group-rules").await.ok();
    for rule in mine["security_group_rules"].as_array().unwrap() {
        assert_eq!(rule["project_id"], B);
    }
    let theirs = a.ids("security-group-rules").await;
    let theirs = format!("security-group-rules/{}", theirs[0]);
    assert_eq!(b.get(&theirs).await.error().1, "SecurityGroupRuleNotFound");
    assert_eq!(b.delete(&theirs).await.error().0, 404);
}

#[tokio::test]
async fn nobody_has_a_default_group_made_for_others_but_admins() {
    let cloud = cloud();
    let (admin, b) = (cloud.user("admins", "admin"), cloud.user(B, "member"));
    let service = cloud.user(B, "service");
    for list in ["security-groups", "security-group-rules"] {
        for user in [&b, &service] {
            let asked = user.get(&format!("{list}?project_id={A}")).await.ok();
            assert_eq!(asked[list.replace('-', "_")], json!([]), "{list}");
        }
    }
    let of_a = format!("quotas/{A}/details");
    let quota = admin.get(&of_a).await.ok();
    assert_eq!(quota["quota"]["security_group"]["used"], 0);
    assert_eq!(b.ids("security-groups").await.len(), 1);
    let path = format!("security-groups?project_id={A}");
    assert_eq!(admin.ids(&path).await.len(), 1);
    let quota = admin.get(&of_a).await.ok();
    let used = |kind: &str| quota["quota"][kind]["used"].clone();
    assert_eq!(
        [used("security_group"), used("security_group_rule")],
        [json!(1), json!(4)]
    );
}

#[tokio::test]
async fn a_scope_is_shared_by_policy_or_by_its_attribute() {
    let cloud = cloud();
    let (admin, a, b) = (
        cloud.user("admins", "admin"),
        cloud.user(A, "member"),
        cloud.user(B, "member"),
    );
    let scope = a
        .make("address_scope", json!({"name": "s", "ip_version": 6}))
        .await;
    let path = format!("address-scopes/{}", id(&scope));
    let pool = json!({"prefixes": ["2001:db8::/48"], "address_scope_id": scope["id"]});
    let refused = b.post("subnetpools", json!({"subnetpool": pool})).await;
    assert_eq!(refused.error().1, "AddressScopeNotFound");
    assert_eq!(b.get(&path).await.error().1, "AddressScopeNotFound");
    let share = json!({"address_scope": {"shared": true}});
    assert_eq!(a.put(&path, share.clone()).await.error().0, 403);
    a.make("rbac_policy", sharing("address_scope", &scope, B))
        .await;
    assert_eq!(b.get(&path).await.ok()["address_scope"]["shared"], true);
    assert_eq!(a.get(&path).await.ok()["address_scope"]["shared"], false);
    b.make("subnetpool", pool).await;

    admin.put(&path, share).await.ok();
    let listed = admin.get("rbac-policies?target_tenant=*").await.ok();
    assert_eq!(listed["rbac_policies"][0]["object_id"], scope["id"]);
    let everywhere = cloud.user("c", "reader");
    assert_eq!(everywhere.ids("address-scopes").await.len(), 1);
}

#[tokio::test]
async fn actions_are_for_those_who_may_change_the_object() {
    let cloud = cloud();
    let (a, b, reader) = (
        cloud.user(A, "member"),
        cloud.user(B, "member"),
        cloud.user(A, "reader"),
    );
    let (router, pool) = (
        a.make("router", json!({})).await,
        a.make("subnetpool", json!({"prefixes": ["2001:db8::/48"]}))
            .await,
    );
    let routes = json!({"router": {"routes": []}});
    let prefixes = json!({"prefixes": ["2001:db8:1::/48"]});
    let (router, pool) = (
        format!("routers/{}", id(&router)),
        format!("subnetpools/{}", id(&pool)),
    );
    for (path, action, body) in [
        (&router, "add_extraroutes", &routes),
        (&router, "remove_extraroutes", &routes),
        (&pool, "add_prefixes", &prefixes),
        (&pool, "remove_prefixes", &prefixes),
    ] {
        let path = format!("{path}/{action}");
        assert_eq!(b.put(&path, body.clone()).await.error().0, 404, "{path}");
        let (status, _, message) = reader.put(&path, body.clone()).await.error();
        assert_eq!(status, 403);
        assert_eq!(message, format!("rule:{action} is disallowed by policy"));
        a.put(&path, body.clone()).await.ok();
    }
}

#[tokio::test]
async fn a_default_pool_that_a_project_does_not_see_is_none() {
    let cloud = cloud();
    let (admin, b) = (cloud.user("admins", "admin"), cloud.user(B, "member"));
    let given = json!({"prefixes": ["2001:db8::/48"], "is_default": true, "default_prefixlen": 64});
    let pool = admin.make("subnetpool", given).await;
    let network = b.make("network", json!({})).await;
    let wish =
        json!({"network_id": network["id"], "ip_version": 6, "use_default_subnetpool": true});
    let (status, _, message) = b.post("subnets", json!({"subnet": wish})).await.error();
    assert_eq!(status, 400);
    assert!(
        message.contains("No default subnetpool found for IPv6"),
        "{message}"
    );
    admin
        .make("rbac_policy", sharing("subnetpool", &pool, B))
        .await;
    b.make("subnet", wish).await;
}

#[tokio::test]
async fn numbers_of_addresses_are_for_admins() {
    let cloud = cloud();
    let (admin, a) = (cloud.user("admins", "admin"), cloud.user(A, "member"));
    let network = a.make("network", json!({})).await;
    let numbers = "network-ip-availabilities";
    assert!(
        a.get(numbers).await.ok()["network_ip_availabilities"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let one = format!("{numbers}/{}", id(&network));
    assert_eq!(a.get(&one).await.error().0, 404);
    admin.get(&one).await.ok();
}
