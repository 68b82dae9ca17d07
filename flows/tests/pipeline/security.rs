//! Security groups: who may open a connection to whom, and what becomes of it when that changes.

use crate::support::cloud::{anything, group_id, service};
use crate::support::frames::{self, ALL_NODES, address, between, tcp, udp};
use crate::support::show::flows_of;
use crate::support::{Cloud, Fabric, show};
use insta::assert_snapshot;
use rust_openflow::Field;
use sextant_flows::pipeline::Stage;
use sextant_flows::trace::Packet;
use sextant_model::{ChassisId, Direction, IpVersion, Port, RemoteEnd, SecurityGroupRule};

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// `a` under the group `clients` and `b` under `servers` on one network, `c` under none, each on a hypervisor of its own.
/// Clients may make any connection; nobody may take one.
fn cloud() -> Cloud {
    let mut cloud = Cloud::with_hypervisors(3);
    cloud.network("red");
    cloud.subnet("red6", "red", "2001:db8:a::/64", None);
    cloud.group("clients");
    cloud.group("servers");
    cloud.rule("out", "clients", anything(Direction::Egress));
    for (guest, hypervisor, groups) in [
        ("a", "h1", ["clients"].as_slice()),
        ("b", "h2", &["servers"]),
        ("c", "h3", &[]),
    ] {
        cloud.guest(guest, "red", hypervisor);
        cloud.put_under(guest, groups);
    }
    cloud
}

fn ports(cloud: &Cloud) -> [Port; 3] {
    ["a", "b", "c"].map(|name| cloud.get_port(name))
}

fn request(from: &Port, to: &Port) -> Packet {
    tcp(between(from, to), 40000, 22)
}

fn answer(from: &Port, to: &Port) -> Packet {
    tcp(between(from, to), 22, 40000)
}

fn reaches(fabric: &Fabric<'_>, from: &str, frame: &Packet) -> bool {
    !fabric.send(from, frame).reached().is_empty()
}

#[test]
fn members_of_a_group_that_is_made_last_are_known_from_then_on() {
    let mut cloud = cloud();
    let about = SecurityGroupRule {
        remote: RemoteEnd::Group(group_id("late")),
        ..anything(Direction::Ingress)
    };
    cloud.rule("about", "servers", about);
    cloud.put_under("a", &["late"]);
    let before = cloud.clone();
    cloud.group("late");

    let sides = |cloud: &Cloud| (cloud.intent.clone(), cloud.facts.clone());
    let (old, new) = (sides(&before), sides(&cloud));
    let mut flows = flows_of(&before, "h2");
    let difference = flows.update(&ChassisId::new("h2"), (&old.0, &old.1), (&new.0, &new.1));
    assert!(!difference.is_empty());
    assert_eq!(flows, flows_of(&cloud, "h2"));
}

#[test]
fn nothing_passes_that_no_rule_allows() {
    let cloud = cloud();
    let fabric = Fabric::new(&cloud);
    let [a, b, c] = ports(&cloud);
    let refused = |from: &str, frame| fabric.send(from, &frame).drops;
    assert_eq!(
        refused("a", request(&a, &b)),
        ["no flow in ingress rules"],
        "nobody may take it"
    );
    assert_eq!(
        refused("b", request(&b, &a)),
        ["no flow in egress rules"],
        "a group without rules"
    );
    assert_eq!(
        refused("c", request(&c, &a)),
        ["no flow in egress"],
        "no group at all"
    );
    assert_eq!(refused("a", request(&a, &c)), ["no flow in ingress"]);
}

