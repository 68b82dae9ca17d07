//! Ports: where they are, and the addresses that they have by themselves.

use crate::api::{Cloud, port_id};
use crate::{id, made, slaac};
use serde_json::{Value, json};
use sextant_model::{ChassisId, Plugged};

#[tokio::test]
async fn a_port_shows_where_it_is_and_is_active_once_its_flows_are_confirmed() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    let port = made(&cloud, "port", json!({"network_id": network["id"]})).await;
    let path = format!("ports/{}", id(&port));
    assert_eq!(
        [
            &port["status"],
            &port["binding:vif_type"],
            &port["binding:host_id"]
        ],
        ["DOWN", "unbound", ""]
    );

    let (port, chassis) = (port_id(&port["id"]), ChassisId::new("h1"));
    let plugged = Plugged {
        chassis: chassis.clone(),
        ofport: Some(1),
    };
    cloud
        .observe(move |facts, intent| facts.plug(intent, port, plugged))
        .await;
    let shown = cloud.get(&path).await.ok();
    let shown = &shown["port"];
    assert_eq!(
        [
            &shown["status"],
            &shown["binding:vif_type"],
            &shown["binding:host_id"]
        ],
        ["DOWN", "ovs", "h1"]
    );

    cloud
        .observe(move |facts, _| facts.confirm(port, &chassis))
        .await;
    assert_eq!(cloud.get(&path).await.ok()["port"]["status"], "ACTIVE");
    for (up, status) in [(false, "DOWN"), (true, "ACTIVE")] {
        let change = json!({"port": {"admin_state_up": up}});
        let changed = cloud.put(&path, change).await.ok();
        assert_eq!(changed["port"]["status"], status, "admin_state_up {up}");
    }
    let mac = json!({"port": {"mac_address": "fa:16:3e:00:00:09"}});
    assert_eq!(cloud.put(&path, mac).await.error().1, "PortBound");
}

#[tokio::test]
async fn a_port_keeps_the_addresses_that_it_has_by_itself() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    let mac = json!({"network_id": network["id"], "mac_address": "fa:16:3e:00:00:01"});
    let port = made(&cloud, "port", mac).await;
    let (one, two) = (
        slaac(&cloud, &network, "2001:db8:1::/64").await,
        slaac(&cloud, &network, "2001:db8:2::/64").await,
    );
    let addresses = |port: &Value| -> Vec<String> {
        let fixed = port["port"]["fixed_ips"].as_array().unwrap().iter();
        fixed
            .map(|fixed| fixed["ip_address"].as_str().unwrap().to_owned())
            .collect()
    };
    let path = format!("ports/{}", id(&port));
    let both = [
        "2001:db8:1:0:f816:3eff:fe00:1",
        "2001:db8:2:0:f816:3eff:fe00:1",
    ];
    assert_eq!(addresses(&cloud.get(&path).await.ok()), both);
    let listed = json!({"port": {"fixed_ips": [{"subnet_id": one["id"], "ip_address": both[0]}]}});
    assert_eq!(addresses(&cloud.put(&path, listed).await.ok()), both);
    let moved = json!({"port": {"mac_address": "fa:16:3e:00:00:02"}});
    let both = both.map(|address| address.replace("fe00:1", "fe00:2"));
    assert_eq!(addresses(&cloud.put(&path, moved).await.ok()), both);
    let again = json!({"network_id": network["id"], "mac_address": "fa:16:3e:00:00:01"});
    made(&cloud, "port", again).await;

    cloud.delete(&format!("subnets/{}", id(&one))).await.ok();
    assert_eq!(addresses(&cloud.get(&path).await.ok()), both[1..]);
    cloud.delete(&path).await.ok();
    assert_eq!(
        cloud
            .get(&format!("ports?fixed_ips=subnet_id%3D{}", id(&two)))
            .await
            .ok()["ports"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn ports_are_made_with_their_tags() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    let tagged = |tags: Value| json!({"network_id": network["id"], "tags": tags});
    let port = made(&cloud, "port", tagged(json!(["b", "a", "b"]))).await;
    assert_eq!(port["tags"], json!(["a", "b"]));
    let two = json!({"ports": [tagged(json!(["x"])), tagged(json!([]))]});
    let two = cloud.post("ports", two).await.ok();
    let tags = [&two["ports"][0]["tags"], &two["ports"][1]["tags"]];
    assert_eq!(tags, [&json!(["x"]), &json!([])]);
    let found = cloud.get("ports?tags=x&fields=tags").await.ok();
    assert_eq!(found["ports"], json!([{"tags": ["x"]}]));

    let path = format!("ports/{}", id(&port));
    let later = cloud.put(&path, json!({"port": {"tags": []}})).await;
    assert_eq!(later.error().2, "Cannot update read-only attribute tags");
    let many: Vec<String> = (0..51).map(|n| format!("t{n}")).collect();
    for wrong in [json!(many), json!(["a,b"]), json!("a"), json!([1])] {
        let refused = cloud.post("ports", json!({"port": tagged(wrong)})).await;
        assert_eq!(refused.error().0, 400);
    }
    let network = json!({"network": {"tags": ["a"]}});
    assert_eq!(cloud.post("networks", network).await.error().0, 400);
}

#[tokio::test]
async fn nobody_sends_from_a_multicast_address() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    for pair in ["224.0.0.1", "ff02::/16", "239.0.0.0/8"] {
        let pairs = json!([{"ip_address": pair}]);
        let port = json!({"network_id": network["id"], "allowed_address_pairs": pairs});
        let (status, _, message) = cloud.post("ports", json!({"port": port})).await.error();
        assert_eq!(status, 400);
        assert!(message.contains("multicast"), "{message}");
    }
}
