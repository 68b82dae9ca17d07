//! What a switch refuses is left out, and no more than that.

use crate::support::Cloud;
use crate::support::Fabric;
use crate::support::cloud::{anything, group_id, port_id};
use crate::support::frames::{self, address};
use crate::support::show::flows_of;
use rust_openflow::{ErrorCode, Field, FlowMod, Match, Message, Xid};
use sextant_flows::pipeline::Stage;
use sextant_flows::{
    Cookie, Difference, Flow, Flows, InstalledFlow, View, is_about_the_flow, reconcile,
};
use sextant_model::{
    Answering, Capability, ChassisId, Direction, Ipv6Mode, KnownNeighbor, Punt, Refusal, RemoteEnd,
    SecurityGroupRule, Shortfall,
};
use std::collections::BTreeSet;
use std::sync::Arc;

const UNKNOWN_ACTION: ErrorCode = ErrorCode::Standard { kind: 2, code: 0 };
const UNKNOWN_FIELD: ErrorCode = ErrorCode::Standard { kind: 4, code: 6 };
const NO_METER: ErrorCode = ErrorCode::Standard { kind: 12, code: 2 };
const OUT_OF_METERS: ErrorCode = ErrorCode::Standard { kind: 12, code: 10 };

/// `a1` and `a2` on h1 and `a3` on h2; `r1` joins their network to one that takes less.
fn cloud() -> Cloud {
    let mut cloud = Cloud::with_hypervisors(2);
    cloud.network("red");
    cloud.subnet("red6", "red", "2001:db8:a::/64", Some(Ipv6Mode::Slaac));
    cloud.router("r1");
    cloud.interface("r1-red", "r1", "red");
    for (guest, host) in [("a1", "h1"), ("a2", "h1"), ("a3", "h2")] {
        cloud.guest(guest, "red", host);
    }
    cloud
}

fn h1() -> ChassisId {
    ChassisId::new("h1")
}

/// Refuses the flows for which this is so, and says which.
fn refuse(flows: &mut Flows, error: ErrorCode, is: impl Fn(&FlowMod) -> bool) -> Vec<Cookie> {
    let all = flows
        .iter()
        .map(|(cookie, flow)| (cookie, flow.to_flow_mod(cookie.0)));
    let refused: Vec<Cookie> = all
        .filter(|(_, flow)| is(flow))
        .map(|(cookie, _)| cookie)
        .collect();
    assert!(!refused.is_empty());
    flows.refuse(&refused.iter().map(|cookie| (*cookie, error)).collect());
    refused
}

fn shortfall(flows: &Flows, cloud: &Cloud) -> Shortfall {
    let chassis = h1();
    flows.shortfall(&View::new(&cloud.intent, &cloud.facts, &chassis))
}

/// A change to the cloud, and what it does to these flows.
fn update(flows: &mut Flows, cloud: &mut Cloud, change: impl FnOnce(&mut Cloud)) -> Difference {
    let before = cloud.clone();
    change(cloud);
    let (old, new) = (
        (&before.intent, &before.facts),
        (&cloud.intent, &cloud.facts),
    );
    flows.update(&h1(), old, new)
}

fn added(difference: &Difference) -> BTreeSet<Cookie> {
    let added = difference.flow_mods().skip(difference.deletions());
    added.map(|flow| flow.decode().unwrap().cookie).collect()
}

fn is_from(port: u16) -> impl Fn(&FlowMod) -> bool {
    move |flow| flow.matches.value(Field::IN_PORT) == Some(port.into())
}

