//! Where a long packet ends the switch, all pieces that may be of one packet pass one meter before they are put together.

use crate::external::with_ipv4;
use crate::support::frames;
use crate::support::show::flows_of;
use crate::support::{Cloud, Fabric, from_underlay};
use rust_openflow::{Action, Field, Instruction};
use sextant_flows::Flow;
use sextant_flows::pipeline::Stage;
use sextant_flows::trace::{Packet, Tracer};
use sextant_model::{ChassisId, EncapKind, Port, Reassembly};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

const FIRST: u8 = 1;

/// `victim`, and `one` and `other` that may send from anywhere, on h1; `far`, which may as well, on h2.
fn cloud(reassembly: Reassembly) -> Cloud {
    let mut cloud = Cloud::with_hypervisors(2);
    cloud.network("red");
    cloud.subnet("red6", "red", "2001:db8:a::/64", None);
    for (guest, hypervisor) in [
        ("victim", "h1"),
        ("one", "h1"),
        ("other", "h1"),
        ("far", "h2"),
    ] {
        cloud.guest(guest, "red", hypervisor);
        cloud.change_port(guest, |port| port.port_security_enabled = guest == "victim");
    }
    cloud.reassemble("h1", reassembly);
    cloud
}

/// The first piece of a packet to the victim.
fn piece(cloud: &Cloud, from: &Port) -> Packet {
    frames::between(from, &cloud.get_port("victim")).with(Field::IP_FRAG, FIRST)
}

fn by(cloud: &Cloud, guest: &str, packet: &Packet) -> Packet {
    let plugged = &cloud.facts.plugged()[&crate::support::cloud::port_id(guest)];
    packet.clone().with(Field::IN_PORT, plugged.ofport.unwrap())
}

fn by_tunnel(cloud: &Cloud, to: &str, from: &str, network: &str, packet: &Packet) -> Packet {
    let endpoints = |name: &str| cloud.facts.chassis()[&ChassisId::new(name)].encap.endpoints;
    let (own, _) = endpoints(from).towards(endpoints(to)).unwrap();
    let network = crate::support::cloud::network_id(network);
    let key = cloud.intent.networks[&network].key.0;
    from_underlay(packet.clone(), EncapKind::Vxlan, own, key.into())
}

/// The meters that a packet has passed when its connection is looked up in a stage.
fn meters_before(cloud: &Cloud, hypervisor: &str, stage: Stage, packet: Packet) -> BTreeSet<u32> {
    let flows = flows_of(cloud, hypervisor);
    let trace = Tracer::new(&flows).trace(packet).unwrap();
    let mut passed = BTreeSet::new();
    for visit in &trace.visits {
        let mut flows = flows.iter();
        let flow = flows.find(|(cookie, _)| Some(*cookie) == visit.flow);
        let Some((_, flow)) = flow else { continue };
        for instruction in &flow.instructions {
            if let Instruction::Meter(meter) = instruction {
                passed.insert(*meter);
            }
            if flow.stage == stage && looks_up(instruction) {
                return passed;
            }
        }
    }
    panic!("it is looked up nowhere: {trace:?}");
}

fn looks_up(instruction: &Instruction) -> bool {
    let Instruction::Apply(actions) = instruction else {
        return false;
    };
    let mut actions = actions.iter();
    actions.any(|action| matches!(action, Action::Ct(ct) if ct.table.is_some()))
}

#[test]
fn pieces_for_a_guest_that_several_ports_bring_pass_one_meter() {
    for (reassembly, together) in [
        (Reassembly::Flawed, true),
        (Reassembly::Userspace, false),
        (Reassembly::Kernel, false),
    ] {
        let cloud = cloud(reassembly);
        let piece = piece(&cloud, &cloud.get_port("far"));
        let arriving = [
            by(&cloud, "one", &piece),
            by(&cloud, "other", &piece),
            by_tunnel(&cloud, "h1", "h2", "red", &piece),
        ];
        let meters = arriving.map(|packet| meters_before(&cloud, "h1", Stage::Ingress, packet));
        let [one, other, tunnel] = &meters;
        assert_eq!(!one.is_disjoint(other), together, "{meters:?}");
        assert_eq!(!one.is_disjoint(tunnel), together, "{meters:?}");
    }
}

#[test]
fn nobody_adds_to_what_a_guest_sends_in_pieces() {
    let mut cloud = cloud(Reassembly::Flawed);
    let victim = cloud.get_port("victim");
    let forged = piece(&cloud, &victim);
    let own = frames::between(&victim, &cloud.get_port("far")).with(Field::IP_FRAG, FIRST);
    let reaches = |cloud: &Cloud, packet: &Packet| {
        let journey = Fabric::new(cloud).send("one", packet);
        journey.reached().contains(&"victim")
    };
    assert!(!reaches(&cloud, &forged));
    let whole = forged.clone().with(Field::IP_FRAG, 0u8);
    let link_local = forged
        .clone()
        .ipv6(Field::IPV6_SRC, victim.mac_address.link_local());
    assert!(!reaches(&cloud, &link_local));
    assert!(
        reaches(&cloud, &whole),
        "which is put together with nothing"
    );

    // Two may send from the address of a pair.
    cloud.allow("victim", None, "2001:db8:a::ff/128");
    let shared = |packet: Packet| packet.ipv6(Field::IPV6_SRC, "2001:db8:a::ff".parse().unwrap());
    let sent = by(&cloud, "victim", &shared(own));
    let taken = by(&cloud, "one", &shared(forged));
    let sent = meters_before(&cloud, "h1", Stage::Egress, sent);
    let taken = meters_before(&cloud, "h1", Stage::Ingress, taken);
    assert!(!sent.is_disjoint(&taken), "{sent:?}, {taken:?}");
}

#[test]
fn pieces_that_a_router_translates_pass_one_meter() {
    let mut cloud = with_ipv4();
    cloud.guest("d", "red", "h2");
    let leaving = |from: &str, cloud: &Cloud| {
        let inside = cloud.get_port("i").mac_address;
        let far = Ipv4Addr::new(198, 51, 100, 1);
        frames::ping4(&cloud.get_port(from), far, inside).with(Field::IP_FRAG, FIRST)
    };
    for (reassembly, together) in [(Reassembly::Flawed, true), (Reassembly::Userspace, false)] {
        cloud.reassemble("h2", reassembly);
        let arriving = [
            by(&cloud, "b", &leaving("b", &cloud)),
            by(&cloud, "d", &leaving("d", &cloud)),
            by_tunnel(&cloud, "h2", "h3", "red", &leaving("c", &cloud)),
        ];
        let [b, d, c] =
            arriving.map(|packet| meters_before(&cloud, "h2", Stage::Translate, packet));
        assert_eq!(!b.is_disjoint(&d), together);
        assert_eq!(!b.is_disjoint(&c), together);
    }
}

#[test]
fn each_meter_that_is_passed_is_made() {
    let mut cloud = with_ipv4();
    for hypervisor in ["h1", "h2", "h3"] {
        cloud.reassemble(hypervisor, Reassembly::Flawed);
        let flows = flows_of(&cloud, hypervisor);
        let passed: BTreeSet<u32> = flows.iter().flat_map(|(_, flow)| passes(&flow)).collect();
        assert_eq!(passed.difference(&flows.meters()).count(), 0);
    }
}

fn passes(flow: &Flow) -> BTreeSet<u32> {
    let instructions = flow.instructions.iter();
    instructions.flat_map(crate::external::meters_of).collect()
}
