//! What goes wrong: a server that has no prefix left, a prefix that overlaps another, a controller that is away for longer than
//! a lease lasts.

use crate::lifetimes::SHORT;
use crate::stage::{
    self, CONFIG, Segment, Stage, addressed, configured, counted, delegated, measured, reverted,
};
use crate::wire::{self, SOLICIT};
use serde_json::json;
use sextant_lab::story::site::Site;
use sextant_lab::story::{Failure, Outcome, SOON, ensure};
use sextant_lab::{DelegatingServer, PrefixPool, Subnet, SubnetSpec};

/// Each is for one subnet alone.
const ONE: PrefixPool<'_> = PrefixPool {
    prefix: "2001:db8:3333::/64",
    ..SHORT
};
const TAKEN: PrefixPool<'_> = PrefixPool {
    prefix: "2001:db8:5555::/64",
    ..SHORT
};

#[test]
fn a_subnet_waits_until_a_prefix_can_be_its() -> Outcome {
    Site::tell(CONFIG, |site| {
        let mut stage = Stage::set(site, None, DelegatingServer::kea, &ONE)?;
        let first = stage.segment(site, "ipv6-pd", "slaac", &ONE)?;
        let second = exhausted(site, &stage, &first)?;
        away(site, &stage, &second)?;
        taken(site, &mut stage, &second)
    })
}

/// The server has none left: a second subnet waits until the first one's is given back.
fn exhausted(site: &Site, stage: &Stage, first: &Segment) -> Result<Segment, Failure> {
    let solicits = wire::sent(&stage.edge, &[SOLICIT])?;
    let api = site.world.lab.api();
    let network = api.create_network("ipv6-pd-2")?;
    let wanted = json!({"subnetpool_id": "prefix_delegation"});
    let subnet = stage::subnet(site, &network, "slaac", wanted)?;
    api.add_interface(&stage.gateway.router, &subnet)?;
    solicits.wait_packets(2, SOON)?;
    for state in ["delegated", "waiting"] {
        let label = format!("state=\"{state}\"");
        measured(site, "sextant_delegated_subnets", &label, 1)?;
    }
    let shown = api.show_subnet(&subnet.id)?;
    ensure(shown.body["cidr"] == "::/64", || shown.body.to_string())?;

    api.remove_interface(&stage.gateway.router, &first.subnet)?;
    reverted(site, &first.subnet)?;
    let prefix = delegated(site, &subnet, &ONE)?;
    counted(site, &[("delegated", 2), ("reverted", 1), ("refused", 0)])?;
    Ok(Segment {
        network,
        subnet,
        prefix,
    })
}

/// The controller comes back when the lease is over: what it knows of it counts no more, and the prefix is asked for anew.
fn away(site: &mut Site, stage: &Stage, segment: &Segment) -> Outcome {
    let [guest] = site.guests(&segment.network, [("away", 3)])?;
    site.world.controller.kill();
    let duid = wire::duid(&segment.subnet.id, ":");
    stage.server.wait_no_lease(&duid, SOON)?;
    let solicits = wire::sent(&stage.edge, &[SOLICIT])?;
    site.world.controller.start_again()?;
    site.world.lab.wait_settled(SOON)?;
    solicits.wait_packets(1, SOON)?;
    stage.server.wait_lease(&duid, SOON)?;
    let prefix = delegated(site, &segment.subnet, &ONE)?;
    addressed(site, &guest, prefix)?;
    configured(&guest, prefix)?;
    stage.is_reached_by(&guest, prefix)
}

/// The server gives a prefix that another subnet of the router has: nobody gets it, until that subnet is gone.
fn taken(site: &Site, stage: &mut Stage, segment: &Segment) -> Outcome {
    let other = beside(site, stage)?;
    stage.server.start_anew(&TAKEN)?;
    reverted(site, &segment.subnet)?;
    counted(site, &[("refused", 1)])?;
    let api = site.world.lab.api();
    api.remove_interface(&stage.gateway.router, &other)?;
    api.delete_object("subnets", &other.id)?;
    delegated(site, &segment.subnet, &TAKEN).map(drop)
}

/// A subnet of the router with a prefix of its own.
fn beside(site: &Site, stage: &Stage) -> Result<Subnet, Failure> {
    let api = site.world.lab.api();
    let network = api.create_network("beside")?;
    let spec = SubnetSpec::with_mode(TAKEN.prefix, "slaac");
    let subnet = api.create_subnet(&network, &spec)?;
    api.add_interface(&stage.gateway.router, &subnet)?;
    Ok(subnet)
}