#[test]
fn a_refused_flow_is_neither_reconciled_nor_added_again() {
    let mut cloud = cloud();
    let mut flows = flows_of(&cloud, "h1");
    let refused = refuse(&mut flows, UNKNOWN_FIELD, is_from(11));
    let nothing = BTreeSet::new();
    let difference = reconcile(&flows, &nothing, &BTreeSet::new());
    assert_eq!(difference.additions(), flows.len() - refused.len());

    flows.recompute(&cloud.intent, &cloud.facts, &h1());
    let installed: BTreeSet<InstalledFlow> = flows
        .iter()
        .filter(|(cookie, _)| !refused.contains(cookie))
        .map(|(cookie, flow)| InstalledFlow {
            table: flow.stage.table(),
            cookie,
        })
        .collect();
    assert!(reconcile(&flows, &installed, &flows.meters()).is_empty());

    // The port goes and comes back as it was.
    update(&mut flows, &mut cloud, |cloud| cloud.unplug("a1"));
    assert_eq!(shortfall(&flows, &cloud), Shortfall::default());
    let back = update(&mut flows, &mut cloud, |cloud| {
        cloud.plug_as("a1", "h1", Some(11))
    });
    assert!(refused.iter().all(|cookie| !added(&back).contains(cookie)));
    assert_eq!(shortfall(&flows, &cloud).flows.len(), refused.len());
    // Elsewhere it has other flows, which are asked for.
    update(&mut flows, &mut cloud, |cloud| cloud.unplug("a1"));
    update(&mut flows, &mut cloud, |cloud| {
        cloud.plug_as("a1", "h1", Some(19))
    });
    assert_eq!(shortfall(&flows, &cloud), Shortfall::default());
}

#[test]
fn just_the_ports_whose_own_flows_are_missing_do_without() {
    let cloud = cloud();
    let mut flows = flows_of(&cloud, "h1");
    let refused = refuse(&mut flows, UNKNOWN_FIELD, is_from(11));
    let found = shortfall(&flows, &cloud);
    assert_eq!(found.ports, [port_id("a1")].into());
    let (a1, a2) = (cloud.get_port("a1"), cloud.get_port("a2"));
    assert_eq!([flows.lacks(&a1), flows.lacks(&a2)], [true, false]);
    let named = format!("port {}", a1.id);
    assert!(
        refused
            .iter()
            .all(|cookie| flows.wanted_by(*cookie) == [named.clone()])
    );

    let mut flows = flows_of(&cloud, "h1");
    refuse(&mut flows, UNKNOWN_ACTION, |flow| {
        flow.table == Stage::Ingress.table()
    });
    let of_rules = shortfall(&flows, &cloud).ports;
    assert_eq!(of_rules, [port_id("a1"), port_id("a2")].into());

    let mut flows = flows_of(&cloud, "h1");
    refuse(&mut flows, UNKNOWN_ACTION, |flow| {
        flow.matches == Match::new()
    });
    let found = shortfall(&flows, &cloud);
    assert_eq!(found.ports, BTreeSet::new(), "what all have in common");
    assert!(!found.is_none() && flows.is_short());
}

#[test]
fn a_flow_longer_than_a_message_is_left_out_unasked() {
    let mut cloud = cloud();
    let usual = flows_of(&cloud, "h1");
    // A conjunction of 16 octets for each: these do not fit one message.
    let groups: Vec<String> = (0..4100).map(|number| format!("g{number}")).collect();
    for (number, group) in groups.iter().enumerate() {
        cloud.group(group);
        let from_members = SecurityGroupRule {
            remote: RemoteEnd::Group(group_id(group)),
            ..anything(Direction::Ingress)
        };
        cloud.rule(&format!("r{number}"), group, from_members);
    }
    let names: Vec<&str> = groups.iter().map(String::as_str).collect();
    cloud.put_under("a1", &names);
    let flows = flows_of(&cloud, "h1");
    let found = shortfall(&flows, &cloud);
    let lengths = [(Capability::MessageLength, found.flows.len())].into();
    assert_eq!(found.missing(), lengths);
    assert_eq!(found.ports, [port_id("a1")].into());
    let wanted_by: BTreeSet<String> = found
        .flows
        .keys()
        .flat_map(|cookie| flows.wanted_by(Cookie(*cookie)))
        .collect();
    let of = |what: &str| {
        wanted_by
            .iter()
            .filter(|object| object.starts_with(what))
            .count()
    };
    assert_eq!(of("ports under security groups"), 1);
    assert_eq!(of("members of security groups"), wanted_by.len() - 1);
    // All others are installed.
    let difference = reconcile(&flows, &BTreeSet::new(), &BTreeSet::new());
    assert_eq!(difference.additions(), flows.len() - found.flows.len());
    let a2 = |flow: &Flow| is_from(12)(&flow.to_flow_mod(0));
    let [before, after] =
        [&usual, &flows].map(|flows| flows.iter().filter(|(_, flow)| a2(flow)).count());
    assert_eq!((before, flows.lacks(&cloud.get_port("a2"))), (after, false));
}

