//! Networks and their subnets.

use crate::api::Cloud;
use crate::{A, B, cloud, error, path, refused};
use serde_json::{Value, json};

fn subnet(network: &Value, version: u8, cidr: &str) -> Value {
    json!({"subnet": {"network_id": network["id"], "ip_version": version, "cidr": cidr}})
}

#[tokio::test]
async fn what_a_network_carries_fits_its_mtu_whichever_comes_first() {
    let cloud = cloud();
    let member = cloud.user(A, "member");
    let conflict = error(409, "NetworkMTUSubnetConflict");
    for (version, cidr, least) in [(6, "2001:db8:5::/64", 1280), (4, "192.0.2.0/24", 68)] {
        let small = member.make("network", json!({"mtu": least - 1})).await;
        let (status, kind, message) = member
            .post("subnets", subnet(&small, version, cidr))
            .await
            .error();
        assert_eq!((status, kind), conflict);
        assert!(
            message.ends_with(&format!("subnet requires a minimum of {least}")),
            "{message}"
        );
        let enough = member.make("network", json!({"mtu": least})).await;
        member
            .post("subnets", subnet(&enough, version, cidr))
            .await
            .ok();

        let mtu = |mtu: u16| json!({"network": {"mtu": mtu}});
        let at = path("networks", &enough);
        assert_eq!(refused(member.put(&at, mtu(least - 1)).await), conflict);
        member.put(&at, mtu(least)).await.ok();
        member
            .put(&path("networks", &small), mtu(least - 1))
            .await
            .ok();
    }
    // IPv6 does not fit where not even IPv4 would.
    let tiny = member.make("network", json!({"mtu": 67})).await;
    let (_, _, message) = member
        .post("subnets", subnet(&tiny, 6, "2001:db8::/64"))
        .await
        .error();
    assert!(message.ends_with("minimum of 68"), "{message}");
}

#[tokio::test]
async fn one_external_network_is_the_default_and_stays_everybodys() {
    let cloud = cloud();
    let admin = cloud.user("admins", "admin");
    let member = cloud.user(A, "member");
    let wish = json!({"network": {"router:external": true, "is_default": true}});
    assert_eq!(
        refused(member.post("networks", wish).await),
        error(403, "PolicyNotAuthorized")
    );
    let internal = admin.make("network", json!({"is_default": true})).await;
    assert_eq!(internal.get("is_default"), None, "only external ones are");

    let first = admin
        .make(
            "network",
            json!({"router:external": true, "is_default": true}),
        )
        .await;
    let second = admin
        .make("network", json!({"router:external": true}))
        .await;
    assert_eq!([&first["is_default"], &second["is_default"]], [true, false]);
    let choose = |default: bool| json!({"network": {"is_default": default}});
    let exists = error(409, "DefaultExternalNetworkExists");
    let (first, second) = (path("networks", &first), path("networks", &second));
    assert_eq!(refused(admin.put(&second, choose(true)).await), exists);
    admin.put(&first, choose(true)).await.ok();
    assert_eq!(member.get(&first).await.ok()["network"]["is_default"], true);
    assert_eq!(admin.ids("networks?is_default=True").await.len(), 1);

    let id = first.strip_prefix("networks/").unwrap();
    let policies = admin.ids(&format!("rbac-policies?object_id={id}")).await;
    let policy = format!("rbac-policies/{}", policies[0]);
    let in_use = error(409, "RbacPolicyInUse");
    assert_eq!(refused(admin.delete(&policy).await), in_use);
    let retarget = json!({"rbac_policy": {"target_tenant": B}});
    assert_eq!(refused(admin.put(&policy, retarget).await), in_use);

    admin
        .put(&first, json!({"network": {"router:external": false}}))
        .await
        .ok();
    admin.put(&second, choose(true)).await.ok();
    assert_eq!(admin.delete(&second).await.status, 204);
    admin
        .make(
            "network",
            json!({"router:external": true, "is_default": true}),
        )
        .await;
}

