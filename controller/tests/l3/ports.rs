use super::*;

#[tokio::test]
async fn addresses_come_from_the_subnets_that_are_for_the_ports_owner() {
    let cloud = Cloud::new();
    let inside = network(&cloud, json!({})).await;
    let for_guests = json!({"service_types": ["compute:nova"]});
    let guests = subnet(&cloud, &inside, "2001:db8:1::/64", for_guests).await;
    assert_eq!(guests["service_types"], json!(["compute:nova"]));
    let wish = |owner: &str| json!({"network_id": inside["id"], "device_owner": owner});
    let (status, kind, message) = cloud
        .post("ports", json!({"port": wish("compute:x")}))
        .await
        .error();
    assert_eq!(
        (status, kind.as_str()),
        (409, "IpAddressGenerationFailureNoMatchingSubnet")
    );
    assert!(message.ends_with("service type compute:x."), "{message}");

    subnet(&cloud, &inside, "2001:db8:2::/64", json!({})).await;
    for (owner, prefix) in [
        ("compute:nova", "2001:db8:1:"),
        ("compute:x", "2001:db8:2:"),
    ] {
        let port = made(&cloud, "port", wish(owner)).await;
        let all = addresses(&port["fixed_ips"]);
        assert!(
            all.len() == 1 && all[0].starts_with(prefix),
            "{owner}: {all:?}"
        );
    }
    let mut named = wish("compute:x");
    named["fixed_ips"] = json!([{"subnet_id": guests["id"]}]);
    let (status, _, message) = cloud.post("ports", json!({"port": named})).await.error();
    assert_eq!(status, 400);
    assert!(
        message.contains("fixed_ips included invalid subnet"),
        "{message}"
    );
    let path = format!("subnets/{}", id(&guests));
    let wrong = json!({"subnet": {"service_types": ["nonsense"]}});
    assert_eq!(cloud.put(&path, wrong).await.error().0, 400);
    let open = json!({"subnet": {"service_types": []}});
    assert_eq!(
        cloud.put(&path, open).await.ok()["subnet"]["service_types"],
        json!([])
    );
}

#[tokio::test]
async fn a_subnet_for_others_gives_no_address_by_itself() {
    let cloud = Cloud::new();
    let inside = network(&cloud, json!({})).await;
    let owned = |owner: &str| json!({"network_id": inside["id"], "device_owner": owner});
    let before = [
        made(&cloud, "port", owned("compute:nova")).await,
        made(&cloud, "port", owned("")).await,
    ];
    let mut modes = slaac();
    modes["service_types"] = json!(["compute:nova"]);
    subnet(&cloud, &inside, "2001:db8:1::/64", modes).await;
    let mut counts = Vec::new();
    for port in &before {
        counts.push(addresses(&shown(&cloud, "port", port).await["fixed_ips"]).len());
    }
    assert_eq!(counts, [1, 0]);
}

#[tokio::test]
async fn what_nova_keeps_with_a_port_is_kept() {
    let cloud = Cloud::new();
    let inside = network(&cloud, json!({})).await;
    let profile = json!({"migrating_to": "h2", "os_vif_delegation": true, "card_serial_number": null, "n": {"a": [1]}});
    let wish =
        json!({"network_id": inside["id"], "binding:host_id": "h1", "binding:profile": profile});
    let port = made(&cloud, "port", wish).await;
    assert_eq!(port["binding:profile"], profile);
    let path = format!("ports/{}", id(&port));
    for empty in [json!({}), json!(null)] {
        let cleared = json!({"port": {"binding:profile": empty}});
        assert_eq!(
            cloud.put(&path, cleared).await.ok()["port"]["binding:profile"],
            json!({})
        );
    }
    for wrong in [json!("x"), json!([1]), json!({"x": "y".repeat(5000)})] {
        let wrong = json!({"port": {"binding:profile": wrong}});
        assert_eq!(cloud.put(&path, wrong).await.error().0, 400);
    }
}

#[tokio::test]
async fn a_port_is_called_as_its_guest_or_after_its_address() {
    let cloud = Cloud::new();
    let inside = network(&cloud, json!({})).await;
    subnet(&cloud, &inside, "2001:db8:1::/64", json!({})).await;
    let wish = json!({"network_id": inside["id"], "dns_name": "Web", "fixed_ips": [{"ip_address": "2001:db8:1::5"}]});
    let port = made(&cloud, "port", wish).await;
    assert_eq!(port["dns_name"], "web");
    assert_eq!(
        port["dns_assignment"],
        json!([{"ip_address": "2001:db8:1::5", "hostname": "web", "fqdn": "web.openstacklocal."}])
    );
    let path = format!("ports/{}", id(&port));
    let unnamed = cloud
        .put(&path, json!({"port": {"dns_name": ""}}))
        .await
        .ok();
    assert_eq!(
        unnamed["port"]["dns_assignment"][0]["fqdn"],
        "host-2001-db8-1--5.openstacklocal."
    );
    let long = [
        "a".repeat(63),
        "b".repeat(63),
        "c".repeat(63),
        "d".repeat(54),
    ]
    .join(".");
    for wrong in [
        "-a",
        "a..b",
        "a_b",
        "a.1",
        "web.example.net.",
        "openstacklocal.",
        &"a".repeat(64),
        &long,
    ] {
        let wrong = json!({"port": {"dns_name": wrong}});
        assert_eq!(cloud.put(&path, wrong).await.error().0, 400);
    }
    let full = json!({"port": {"dns_name": "web.openstacklocal.", "dns_domain": "Example.ORG."}});
    let full = cloud.put(&path, full).await.ok();
    assert_eq!(full["port"]["dns_domain"], "example.org.");
    assert_eq!(
        full["port"]["dns_assignment"][0]["fqdn"],
        "web.openstacklocal."
    );
    let listed = cloud.get("ports?dns_domain=example.org.").await.ok();
    assert_eq!(listed["ports"].as_array().unwrap().len(), 1);
}
