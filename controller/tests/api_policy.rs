//! An operator's rules, which take the place of Neutron's default policies: they allow more, and forbid.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod api;

use api::{Answer, Cloud, User};
use axum::http::Method;
use serde_json::{Value, json};
use sextant_controller::api::PolicyFile;
use sextant_model::Settings;

const A: &str = "11111111111111111111111111111111";
const B: &str = "22222222222222222222222222222222";

/// A cloud under these rules.
fn under(rules: &str) -> Cloud {
    let cloud = Cloud::behind_proxy(Settings::default());
    cloud.decide_by(rules);
    cloud
}

fn at(collection: &str, object: &Value) -> String {
    format!("{collection}/{}", object["id"].as_str().unwrap())
}

/// The rules by which an answer is 403.
fn forbidden(answer: Answer) -> String {
    let (status, kind, message) = answer.error();
    assert_eq!((status, kind.as_str()), (403, "PolicyNotAuthorized"));
    let rules = message.strip_suffix(" is disallowed by policy");
    rules.unwrap().to_owned()
}

async fn port(user: &User<'_>) -> Value {
    let network = user.make("network", json!({})).await;
    let wish = json!({"network_id": network["id"], "name": "p", "device_id": "d"});
    user.make("port", wish).await
}

#[tokio::test]
async fn a_rule_allows_more() {
    let cloud = under("create_network:shared: role:member and project_id:%(project_id)s\n");
    let member = cloud.user(A, "member");
    let shared = member.make("network", json!({"shared": true})).await;
    assert_eq!(shared["shared"], true);
    let change = json!({"network": {"shared": false}});
    let change = member.put(&at("networks", &shared), change).await;
    assert_eq!(
        forbidden(change),
        "(rule:update_network and rule:update_network:shared)"
    );
    let stranger = json!({"network": {"shared": true}});
    let reader = cloud.user(A, "reader").post("networks", stranger).await;
    assert_eq!(
        forbidden(reader),
        "(rule:create_network and rule:create_network:shared)"
    );
}

#[tokio::test]
async fn a_rule_forbids_even_admins() {
    let cloud = under("create_router: '!'\ndelete_network: 'rule:admin_only'\n");
    for role in ["member", "admin"] {
        let router = cloud
            .user(A, role)
            .post("routers", json!({"router": {}}))
            .await;
        assert_eq!(forbidden(router), "rule:create_router", "{role}");
    }
    let member = cloud.user(A, "member");
    let path = at("networks", &member.make("network", json!({})).await);
    assert_eq!(forbidden(member.delete(&path).await), "rule:delete_network");
    assert_eq!(cloud.user(B, "admin").delete(&path).await.status, 204);
}

#[tokio::test]
async fn a_rule_says_who_is_admin() {
    let cloud = under("context_is_admin: role:cloud_ops\n");
    let network = cloud.user(A, "member").make("network", json!({})).await;
    for (roles, sees) in [("cloud_ops", 1), ("Cloud_Ops,reader", 1), ("admin", 0)] {
        let user = cloud.user(B, roles);
        assert_eq!(user.ids("networks").await.len(), sees, "{roles}");
        let change = json!({"network": {"shared": true}});
        let changed = user.put(&at("networks", &network), change).await;
        assert_eq!(changed.status.is_success(), sees == 1, "{roles}");
        let change = json!({"network": {"shared": false}});
        cloud
            .user(B, "cloud_ops")
            .put(&at("networks", &network), change)
            .await
            .ok();
    }
    cloud.decide_by("");
    assert_eq!(cloud.user(B, "admin").ids("networks").await.len(), 1);
    assert_eq!(cloud.user(B, "cloud_ops").ids("networks").await.len(), 0);
}

