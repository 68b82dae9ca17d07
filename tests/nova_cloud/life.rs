//! What happens to a guest between its first boot and its end, on one hypervisor.

use super::Outcome;
use super::cloud::{Cloud, LONG, text};
use super::servers::{addresses_of, ports_of, shown_addresses};
use sextant_lab::{Guest, wait_for};

#[test]
#[ignore = "it takes minutes: `make test-openstack`"]
fn a_guest_keeps_its_addresses_through_its_life() -> Outcome {
    Cloud::tell(1, |cloud| {
        cloud.allow_pings()?;
        cloud.network("blue", 'a', 2)?;
        cloud.network("red", 'b', 3)?;
        let peer = cloud.peer("blue", 1)?;
        cloud.boots("life", "--network blue", "")?;
        let addresses = shown_addresses(cloud, "life")?;
        assert_eq!(addresses.len(), 2, "{addresses:?}");
        for address in &addresses {
            cloud.wait_has("life", address)?;
        }
        network_comes_and_goes(cloud)?;
        port_comes_and_goes(cloud)?;
        for command in ["reboot --hard --wait", "rebuild --image guest --wait"] {
            cloud.desk.does(&format!("server {command} life"))?;
            is_back(cloud, &peer, &addresses)?;
        }
        stops_and_starts(cloud, &peer, &addresses)?;
        is_back(cloud, &peer, &addresses)?;
        security_group_changes(cloud, &peer, &addresses)
    })
}

/// The guest has started again, and has what it had.
fn is_back(cloud: &mut Cloud, peer: &Guest, addresses: &[String]) -> Outcome {
    cloud.wait_status("life", "ACTIVE")?;
    for address in addresses {
        wait_for(&format!("{address} to answer"), LONG, || {
            peer.run(&["ping", "-c", "1", "-W", "2", address])
                .map_err(|error| error.to_string())
        })?;
    }
    assert_eq!(shown_addresses(cloud, "life")?, addresses);
    let ports = ports_of(cloud, "life")?;
    assert_eq!(ports[0]["Status"], "ACTIVE", "{ports:?}");
    Ok(())
}

fn network_comes_and_goes(cloud: &mut Cloud) -> Outcome {
    cloud.desk.does("server add network life red")?;
    let ports = ports_of(cloud, "life")?;
    assert_eq!(ports.len(), 2);
    for address in ports.iter().flat_map(addresses_of) {
        cloud.wait_has("life", &address)?;
    }
    cloud.desk.does("server remove network life red")?;
    cloud.wait_said("life", "eth1 is gone")?;
    cloud.wait_ports("life", 1)
}

/// A port that was given outlives its guest's interface.
fn port_comes_and_goes(cloud: &mut Cloud) -> Outcome {
    let port = cloud.desk.reads("port create --network red given")?;
    cloud.desk.does("server add port life given")?;
    let mac = text(&port, "mac_address");
    cloud.wait_said("life", &format!("eth1 is {mac}"))?;
    cloud.wait_ports("life", 2)?;
    cloud.desk.does("server remove port life given")?;
    cloud.wait_ports("life", 1)?;
    let port = cloud.desk.reads("port show given")?;
    assert_eq!(text(&port, "device_id"), "");
    cloud.desk.does("port delete given")
}

fn stops_and_starts(cloud: &mut Cloud, peer: &Guest, addresses: &[String]) -> Outcome {
    cloud.desk.does("server stop life")?;
    cloud.wait_status("life", "SHUTOFF")?;
    // Nova leaves the interface in the switch, so that the port stays ACTIVE, as it does with Neutron.
    are_silent(peer, addresses)?;
    cloud.desk.does("server start life")
}

/// Without a group that lets pings in there are none; with it, there are again.
fn security_group_changes(cloud: &mut Cloud, peer: &Guest, addresses: &[String]) -> Outcome {
    cloud.desk.does("security group create closed")?;
    cloud.desk.does("server add security group life closed")?;
    cloud
        .desk
        .does("server remove security group life default")?;
    are_silent(peer, addresses)?;
    cloud.desk.does("server add security group life default")?;
    is_back(cloud, peer, addresses)
}

fn are_silent(peer: &Guest, addresses: &[String]) -> Outcome {
    for address in addresses {
        wait_for(&format!("{address} to be silent"), LONG, || {
            match peer.run(&["ping", "-c", "1", "-W", "1", address]) {
                Ok(answered) => Err(answered.stdout),
                Err(_) => Ok(()),
            }
        })?;
    }
    Ok(())
}
