//! What `why` and `status` say of hypervisors that are not connected, and of interfaces that are no port's.

use super::Door;
use super::cloud::{self, Cloud};
use sextant_controller::seat::{Seat, Seats};
use sextant_model::ChassisId;
use std::net::{IpAddr, Ipv6Addr};

const GONE: &str = "Hypervisor h2 is gone: neither its database nor its switch is connected.";
const SWITCH_LOST: &str = "The switch of h2 is not connected, so nothing of its flows changes.";

/// `a1` on h1 and `a3` on h2, on one network; h2 is gone.
fn half_gone() -> Cloud {
    let mut cloud = Cloud::with_hypervisors(2);
    cloud.network("red");
    cloud.subnet("red6", "red", "2001:db8:a::/64", None);
    for (port, hypervisor) in [("a1", "h1"), ("a3", "h2")] {
        cloud.guest(port, "red", hypervisor);
        cloud
            .facts
            .confirm(cloud::port_id(port), &ChassisId::new(hypervisor));
    }
    cloud.mark_gone("h2", true);
    cloud
}

/// Connected as long as this is held.
fn connect(seats: &Seats<ChassisId>, name: &str) -> Seat<ChassisId> {
    let address = IpAddr::V6(Ipv6Addr::LOCALHOST);
    seats.take(&ChassisId::new(name), address).unwrap()
}

async fn why(door: &Door, port: &str) -> String {
    let id = cloud::port_id(port).to_string();
    let said = door.ask(&["why", &id]).await;
    assert!(said.success, "{}", said.err);
    said.out
}

async fn status(door: &Door) -> String {
    let said = door.ask(&["status"]).await;
    assert!(said.success, "{}", said.err);
    said.out
}

#[tokio::test]
async fn what_of_a_hypervisor_is_not_connected_is_said() {
    let door = Door::of(half_gone(), "half");
    let h1 = [&door.databases, &door.switches].map(|seats| connect(seats, "h1"));
    let (said, screen) = (why(&door, "a3").await, status(&door).await);
    assert!(said.contains(GONE), "{said}");
    let both = "not connected: h2 (its database and its switch).";
    assert!(screen.contains(both), "{screen}");

    let database = connect(&door.databases, "h2");
    let (said, screen) = (why(&door, "a3").await, status(&door).await);
    assert!(said.contains(SWITCH_LOST), "{said}");
    assert!(!said.contains("is gone"), "{said}");
    assert!(said.contains("does ovs-vswitchd run"), "{said}");
    assert!(
        screen.contains("not connected: h2 (its switch)."),
        "{screen}"
    );

    drop(database);
    let _switch = connect(&door.switches, "h2");
    let screen = status(&door).await;
    assert!(
        screen.contains("not connected: h2 (its database)."),
        "{screen}"
    );
    drop(h1);
    let screen = status(&door).await;
    let each = "not connected: h1 (its database and its switch), h2 (its database).";
    assert!(screen.contains(each), "{screen}");
}

#[tokio::test]
async fn a_healthy_port_hears_of_peers_that_are_not_connected() {
    let door = Door::of(half_gone(), "peers");
    let _h1 = [&door.databases, &door.switches].map(|seats| connect(seats, "h1"));
    let _database = connect(&door.databases, "h2");
    let said = why(&door, "a1").await;
    let peers = "may not be reached on hypervisors that are not connected: h2 (its switch).";
    assert!(said.contains(peers), "{said}");
    let tunnels = said.lines().find(|line| line.contains("none was probed"));
    assert!(tunnels.unwrap().starts_with("note     tunnels"), "{said}");
    let id = cloud::port_id("a1").to_string();
    let rows = door.ask(&["why", "--json", &id]).await.out;
    let rows = rows
        .lines()
        .map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap());
    let peers = rows.into_iter().find(|row| row["check"] == "peers");
    let advice = peers.unwrap()["advice"].to_string();
    assert!(advice.contains("does ovs-vswitchd answer"), "{advice}");

    let _switch = connect(&door.switches, "h2");
    let said = why(&door, "a1").await;
    assert!(!said.contains("may not be reached"), "{said}");
}

/// `a1` is a port whose interface on h2 has another `iface-id`.
#[tokio::test]
async fn an_iface_id_that_no_port_has_is_named_where_the_port_has_no_interface() {
    for (host, sentence) in [
        ("", "No hypervisor has an interface for this port"),
        ("h1", "Hypervisor h1 has no interface for this port"),
    ] {
        let mut cloud = half_gone();
        cloud.unplug("a1");
        cloud.change_port("a1", |port| port.host_id = host.to_owned());
        let (id, mac) = (cloud::port_id("a1"), cloud.get_port("a1").mac_address);
        cloud.plug("typo", "h2");
        let door = Door::of(cloud, &format!("stray-{host}"));
        let said = why(&door, "a1").await;
        assert!(said.contains(sentence), "{said}");
        let stray = format!("that no port has: {} on h2.", cloud::port_id("typo"));
        assert!(said.contains(&stray), "{said}");
        let advice =
            format!("attached-mac {mac}: ovs-vsctl set interface NAME external_ids:iface-id={id}");
        assert!(said.contains(&advice), "{said}");
        assert!(!said.contains("add-port"), "{said}");
    }
}
