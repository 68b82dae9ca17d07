//! Routes of a router by way of routers outside.

use super::{FAR, UPSTREAM, cloud, to_far};
use crate::support::{Cloud, Fabric};
use rust_openflow::Field;
use sextant_model::{MacAddr, Outside, Problem};
use std::net::IpAddr;

const OTHER: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
const HOP: &str = "2001:db8:e::9";

/// Who else routes outside is where a part of everything is reached; `known`: who has which MAC there.
fn routed(known: bool) -> Cloud {
    let mut cloud = cloud(None);
    cloud.subnet("ext6", "ext", "2001:db8:e::/64", None);
    cloud.gateway("r", "ext");
    cloud.route("r", &[("2001:db8:ffff::/48", HOP)]);
    let upstream = UPSTREAM.link_local();
    let hops = [
        (IpAddr::from(upstream), UPSTREAM),
        (HOP.parse().unwrap(), OTHER),
    ];
    let outside = Outside {
        default_router: Some(upstream),
        neighbors: hops.into_iter().take(1 + usize::from(known)).collect(),
    };
    cloud.learn("h2", "ext", Some(outside));
    cloud
}

#[test]
fn a_route_by_a_router_outside_leaves_by_the_gateway_to_that_router() {
    let cloud = routed(true);
    let fabric = Fabric::new(&cloud);
    for guest in ["a", "b", "c"] {
        let journey = fabric.send(guest, &to_far(&cloud, guest));
        let [(hypervisor, _, frame)] = &journey.outside[..] else {
            panic!("{guest}: {journey:?}")
        };
        assert_eq!(hypervisor, "h2");
        assert_eq!(frame.get(Field::ETH_DST), u128::from(OTHER.to_u64()));
        assert_eq!(frame.get(Field::IPV6_DST), u128::from(FAR));
        assert_eq!(frame.get(Field::NW_TTL), 63);
    }
}

#[test]
fn a_router_outside_that_nobody_knows_is_looked_for_and_the_guest_told() {
    let mut cloud = routed(false);
    let chassis = sextant_model::ChassisId::new("h2");
    let wanted = |cloud: &Cloud| {
        let flows = sextant_flows::Flows::compute(&cloud.intent, &cloud.facts, &chassis);
        let mut uplinks = flows.uplinks().into_values();
        uplinks.any(|uplink| uplink.next_hops.contains(&HOP.parse().unwrap()))
    };
    assert!(wanted(&cloud));
    let told = Fabric::new(&cloud).refused("b", &to_far(&cloud, "b"));
    assert_eq!(told.unwrap().problem, Problem::Unreachable);

    cloud.route("r", &[]);
    assert!(!wanted(&cloud));
    let journey = Fabric::new(&cloud).send("b", &to_far(&cloud, "b"));
    let to = journey.outside[0].2.get(Field::ETH_DST);
    assert_eq!(to, u128::from(UPSTREAM.to_u64()));
}
