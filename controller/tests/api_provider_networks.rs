//! Networks of physical networks: which may be made, and that no two share a segment.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod api;

use api::Cloud;
use serde_json::{Value, json};
use sextant_model::{Chassis, ChassisId, Encap, EncapKind};

/// A cloud with a hypervisor that is attached to `physnet1`.
async fn attached() -> Cloud {
    let cloud = Cloud::new();
    let mappings = [("physnet1".to_owned(), "br-ex".to_owned())];
    let chassis = Chassis {
        bridge_mappings: mappings.into(),
        observed: true,
        ..Chassis::new(
            ChassisId::new("h1"),
            Encap {
                endpoints: "2001:db8::1".parse().unwrap(),
                kind: EncapKind::Vxlan,
            },
        )
    };
    cloud
        .observe(move |facts, _| facts.put_chassis(chassis))
        .await;
    cloud
}

fn asked(kind: &str, physical: Option<&str>, id: Option<u32>) -> Value {
    json!({"network": {"provider:network_type": kind, "provider:physical_network": physical, "provider:segmentation_id": id}})
}

async fn made(cloud: &Cloud, kind: &str, id: Option<u32>) -> Value {
    let wanted = asked(kind, Some("physnet1"), id);
    cloud.post("networks", wanted).await.ok()["network"].clone()
}

#[tokio::test]
async fn a_segment_is_shown_as_it_was_asked_for() {
    let cloud = attached().await;
    for (kind, id) in [("flat", None), ("vlan", Some(100))] {
        let network = made(&cloud, kind, id).await;
        assert_eq!(network["provider:network_type"], kind);
        assert_eq!(network["provider:physical_network"], "physnet1");
        assert_eq!(network["provider:segmentation_id"], json!(id));
        assert_eq!(network["mtu"], 1500);
    }
}

#[tokio::test]
async fn a_vlan_that_nobody_named_is_a_free_one() {
    let cloud = attached().await;
    made(&cloud, "vlan", Some(1)).await;
    made(&cloud, "vlan", Some(3)).await;
    for vlan in [2, 4] {
        let network = made(&cloud, "vlan", None).await;
        assert_eq!(network["provider:segmentation_id"], vlan);
    }
}

#[tokio::test]
async fn no_two_networks_share_a_segment_until_the_first_is_gone() {
    let cloud = attached().await;
    for (kind, id, error) in [
        (
            "flat",
            None,
            "FlatNetworkInUse: Unable to create the flat network. Physical network physnet1 is in use.",
        ),
        (
            "vlan",
            Some(100),
            "VlanIdInUse: Unable to create the network. The VLAN 100 on physical network physnet1 is in use.",
        ),
    ] {
        let first = made(&cloud, kind, id).await;
        let again = asked(kind, Some("physnet1"), id);
        let (status, name, message) = cloud.post("networks", again).await.error();
        assert_eq!(
            (status, format!("{name}: {message}")),
            (409, error.to_owned())
        );

        let path = format!("networks/{}", first["id"].as_str().unwrap());
        cloud.delete(&path).await.ok();
        made(&cloud, kind, id).await;
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_reason() {
    let cloud = attached().await;
    for (wanted, reason) in [
        (
            asked("flat", None, None),
            "physical_network required for flat provider network",
        ),
        (
            asked("vlan", None, Some(5)),
            "physical_network required for VLAN provider network",
        ),
        (
            asked("vlan", Some("nope"), Some(5)),
            "physical_network 'nope' unknown for VLAN provider network",
        ),
        (
            asked("flat", Some("physnet1"), Some(5)),
            "provider:segmentation_id specified for flat network",
        ),
        (
            asked("vlan", Some("physnet1"), Some(4095)),
            "segmentation_id out of range (1 through 4094)",
        ),
        (
            asked("vxlan", Some("physnet1"), Some(5)),
            "provider:physical_network specified for VXLAN network",
        ),
        (
            asked("local", None, None),
            "network_type value 'local' not supported",
        ),
    ] {
        let (status, name, message) = cloud.post("networks", wanted).await.error();
        assert_eq!((status, name.as_str()), (400, "InvalidInput"));
        assert_eq!(message, format!("Invalid input for operation: {reason}."));
    }
}
