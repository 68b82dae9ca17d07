//! Each hypervisor has a controller of its own, on its machine.

use sextant_lab::story::site::{ipv6, reaches};
use sextant_lab::story::{Failure, Outcome, Plugged, SOON, ensure};
use sextant_lab::{Cluster, Hypervisor, Lab, LabOptions, Network, PortSpec, SubnetSpec, wait_for};

#[test]
fn each_hypervisor_is_served_by_the_controller_on_its_machine() -> Outcome {
    let lab = Lab::start(LabOptions {
        hypervisors: 2,
        ..LabOptions::default()
    })?;
    let mut cluster = Cluster::start_on_hypervisors(&lab, "")
        .inspect_err(|failure| eprintln!("{failure}\n{}", lab.logs()))?;
    story(&lab, &mut cluster).inspect_err(|failure| eprintln!("{failure}\n{}", lab.logs()))
}

fn story(lab: &Lab, cluster: &mut Cluster) -> Outcome {
    let network = network(cluster)?;
    let [first, second] = [1, 2].map(|number| plug(lab, cluster, &network, number));
    let (first, second) = (first?, second?);
    reaches(first.guest.namespace(), second.address())?;
    for peer in cluster.controllers() {
        let owned = peer.metric("sextant_hypervisors_owned")?;
        ensure(owned == 1.0, || format!("{} owns {owned}", peer.name()))?;
    }

    // Where a controller is gone, its hypervisor is on its own, and forwards as before. The other one does not notice.
    cluster.controller(1).kill();
    reaches(first.guest.namespace(), second.address())?;
    let third = plug(lab, cluster, &network, 2)?;
    reaches(third.guest.namespace(), second.address())?;

    let before = flows(lab.hypervisor(1))?;
    cluster.controller(1).start_again()?;
    reaches(first.guest.namespace(), third.address())?;
    let after = flows(lab.hypervisor(1))?;
    let gone: Vec<_> = before.iter().filter(|flow| !after.contains(flow)).collect();
    ensure(gone.is_empty(), || format!("flows that went: {gone:#?}"))
}

/// A network with a router, which advertises.
fn network(cluster: &Cluster) -> Result<Network, Failure> {
    let api = cluster.controllers()[0].api()?;
    let router = api.create_router("r1")?;
    let network = api.create_network("n1")?;
    let spec = SubnetSpec::with_mode("2001:db8:a::/64", "slaac");
    let subnet = api.create_subnet(&network, &spec)?;
    api.add_interface(&router, &subnet)?;
    Ok(network)
}

/// A guest on the hypervisor of this number, whose port another controller makes.
fn plug(lab: &Lab, cluster: &Cluster, network: &Network, number: u16) -> Result<Plugged, Failure> {
    let live: Vec<_> = cluster.live().collect();
    let api = live[usize::from(number) % live.len()].api()?;
    let port = api.create_port(network, &PortSpec::default())?;
    let host = lab.hypervisor(number.into());
    let name = format!("g{number}{}", &port.id[..4]);
    let guest = host.add_guest(&port.guest(&name))?;
    for peer in cluster.live() {
        let api = peer.api()?;
        wait_for(&format!("{} by {}", port.id, peer.name()), SOON, || {
            let shown = api.show_port(&port.id);
            match shown.map(|port| port.status().to_owned()).as_deref() {
                Ok("ACTIVE") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })?;
    }
    guest.wait_address(ipv6(&port), SOON)?;
    Ok(Plugged { guest, port })
}

/// The flows of a hypervisor's bridge, without what they count.
fn flows(host: &Hypervisor) -> Result<Vec<String>, Failure> {
    let flows = host.dump_flows("br-int")?;
    let counts = |word: &str| {
        [
            "n_packets=",
            "n_bytes=",
            "duration=",
            "idle_age=",
            "hard_age=",
        ]
        .iter()
        .any(|count| word.starts_with(count))
    };
    let plain = |flow: &String| {
        let words = flow.split(' ').filter(|word| !counts(word));
        words.collect::<Vec<_>>().join(" ")
    };
    Ok(flows.iter().map(plain).collect())
}