#[test]
fn no_flow_grows_with_the_members_of_a_network() {
    let mut cloud = Cloud::with_hypervisors(1);
    cloud.network("red");
    let mac = "00:00:5e:00:02:01";
    for number in 0..2100u128 {
        let endpoint = std::net::Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) | number);
        let name = format!("x{number}");
        cloud.hypervisor(&name, endpoint.into(), sextant_model::EncapKind::Vxlan);
        let guests = [
            (format!("far{number}"), name),
            (format!("here{number}"), "h1".to_owned()),
        ];
        for (guest, hypervisor) in guests {
            cloud.port(&guest, "red");
            let ofport = u16::try_from(number).unwrap() + 100;
            cloud.plug_as(&guest, &hypervisor, Some(ofport));
            cloud.allow(&guest, Some(mac), "2001:db8:a::99/128");
        }
    }
    let flows = flows_of(&cloud, "h1");
    assert_eq!(shortfall(&flows, &cloud), Shortfall::default());
    let length = |flow: Flow| {
        let mut octets = bytes::BytesMut::new();
        let message = Message::FlowMod(flow.to_flow_mod(0));
        message.encode(Xid(0), &mut octets).unwrap();
        octets.len()
    };
    let longest = flows.iter().map(|(_, flow)| length(flow)).max();
    assert!(longest < Some(8000), "{longest:?}");
}

#[test]
fn without_a_meter_its_flows_fall_out_and_may_come_back_with_it() {
    let mut cloud = cloud();
    let mut flows = flows_of(&cloud, "h1");
    flows.refuse_meter(11, OUT_OF_METERS);
    let passes = |flow: &FlowMod| {
        flow.instructions
            .contains(&rust_openflow::Instruction::Meter(11))
    };
    refuse(&mut flows, NO_METER, passes);
    let difference = reconcile(&flows, &BTreeSet::new(), &BTreeSet::new());
    let of_fragments = |port: u32| 1 << 17 | port;
    let of_probes = [1, 2, 3];
    let others = [12, of_fragments(11), of_fragments(12)];
    let others = others.into_iter().chain(of_probes).collect();
    assert_eq!(*difference.added_meters(), others);
    let found = shortfall(&flows, &cloud);
    let why = Refusal {
        missing: Capability::Meters,
        error: "OFPMMFC_INVALID_METER, its meter was refused: OFPMMFC_OUT_OF_METERS".to_owned(),
    };
    assert!(
        found.flows.values().all(|refusal| *refusal == why),
        "{found:?}"
    );
    update(&mut flows, &mut cloud, |cloud| cloud.unplug("a1"));
    let back = update(&mut flows, &mut cloud, |cloud| {
        cloud.plug_as("a1", "h1", Some(11))
    });
    assert_eq!(*back.added_meters(), [11, of_fragments(11)].into());
    assert_eq!(shortfall(&flows, &cloud), Shortfall::default());
}

