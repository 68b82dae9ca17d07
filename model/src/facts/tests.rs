//! What facts keep in line by themselves.

use super::*;
use crate::{Change, MacAddr, Object, Port, Sharding};
use uuid::Uuid;

fn port(id: u128, network: u128) -> Port {
    Port::new(
        PortId(Uuid::from_u128(id)),
        NetworkId(Uuid::from_u128(network)),
        MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]),
    )
}

fn at(chassis: &str) -> Plugged {
    Plugged {
        chassis: ChassisId::new(chassis),
        ofport: Some(1),
    }
}

fn hypervisor(id: &str, endpoints: &str, kind: EncapKind) -> Chassis {
    Chassis {
        observed: true,
        ..Chassis::new(
            ChassisId::new(id),
            Encap {
                endpoints: endpoints.parse().unwrap(),
                kind,
            },
        )
    }
}

#[test]
fn a_port_is_bound_once_it_exists_and_is_plugged_in_whichever_comes_first() {
    let (mut intent, mut facts) = (Intent::default(), Facts::default());
    let port = port(1, 7);
    facts.plug(&intent, port.id, at("h1"));
    assert_eq!(facts.binding(port.id), None);
    intent.apply(&Change::Put(Object::Port(Arc::new(port.clone()))));
    facts.rebind(&intent, port.id);
    assert_eq!(facts.binding(port.id).unwrap().network, port.network_id);

    facts.plug(&intent, port.id, at("h2"));
    facts.unplug(&intent, port.id, &ChassisId::new("h1"));
    assert_eq!(
        facts.binding(port.id).unwrap().chassis,
        ChassisId::new("h2")
    );
    facts.unplug(&intent, port.id, &ChassisId::new("h2"));
    assert_eq!(facts, Facts::default());
}

#[test]
fn a_port_is_unconfirmed_while_it_has_an_openflow_port_that_nobody_confirmed() {
    let (mut intent, mut facts) = (Intent::default(), Facts::default());
    let port = port(1, 7);
    let (h1, h2) = (ChassisId::new("h1"), ChassisId::new("h2"));
    let on = |facts: &Facts, chassis| facts.unconfirmed_on(chassis).count();
    intent.apply(&Change::Put(Object::Port(Arc::new(port.clone()))));
    let without = Plugged {
        ofport: None,
        ..at("h1")
    };
    facts.plug(&intent, port.id, without);
    assert_eq!([on(&facts, &h1), on(&facts, &h2)], [0, 0]);
    facts.plug(&intent, port.id, at("h1"));
    assert_eq!([on(&facts, &h1), on(&facts, &h2)], [1, 0]);
    facts.confirm(port.id, &h1);
    assert_eq!([on(&facts, &h1), on(&facts, &h2)], [0, 0]);
    facts.plug(&intent, port.id, at("h2"));
    assert_eq!([on(&facts, &h1), on(&facts, &h2)], [0, 1]);
    facts.unplug(&intent, port.id, &h2);
    assert_eq!(facts, Facts::default());
}

#[test]
fn ports_are_found_by_the_groups_that_they_are_under_and_where_they_are() {
    let (mut intent, mut facts) = (Intent::default(), Facts::default());
    let [one, two] = [1, 2].map(|id| SecurityGroupId(Uuid::from_u128(id)));
    let mut port = port(1, 7);
    let put = |intent: &mut Intent, facts: &mut Facts, port: &Port| {
        intent.apply(&Change::Put(Object::Port(Arc::new(port.clone()))));
        facts.rebind(intent, port.id);
    };
    facts.plug(&intent, port.id, at("h1"));
    port.security_groups = [one].into();
    put(&mut intent, &mut facts, &port);
    facts.confirm(port.id, &ChassisId::new("h1"));
    port.security_groups = [two].into();
    put(&mut intent, &mut facts, &port);
    let under = |facts: &Facts, group, at: &str| {
        facts.local_ports_under(group, &ChassisId::new(at)).count()
    };
    assert_eq!([under(&facts, one, "h1"), under(&facts, two, "h1")], [0, 1]);
    assert!(facts.active().contains(&port.id), "it stays confirmed");

    facts.plug(&intent, port.id, at("h2"));
    assert_eq!([under(&facts, two, "h1"), under(&facts, two, "h2")], [0, 1]);
    facts.unplug(&intent, port.id, &ChassisId::new("h2"));
    assert_eq!(facts, Facts::default());
}

#[test]
fn indexes_name_each_hypervisor_and_network_once() {
    let (mut intent, mut facts) = (Intent::default(), Facts::default());
    for (id, network, chassis) in [
        (1, 7, "h1"),
        (2, 7, "h1"),
        (3, 7, "h2"),
        (4, 8, "h1"),
        (5, 9, "h3"),
    ] {
        let port = port(id, network);
        intent.apply(&Change::Put(Object::Port(Arc::new(port.clone()))));
        facts.plug(&intent, port.id, at(chassis));
    }
    let network = |n| NetworkId(Uuid::from_u128(n));
    let on = |n| {
        facts
            .chassis_with(network(n))
            .map(ChassisId::as_str)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        [on(7), on(8), on(9), on(10)],
        [vec!["h1", "h2"], vec!["h1"], vec!["h3"], vec![]]
    );
    assert_eq!(
        [7, 8, 9, 10].map(|n| facts.count_chassis_with(network(n))),
        [2, 1, 1, 0]
    );
    assert_eq!(
        facts.networks_on(&ChassisId::new("h1")).collect::<Vec<_>>(),
        [network(7), network(8)]
    );
    assert_eq!(
        facts.local_ports(network(7), &ChassisId::new("h1")).count(),
        2
    );
}