#[test]
fn a_rule_lets_a_connection_in_and_its_answers_out() {
    let mut cloud = cloud();
    let ssh = service(Direction::Ingress, TCP, Some((22, 22)));
    cloud.rule("ssh", "servers", ssh);
    let fabric = Fabric::new(&cloud);
    let [a, b, _] = ports(&cloud);
    assert!(!reaches(&fabric, "b", &answer(&b, &a)), "nothing to answer");
    assert!(reaches(&fabric, "a", &request(&a, &b)));
    assert!(reaches(&fabric, "b", &answer(&b, &a)));
    assert!(reaches(&fabric, "a", &request(&a, &b)), "and goes on");
    let other = tcp(between(&a, &b), 40000, 23);
    assert!(!reaches(&fabric, "a", &other), "another port");
    let other = udp(between(&a, &b), 40000, 22);
    assert!(!reaches(&fabric, "a", &other), "another protocol");
    let other = tcp(between(&b, &a), 22, 40001);
    assert!(!reaches(&fabric, "b", &other), "no answer to anything");
}

#[test]
fn a_rule_that_goes_takes_its_connections_with_it_until_it_comes_back() {
    let mut cloud = cloud();
    let ssh = service(Direction::Ingress, TCP, Some((22, 22)));
    cloud.rule("ssh", "servers", ssh.clone());
    let [a, b, _] = ports(&cloud);
    let with_rule = cloud.clone();
    cloud.delete_rule("ssh");

    let fabric = Fabric::new(&with_rule);
    assert!(reaches(&fabric, "a", &request(&a, &b)));
    assert!(reaches(&fabric, "b", &answer(&b, &a)));
    let fabric = fabric.after(&cloud);
    assert!(!reaches(&fabric, "a", &request(&a, &b)));
    assert!(
        !reaches(&fabric, "b", &answer(&b, &a)),
        "nor do answers pass any more"
    );
    let fabric = fabric.after(&with_rule);
    assert!(reaches(&fabric, "a", &request(&a, &b)));
    assert!(reaches(&fabric, "b", &answer(&b, &a)));
}

#[test]
fn a_stranger_cannot_turn_a_connection_against_its_owner() {
    let mut cloud = cloud();
    cloud.rule("ssh", "servers", service(Direction::Ingress, TCP, None));
    cloud.change_port("c", |port| port.port_security_enabled = false);
    let fabric = Fabric::new(&cloud);
    let [a, b, _] = ports(&cloud);
    assert!(reaches(&fabric, "a", &request(&a, &b)));
    assert!(reaches(&fabric, "b", &answer(&b, &a)));
    let forged = request(&a, &b).mac(Field::ETH_DST, a.mac_address.0);
    assert!(!reaches(&fabric, "c", &forged), "as if a had sent it to a");
    assert!(reaches(&fabric, "b", &answer(&b, &a)), "a still hears b");
}

#[test]
fn the_members_of_a_group_are_known_by_every_address_that_they_may_use() {
    let mut cloud = cloud();
    let from_clients = SecurityGroupRule {
        remote: RemoteEnd::Group(group_id("clients")),
        ..anything(Direction::Ingress)
    };
    cloud.rule("clients-in", "servers", from_clients);
    cloud.allow("a", None, "2001:db8:f::/64");
    cloud.put_under("c", &["servers"]);
    cloud.rule("out2", "servers", anything(Direction::Egress));
    let fabric = Fabric::new(&cloud);
    let [a, b, c] = ports(&cloud);
    let from = |source: &str, to: &Port| {
        let source = source.parse().unwrap();
        udp(frames::ipv6(&a, source, address(to), to.mac_address), 1, 2)
    };
    assert!(reaches(&fabric, "a", &udp(between(&a, &b), 1, 2)));
    assert!(reaches(&fabric, "a", &from("2001:db8:f::7", &b)));
    let own = a.mac_address.link_local().to_string();
    assert!(reaches(&fabric, "a", &from(&own, &b)));
    assert!(!reaches(&fabric, "c", &udp(between(&c, &b), 1, 2)));
}

