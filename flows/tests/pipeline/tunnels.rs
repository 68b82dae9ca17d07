//! Tunnels between hypervisors that have endpoints of different families.

use crate::support::frames::{self, ALL_NODES, address};
use crate::support::{Cloud, Fabric, show};
use insta::assert_snapshot;
use rust_openflow::Field;
use sextant_flows::pipeline::Stage;
use sextant_flows::{InstalledFlow, View};
use sextant_model::{ChassisId, EncapKind};

/// A guest on each of four: h1 and h2 have both families, h3 IPv6 alone, h4 IPv4 alone.
fn mixed() -> Cloud {
    let mut cloud = Cloud::new();
    cloud.network("red");
    cloud.subnet("red6", "red", "2001:db8:a::/64", None);
    for (name, endpoints, kind) in [
        ("h1", "2001:db8:77::1,192.0.2.1", EncapKind::Vxlan),
        ("h2", "192.0.2.2,2001:db8:77::2", EncapKind::Geneve),
        ("h3", "2001:db8:77::3", EncapKind::Gre),
        ("h4", "192.0.2.4", EncapKind::Vxlan),
    ] {
        cloud.hypervisor_at(name, endpoints.parse().unwrap(), kind);
        cloud.guest(&name.replace('h', "a"), "red", name);
    }
    cloud
}

#[test]
fn each_pair_uses_the_family_that_both_have() {
    let cloud = mixed();
    let fabric = Fabric::new(&cloud);
    for (from, reached) in [
        ("a1", vec!["a2", "a3", "a4"]),
        ("a2", vec!["a1", "a3", "a4"]),
        ("a3", vec!["a1", "a2"]),
        ("a4", vec!["a1", "a2"]),
    ] {
        let sender = cloud.get_port(from);
        let to_all = frames::ipv6(&sender, address(&sender), ALL_NODES, sender.mac_address);
        assert_eq!(fabric.send(from, &to_all).reached(), reached);
        for to in ["a1", "a2", "a3", "a4"] {
            let target = cloud.get_port(to);
            let ping = frames::ping(&sender, address(&target), target.mac_address);
            let expected: Vec<_> = reached.iter().filter(|name| **name == to).collect();
            assert_eq!(
                fabric
                    .send(from, &ping)
                    .reached()
                    .iter()
                    .collect::<Vec<_>>(),
                expected
            );
        }
    }
}

#[test]
fn a_copy_to_each_family() {
    let switch = show::stage(&mixed(), "h1", Stage::Switch);
    let sends: Vec<_> = switch
        .lines()
        .filter(|flow| flow.contains("192.0.2.") && flow.contains("2001:db8:77::"))
        .collect();
    assert_snapshot!(sends.join("\n"));
}

#[test]
fn frames_are_taken_from_either_endpoint_of_a_hypervisor_and_from_no_other() {
    let cloud = mixed();
    let fabric = Fabric::new(&cloud);
    let (a1, a2) = (cloud.get_port("a1"), cloud.get_port("a2"));
    let frame = frames::ping(&a2, address(&a1), a1.mac_address);
    for known in ["2001:db8:77::2", "192.0.2.2"] {
        let journey = fabric.receive("h1", &frame, known.parse().unwrap(), 1);
        assert_eq!(journey.reached(), ["a1"]);
    }
    for (unknown, dropped) in [
        ("2001:db8:77::9", "forbidden in tunnel IPv6"),
        ("192.0.2.9", "forbidden in tunnel IPv4"),
    ] {
        let journey = fabric.receive("h1", &frame, unknown.parse().unwrap(), 1);
        assert_eq!(journey.drops, [dropped]);
    }
}

#[test]
fn what_comes_from_no_known_endpoint_is_dropped_by_flows_that_can_be_found() {
    let cloud = mixed();
    let chassis = ChassisId::new("h1");
    let view = View::new(&cloud.intent, &cloud.facts, &chassis);
    let flows = show::flows_of(&cloud, "h1");
    let mut found: Vec<_> = flows
        .iter()
        .filter(|(_, flow)| [Stage::TunnelIpv6, Stage::TunnelIpv4].contains(&flow.stage))
        .filter(|(_, flow)| flow.instructions.is_empty())
        .map(|(cookie, flow)| InstalledFlow {
            table: flow.stage.table(),
            cookie,
        })
        .collect();
    let mut named = view.unknown_endpoints();
    found.sort_unstable();
    named.sort_unstable();
    assert_eq!(found, named);
    assert_eq!(found.len(), 2, "one a family");
}

#[test]
fn no_table_looks_at_endpoints_of_both_families() {
    let flows = show::flows_of(&mixed(), "h1");
    let looks_at = |table: u8, fields: &[Field]| {
        let here = flows.iter().map(|(_, flow)| flow);
        let mut here = here.filter(|flow| flow.stage.table().0 == table);
        here.any(|flow| {
            fields
                .iter()
                .any(|field| flow.matches.get(*field).is_some())
        })
    };
    for table in 0..=u8::MAX {
        let ipv6 = looks_at(table, &[Field::TUN_IPV6_SRC, Field::TUN_IPV6_DST]);
        let ipv4 = looks_at(table, &[Field::TUN_SRC, Field::TUN_DST]);
        assert!(!(ipv6 && ipv4), "table {table}");
    }
}
