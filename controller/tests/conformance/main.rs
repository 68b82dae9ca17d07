//! What OpenStack's own tests of Neutron ask for, told in the smallest way, and with other values than theirs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "../api/mod.rs"]
mod api;
mod dhcp_options;
mod limits;
mod networks;
mod pools;
mod routers;

use api::{Answer, Cloud};
use serde_json::{Value, json};
use sextant_model::Settings;

const A: &str = "11111111111111111111111111111111";
const B: &str = "22222222222222222222222222222222";

fn cloud() -> Cloud {
    Cloud::behind_proxy(Settings::default())
}

fn path(collection: &str, object: &Value) -> String {
    format!("{collection}/{}", object["id"].as_str().unwrap())
}

/// Status and type of an error.
fn refused(answer: Answer) -> (u16, String) {
    let (status, kind, _) = answer.error();
    (status, kind)
}

fn error(status: u16, kind: &str) -> (u16, String) {
    (status, kind.to_owned())
}

#[tokio::test]
async fn a_default_group_is_for_admins_to_remove_and_comes_back_when_it_is_needed() {
    let cloud = cloud();
    let (admin, member) = (cloud.user("admins", "admin"), cloud.user(A, "member"));
    let default = member.ids("security-groups").await;
    let group = format!("security-groups/{}", default[0]);
    let kind = "SecurityGroupCannotRemoveDefault";
    assert_eq!(refused(member.delete(&group).await), error(409, kind));

    let network = member.make("network", json!({})).await;
    let port = member
        .make("port", json!({"network_id": network["id"]}))
        .await;
    for user in [&admin, &member] {
        let answer = refused(user.delete(&group).await);
        assert_eq!(answer, error(409, "SecurityGroupInUse"));
    }
    member.delete(&path("ports", &port)).await.ok();
    assert_eq!(admin.delete(&group).await.status, 204);
    assert_eq!(admin.get(&group).await.status, 404);

    let again = member
        .make("port", json!({"network_id": network["id"]}))
        .await;
    let groups = member.ids("security-groups").await;
    assert_eq!(again["security_groups"], json!(groups));
    assert_ne!(groups, default);
}

#[tokio::test]
async fn pages_have_links_as_far_as_there_may_be_more() {
    let cloud = Cloud::new();
    for n in 0..3 {
        cloud
            .post("networks", json!({"network": {"name": format!("n{n}")}}))
            .await
            .ok();
    }
    let page = async |query: &str| {
        let page = cloud.get(&format!("networks?{query}")).await.ok();
        let names = page["networks"].as_array().unwrap().iter();
        let names: Vec<String> = names
            .map(|network| network["name"].as_str().unwrap().to_owned())
            .collect();
        let links = page["networks_links"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let link = |rel: &str| {
            let link = links.iter().find(|link| link["rel"] == rel)?;
            let href = link["href"].as_str().unwrap();
            Some(href.split_once('?').unwrap().1.to_owned())
        };
        (names, link("previous"), link("next"))
    };
    let (names, _, next) = page("limit=2&sort_key=name").await;
    assert_eq!(names, ["n0", "n1"]);
    let (names, previous, next) = page(&next.unwrap()).await;
    assert_eq!((&names[..], next), (&["n2".to_owned()][..], None));
    assert_eq!(page(&previous.unwrap()).await.0, ["n0", "n1"]);

    // Past either end there is nothing but the way back.
    let (_, _, next) = page("limit=3&sort_key=name").await;
    let (names, previous, next) = page(&next.unwrap()).await;
    assert_eq!((names.len(), next), (0, None));
    assert_eq!(page(&previous.unwrap()).await.0, ["n0", "n1", "n2"]);
    let (names, previous, next) = page("limit=2&page_reverse=True&name=none").await;
    assert_eq!((names.len(), previous), (0, None));
    assert!(next.is_some());
    assert_eq!(page("name=none").await, (vec![], None, None));
}

#[tokio::test]
async fn what_is_missing_within_a_request_is_said_as_neutron_says_it() {
    let cloud = cloud();
    let (member, other) = (cloud.user(A, "member"), cloud.user(B, "member"));
    let network = other.make("network", json!({})).await;
    let port = other
        .make("port", json!({"network_id": network["id"]}))
        .await;
    let router = member.make("router", json!({})).await;
    let remove = format!("{}/remove_router_interface", path("routers", &router));
    let missing = "00000000-0000-0000-0000-000000000001";
    for id in [port["id"].as_str().unwrap(), missing] {
        let answer = member.put(&remove, json!({"port_id": id})).await;
        assert_eq!(refused(answer), error(404, "RouterInterfaceNotFound"));
        let add = remove.replace("remove_", "add_");
        let answer = member.put(&add, json!({"port_id": id})).await;
        assert_eq!(refused(answer), error(404, "PortNotFound"));
    }
    let answer = member.put(&remove, json!({"port_id": "zz"})).await.error();
    assert_eq!(answer.2, "Bad router request: 'zz' is not a valid UUID.");
    for id in [network["id"].as_str().unwrap(), missing] {
        let answer = member
            .post("ports", json!({"port": {"network_id": id}}))
            .await;
        assert_eq!(refused(answer), error(404, "NetworkNotFound"));
        let answer = member
            .post(
                "ports",
                json!({"port": {"network_id": id, "mac_address": "fa:16:3e:00:00:01"}}),
            )
            .await;
        assert_eq!(refused(answer), error(404, "NetworkNotFound"));
    }
}

#[tokio::test]
async fn what_neutron_has_and_sextant_has_not_is_named() {
    let cloud = Cloud::new();
    for (path, alias) in [
        ("floatingips", "floatingips"),
        (
            "floatingips/00000000-0000-0000-0000-000000000001",
            "floatingips",
        ),
        ("trunks", "trunk"),
        ("qos/policies", "qos"),
        ("metering/metering-labels", "metering"),
        ("vpn/ipsecpolicies", "vpnaas"),
        ("address-groups?name=x", "address-group"),
        (
            "ports/00000000-0000-0000-0000-000000000001/add_allowed_addresses",
            "allowed-address-pairs-atomic",
        ),
        (
            "agents/00000000-0000-0000-0000-000000000001/l3-routers",
            "l3_agent_scheduler",
        ),
    ] {
        for answer in [cloud.get(path).await, cloud.post(path, json!({})).await] {
            let (status, kind, message) = answer.error();
            assert_eq!((status, kind.as_str()), (404, "HTTPNotFound"), "{path}");
            assert!(message.contains(&format!("'{alias}'")), "{path}: {message}");
        }
    }
    let (_, _, message) = cloud.get("nothing").await.error();
    assert_eq!(message, "The resource could not be found.");
}
