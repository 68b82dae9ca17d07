//! Who may do what, behind a proxy that says who calls.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod api;

use api::{Answer, Cloud, User};
use axum::http::Method;
use serde_json::{Value, json};
use sextant_model::Settings;

const A: &str = "11111111111111111111111111111111";
const B: &str = "22222222222222222222222222222222";

fn cloud() -> Cloud {
    Cloud::behind_proxy(Settings::default())
}

fn id(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

/// That an answer is 403, and by which rules.
fn forbidden(answer: Answer) -> String {
    let (status, kind, message) = answer.error();
    assert_eq!(
        (status, kind.as_str()),
        (403, "PolicyNotAuthorized"),
        "{message}"
    );
    message
        .strip_suffix(" is disallowed by policy")
        .unwrap()
        .to_owned()
}

fn missing(answer: Answer) -> (String, String) {
    let (status, kind, message) = answer.error();
    assert_eq!(status, 404, "{message}");
    (kind, message)
}

async fn network(user: &User<'_>, more: Value) -> Value {
    user.make("network", more).await
}

async fn subnet(user: &User<'_>, network: &Value, cidr: &str) -> Value {
    let given = json!({"network_id": network["id"], "ip_version": 6, "cidr": cidr});
    user.make("subnet", given).await
}

#[tokio::test]
async fn who_is_not_named_by_a_trusted_proxy_is_nobody() {
    let cloud = cloud();
    let mut stranger = cloud.user(A, "admin");
    stranger.from = "192.0.2.7:1234".parse().unwrap();
    let mut unnamed = cloud.user(A, "admin");
    unnamed.headers.retain(|(name, _)| *name != "x-user-id");
    let mut unconfirmed = cloud.user(A, "admin");
    unconfirmed.headers[0].1 = "Invalid".to_owned();
    for user in [stranger, unnamed, unconfirmed] {
        for path in ["/v2.0/networks", "/v2.0/", "/v2.0/nothing"] {
            let answer = user.request(Method::GET, path, None).await;
            assert_eq!(answer.status, 401, "{path}");
            assert_eq!(answer.body["error"]["title"], "Unauthorized");
            assert!(answer.request_id.starts_with("req-"));
        }
        let versions = user.request(Method::GET, "/", None).await;
        assert!(versions.status.is_success(), "{versions:?}");
    }
}

#[tokio::test]
async fn who_is_named_twice_is_nobody() {
    let cloud = cloud();
    let repeated = [
        ("x-project-id", B),
        ("x-project-id", A),
        ("x-roles", "reader"),
        ("x-user-id", "somebody"),
        ("x-identity-status", "Confirmed"),
        ("x-is-admin-project", "True"),
    ];
    for (name, value) in repeated {
        let mut user = cloud.user(A, "admin");
        user.headers.push((name, value.to_owned()));
        if name == "x-is-admin-project" {
            user.headers.push((name, "False".to_owned()));
        }
        assert_eq!(user.get("networks").await.status, 401, "{name}");
        let versions = user.request(Method::GET, "/", None).await;
        assert!(versions.status.is_success());
    }
}

#[tokio::test]
async fn roles_are_read_whatever_stands_beside_them() {
    let cloud = cloud();
    network(&cloud.user(B, "member"), json!({})).await;
    for admin in [
        "admin",
        "ADMIN",
        " Admin ",
        "reader,admin",
        "x , aDmin,,",
        ",admin",
        "\u{e9}t\u{e9},admin",
    ] {
        let all = cloud.user(A, admin).ids("networks").await;
        assert_eq!(all.len(), 1, "{admin}");
    }
    for nobody in [
        "",
        ",",
        "administrator",
        "admin member",
        "'admin'",
        "admin;reader",
    ] {
        let none = cloud.user(A, nobody).ids("networks").await;
        assert!(none.is_empty(), "{nobody}");
    }
}

#[tokio::test]
async fn a_project_sees_its_own_the_shared_and_the_external() {
    let cloud = cloud();
    let (admin, a, b) = (
        cloud.user("admins", "admin"),
        cloud.user(A, "member"),
        cloud.user(B, "reader"),
    );
    let own = network(&b_member(&cloud), json!({})).await;
    let private = network(&a, json!({})).await;
    let shared = network(&admin, json!({"shared": true})).await;
    let external = network(&admin, json!({"router:external": true})).await;
    for (n, net) in [&own, &private, &shared, &external].into_iter().enumerate() {
        subnet(&admin, net, &format!("2001:db8:{n}::/64")).await;
    }
    let mut visible = vec![id(&own), id(&shared), id(&external)];
    visible.sort();
    assert_eq!(b.ids("networks").await, visible);
    assert_eq!(b.ids("subnets").await.len(), 3);
    assert_eq!(admin.ids("networks").await.len(), 4);

    let path = format!("networks/{}", id(&private));
    let gone = (
        "NetworkNotFound".to_owned(),
        format!("Network {} could not be found.", id(&private)),
    );
    assert_eq!(missing(b.get(&path).await), gone);
    assert_eq!(
        missing(b.put(&path, json!({"network": {"name": "x"}})).await),
        gone
    );
    assert_eq!(missing(b_member(&cloud).delete(&path).await), gone);
    assert_eq!(missing(b.get(&format!("{path}/tags")).await), gone);
    assert_eq!(
        b.get("networks?shared=True").await.ok()["networks"][0]["id"],
        shared["id"]
    );
}

fn b_member(cloud: &Cloud) -> User<'_> {
    cloud.user(B, "member")
}

