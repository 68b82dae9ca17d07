//! How Nova is told to plug in a port's interface, and when that it cannot be.

use crate::api::{Cloud, port_id};
use crate::{id, made};
use serde_json::{Value, json};
use sextant_model::{Chassis, ChassisId, Encap, EncapKind, Machine, Plugged};

pub(crate) fn chassis(name: &str, machine: Option<Machine>) -> Chassis {
    let encap = Encap {
        endpoints: "2001:db8::1".parse().unwrap(),
        kind: EncapKind::Vxlan,
    };
    Chassis {
        machine,
        ..Chassis::new(ChassisId::new(name), encap)
    }
}

pub(crate) fn machine(name: &str, datapath_type: &str) -> Option<Machine> {
    Some(Machine {
        name: Some(name.to_owned()),
        datapath_type: datapath_type.to_owned(),
        vhostuser_directory: None,
    })
}

pub(crate) async fn joins(cloud: &Cloud, chassis: Chassis) {
    cloud
        .observe(move |facts, _| facts.put_chassis(chassis))
        .await;
}

async fn is_gone(cloud: &Cloud, chassis: &str, gone: bool) {
    let chassis = ChassisId::new(chassis);
    cloud
        .observe(move |facts, intent| {
            facts.mark_gone(intent, &chassis, gone);
        })
        .await;
}

/// A port on a network, asked for on a host.
async fn port_at(cloud: &Cloud, network: &Value, host: &str) -> Value {
    let wish = json!({"network_id": network["id"], "binding:host_id": host});
    made(cloud, "port", wish).await
}

async fn vif_type(cloud: &Cloud, port: &Value) -> String {
    let shown = cloud.get(&format!("ports/{}", id(port))).await.ok();
    shown["port"]["binding:vif_type"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_bound_port_says_what_os_vif_needs() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    joins(&cloud, chassis("h1", machine("one.example", "netdev"))).await;
    let mut details = json!({"bridge_name": "br-int", "connectivity": "l2", "port_filter": true,
        "ovs_hybrid_plug": false, "datapath_type": "netdev"});
    for host in ["h1", "one.example"] {
        let port = port_at(&cloud, &network, host).await;
        assert_eq!(port["binding:vif_type"], "ovs");
        assert_eq!(port["binding:vif_details"], details);
    }
    let agents = cloud.get("agents").await.ok();
    let shown = &agents["agents"][0]["configurations"];
    assert_eq!(
        [&shown["hostname"], &shown["datapath_type"]],
        ["one.example", "netdev"]
    );

    joins(&cloud, chassis("h2", None)).await;
    details.as_object_mut().unwrap().remove("datapath_type");
    let port = port_at(&cloud, &network, "h2").await;
    assert_eq!(
        port["binding:vif_details"], details,
        "its datapath is not known"
    );
}

#[tokio::test]
async fn a_guest_of_a_dpdk_hypervisor_serves_a_socket() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    let mut fast = chassis("h1", machine("h1", "netdev"));
    let machine = fast.machine.as_mut().unwrap();
    machine.vhostuser_directory = Some("/var/run/openvswitch".to_owned());
    joins(&cloud, fast).await;
    let port = port_at(&cloud, &network, "h1").await;
    assert_eq!(port["binding:vif_type"], "vhostuser");
    let socket = format!("/var/run/openvswitch/vhu{}", &id(&port)[..11]);
    assert_eq!(
        port["binding:vif_details"],
        json!({"bridge_name": "br-int", "connectivity": "l2", "port_filter": true,
            "ovs_hybrid_plug": false, "datapath_type": "netdev", "vhostuser_mode": "server",
            "vhostuser_ovs_plug": true, "vhostuser_socket": socket})
    );
}