#[test]
fn the_worst_encapsulation_decides_the_mtu() {
    let mut facts = Facts::default();
    let network = crate::Network {
        network_type: crate::NetworkType::Vxlan,
        segmentation_id: Some(1),
        ..crate::Network::new(NetworkId(Uuid::nil()), crate::NetworkKey(1))
    };
    let settings = Settings::default();
    assert_eq!(facts.network_mtu(&network, &settings), 1430);
    for (id, ip, kind, mtu) in [
        ("h1", "192.0.2.1", EncapKind::Gre, 1458),
        ("h2", "2001:db8::2", EncapKind::Gre, 1438),
        ("h3", "192.0.2.3,2001:db8::3", EncapKind::Geneve, 1430),
    ] {
        facts.put_chassis(hypervisor(id, ip, kind));
        assert_eq!(facts.network_mtu(&network, &settings), mtu);
    }
    assert_eq!(facts.missing_tunnels(), 1);
    let apart = |id: &str| {
        let chassis = &facts.chassis()[&ChassisId::new(id)];
        let apart: Vec<&str> = facts
            .without_tunnel(chassis)
            .map(ChassisId::as_str)
            .collect();
        apart.join(",")
    };
    assert_eq!([apart("h1"), apart("h2"), apart("h3")], ["h2", "h1", ""]);
}

#[test]
fn a_port_that_does_without_flows_of_its_own_is_active_no_more_until_it_is_confirmed() {
    let (mut intent, mut facts) = (Intent::default(), Facts::default());
    let (here, elsewhere) = (port(1, 7), port(2, 7));
    let (h1, h2) = (ChassisId::new("h1"), ChassisId::new("h2"));
    for (port, chassis) in [(&here, "h1"), (&elsewhere, "h2")] {
        intent.apply(&Change::Put(Object::Port(Arc::new(port.clone()))));
        facts.put_chassis(hypervisor(chassis, "2001:db8::1", EncapKind::Vxlan));
        facts.plug(&intent, port.id, at(chassis));
        facts.confirm(port.id, &ChassisId::new(chassis));
    }
    let shortfall = Arc::new(Shortfall {
        ports: [here.id, elsewhere.id].into(),
        ..Shortfall::default()
    });
    facts.fall_short(&h1, shortfall.clone());
    assert_eq!(facts.active().iter().collect::<Vec<_>>(), [&elsewhere.id]);
    assert_eq!(facts.unconfirmed_on(&h1).collect::<Vec<_>>(), [here.id]);
    assert_eq!(facts.unconfirmed_on(&h2).count(), 0, "it is not there");
    assert_eq!(facts.shortfall(&h1), Some(&shortfall));

    facts.fall_short(&h1, Arc::default());
    facts.confirm(here.id, &h1);
    assert_eq!((facts.active().len(), facts.shortfall(&h1)), (2, None));

    facts.fall_short(&h2, shortfall.clone());
    facts.remove_chassis(&h2);
    assert_eq!(facts.shortfall(&h2), None);
    facts.fall_short(&h2, shortfall);
    assert_eq!(facts.shortfall(&h2), None, "who has left is not remembered");
}

#[test]
fn each_hypervisor_of_a_network_is_in_one_shard_while_it_has_ports_there() {
    let (mut intent, mut facts) = (Intent::default(), Facts::default());
    let network = NetworkId(Uuid::from_u128(7));
    for number in 1..=300u32 {
        // Three ports on each hypervisor, on two networks.
        for network in [7, 7, 8] {
            let port = port(
                u128::from(number) * 1000 + intent.ports.len() as u128,
                network,
            );
            intent.apply(&Change::Put(Object::Port(Arc::new(port.clone()))));
            facts.plug(&intent, port.id, at(&format!("h{number}")));
        }
    }
    let members = facts.count_chassis_with(network);
    let sharding = Sharding::of(members, 32);
    let in_shard = |shard| facts.chassis_in_shard(network, sharding, shard);
    let sizes: Vec<usize> = sharding
        .shards()
        .map(|shard| in_shard(shard).count())
        .collect();
    assert_eq!((members, sizes.len()), (300, 16));
    let mut found: Vec<_> = sharding.shards().flat_map(in_shard).collect();
    found.sort();
    assert!(found.into_iter().eq(facts.chassis_with(network)));
    assert_eq!(in_shard(16).count(), 0);

    let plugged: Vec<_> = facts.plugged().clone().into_iter().collect();
    for (id, plugged) in plugged {
        facts.unplug(&intent, id, &plugged.chassis);
    }
    assert_eq!(facts, Facts::default());
}