#[tokio::test]
async fn roles_of_an_operators_own_count() {
    let cloud = under(
        "auditor: role:auditor\nget_network: rule:auditor or rule:admin_or_owner\nget_port: [['rule:auditor'], ['role:member', 'rule:owner']]\n",
    );
    let port = port(&cloud.user(A, "member")).await;
    let auditor = cloud.user(B, "auditor");
    assert_eq!(auditor.ids("networks").await.len(), 1);
    assert_eq!(auditor.ids("ports").await.len(), 1);
    assert_eq!(auditor.get(&at("ports", &port)).await.status, 200);
    let change = json!({"port": {"name": "x"}});
    let change = auditor.put(&at("ports", &port), change).await;
    assert_eq!(forbidden(change), "rule:update_port");
    assert!(cloud.user(A, "reader").ids("ports").await.is_empty());
    assert!(cloud.user(B, "member").ids("ports").await.is_empty());
}

#[tokio::test]
async fn an_attribute_that_may_not_be_read_is_left_out() {
    let cloud = under("get_port:device_id: rule:admin_only\nget_port:tags: '!'\n");
    let member = cloud.user(A, "member");
    let port = port(&member).await;
    assert!(port.get("device_id").is_none() && port.get("tags").is_none());
    assert_eq!(port["name"], "p");
    let listed = member.get("ports").await.ok();
    assert!(listed["ports"][0].get("device_id").is_none());
    assert!(member.ids("ports?device_id=d").await.is_empty());
    assert_eq!(
        cloud.user(B, "admin").ids("ports?device_id=d").await.len(),
        1
    );
    let tags = member.get(&format!("{}/tags", at("ports", &port))).await;
    assert_eq!(forbidden(tags), "rule:get_port:tags");
}

#[tokio::test]
async fn an_attribute_that_may_not_be_set_is_refused() {
    let cloud = under("update_port:name: rule:admin_only\ncreate_port:description: '!'\n");
    let member = cloud.user(A, "member");
    let port = port(&member).await;
    let path = at("ports", &port);
    let renamed = member.put(&path, json!({"port": {"name": "x"}})).await;
    assert_eq!(
        forbidden(renamed),
        "(rule:update_port and rule:update_port:name)"
    );
    member
        .put(&path, json!({"port": {"description": "x"}}))
        .await
        .ok();
    cloud
        .user(B, "admin")
        .put(&path, json!({"port": {"name": "x"}}))
        .await
        .ok();
    let described = json!({"network_id": port["network_id"], "description": "x"});
    let described = cloud
        .user(A, "admin")
        .post("ports", json!({"port": described}))
        .await;
    assert_eq!(
        forbidden(described),
        "(rule:create_port and rule:create_port:description)"
    );
}

#[tokio::test]
async fn a_rule_looks_at_the_object() {
    let cloud = under(
        "create_port:device_owner: 'not field:port:device_owner=~^compute:'\n\
         delete_port: \"'gone':%(name)s\"\n\
         update_network: \"user_id:%(description)s\"\n\
         create_network: 'field:networks:admin_state_up=True'\n",
    );
    let member = cloud.user(A, "member");
    let refused = member.post("networks", json!({"network": {}})).await;
    assert_eq!(forbidden(refused), "rule:create_network");
    let up = json!({"admin_state_up": "true", "description": "somebody"});
    let refused = member.post("networks", json!({"network": up})).await;
    assert_eq!(
        forbidden(refused),
        "rule:create_network",
        "text is no boolean"
    );
    let up = json!({"admin_state_up": true, "description": "somebody"});
    let network = member.make("network", up).await;
    let path = at("networks", &network);
    member
        .put(&path, json!({"network": {"name": "x"}}))
        .await
        .ok();
    let changed = member
        .put(&path, json!({"network": {"description": "other"}}))
        .await;
    assert_eq!(forbidden(changed), "rule:update_network");

    for (owner, fits) in [("compute:az", false), ("other", true)] {
        let wish = json!({"network_id": network["id"], "device_owner": owner});
        let answer = member.post("ports", json!({"port": wish})).await;
        assert_eq!(answer.status == 201, fits, "{owner}");
    }
    let kept = member
        .make("port", json!({"network_id": network["id"], "name": "kept"}))
        .await;
    let path = at("ports", &kept);
    assert_eq!(forbidden(member.delete(&path).await), "rule:delete_port");
    member
        .put(&path, json!({"port": {"name": "gone"}}))
        .await
        .ok();
    assert_eq!(member.delete(&path).await.status, 204);
}