#[tokio::test]
async fn what_is_seen_but_not_the_projects_is_forbidden_to_change() {
    let cloud = cloud();
    let (admin, b) = (cloud.user("admins", "admin"), b_member(&cloud));
    let shared = network(&admin, json!({"shared": true})).await;
    let of_shared = subnet(&admin, &shared, "2001:db8::/64").await;
    let (net, sub) = (
        format!("networks/{}", id(&shared)),
        format!("subnets/{}", id(&of_shared)),
    );
    let refused = [
        (
            forbidden(b.put(&net, json!({"network": {"name": "x"}})).await),
            "rule:update_network",
        ),
        (forbidden(b.delete(&net).await), "rule:delete_network"),
        (
            forbidden(b.put(&sub, json!({"subnet": {"name": "x"}})).await),
            "rule:update_subnet",
        ),
        (forbidden(b.delete(&sub).await), "rule:delete_subnet"),
        (
            forbidden(b.put(&format!("{net}/tags/x"), json!({})).await),
            "rule:update_network:tags",
        ),
    ];
    for (rule, expected) in refused {
        assert_eq!(rule, expected);
    }
    let given =
        json!({"subnet": {"network_id": shared["id"], "ip_version": 6, "cidr": "2001:db8:1::/64"}});
    assert_eq!(
        forbidden(b.post("subnets", given).await),
        "rule:create_subnet"
    );
}

#[tokio::test]
async fn a_reader_reads_and_a_member_writes() {
    let cloud = cloud();
    let (member, reader, nobody) = (
        cloud.user(A, "member"),
        cloud.user(A, "reader"),
        cloud.user(A, ""),
    );
    let own = network(&member, json!({"name": "n"})).await;
    let path = format!("networks/{}", id(&own));
    assert_eq!(reader.get(&path).await.ok()["network"]["name"], "n");
    let change = json!({"network": {"name": "m"}});
    assert_eq!(
        forbidden(reader.put(&path, change.clone()).await),
        "rule:update_network"
    );
    assert_eq!(forbidden(reader.delete(&path).await), "rule:delete_network");
    assert_eq!(
        forbidden(reader.post("networks", change.clone()).await),
        "rule:create_network"
    );
    let many = json!({"networks": [{"name": "m"}, {"name": "o"}]});
    assert_eq!(
        forbidden(reader.post("networks", many.clone()).await),
        "rule:create_network"
    );
    member.put(&path, change).await.ok();
    member.post("networks", many).await.ok();
    assert_eq!(reader.ids("networks").await.len(), 3);

    assert!(nobody.ids("networks").await.is_empty());
    let unseen = (
        "HTTPNotFound".to_owned(),
        "The resource could not be found.".to_owned(),
    );
    assert_eq!(missing(nobody.get(&path).await), unseen);
}

#[tokio::test]
async fn protected_attributes_are_for_admins_and_seen_by_them_only() {
    let cloud = cloud();
    let (admin, member) = (cloud.user("admins", "admin"), cloud.user(A, "member"));
    let given = |more: Value| json!({"network": more});
    let cases = [
        (
            json!({"shared": true}),
            "(rule:create_network and rule:create_network:shared)",
        ),
        (
            json!({"shared": true, "router:external": true}),
            "((rule:create_network and rule:create_network:shared) and rule:create_network:router:external)",
        ),
        (
            json!({"provider:network_type": "vxlan"}),
            "(rule:create_network and rule:create_network:provider:network_type)",
        ),
    ];
    for (more, rules) in cases {
        assert_eq!(forbidden(member.post("networks", given(more)).await), rules);
    }
    let own = network(&member, json!({"shared": false})).await;
    assert!(own.get("provider:network_type").is_none(), "{own}");
    let path = format!("networks/{}", id(&own));
    let shown = admin.get(&path).await.ok();
    assert_eq!(shown["network"]["provider:network_type"], "vxlan");
    let number = &shown["network"]["provider:segmentation_id"];
    let guess = format!("networks?provider:segmentation_id={number}");
    assert!(member.ids(&guess).await.is_empty());
    assert_eq!(admin.ids(&guess).await.len(), 1);
    assert_eq!(
        forbidden(member.put(&path, given(json!({"shared": false}))).await),
        "(rule:update_network and rule:update_network:shared)"
    );
}

