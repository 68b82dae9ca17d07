//! Guests boot, and are where the API says.

use super::Outcome;
use super::cloud::{Cloud, PEER, text};
use std::time::Instant;

#[test]
#[ignore = "it takes minutes: `make test-openstack`"]
fn a_guest_boots_by_network_and_is_reached() -> Outcome {
    Cloud::tell(1, |cloud| boots_by_network(cloud))
}

fn boots_by_network(cloud: &mut Cloud) -> Outcome {
    cloud.allow_pings()?;
    cloud.network("blue", 'a', 2)?;
    let peer = cloud.peer("blue", 1)?;
    let begun = Instant::now();
    cloud
        .desk
        .does("server create --flavor small --image guest --network blue one")?;
    let shown = cloud.wait_status("one", "ACTIVE")?;
    println!("ACTIVE after {:?}", begun.elapsed());
    println!("{shown:#}");
    for address in PEER {
        cloud.wait_said("one", &format!("{address} answers"))?;
    }
    let ports = cloud.desk.reads("port list --server one --long")?;
    println!("{ports:#}");
    let addresses = ports[0]["Fixed IP Addresses"]
        .as_array()
        .ok_or("no addresses")?;
    assert_eq!(addresses.len(), 2, "{ports}");
    for address in addresses {
        let address = text(address, "ip_address");
        cloud.wait_said("one", &format!("eth0 has {address}"))?;
        peer.run(&["ping", "-c", "2", "-W", "2", &address])?;
    }
    println!("pinged after {:?}", begun.elapsed());
    Ok(())
}