#[tokio::test]
async fn subnets_say_whether_they_are_external_and_are_found_by_being_shared() {
    let cloud = cloud();
    let admin = cloud.user("admins", "admin");
    let (a, b) = (cloud.user(A, "member"), cloud.user(B, "member"));
    let networks = [
        a.make("network", json!({})).await,
        admin.make("network", json!({"shared": true})).await,
        admin
            .make("network", json!({"router:external": true}))
            .await,
        admin.make("network", json!({})).await,
    ];
    let for_a = json!({"object_type": "network", "object_id": networks[3]["id"],
                       "target_tenant": A, "action": "access_as_external"});
    admin.make("rbac_policy", for_a).await;
    let mut ids = Vec::new();
    for (n, network) in networks.iter().enumerate() {
        let made = admin
            .post("subnets", subnet(network, 6, &format!("2001:db8:{n}::/64")))
            .await
            .ok();
        ids.push(made["subnet"]["id"].as_str().unwrap().to_owned());
    }
    let of = |wanted: &[usize]| {
        let mut wanted: Vec<String> = wanted.iter().map(|n| ids[*n].clone()).collect();
        wanted.sort();
        wanted
    };
    assert_eq!(a.ids("subnets").await, of(&[0, 1, 2, 3]));
    assert_eq!(
        b.ids("subnets").await,
        of(&[1, 2]),
        "external for another project alone"
    );
    for (filter, expected) in [
        ("shared=True", of(&[1])),
        ("shared=1", of(&[1])),
        ("shared=false", of(&[0, 2, 3])),
        ("router:external=True", of(&[2, 3])),
        ("router:external=False&shared=False", of(&[0])),
    ] {
        assert_eq!(
            a.ids(&format!("subnets?{filter}")).await,
            expected,
            "{filter}"
        );
    }
    let shown = a.get(&format!("subnets/{}", ids[2])).await.ok();
    assert_eq!(shown["subnet"]["router:external"], true);
    assert_eq!(shown["subnet"].get("shared"), None);
    let extensions = a.get("extensions/subnet-external-network").await;
    assert_eq!(extensions.status, 200);
}

#[tokio::test]
async fn a_networks_revision_moves_when_its_policies_do() {
    let cloud = cloud();
    let (admin, a) = (cloud.user("admins", "admin"), cloud.user(A, "member"));
    let network = a.make("network", json!({})).await;
    let at = path("networks", &network);
    let revision = async || {
        a.get(&at).await.ok()["network"]["revision_number"]
            .as_u64()
            .unwrap()
    };
    let mut last = revision().await;
    let mut moved = async |what: &str| {
        let now = revision().await;
        assert!(now > last, "{what}: {now} after {last}");
        last = now;
    };
    let policy = json!({"object_type": "network", "object_id": network["id"],
                        "target_tenant": B, "action": "access_as_shared"});
    let policy = path("rbac-policies", &a.make("rbac_policy", policy).await);
    moved("a policy comes").await;
    a.put(
        &policy,
        json!({"rbac_policy": {"target_tenant": "3".repeat(32)}}),
    )
    .await
    .ok();
    moved("a policy is for another").await;
    a.delete(&policy).await.ok();
    moved("a policy goes").await;
    admin
        .put(&at, json!({"network": {"shared": true}}))
        .await
        .ok();
    moved("it is shared").await;
}

#[tokio::test]
async fn a_network_has_a_domain_for_its_guests_names() {
    let cloud = Cloud::new();
    let made = |domain: Value| cloud.post("networks", json!({"network": {"dns_domain": domain}}));
    for domain in ["example.org.", ""] {
        let domain = json!(domain);
        assert_eq!(
            made(domain.clone()).await.ok()["network"]["dns_domain"],
            domain
        );
    }
    let long = [
        "a".repeat(63),
        "b".repeat(63),
        "c".repeat(63),
        "d".repeat(62),
    ]
    .join(".")
        + ".";
    for domain in ["example.org", "a..b.", "-a.", "a_b.", "a.1.", ".", &long] {
        assert_eq!(
            refused(made(json!(domain)).await),
            error(400, "HTTPBadRequest"),
            "{domain}"
        );
    }
    let upper = made(json!("Example.NET.")).await.ok();
    assert_eq!(upper["network"]["dns_domain"], "example.net.");
    let listed = cloud.get("networks?dns_domain=example.org.").await.ok();
    assert_eq!(listed["networks"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn prefixes_that_are_nobodys_are_refused() {
    let cloud = Cloud::new();
    let network = cloud.post("networks", json!({"network": {}})).await.ok()["network"].clone();
    let ask = |cidr: &str, dhcp: bool| {
        let version = if cidr.contains(':') { 6 } else { 4 };
        let mut wish = subnet(&network, version, cidr);
        wish["subnet"]["enable_dhcp"] = dhcp.into();
        cloud.post("subnets", wish)
    };
    let always = ["0.0.0.0/0", "::/0", "::/64", "::/96", "::1/64"];
    let with_dhcp = [
        "0.0.0.0/8",
        "0.0.0.0/24",
        "127.0.0.0/8",
        "127.3.0.0/16",
        "224.0.0.0/24",
        "ff00::/64",
    ];
    for cidr in always {
        for dhcp in [true, false] {
            assert_eq!(
                refused(ask(cidr, dhcp).await),
                error(400, "InvalidInput"),
                "{cidr}"
            );
        }
    }
    for cidr in with_dhcp {
        assert_eq!(
            refused(ask(cidr, true).await),
            error(400, "InvalidInput"),
            "{cidr}"
        );
    }
    for cidr in ["10.0.0.0/24", "2001:db8::/64", "1.0.0.0/8", "fd00::/64"] {
        ask(cidr, true).await.ok();
    }
}
