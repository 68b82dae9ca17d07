//! Guests move between hypervisors, and are reached where they are. What a ping at 200 packets a second loses is printed.

use super::Outcome;
use super::cloud::{Cloud, LONG, say, text};
use super::servers::{ports_of, shown_addresses};
use sextant_lab::{Guest, wait_for};
use std::error::Error;
use std::net::Ipv6Addr;
use std::time::Duration;

/// 200 packets a second.
const INTERVAL: Duration = Duration::from_millis(5);
const SOON: Duration = Duration::from_secs(30);
/// What a guest says of queues that are not as it left them.
const BROKEN: [&str; 2] = ["is not a head!", "soft lockup"];

#[test]
#[ignore = "it takes minutes: `make test-openstack`"]
fn guests_are_reached_wherever_they_move() -> Outcome {
    Cloud::tell(2, |cloud| {
        cloud.allow_pings()?;
        cloud.network("blue", 'a', 2)?;
        let peer = cloud.peer("blue", 1)?;
        cloud.boots("moving", "--network blue", "")?;
        let addresses = shown_addresses(cloud, "moving")?;
        for address in &addresses {
            cloud.wait_has("moving", address)?;
        }
        moves_alive(cloud, &peer, &addresses)?;
        for command in ["migrate", "resize --flavor large", "shelve"] {
            moves_by(cloud, &peer, command)?;
        }
        is_evacuated(cloud, &peer)
    })
}

fn host_of(cloud: &mut Cloud) -> Result<String, Box<dyn Error>> {
    let listed = cloud
        .desk
        .inspects("server list --all-projects --long --name moving")?;
    Ok(text(&listed[0], "Host"))
}

fn ipv6(addresses: &[String]) -> Result<Ipv6Addr, Box<dyn Error>> {
    let found = addresses.iter().find_map(|address| address.parse().ok());
    found.ok_or_else(|| format!("{addresses:?}").into())
}

/// Waits until the guest answers at all its addresses, with its port ACTIVE where it is.
fn is_reached(cloud: &mut Cloud, peer: &Guest) -> Outcome {
    for address in shown_addresses(cloud, "moving")? {
        wait_for(&format!("{address} to answer"), LONG, || {
            peer.run(&["ping", "-c", "1", "-W", "2", &address])
                .map_err(|error| error.to_string())
        })?;
    }
    let host = host_of(cloud)?;
    let id = text(&ports_of(cloud, "moving")?[0], "ID");
    let port = cloud.desk.inspects(&format!("port show {id}"))?;
    assert_eq!(port["status"], "ACTIVE", "{port}");
    assert_eq!(text(&port, "binding_host_id"), host, "{port}");
    Ok(())
}

/// Moves the guest while it runs. An emulator that migrates sometimes loses what the guest wrote last into its queues: a
/// guest that says so itself is started anew, and moved again.
fn moves_alive(cloud: &mut Cloud, peer: &Guest, addresses: &[String]) -> Outcome {
    for _ in 0..3 {
        let from = host_of(cloud)?;
        let moved = goes_on(cloud, peer, addresses);
        let to = host_of(cloud)?;
        assert_ne!(from, to);
        let Err(failure) = moved else {
            return is_reached(cloud, peer);
        };
        let console = cloud.console("moving")?;
        if !BROKEN.iter().any(|words| console.contains(words)) {
            return Err(failure);
        }
        say("qemu has broken the guest's memory: it is started anew");
        cloud.desk.does("server reboot --hard --wait moving")?;
        is_reached(cloud, peer)?;
    }
    Err("qemu breaks each guest that it moves".into())
}

/// The guest answers before and after its move.
fn goes_on(cloud: &mut Cloud, peer: &Guest, addresses: &[String]) -> Outcome {
    let mut ping = peer.spawn_ping(ipv6(addresses)?, INTERVAL)?;
    ping.wait_answers(200, LONG)?;
    cloud.order_on("moving", "migrate --live-migration --wait")?;
    cloud.wait_status("moving", "ACTIVE")?;
    ping.wait_answers(200, SOON)?;
    let report = ping.stop()?;
    let to = host_of(cloud)?;
    say(&format!("live migration to {to}: {report}"));
    Ok(())
}

/// Moves the guest by a command that has it start anew.
fn moves_by(cloud: &mut Cloud, peer: &Guest, command: &str) -> Outcome {
    let from = host_of(cloud)?;
    let verb = command.split(' ').next().unwrap_or_default();
    match verb {
        "shelve" => {
            cloud.desk.does("server shelve --wait moving")?;
            cloud.wait_status("moving", "SHELVED_OFFLOADED")?;
            cloud.desk.does("server unshelve --wait moving")?;
        }
        "migrate" => cloud.order_on("moving", "migrate --wait")?,
        _ => cloud
            .desk
            .does(&format!("server {command} --wait moving"))?,
    }
    if verb != "shelve" {
        cloud.wait_status("moving", "VERIFY_RESIZE")?;
        is_reached(cloud, peer)?;
        cloud.order_on("moving", &format!("{verb} confirm"))?;
    }
    cloud.wait_status("moving", "ACTIVE")?;
    say(&format!("{command}: from {from} to {}", host_of(cloud)?));
    is_reached(cloud, peer)
}

/// Its hypervisor dies, and Nova starts the guest on the other one.
fn is_evacuated(cloud: &mut Cloud, peer: &Guest) -> Outcome {
    let from = host_of(cloud)?;
    cloud.kill_machine(&from)?;
    is_missed(cloud, &from)?;
    cloud.order_on("moving", "evacuate")?;
    let to = wait_for("the guest to be elsewhere", LONG, || {
        let host = host_of(cloud).map_err(|error| error.to_string())?;
        if host == from { Err(host) } else { Ok(host) }
    })?;
    cloud.wait_status("moving", "ACTIVE")?;
    say(&format!("evacuated from {from} to {to}"));
    is_reached(cloud, peer)
}

/// Nova evacuates only what it misses.
fn is_missed(cloud: &mut Cloud, host: &str) -> Outcome {
    let command = format!("compute service list --service nova-compute --host {host}");
    wait_for(&format!("Nova to miss {host}"), LONG, || {
        let listed = cloud.desk.inspects(&command);
        let listed = listed.map_err(|error| error.to_string())?;
        match listed[0]["State"] == "down" {
            true => Ok(()),
            false => Err(listed.to_string()),
        }
    })?;
    Ok(())
}
