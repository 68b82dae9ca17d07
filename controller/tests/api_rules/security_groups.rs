//! Security groups: the default one, who is under which, and what may not be done while somebody is.

use crate::api::Cloud;
use crate::{id, made};
use serde_json::{Value, json};

async fn groups_of(cloud: &Cloud, project: &str) -> Vec<Value> {
    let path = format!("security-groups?project_id={project}");
    let page = cloud.get(&path).await.ok();
    page["security_groups"].as_array().unwrap().clone()
}

/// Direction, family and other end of a group's rules, sorted.
fn rules(group: &Value) -> Vec<(String, String, String)> {
    let rules = group["security_group_rules"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut rules: Vec<_> = rules
        .map(|rule| {
            let remote = text(&rule["remote_group_id"]);
            (text(&rule["direction"]), text(&rule["ethertype"]), remote)
        })
        .collect();
    rules.sort();
    rules
}

fn egress_rules() -> Vec<(String, String, String)> {
    ["IPv4", "IPv6"]
        .map(|family| ("egress".to_owned(), family.to_owned(), String::new()))
        .into()
}

#[tokio::test]
async fn every_project_has_a_default_group_from_when_it_first_looks() {
    let cloud = Cloud::new();
    let groups = groups_of(&cloud, "a").await;
    let [group] = groups.as_slice() else {
        panic!("{groups:?}");
    };
    assert_eq!(
        [&group["name"], &group["description"]],
        ["default", "Default security group"]
    );
    assert_eq!(
        [&group["stateful"], &group["shared"]],
        [&json!(true), &json!(false)]
    );
    let mut expected = egress_rules();
    for family in ["IPv4", "IPv6"] {
        expected.push(("ingress".into(), family.into(), id(group).into()));
    }
    assert_eq!(rules(group), expected);

    let listed = cloud.get("security-group-rules?project_id=b").await.ok();
    assert_eq!(listed["security_group_rules"].as_array().unwrap().len(), 4);
    assert_eq!(groups_of(&cloud, "a").await[0]["id"], group["id"]);
}

#[tokio::test]
async fn a_new_group_lets_guests_send_and_its_project_has_a_default_group_as_well() {
    let cloud = Cloud::new();
    let attributes =
        json!({"name": "web", "project_id": "p", "description": "d", "stateful": false});
    let group = made(&cloud, "security_group", attributes).await;
    assert_eq!(rules(&group), egress_rules());
    assert_eq!(
        [&group["description"], &group["stateful"]],
        [&json!("d"), &json!(false)]
    );
    let groups = groups_of(&cloud, "p").await;
    let mut names: Vec<&Value> = groups.iter().map(|group| &group["name"]).collect();
    names.sort_by_key(|name| name.to_string());
    assert_eq!(names, ["default", "web"]);
    let stateless = cloud.get("security-groups?stateful=false").await.ok();
    assert_eq!(stateless["security_groups"][0]["id"], group["id"]);

    let both = json!({"security_groups": [{"name": "x"}, {"name": "y"}]});
    let both = cloud.post("security-groups", both).await.ok();
    assert_eq!(both["security_groups"].as_array().unwrap().len(), 2);
    let tags = format!("security-groups/{}/tags", id(&group));
    cloud.put(&tags, json!({"tags": ["blue"]})).await.ok();
    let blue = cloud.get("security-groups?tags=blue").await.ok();
    assert_eq!(blue["security_groups"][0]["id"], group["id"]);
}

#[tokio::test]
async fn the_default_group_keeps_its_name() {
    let cloud = Cloud::new();
    let default = groups_of(&cloud, "p").await.remove(0);
    let path = format!("security-groups/{}", id(&default));
    let renamed = json!({"security_group": {"name": "mine"}});
    let (status, kind, message) = cloud.put(&path, renamed).await.error();
    assert_eq!(
        (status, kind.as_str(), message.as_str()),
        (
            409,
            "SecurityGroupCannotUpdateDefault",
            "Updating default security group not allowed."
        )
    );
    let described = json!({"security_group": {"description": "d"}});
    let described = cloud.put(&path, described).await.ok();
    assert_eq!(described["security_group"]["description"], "d");

    let second = json!({"security_group": {"name": "Default"}});
    let (status, kind, message) = cloud.post("security-groups", second.clone()).await.error();
    assert_eq!(
        (status, kind.as_str(), message.as_str()),
        (
            409,
            "SecurityGroupDefaultAlreadyExists",
            "Default security group already exists."
        )
    );
    let group = made(&cloud, "security_group", json!({"name": "web"})).await;
    let path = format!("security-groups/{}", id(&group));
    assert_eq!(
        cloud.put(&path, second).await.error().1,
        "SecurityGroupDefaultAlreadyExists"
    );
}

#[tokio::test]
async fn a_port_is_under_the_groups_asked_for_or_the_default_one() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    let wish = |groups: Value| {
        let mut port = json!({"network_id": network["id"], "project_id": "p"});
        if !groups.is_null() {
            port["security_groups"] = groups;
        }
        port
    };
    let port = made(&cloud, "port", wish(json!(null))).await;
    let default = groups_of(&cloud, "p").await.remove(0);
    assert_eq!(port["security_groups"], json!([default["id"]]));
    let none = made(&cloud, "port", wish(json!([]))).await;
    assert_eq!(none["security_groups"], json!([]));
    let web = made(&cloud, "security_group", json!({"name": "web"})).await;
    let under_web = made(&cloud, "port", wish(json!([web["id"]]))).await;
    assert_eq!(under_web["security_groups"], json!([web["id"]]));

    let filter = format!("ports?security_groups={}", id(&web));
    let listed = cloud.get(&filter).await.ok();
    assert_eq!(listed["ports"].as_array().unwrap().len(), 1);
    assert_eq!(listed["ports"][0]["id"], under_web["id"]);
    let either = format!("{filter}&security_groups={}", id(&default));
    assert_eq!(
        cloud.get(&either).await.ok()["ports"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let path = format!("ports/{}", id(&port));
    let moved = json!({"port": {"security_groups": [web["id"]]}});
    let moved = cloud.put(&path, moved).await.ok();
    assert_eq!(moved["port"]["security_groups"], json!([web["id"]]));
    let renamed = cloud.put(&path, json!({"port": {"name": "n"}})).await.ok();
    assert_eq!(renamed["port"]["security_groups"], json!([web["id"]]));
}

#[tokio::test]
async fn groups_that_a_port_cannot_be_under_are_refused() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    let mut groups = Vec::new();
    for stateful in [true, false] {
        groups.push(made(&cloud, "security_group", json!({"stateful": stateful})).await);
    }
    let ids: Vec<&Value> = groups.iter().map(|group| &group["id"]).collect();
    let nobody = "00000000-0000-0000-0000-000000000001";
    let wrong = [
        (
            json!([nobody]),
            (404, "SecurityGroupNotFound", format!("Security group {nobody} does not exist")),
        ),
        (
            json!(["x"]),
            (400, "HTTPBadRequest", "Invalid input for security_groups. Reason: 'x' is not a valid UUID.".into()),
        ),
        (
            json!([nobody, nobody]),
            (400, "HTTPBadRequest", format!("Invalid input for security_groups. Reason: Duplicate items in the list: '{nobody}'.")),
        ),
        (
            json!(ids),
            (409, "SecurityGroupConflict", "Error Cannot apply both stateful and stateless security groups on the same port at the same time while attempting the operation.".into()),
        ),
    ];
    let port = made(&cloud, "port", json!({"network_id": network["id"]})).await;
    for (groups, (status, kind, message)) in wrong {
        let expected = (status, kind.to_owned(), message);
        let wish = json!({"port": {"network_id": network["id"], "security_groups": groups}});
        assert_eq!(cloud.post("ports", wish).await.error(), expected);
        let wish = json!({"port": {"security_groups": groups}});
        let path = format!("ports/{}", id(&port));
        assert_eq!(cloud.put(&path, wish).await.error(), expected);
    }
}

#[tokio::test]
async fn a_port_without_port_security_is_under_no_group() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    let group = made(&cloud, "security_group", json!({})).await;
    let required = (
        400,
        "PortSecurityAndIPRequiredForSecurityGroups".to_owned(),
        "Port security must be enabled and port must have an IP address in order to use security groups.".to_owned(),
    );
    let mut wish = json!({"network_id": network["id"], "port_security_enabled": false});
    let open = made(&cloud, "port", wish.clone()).await;
    assert_eq!(open["security_groups"], json!([]));
    wish["security_groups"] = json!([group["id"]]);
    let refused = cloud.post("ports", json!({"port": wish})).await;
    assert_eq!(refused.error(), required);

    let port = made(&cloud, "port", json!({"network_id": network["id"]})).await;
    let path = format!("ports/{}", id(&port));
    let mut off = json!({"port": {"port_security_enabled": false}});
    let (status, kind, message) = cloud.put(&path, off.clone()).await.error();
    assert_eq!(
        (status, kind.as_str()),
        (409, "PortSecurityPortHasSecurityGroup")
    );
    assert_eq!(
        message,
        "Port has security group associated. Cannot disable port security or IP address until security group is removed."
    );
    off["port"]["security_groups"] = json!([group["id"]]);
    assert_eq!(cloud.put(&path, off.clone()).await.error(), required);
    off["port"]["security_groups"] = json!([]);
    let off = cloud.put(&path, off).await.ok();
    assert_eq!(off["port"]["security_groups"], json!([]));

    made(&cloud, "network", json!({"port_security_enabled": false})).await;
}