#[tokio::test]
async fn binding_fails_at_a_host_that_nobody_knows_until_it_comes() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    let port = port_at(&cloud, &network, "h1").await;
    assert_eq!(port["binding:vif_type"], "binding_failed");
    assert_eq!(port["binding:vif_details"], json!({}));
    joins(&cloud, chassis("stored", None)).await;
    assert_eq!(
        vif_type(&cloud, &port).await,
        "ovs",
        "what an earlier version stored may be that host"
    );
    joins(&cloud, chassis("stored", machine("other", "system"))).await;
    assert_eq!(vif_type(&cloud, &port).await, "binding_failed");
    joins(&cloud, chassis("h1", machine("h1", "system"))).await;
    assert_eq!(vif_type(&cloud, &port).await, "ovs");
    let nowhere = json!({"port": {"binding:host_id": ""}});
    let path = format!("ports/{}", id(&port));
    let unbound = cloud.put(&path, nowhere).await.ok();
    assert_eq!(unbound["port"]["binding:vif_type"], "unbound");
}

#[tokio::test]
async fn binding_fails_at_a_host_that_is_gone_but_a_port_that_is_there_stays_bound() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    joins(&cloud, chassis("h1", machine("h1", "system"))).await;
    let there = port_at(&cloud, &network, "h1").await;
    let port = port_id(&there["id"]);
    let plugged = Plugged {
        chassis: ChassisId::new("h1"),
        ofport: Some(1),
    };
    cloud
        .observe(move |facts, intent| facts.plug(intent, port, plugged))
        .await;
    is_gone(&cloud, "h1", true).await;
    assert_eq!(vif_type(&cloud, &there).await, "ovs");
    let late = port_at(&cloud, &network, "h1").await;
    assert_eq!(late["binding:vif_type"], "binding_failed");
    is_gone(&cloud, "h1", false).await;
    assert_eq!(vif_type(&cloud, &late).await, "ovs");
}

#[tokio::test]
async fn binding_fails_at_a_host_without_a_way_to_the_physical_network() {
    let cloud = Cloud::new();
    let mapped = |physical: &str| Chassis {
        bridge_mappings: [(physical.to_owned(), "br-ex".to_owned())].into(),
        ..chassis("h1", machine("h1", "system"))
    };
    joins(&cloud, mapped("physnet1")).await;
    let wish = json!({"provider:network_type": "flat", "provider:physical_network": "physnet1"});
    let outside = made(&cloud, "network", wish).await;
    let inside = made(&cloud, "network", json!({})).await;
    let ports = [
        port_at(&cloud, &outside, "h1").await,
        port_at(&cloud, &inside, "h1").await,
    ];
    for (physical, types) in [
        ("physnet2", ["binding_failed", "ovs"]),
        ("physnet1", ["ovs", "ovs"]),
    ] {
        joins(&cloud, mapped(physical)).await;
        for (port, expected) in ports.iter().zip(types) {
            assert_eq!(vif_type(&cloud, port).await, expected, "{physical}");
        }
    }
}

#[tokio::test]
async fn hardware_is_asked_for_and_not_bound() {
    let cloud = Cloud::new();
    let network = made(&cloud, "network", json!({})).await;
    joins(&cloud, chassis("h1", machine("h1", "system"))).await;
    for kind in [
        "direct",
        "macvtap",
        "baremetal",
        "direct-physical",
        "virtio-forwarder",
        "smart-nic",
        "accelerator-direct",
        "accelerator-direct-physical",
        "vdpa",
        "remote-managed",
    ] {
        let wish = json!({"network_id": network["id"], "binding:vnic_type": kind});
        let port = made(&cloud, "port", wish).await;
        assert_eq!(port["binding:vnic_type"], kind);
        assert_eq!(port["binding:vif_type"], "unbound");
        let bound = json!({"port": {"binding:host_id": "h1"}});
        let path = format!("ports/{}", id(&port));
        let bound = cloud.put(&path, bound).await.ok();
        assert_eq!(bound["port"]["binding:vif_type"], "binding_failed");
        assert_eq!(bound["port"]["binding:vif_details"], json!({}));
        let normal = json!({"port": {"binding:vnic_type": "normal"}});
        let bound = cloud.put(&path, normal).await.ok();
        assert_eq!(bound["port"]["binding:vif_type"], "ovs");
    }
    let unknown = json!({"port": {"network_id": network["id"], "binding:vnic_type": "fast"}});
    let (status, _, message) = cloud.post("ports", unknown).await.error();
    assert_eq!(
        (status, message.as_str()),
        (
            400,
            "Invalid input for binding:vnic_type. Reason: fast is not in valid_values."
        )
    );
}
