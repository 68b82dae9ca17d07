//! Which events follow from what.

use crate::site::Site;
use serde_json::json;
use sextant_controller::metrics::{NovaEventName, NovaOutcome};
use std::time::Instant;

const PLUGGED: &str = "network-vif-plugged";
const UNPLUGGED: &str = "network-vif-unplugged";
const CHANGED: &str = "network-changed";
const DELETED: &str = "network-vif-deleted";

#[tokio::test]
async fn nova_is_told_once_when_a_port_is_plugged_in_changes_stops_and_goes() {
    let site = Site::new().await;
    let guest = site.booted().await;
    let path = format!("ports/{}", guest.id);
    site.cloud
        .put(&path, json!({"port": {"name": "web"}}))
        .await
        .ok();
    let fixed = json!([{"ip_address": "192.0.2.77"}, {"ip_address": "198.51.100.77"}]);
    let change = json!({"port": {"fixed_ips": fixed}});
    site.cloud.put(&path, change).await.ok();
    site.nova.told.until(2).await;
    site.settled(&guest).await;
    site.unplug(&guest, "h1").await;
    site.nova.told.until(3).await;
    site.settled(&guest).await;
    site.cloud.delete(&path).await.ok();
    site.nova.told.until(4).await;
    site.settled(&guest).await;
    let other = site.booted().await;
    let told = [PLUGGED, CHANGED, UNPLUGGED, DELETED].map(|name| guest.event(name));
    let told = [&told[..], &[other.event(PLUGGED)]].concat();
    assert_eq!(site.nova.told.events(), told);
}

#[tokio::test]
async fn an_event_is_as_neutron_sends_it() {
    let site = Site::new().await;
    let guest = site.booted().await;
    let path = format!("ports/{}", guest.id);
    site.cloud.delete(&path).await.ok();
    site.nova.told.until(2).await;
    let requests = site.nova.told.requests();
    let (server, id) = (&guest.server, &guest.id);
    let plugged =
        json!([{"name": PLUGGED, "server_uuid": server, "tag": id, "status": "completed"}]);
    let deleted = json!([{"name": DELETED, "server_uuid": server, "tag": id}]);
    assert_eq!(json!(requests[0].1), plugged);
    assert_eq!(json!(requests[1].1), deleted);
}

#[tokio::test]
async fn ports_of_others_are_not_told() {
    let site = Site::new().await;
    for (owner, device) in [
        ("compute:nova", "no-uuid"),
        ("network:dhcp", "b1c5a3f0-62c8-4f0e-9f6b-0d8a3e2f4c11"),
        ("", ""),
    ] {
        let port = json!({"port": {"network_id": site.network, "device_id": device, "device_owner": owner}});
        let made = site.cloud.post("ports", port).await.ok();
        let id = made["port"]["id"].as_str().unwrap().to_owned();
        let port = crate::site::Guest {
            server: String::new(),
            port: id.parse().unwrap(),
            id,
        };
        site.plug(&[port], "h1", 7).await;
    }
    let guest = site.booted().await;
    assert_eq!(site.nova.told.events(), [guest.event(PLUGGED)]);
}

#[tokio::test]
async fn a_guest_that_moves_is_told_of_where_it_is_and_a_detached_port_is_not() {
    let site = Site::new().await;
    let guest = site.booted().await;
    site.plug(std::slice::from_ref(&guest), "h2", 3).await;
    site.nova.told.until(2).await;
    let path = format!("ports/{}", guest.id);
    let detached = json!({"port": {"device_id": "", "device_owner": ""}});
    site.cloud.put(&path, detached).await.ok();
    site.unplug(&guest, "h2").await;
    let port = guest.port;
    let forgotten = |snapshot: &sextant_controller::snapshot::Snapshot| {
        !snapshot.intent.nova_ports.contains_key(&port)
    };
    site.cloud.once(forgotten).await;
    let other = site.booted().await;
    let told = [
        guest.event(PLUGGED),
        guest.event(PLUGGED),
        other.event(PLUGGED),
    ];
    assert_eq!(site.nova.told.events(), told);
}

#[tokio::test]
async fn a_hypervisor_that_leaves_takes_its_ports_along() {
    let site = Site::new().await;
    let guests = [site.booted().await, site.booted().await];
    for guest in &guests {
        site.unplug(guest, "h1").await;
    }
    site.nova.told.until(4).await;
    let mut told = site.nova.told.events().split_off(2);
    told.sort();
    let mut expected = guests.map(|guest| guest.event(UNPLUGGED));
    expected.sort();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn ports_that_come_together_are_told_together() {
    let site = Site::new().await;
    let mut guests = Vec::new();
    for _ in 0..30 {
        guests.push(site.guest().await);
    }
    for guest in &guests {
        site.settled(guest).await;
    }
    site.plug(&guests, "h1", 7).await;
    site.nova.told.until(30).await;
    for guest in &guests {
        site.settled(guest).await;
    }
    let requests = site.nova.told.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
}

#[tokio::test]
async fn a_guest_waits_less_than_50_ms() {
    let site = Site::new().await;
    // The first one also waits for a token and a connection.
    site.booted().await;
    let mut waits = Vec::new();
    for _ in 0..40 {
        let guest = site.guest().await;
        let before = site.nova.told.requests().len();
        let begun = Instant::now();
        site.plug(std::slice::from_ref(&guest), "h1", 7).await;
        site.nova.told.until(before + 1).await;
        waits.push(site.nova.told.requests()[before].0 - begun);
        site.settled(&guest).await;
    }
    waits.sort();
    let (median, longest) = (waits[waits.len() / 2], waits[waits.len() - 1]);
    println!("from ACTIVE to Nova's door: median {median:?}, longest {longest:?}");
    assert!(median.as_millis() < 50, "{waits:?}");
    let taken = site.count(NovaEventName::VifPlugged, NovaOutcome::Taken);
    assert_eq!(taken, 41);
    assert_eq!(site.metrics.nova_plug_seconds.get_sample_count(), 41);
}