#[tokio::test]
async fn ports_of_the_network_itself_are_under_no_group() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    let dhcp = json!({"network_id": network["id"], "device_owner": "network:dhcp"});
    let dhcp = made(&cloud, "port", dhcp).await;
    assert_eq!(dhcp["security_groups"], json!([]));

    let subnet = json!({"network_id": network["id"], "ip_version": 6, "cidr": "2001:db8::/64"});
    made(&cloud, "subnet", subnet).await;
    let port = made(&cloud, "port", json!({"network_id": network["id"]})).await;
    assert_ne!(port["security_groups"], json!([]));
    let router = made(&cloud, "router", json!({})).await;
    let add = format!("routers/{}/add_router_interface", id(&router));
    cloud.put(&add, json!({"port_id": port["id"]})).await.ok();
    let shown = cloud.get(&format!("ports/{}", id(&port))).await.ok();
    assert_eq!(shown["port"]["security_groups"], json!([]));
}

#[tokio::test]
async fn a_group_that_ports_are_under_stays_as_it_is() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    let group = made(&cloud, "security_group", json!({"name": "web"})).await;
    let path = format!("security-groups/{}", id(&group));
    let wish = json!({"network_id": network["id"], "security_groups": [group["id"]]});
    let port = made(&cloud, "port", wish).await;
    let in_use = (
        409,
        "SecurityGroupInUse".to_owned(),
        format!("Security Group {} in use.", id(&group)),
    );
    assert_eq!(cloud.delete(&path).await.error(), in_use);
    let stateless = json!({"security_group": {"stateful": false}});
    assert_eq!(cloud.put(&path, stateless.clone()).await.error(), in_use);
    let same = json!({"security_group": {"stateful": true, "name": "w"}});
    assert_eq!(
        cloud.put(&path, same).await.ok()["security_group"]["name"],
        "w"
    );

    cloud.delete(&format!("ports/{}", id(&port))).await.ok();
    let changed = cloud.put(&path, stateless).await.ok();
    assert_eq!(changed["security_group"]["stateful"], false);
    cloud.delete(&path).await.ok();
    assert_eq!(
        cloud.get(&path).await.error(),
        (
            404,
            "SecurityGroupNotFound".to_owned(),
            format!("Security group {} does not exist", id(&group))
        )
    );
}