#[test]
fn port_security_off_filters_nothing() {
    let mut cloud = cloud();
    for guest in ["b", "c"] {
        cloud.change_port(guest, |port| port.port_security_enabled = false);
    }
    let fabric = Fabric::new(&cloud);
    let [_, b, c] = ports(&cloud);
    assert!(reaches(&fabric, "b", &request(&b, &c)));
    assert!(reaches(&fabric, "c", &udp(between(&c, &b), 1, 2)));
}

#[test]
fn what_hosts_cannot_do_without_passes_without_a_rule() {
    let mut cloud = cloud();
    cloud.change_port("b", |port| port.port_security_enabled = false);
    let fabric = Fabric::new(&cloud);
    let [_, b, c] = ports(&cloud);
    let link_local = b.mac_address.link_local();
    let said = |kind| frames::discovery(&b, link_local, ALL_NODES, kind);
    let listener = |kind| said(kind).with(Field::NW_TTL, 1u8);
    let passes = |frame: &Packet| fabric.send("b", frame).reached().contains(&"c");
    for kind in [134, 136] {
        assert!(passes(&said(kind).ipv6(Field::ND_TARGET, link_local)));
        assert!(!passes(&said(kind).with(Field::NW_TTL, 254u8)), "routed");
    }
    for kind in [130, 131, 132, 143] {
        assert!(passes(&listener(kind)), "{kind}");
    }
    assert!(!passes(&listener(128)), "but no ping");
    let dhcp = |from, to| {
        udp(
            frames::ipv6(&b, link_local, ALL_NODES, c.mac_address),
            from,
            to,
        )
    };
    assert!(passes(&dhcp(547, 546)));
    assert!(!passes(&dhcp(546, 546)));

    let asked = fabric.send("c", &frames::solicit(&c, address(&b)));
    assert_eq!(asked.only().packet.get(Field::ICMPV6_TYPE), 136);
    let advertised = fabric.send("c", &frames::advertise(&c, address(&c)));
    assert_eq!(advertised.reached(), ["a", "b"]);
}

#[test]
fn stateless_groups_want_a_rule_for_answers_too() {
    let mut cloud = cloud();
    cloud.put_group("servers", false);
    cloud.rule(
        "ssh",
        "servers",
        service(Direction::Ingress, TCP, Some((22, 22))),
    );
    let [a, b, _] = ports(&cloud);
    let fabric = Fabric::new(&cloud);
    assert!(reaches(&fabric, "a", &request(&a, &b)));
    assert!(!reaches(&fabric, "b", &answer(&b, &a)));
    let back = service(Direction::Egress, TCP, Some((32768, 61000)));
    cloud.rule("back", "servers", back);
    let fabric = Fabric::new(&cloud);
    assert!(reaches(&fabric, "a", &request(&a, &b)));
    assert!(reaches(&fabric, "b", &answer(&b, &a)));
}

#[test]
fn where_a_stateful_rule_allows_it_too_there_are_answers() {
    let mut cloud = cloud();
    cloud.put_group("plain", false);
    cloud.put_under("b", &["servers", "plain"]);
    for group in ["servers", "plain"] {
        let rule = service(Direction::Ingress, TCP, Some((22, 22)));
        cloud.rule(&format!("ssh-{group}"), group, rule);
    }
    let [a, b, _] = ports(&cloud);
    let fabric = Fabric::new(&cloud);
    assert!(reaches(&fabric, "a", &request(&a, &b)));
    assert!(reaches(&fabric, "b", &answer(&b, &a)));
}

