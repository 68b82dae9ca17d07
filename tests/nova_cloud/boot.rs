//! Guests boot, and are where the API says.

use super::Outcome;
use super::cloud::{Cloud, PEER, text};
use super::servers::{addresses_of, ports_of, shown_addresses};
use super::times::events_are_taken;
use sextant_lab::Guest;

#[test]
#[ignore = "it takes minutes: `make test-openstack`"]
fn guests_boot_and_are_reached_where_the_api_says() -> Outcome {
    Cloud::tell(1, |cloud| {
        cloud.allow_pings()?;
        cloud.network("blue", 'a', 2)?;
        cloud.network("red", 'b', 3)?;
        let peer = cloud.peer("blue", 1)?;
        by_network(cloud, &peer)?;
        by_port(cloud, &peer)?;
        by_fixed_address(cloud, &peer)?;
        on_two_networks(cloud, &peer)
    })
}

/// Boots a server with these networks and waits for its guest to have all its addresses.
fn boots(cloud: &mut Cloud, name: &str, networks: &str) -> Outcome {
    cloud.boots(name, networks, "")?;
    cloud.print_times(name)?;
    for address in PEER {
        cloud.wait_said(name, &format!("{address} answers"))?;
    }
    Ok(())
}

/// Every address that the API of the network shows is shown by Nova, and the guest has it.
fn is_reached(cloud: &mut Cloud, name: &str, peer: &Guest, reachable: &str) -> Outcome {
    let ports = ports_of(cloud, name)?;
    let mut addresses: Vec<String> = ports.iter().flat_map(addresses_of).collect();
    addresses.sort();
    assert_eq!(shown_addresses(cloud, name)?, addresses, "{ports:?}");
    for port in &ports {
        assert_eq!(port["Status"], "ACTIVE", "{port}");
    }
    for address in addresses {
        cloud.wait_has(name, &address)?;
        if address.starts_with(reachable) || address.starts_with("192.0.2.") {
            peer.run(&["ping", "-c", "2", "-W", "2", &address])?;
        }
    }
    Ok(())
}

/// Deletes a server, and waits until none of these ports is a guest's. Returns how many ports are left.
fn deletes(cloud: &mut Cloud, name: &str) -> Outcome {
    cloud.desk.does(&format!("server delete --wait {name}"))
}

fn by_network(cloud: &mut Cloud, peer: &Guest) -> Outcome {
    boots(cloud, "by-network", "--network blue")?;
    is_reached(cloud, "by-network", peer, "2001:db8:a:")?;
    events_are_taken(cloud)?;
    deletes(cloud, "by-network")?;
    let left = cloud.desk.reads("port list --device-owner compute:nova")?;
    assert_eq!(
        left,
        serde_json::json!([]),
        "Nova's ports go with the server"
    );
    Ok(())
}

fn by_port(cloud: &mut Cloud, peer: &Guest) -> Outcome {
    let port = cloud.desk.reads("port create --network blue given")?;
    boots(cloud, "by-port", "--port given")?;
    is_reached(cloud, "by-port", peer, "2001:db8:a:")?;
    let ports = ports_of(cloud, "by-port")?;
    assert_eq!(ports[0]["ID"], port["id"]);
    deletes(cloud, "by-port")?;
    let left = cloud.desk.reads("port show given")?;
    assert_eq!(
        (text(&left, "device_id"), text(&left, "device_owner")),
        Default::default()
    );
    assert_eq!(left["status"], "DOWN");
    cloud.desk.does("port delete given")
}

fn by_fixed_address(cloud: &mut Cloud, peer: &Guest) -> Outcome {
    let network = text(&cloud.desk.reads("network show blue")?, "id");
    let nic = format!("--nic net-id={network},v4-fixed-ip=192.0.2.77");
    boots(cloud, "by-address", &nic)?;
    is_reached(cloud, "by-address", peer, "2001:db8:a:")?;
    let shown = shown_addresses(cloud, "by-address")?;
    assert!(shown.contains(&"192.0.2.77".to_owned()), "{shown:?}");
    deletes(cloud, "by-address")
}

fn on_two_networks(cloud: &mut Cloud, peer: &Guest) -> Outcome {
    boots(cloud, "two", "--network blue --network red")?;
    is_reached(cloud, "two", peer, "2001:db8:a:")?;
    assert_eq!(ports_of(cloud, "two")?.len(), 2);
    deletes(cloud, "two")
}
