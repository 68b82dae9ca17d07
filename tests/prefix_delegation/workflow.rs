//! The user's workflow in the guide of Neutron, and back: from a subnet without a prefix to guests that are reached from
//! outside, and to a subnet without one again.

use crate::servers::routed;
use crate::stage::{
    self, CONFIG, POOL, Prefix, Segment, Stage, addressed, configured, delegated, not_preferred,
    reverted, shows,
};
use crate::wire::{self, RELEASE, REQUEST, SOLICIT};
use serde_json::json;
use sextant_lab::story::site::{Site, reaches};
use sextant_lab::story::{Failure, Outcome, Plugged, SOON, ensure};
use sextant_lab::{Capture, DelegatingServer, Subnet};

/// What a server remembers.
#[derive(Clone, Copy, PartialEq)]
enum Memory {
    /// What is leased.
    Leases,
    /// And what was leased to whom.
    Clients,
}

#[test]
fn with_kea() -> Outcome {
    Site::tell(CONFIG, |site| {
        let stage = Stage::set(site, None, DelegatingServer::kea, &POOL)?;
        workflow(site, &stage, Memory::Leases)
    })
}

#[test]
fn with_dibbler_in_a_vlan() -> Outcome {
    Site::tell(CONFIG, |site| {
        let stage = Stage::set(site, Some(100), DelegatingServer::dibbler, &POOL)?;
        workflow(site, &stage, Memory::Clients)
    })
}

fn workflow(site: &Site, stage: &Stage, memory: Memory) -> Outcome {
    let (first, guests) = first_subnet(site, stage)?;
    let other = stage.segment(site, "ipv6-pd-2", "dhcpv6-stateless", &POOL)?;
    ensure(other.prefix != first.prefix, || other.prefix.to_string())?;
    let [third] = site.guests(&other.network, [("third", 3)])?;
    reaches(third.guest.namespace(), first.prefix.address_of(&guests[0]))?;
    stage.is_reached_by(&third, other.prefix)?;

    detached(site, stage, &first, &guests[0])?;
    shows(site, &other.subnet, other.prefix)?;
    stage.is_reached_by(&third, other.prefix)?;

    let api = site.world.lab.api();
    api.add_interface(&stage.gateway.router, &first.subnet)?;
    let again = delegated(site, &first.subnet, &POOL)?;
    ensure(memory == Memory::Leases || again == first.prefix, || {
        format!("{again} instead of {}", first.prefix)
    })?;
    addressed(site, &guests[0], again)?;
    configured(&guests[0], again)?;
    stage.is_reached_by(&guests[0], again)?;
    without_gateway(site, stage, &[&first.subnet, &other.subnet])?;
    with_gateway_again(site, stage, &other.subnet, &third)
}

/// Network, subnet and interface as in the guide. Of its guests one was there before the prefix was.
fn first_subnet(site: &Site, stage: &Stage) -> Result<(Segment, [Plugged; 2]), Failure> {
    let api = site.world.lab.api();
    let network = api.create_network("ipv6-pd")?;
    let wanted = json!({"use_default_subnetpool": true});
    let subnet = stage::subnet(site, &network, "slaac", wanted)?;
    let shown = [&subnet.body["cidr"], &subnet.body["subnetpool_id"]];
    ensure(shown == ["::/64", "prefix_delegation"], || {
        format!("{shown:?}")
    })?;
    let before = had_before(site, stage, &subnet)?;
    let early = site.plug(&network, "early", 1)?;
    addressed(site, &early, Prefix::PROVISIONAL)?;

    let capture = wire::sent(&stage.edge, &[SOLICIT, REQUEST])?;
    api.add_interface(&stage.gateway.router, &subnet)?;
    let prefix = delegated(site, &subnet, &POOL)?;
    ensure(prefix == before, || format!("{prefix}, not {before}"))?;
    asks_as_neutron_does(capture, &subnet)?;
    let lease = stage
        .server
        .wait_lease(&wire::duid(&subnet.id, ":"), SOON)?;
    ensure(Prefix(lease.prefix) == prefix && lease.iaid == 1, || {
        format!("{lease:?}, not {prefix}")
    })?;
    stage.routes(&prefix.to_string())?;

    addressed(site, &early, prefix)?;
    configured(&early, prefix)?;
    let [late] = site.guests(&network, [("late", 2)])?;
    addressed(site, &late, prefix)?;
    reaches(early.guest.namespace(), prefix.address_of(&late))?;
    stage.is_reached_by(&early, prefix)?;
    stage.is_reached_by(&late, prefix)?;
    let segment = Segment {
        network,
        subnet,
        prefix,
    };
    Ok((segment, [early, late]))
}