#[tokio::test]
async fn rules_that_others_are_made_of_are_set() {
    let cloud = under(
        "shared: '!'\nservice_api: role:nova\nnetwork_device: 'field:port:device_owner=~^private:'\n",
    );
    let admin = cloud.user(A, "admin");
    let shared = admin.make("network", json!({"shared": true})).await;
    let member = cloud.user(B, "member");
    assert!(member.ids("networks").await.is_empty());
    assert_eq!(member.get(&at("networks", &shared)).await.status, 404);
    let port = json!({"network_id": shared["id"]});
    let port = member.post("ports", json!({"port": port})).await;
    assert_eq!(port.error().0, 403);

    assert_eq!(cloud.user(B, "nova").ids("networks").await.len(), 1);
    assert!(cloud.user(B, "service").ids("networks").await.is_empty());

    let own = member.make("network", json!({})).await;
    for (owner, status) in [("network:x", 201), ("private:x", 201)] {
        let wish = json!({"network_id": own["id"], "device_owner": owner});
        let answer = member.post("ports", json!({"port": wish})).await;
        assert_eq!(
            answer.status, status,
            "the owner of the network may: {owner}"
        );
    }
}

#[tokio::test]
async fn a_role_may_make_for_other_projects() {
    let cloud = under("context_can_set_project_id: role:onboarding\ncreate_network: '@'\n");
    let network = json!({"network": {"project_id": B}});
    let user = cloud.user(A, "onboarding");
    let made = user.post("networks", network.clone()).await;
    assert_eq!(made.status, 201);
    let refused = cloud.user(A, "member").post("networks", network).await;
    assert_eq!(refused.error().0, 400);
}

#[tokio::test]
async fn what_is_not_of_one_resource_has_rules_too() {
    let cloud = under(
        "get_agent: role:reader\nget_quota: '!'\nadd_router_interface: '!'\nupdate_network:tags: '!'\n",
    );
    let reader = cloud.user(A, "reader");
    assert_eq!(reader.get("agents").await.status, 200);
    let admin = cloud.user(A, "admin");
    assert_eq!(admin.get("quotas").await.error().0, 403);
    let router = admin.make("router", json!({})).await;
    let path = format!("{}/add_router_interface", at("routers", &router));
    let subnet = json!({"subnet_id": router["id"]});
    assert_eq!(
        forbidden(admin.put(&path, subnet).await),
        "rule:add_router_interface"
    );
    let network = admin.make("network", json!({})).await;
    let path = format!("/v2.0/{}/tags/x", at("networks", &network));
    let tagged = admin.request(Method::PUT, &path, None).await;
    assert_eq!(forbidden(tagged), "rule:update_network:tags");
}

#[test]
fn files_that_cannot_be_used_are_refused() {
    let folder = std::env::temp_dir().join(format!("sextant-policy-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("policy.yaml");
    let refusal = |octets: &[u8]| {
        std::fs::write(&path, octets).unwrap();
        PolicyFile::read(&path).unwrap_err().to_string()
    };
    let long = vec![b'#'; 10 * 1024 * 1024];
    assert!(refusal(&long).ends_with("it is longer than 1048576 octets"));
    assert!(refusal(b"\xff\xfe").contains("UTF-8"));
    let wrong = refusal(b"get_port: role:x\nget_network: role:x orr role:y\n");
    assert!(
        wrong.ends_with("policy.yaml: line 2: \"get_network\": \"orr\" is one too many"),
        "{wrong}"
    );
    let deep = format!("get_port: {}\n", "(".repeat(500_000));
    assert!(refusal(deep.as_bytes()).contains("more than 64 levels deep"));
    let missing = PolicyFile::read(&folder.join("none"))
        .unwrap_err()
        .to_string();
    assert!(missing.contains("No such file"), "{missing}");
    assert!(PolicyFile::read(&folder).is_err());
    std::fs::remove_dir_all(&folder).unwrap();
}