#[test]
fn each_kind_of_rule_is_a_few_flows() {
    let mut cloud = cloud();
    let ingress = Direction::Ingress;
    let of_ipv4 = |rule| SecurityGroupRule {
        ethertype: IpVersion::V4,
        ..rule
    };
    let from = |prefix: &str, rule| SecurityGroupRule {
        remote: RemoteEnd::Prefix(prefix.parse().unwrap()),
        ..rule
    };
    let of_group = |rule| SecurityGroupRule {
        remote: RemoteEnd::Group(group_id("clients")),
        ..rule
    };
    let ports = |first, last| service(ingress, UDP, Some((first, last)));
    let rules = [
        from("2001:db8:c::/48", ports(5000, 5007)),
        of_ipv4(from("192.0.2.0/24", service(ingress, TCP, Some((80, 81))))),
        of_ipv4(service(ingress, 1, Some((8, 0)))),
        service(ingress, ICMPV6, Some((128, 0))),
        service(ingress, 47, None),
        of_group(service(ingress, TCP, Some((443, 443)))),
        of_group(service(ingress, UDP, None)),
        service(ingress, 33, Some((1, 2))),
        service(ingress, ICMPV6, Some((300, 0))),
    ];
    let all = show::change(&mut cloud, "h2", |cloud| {
        for (number, rule) in rules.iter().enumerate() {
            cloud.rule(&format!("rule{number}"), "servers", rule.clone());
        }
    });
    assert_snapshot!(all);
    let stateless = show::change(&mut cloud, "h2", |cloud| cloud.put_group("servers", false));
    assert_snapshot!("the_same_without_state", stateless);
}

#[test]
fn a_member_that_comes_is_one_flow_an_address_where_rules_are_about_its_group() {
    let mut cloud = cloud();
    let from_clients = |rule| SecurityGroupRule {
        remote: RemoteEnd::Group(group_id("clients")),
        ..rule
    };
    for number in 0..20 {
        let port = (1000 + number, 1000 + number);
        let rule = from_clients(service(Direction::Ingress, TCP, Some(port)));
        cloud.rule(&format!("rule{number}"), "servers", rule);
    }
    cloud.network("blue");
    cloud.subnet("blue6", "blue", "2001:db8:b::/64", None);
    let come = |hypervisor: &str| {
        show::change(&mut cloud.clone(), hypervisor, |cloud| {
            cloud.port("new", "blue");
            cloud.put_under("new", &["clients"]);
        })
    };
    assert_snapshot!(come("h2"));
    assert_eq!(come("h1"), "", "no rule there is about clients");
}

#[test]
fn ports_under_the_same_groups_share_the_flows_of_their_rules() {
    let mut cloud = cloud();
    for number in 0..100 {
        let rule = service(Direction::Ingress, TCP, Some((number, number)));
        cloud.rule(&format!("rule{number}"), "servers", rule);
    }
    let count = |cloud: &Cloud| {
        let flows = flows_of(cloud, "h2");
        let rules = |stage| flows.iter().filter(|(_, flow)| flow.stage == stage).count();
        (rules(Stage::IngressRules), rules(Stage::Ingress))
    };
    let (rules, entries) = count(&cloud);
    for guest in ["b2", "b3", "b4"] {
        cloud.guest(guest, "red", "h2");
        cloud.put_under(guest, &["servers"]);
    }
    assert_eq!(count(&cloud), (rules, entries + 3 * 3));
}

#[test]
fn a_routed_packet_passes_at_most_seventeen_tables() {
    let mut cloud = Cloud::with_hypervisors(2);
    cloud.router("r");
    for (network, cidr) in [("red", "2001:db8:a::/64"), ("blue", "2001:db8:b::/64")] {
        cloud.network(network);
        cloud.subnet(&format!("{network}6"), network, cidr, None);
        cloud.interface(&format!("r-{network}"), "r", network);
    }
    cloud.guest("a", "red", "h1");
    cloud.guest("near", "blue", "h1");
    cloud.guest("far", "blue", "h2");
    let gateway = cloud.get_port("r-red").mac_address;
    let a = cloud.get_port("a");
    let lookups = |to: &str| {
        let target = address(&cloud.get_port(to));
        let packet = frames::ipv6(&a, address(&a), target, gateway);
        let journey = Fabric::new(&cloud).send("a", &udp(packet, 1, 2));
        assert_eq!(journey.reached(), [to]);
        journey.lookups
    };
    assert_eq!(lookups("near"), [16]);
    assert_eq!(lookups("far"), [13, 7]);
}