#[tokio::test]
async fn on_a_network_of_others_a_port_is_as_the_network_gives_it() {
    let cloud = cloud();
    let (admin, b) = (cloud.user("admins", "admin"), b_member(&cloud));
    let shared = network(&admin, json!({"shared": true})).await;
    let of_shared = subnet(&admin, &shared, "2001:db8::/64").await;
    let private = network(&admin, json!({})).await;
    let port = |more: Value| {
        let mut port = json!({"network_id": shared["id"]});
        let attributes = port.as_object_mut().unwrap();
        attributes.extend(more.as_object().unwrap().clone());
        json!({"port": port})
    };
    let refused = [
        (
            port(json!({"mac_address": "fa:16:3e:00:00:01"})),
            "(rule:create_port and rule:create_port:mac_address)",
        ),
        (
            port(json!({"fixed_ips": [{"ip_address": "2001:db8::5"}]})),
            "(rule:create_port and (rule:create_port:fixed_ips and (rule:create_port:fixed_ips:ip_address)))",
        ),
        (
            port(json!({"device_owner": "network:dhcp"})),
            "(rule:create_port and rule:create_port:device_owner)",
        ),
        (
            port(json!({"binding:host_id": "h1"})),
            "(rule:create_port and rule:create_port:binding:host_id)",
        ),
        (
            port(json!({"port_security_enabled": false})),
            "(rule:create_port and rule:create_port:port_security_enabled)",
        ),
    ];
    for (given, rules) in refused {
        let answer = b.post("ports", given.clone()).await;
        assert_eq!(forbidden(answer), rules, "{given}");
    }
    let given = port(
        json!({"fixed_ips": [{"subnet_id": of_shared["id"]}], "device_owner": "compute:nova"}),
    );
    let made = b.post("ports", given).await.ok();
    assert!(made["port"].get("binding:host_id").is_none(), "{made}");
    assert_eq!(made["port"]["binding:vnic_type"], "normal");

    let nobody = json!("00000000-0000-0000-0000-000000000000");
    for nowhere in [&private["id"], &nobody] {
        let nowhere = json!({"port": {"network_id": nowhere}});
        assert_eq!(missing(b.post("ports", nowhere).await).0, "NetworkNotFound");
    }
    // The owner of a network sees all ports of it; others do not see each other's.
    let path = format!("ports/{}", id(&made["port"]));
    assert_eq!(
        missing(cloud.user(A, "member").get(&path).await).0,
        "PortNotFound"
    );
    cloud.user("admins", "reader").get(&path).await.ok();
}

#[tokio::test]
async fn for_other_projects_only_admins_and_services_ask() {
    let cloud = cloud();
    let given = json!({"network": {"project_id": B}});
    let (status, kind, message) = cloud
        .user(A, "member")
        .post("networks", given.clone())
        .await
        .error();
    assert_eq!((status, kind.as_str()), (400, "HTTPBadRequest"));
    assert_eq!(
        message,
        "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request is not allowed for \
         current user."
    );
    let made = cloud.user(A, "admin").post("networks", given).await.ok();
    assert_eq!(made["network"]["project_id"], B);
    let mut unscoped = cloud.user(A, "admin");
    unscoped.headers.retain(|(name, _)| *name != "x-project-id");
    let (status, _, message) = unscoped
        .post("networks", json!({"network": {}}))
        .await
        .error();
    assert_eq!(
        (status, message.as_str()),
        (
            400,
            "Running without keystone AuthN requires that tenant_id is specified"
        )
    );
}