#[test]
fn a_full_table_is_no_fault_of_a_flow() {
    let standard = |kind, code| ErrorCode::Standard { kind, code };
    let onf = |kind| ErrorCode::Experimenter {
        experimenter: 0x4f4e_4600,
        kind,
    };
    for about_the_flow in [
        UNKNOWN_ACTION,
        UNKNOWN_FIELD,
        NO_METER,
        standard(5, 0),
        onf(2310),
    ] {
        assert!(is_about_the_flow(about_the_flow), "{about_the_flow}");
    }
    // OFPFMFC_TABLE_FULL, OFPFMFC_EPERM, OFPBRC_IS_SECONDARY, OFPBFC_BAD_ID, OFPBFC_TIMEOUT
    for other in [
        standard(5, 1),
        standard(5, 4),
        standard(1, 10),
        onf(2302),
        onf(2314),
    ] {
        assert!(!is_about_the_flow(other), "{other}");
    }
}

/// The meters of the flows of guests' ports that send Neighbor Solicitations up.
fn meters_of_solicitations(flows: &Flows) -> BTreeSet<String> {
    let metered = flows.iter().filter(|(_, flow)| {
        let asks = flow.matches.value(Field::ICMPV6_TYPE) == Some(135);
        flow.stage == Stage::Advertise && asks && flow.matches.value(Field::IN_PORT).is_some()
    });
    metered
        .map(|(_, flow)| format!("{:?}", flow.instructions[0]))
        .collect()
}

#[test]
fn where_no_flow_can_make_an_advertisement_solicitations_go_up() {
    let mut cloud = cloud();
    let mut flows = flows_of(&cloud, "h1");
    let makes = |flow: &FlowMod| flow.table == Stage::AdvertiseOptions.table();
    refuse(&mut flows, UNKNOWN_ACTION, makes);
    let found = shortfall(&flows, &cloud);
    assert_eq!(found.answering, Answering::ByPunt);
    assert_eq!(
        found.missing().keys().copied().collect::<Vec<_>>(),
        [Capability::NdExtensions]
    );

    let difference = update(&mut flows, &mut cloud, |cloud| {
        cloud.facts.fall_short(&h1(), Arc::new(found));
    });
    assert!(!difference.is_empty());
    let mut full = flows.clone();
    full.recompute(&cloud.intent, &cloud.facts, &h1());
    assert_eq!(flows, full);
    let (a1, a3, router) = (
        cloud.get_port("a1"),
        cloud.get_port("a3"),
        cloud.get_port("r1-red"),
    );
    for (asked, is_router) in [(&a3, false), (&router, true)] {
        let question = frames::solicit(&a1, address(asked));
        let journey = Fabric::new(&cloud).send("a1", &question);
        assert_eq!(journey.punts, ["neighbor_solicitation"]);
        assert_eq!(journey.reached(), Vec::<&str>::new());
        let known = Punt::NeighborSolicitation(KnownNeighbor {
            address: address(asked),
            mac: asked.mac_address,
            router: is_router,
            overrides: true,
            vlan_tci: 0,
        });
        assert!(
            flows
                .iter()
                .any(|(_, flow)| flow.punt.as_ref() == Some(&known))
        );
    }
    assert_eq!(
        meters_of_solicitations(&flows),
        ["Meter(11)".to_owned(), "Meter(12)".to_owned()].into()
    );

    // The switch takes them after all.
    update(&mut flows, &mut cloud, |cloud| {
        cloud.facts.fall_short(&h1(), Arc::default());
    });
    let journey = Fabric::new(&cloud).send("a1", &frames::solicit(&a1, address(&a3)));
    assert_eq!((journey.punts.len(), journey.reached()), (0, vec!["a1"]));
}

#[test]
fn incremental_equals_full_with_refused_flows_too() {
    let mut cloud = cloud();
    let mut flows = flows_of(&cloud, "h1");
    refuse(&mut flows, UNKNOWN_FIELD, is_from(11));
    update(&mut flows, &mut cloud, |cloud| cloud.unplug("a2"));
    let mut full = flows.clone();
    full.recompute(&cloud.intent, &cloud.facts, &h1());
    assert_eq!(flows, full);
}
