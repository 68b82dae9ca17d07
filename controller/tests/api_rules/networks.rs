//! Networks: how much fits through them, and what they give back.

use crate::api::Cloud;
use crate::{id, made};
use serde_json::{Value, json};
use sextant_model::{Chassis, ChassisId, Encap, EncapKind};

fn hypervisor(name: &str, ip: &str, kind: EncapKind) -> Chassis {
    Chassis {
        observed: true,
        ..Chassis::new(
            ChassisId::new(name),
            Encap {
                endpoints: ip.parse().unwrap(),
                kind,
            },
        )
    }
}

#[tokio::test]
async fn the_mtu_follows_from_the_hypervisors() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    assert_eq!(network["mtu"], 1430);
    let chassis = hypervisor("h1", "2001:db8::1", EncapKind::Gre);
    cloud
        .observe(move |facts, _| facts.put_chassis(chassis))
        .await;
    let path = format!("networks/{}", id(&network));
    assert_eq!(cloud.get(&path).await.ok()["network"]["mtu"], 1438);
    let (status, _, message) = cloud
        .put(&path, json!({"network": {"mtu": 1439}}))
        .await
        .error();
    assert_eq!(
        (status, message.as_str()),
        (
            400,
            "Invalid input for operation: Requested MTU is too big, maximum is 1438."
        )
    );
    assert_eq!(
        cloud
            .put(&path, json!({"network": {"mtu": 1300}}))
            .await
            .ok()["network"]["mtu"],
        1300
    );
    assert_eq!(
        cloud.put(&path, json!({"network": {"mtu": 0}})).await.ok()["network"]["mtu"],
        1438
    );

    let agents = cloud.get("agents").await.ok();
    assert_eq!(
        [&agents["agents"][0]["host"], &agents["agents"][0]["alive"]],
        [&json!("h1"), &json!(true)]
    );
}

#[tokio::test]
async fn a_hypervisor_shows_its_addresses_and_whom_it_does_not_reach() {
    let cloud = Cloud::new();
    let hypervisors = [
        hypervisor("h1", "2001:db8::1", EncapKind::Gre),
        hypervisor("h2", "192.0.2.2,2001:db8::2", EncapKind::Vxlan),
        hypervisor("h3", "192.0.2.3", EncapKind::Geneve),
    ];
    cloud
        .observe(move |facts, _| {
            hypervisors
                .into_iter()
                .for_each(|chassis| facts.put_chassis(chassis));
        })
        .await;
    let agents = cloud.get("agents?sort_key=host").await.ok();
    let shown = |number: usize, field: &str| &agents["agents"][number]["configurations"][field];
    for (number, first, all, unreached) in [
        (0, "2001:db8::1", json!(["2001:db8::1"]), json!(["h3"])),
        (
            1,
            "2001:db8::2",
            json!(["2001:db8::2", "192.0.2.2"]),
            json!([]),
        ),
        (2, "192.0.2.3", json!(["192.0.2.3"]), json!(["h1"])),
    ] {
        assert_eq!(shown(number, "tunneling_ip"), first);
        assert_eq!(shown(number, "tunneling_ips"), &all);
        assert_eq!(shown(number, "no_tunnel_to"), &unreached);
    }
}

#[tokio::test]
async fn what_is_given_back_can_be_taken_again() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({"provider:segmentation_id": 77})).await;
    let subnet = json!({"network_id": network["id"], "ip_version": 6, "cidr": "2001:db8::/64"});
    let wish = |network: &Value| json!({"network_id": network["id"], "mac_address": "fa:16:3e:00:00:01", "fixed_ips": [{"ip_address": "2001:db8::5"}]});
    made(&cloud, "subnet", subnet.clone()).await;
    for _ in 0..2 {
        let port = made(&cloud, "port", wish(&network)).await;
        cloud.delete(&format!("ports/{}", id(&port))).await.ok();
    }
    cloud
        .delete(&format!("networks/{}", id(&network)))
        .await
        .ok();
    assert!(
        cloud.get("subnets").await.ok()["subnets"]
            .as_array()
            .unwrap()
            .is_empty(),
        "subnets go with their network"
    );
    let taken = || json!({"network": {"provider:segmentation_id": 77}});
    cloud.post("networks", taken()).await.ok();
    assert_eq!(
        cloud.post("networks", taken()).await.error().1,
        "TunnelIdInUse"
    );
}