/// The prefix that Neutron's client has for the subnet, from a host that is gone before it is asked for here.
fn had_before(site: &Site, stage: &Stage, subnet: &Subnet) -> Result<Prefix, Failure> {
    let neutron = site.upstream.router("neutron", stage.vlan)?;
    let (mut dibbler, lease) = neutron.dibbler_for(&subnet.id, SOON)?;
    let duid = wire::duid(&subnet.id, ":");
    let known = stage.server.wait_lease(&duid, SOON)?;
    let given = &lease.variables["PREFIX1"];
    ensure(known.prefix.to_string() == *given, || format!("{known:?}"))?;
    dibbler.process().kill();
    Ok(Prefix(known.prefix))
}

/// Solicit and Request, and nothing else, under the DUID and IAID that Neutron's client has.
fn asks_as_neutron_does(capture: Capture, subnet: &Subnet) -> Outcome {
    let messages = wire::messages(capture)?;
    let kinds: Vec<u8> = messages.iter().map(|message| message.kind).collect();
    let own = wire::duid(&subnet.id, "");
    ensure(kinds.contains(&SOLICIT) && kinds.contains(&REQUEST), || {
        format!("{messages:?}")
    })?;
    let right = |message: &wire::Message| message.client == own && message.iaid == "1";
    ensure(messages.iter().all(right), || format!("{messages:?}"))
}

/// Without its interface the subnet gives its prefix back.
fn detached(site: &Site, stage: &Stage, segment: &Segment, guest: &Plugged) -> Outcome {
    let capture = wire::sent(&stage.edge, &[RELEASE])?;
    let api = site.world.lab.api();
    api.remove_interface(&stage.gateway.router, &segment.subnet)?;
    capture.wait_packets(1, SOON)?;
    let releases = wire::messages(capture)?;
    let own = wire::duid(&segment.subnet.id, "");
    ensure(releases.iter().all(|release| release.client == own), || {
        format!("{releases:?}")
    })?;
    reverted(site, &segment.subnet)?;
    addressed(site, guest, Prefix::PROVISIONAL)?;
    not_preferred(guest, segment.prefix)?;
    let duid = wire::duid(&segment.subnet.id, ":");
    stage.server.wait_no_lease(&duid, SOON)?;
    routed(&stage.edge, &segment.prefix.to_string(), None)
}

/// Without its gateway the router has nobody to ask, and gives everything back.
fn without_gateway(site: &Site, stage: &Stage, subnets: &[&Subnet]) -> Outcome {
    let capture = wire::sent(&stage.edge, &[RELEASE])?;
    stage.set_gateway(site, &json!({}))?;
    capture.wait_packets(subnets.len(), SOON)?;
    subnets.iter().try_for_each(|subnet| {
        reverted(site, subnet)?;
        let duid = wire::duid(&subnet.id, ":");
        Ok(stage.server.wait_no_lease(&duid, SOON)?)
    })
}

/// With another gateway it asks anew.
fn with_gateway_again(site: &Site, stage: &Stage, subnet: &Subnet, guest: &Plugged) -> Outcome {
    stage.set_gateway(site, &json!({"network_id": stage.external.id}))?;
    let prefix = delegated(site, subnet, &POOL)?;
    addressed(site, guest, prefix)?;
    configured(guest, prefix)?;
    stage.is_reached_by(guest, prefix)
}
