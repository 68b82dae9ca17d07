//! Each hypervisor has a controller of its own, on its machine.

use crate::stage::{network, none, wait_active};
use sextant_lab::story::site::{ipv6, reaches};
use sextant_lab::story::{Failure, Outcome, Plugged, SOON, ensure};
use sextant_lab::{Cluster, FlowDump, Lab, LabOptions, Network, PortSpec, wait_for};

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
    let network = network(&cluster.controllers()[0])?;
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

    let hosts = lab.hypervisors();
    let before = FlowDump::read(hosts)?;
    let read = |cluster: &Cluster| {
        let said = cluster.controllers()[0].log_text();
        said.matches("switch read and reconciled").count()
    };
    let earlier = read(cluster);
    cluster.controller(1).start_again()?;
    wait_for("its switch to be read", SOON, || match read(cluster) {
        more if more > earlier => Ok(()),
        same => Err(format!("{same} times in all")),
    })?;
    reaches(first.guest.namespace(), third.address())?;
    let after = FlowDump::read(hosts)?;
    none(after.gone_since(&before), "flows gone")?;
    none(after.installed_anew_since(&before), "flows installed anew")
}

/// A guest on the hypervisor of this number, whose port another controller makes.
fn plug(lab: &Lab, cluster: &Cluster, network: &Network, number: u16) -> Result<Plugged, Failure> {
    let live: Vec<_> = cluster.live().collect();
    let api = live[usize::from(number) % live.len()].api()?;
    let port = api.create_port(network, &PortSpec::default())?;
    let host = lab.hypervisor(number.into());
    let name = format!("g{number}{}", &port.id[..4]);
    let guest = host.add_guest(&port.guest(&name))?;
    wait_active(cluster, &port)?;
    guest.wait_address(ipv6(&port), SOON)?;
    Ok(Plugged { guest, port })
}