#[tokio::test]
async fn routers_take_in_what_their_project_may_use() {
    let cloud = cloud();
    let (admin, a, b) = (
        cloud.user("admins", "admin"),
        cloud.user(A, "member"),
        b_member(&cloud),
    );
    let router = a.make("router", json!({})).await;
    assert!(
        router.get("ha").is_none() && router.get("distributed").is_none(),
        "{router}"
    );
    let add = format!("routers/{}/add_router_interface", id(&router));
    let of_a = subnet(&a, &network(&a, json!({})).await, "2001:db8:a::/64").await;
    let of_b = subnet(&b, &network(&b, json!({})).await, "2001:db8:b::/64").await;
    let shared = network(&admin, json!({"shared": true})).await;
    let of_shared = subnet(&admin, &shared, "2001:db8:c::/64").await;
    let interface = |subnet: &Value| json!({"subnet_id": subnet["id"]});

    assert_eq!(
        missing(b.put(&add, interface(&of_b)).await).0,
        "RouterNotFound"
    );
    let reader = cloud.user(A, "reader");
    assert_eq!(
        forbidden(reader.put(&add, interface(&of_a)).await),
        "rule:add_router_interface"
    );
    assert_eq!(
        missing(a.put(&add, interface(&of_b)).await).0,
        "SubnetNotFound"
    );
    let (status, _, message) = a.put(&add, interface(&of_shared)).await.error();
    assert_eq!(status, 400);
    assert!(
        message.ends_with("is not owned by project making the request."),
        "{message}"
    );
    a.put(&add, interface(&of_a)).await.ok();
    let remove = add.replace("add_", "remove_");
    assert_eq!(
        forbidden(reader.put(&remove, interface(&of_a)).await),
        "rule:remove_router_interface"
    );
    a.put(&remove, interface(&of_a)).await.ok();
}

#[tokio::test]
async fn nobody_makes_a_port_of_anothers_router() {
    let cloud = cloud();
    let (a, b) = (cloud.user(A, "member"), b_member(&cloud));
    let of_a = a.make("router", json!({})).await;
    let own = network(&b, json!({})).await;
    let port = json!({"network_id": own["id"], "device_owner": "network:router_interface", "device_id": of_a["id"]});
    let (status, kind, _) = b.post("ports", json!({"port": port})).await.error();
    assert_eq!((status, kind.as_str()), (409, "DeviceIDNotOwnedByTenant"));
    let made = b.make("port", json!({"network_id": own["id"]})).await;
    let path = format!("ports/{}", id(&made));
    let change = json!({"device_id": of_a["id"], "device_owner": "network:router_interface"});
    let change = json!({"port": change});
    let (status, kind, _) = b.put(&path, change).await.error();
    assert_eq!((status, kind.as_str()), (409, "DeviceIDNotOwnedByTenant"));
}

#[tokio::test]
async fn a_pool_of_others_is_none() {
    let cloud = cloud();
    let (admin, a, b) = (
        cloud.user("admins", "admin"),
        cloud.user(A, "member"),
        b_member(&cloud),
    );
    let pool = |prefix: &str| json!({"prefixes": [prefix], "default_prefixlen": 64});
    let of_a = a.make("subnetpool", pool("2001:db8:a::/48")).await;
    let shared = {
        let mut given = pool("2001:db8:c::/48");
        given["shared"] = true.into();
        assert_eq!(
            forbidden(a.post("subnetpools", json!({"subnetpool": given})).await),
            "(rule:create_subnetpool and rule:create_subnetpool:shared)"
        );
        admin.make("subnetpool", given).await
    };
    assert_eq!(b.ids("subnetpools").await, [id(&shared)]);
    let net = network(&b, json!({})).await;
    let from = |pool: &Value| json!({"subnet": {"network_id": net["id"], "ip_version": 6, "subnetpool_id": pool["id"]}});
    assert_eq!(
        missing(b.post("subnets", from(&of_a)).await).0,
        "SubnetPoolNotFound"
    );
    b.post("subnets", from(&shared)).await.ok();
}

#[tokio::test]
async fn agents_are_shown_to_admins() {
    let cloud = cloud();
    assert_eq!(
        cloud.user(A, "member").get("agents").await.ok()["agents"],
        json!([])
    );
}

#[tokio::test]
async fn pages_of_a_list_hold_what_is_seen_only() {
    let cloud = cloud();
    let (a, b) = (cloud.user(A, "member"), b_member(&cloud));
    for n in 0..6 {
        network(
            if n % 2 == 0 { &a } else { &b },
            json!({"name": format!("n{n}")}),
        )
        .await;
    }
    let page = b.get("networks?limit=2&sort_key=name").await.ok();
    let names: Vec<&str> = page["networks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|network| network["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["n1", "n3"]);
    let of_a = a.ids("networks").await;
    let (status, ..) = b
        .get(&format!("networks?limit=2&marker={}", of_a[0]))
        .await
        .error();
    assert_eq!(status, 404);
}
