//! The Neutron API.

use crate::story::world::eui64;
use crate::story::{Narrator, Outcome, Point, World, ensure};
use serde_json::json;
use std::net::IpAddr;

pub(super) const POINT: Point = Point {
    number: 2,
    title: "The Neutron API: three networks in the three IPv6 modes, one router",
    asked: "POST /v2.0/networks, /v2.0/subnets, /v2.0/routers, PUT …/add_router_interface, POST /v2.0/ports",
    run,
};

fn run(world: &mut World, narrator: &mut Narrator) -> Outcome {
    world.join()?;
    let cloud = world.cloud()?;
    for segment in [&cloud.slaac, &cloud.stateful, &cloud.stateless] {
        let mode = segment.subnet.body["ipv6_ra_mode"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        ensure(
            segment.subnet.gateway == Some(IpAddr::V6(segment.gateway_address())),
            || {
                format!(
                    "{mode}: the gateway is {:?}, the router has {}",
                    segment.subnet.gateway,
                    segment.gateway_address()
                )
            },
        )?;
        narrator.observe(format_args!(
            "{mode}: {} on VNI {}, router at {} and {}",
            segment.subnet.body["cidr"].as_str().unwrap_or_default(),
            segment.vni(),
            segment.gateway_address(),
            segment.gateway_link_local()
        ));
    }
    addresses(world, narrator)?;
    plugging(world, narrator)?;
    round_trip(world, narrator)
}

/// A SLAAC port has exactly its EUI-64 address.
fn addresses(world: &mut World, narrator: &mut Narrator) -> Outcome {
    let (_, _, guests) = world.ready()?;
    for (plugged, prefix) in [
        (&guests.slaac1, "2001:db8:a::"),
        (&guests.stateless2, "2001:db8:c::"),
    ] {
        let expected = eui64(prefix, &plugged.port.mac);
        ensure(plugged.address() == expected, || {
            format!(
                "{} has {}, not {expected}",
                plugged.port.mac,
                plugged.address()
            )
        })?;
    }
    narrator.observe(format_args!(
        "port {} has its EUI-64 address {}; all ports ACTIVE",
        guests.slaac1.port.mac,
        guests.slaac1.address()
    ));
    Ok(())
}

/// A port that is plugged in says what os-vif needs: above all the datapath of `br-int`, which os-vif would change.
fn plugging(world: &mut World, narrator: &mut Narrator) -> Outcome {
    let (lab, _, guests) = world.ready()?;
    let (_, shown) = lab
        .api()
        .get(&format!("/v2.0/ports/{}", guests.slaac1.port.id))?;
    let expected = json!({
        "bridge_name": "br-int",
        "connectivity": "l2",
        "datapath_type": lab.hypervisor(1).datapath().bridge_type(),
        "ovs_hybrid_plug": false,
        "port_filter": true,
    });
    let port = &shown["port"];
    let is_so = port["binding:vif_type"] == "ovs" && port["binding:vif_details"] == expected;
    ensure(is_so, || format!("not {expected}: {port}"))?;
    narrator.observe(format_args!("os-vif is told how to plug in: {expected}"));
    Ok(())
}

/// Create, show, list and delete, in Neutron's JSON.
fn round_trip(world: &World, narrator: &mut Narrator) -> Outcome {
    let api = world.lab.api();
    let network = api.create_network("passing")?;
    let (status, shown) = api.get(&format!("/v2.0/networks/{}", network.id))?;
    ensure(
        status == 200 && shown["network"]["id"] == network.id.as_str(),
        || format!("show: {status} {shown}"),
    )?;
    for (collection, least) in [
        ("networks", 4),
        ("subnets", 3),
        ("ports", 9),
        ("routers", 1),
    ] {
        let (_, listed) = api.get(&format!("/v2.0/{collection}"))?;
        let count = listed[collection].as_array().map_or(0, Vec::len);
        ensure(count >= least, || {
            format!("{count} {collection}, not {least}: {listed}")
        })?;
    }
    api.delete_object("networks", &network.id)?;
    let (status, gone) = api.get(&format!("/v2.0/networks/{}", network.id))?;
    let refused = status == 404 && gone["NeutronError"]["type"] == "NetworkNotFound";
    ensure(refused, || format!("a deleted network: {status} {gone}"))?;
    narrator.observe("create, show, list and delete answer as Neutron does");
    Ok(())
}
