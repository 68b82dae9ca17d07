//! Indexes follow from the objects.

use super::*;
use crate::{AddressPair, Change, DEFAULT_SECURITY_GROUP, Meta, Object, ROUTER_INTERFACE_OWNER};
use std::ops::Bound;
use uuid::Uuid;

fn port(owner: &str, device: RouterId) -> Port {
    Port {
        device_id: device.to_string(),
        device_owner: owner.to_owned(),
        ..Port::new(
            PortId(Uuid::from_u128(1)),
            NetworkId(Uuid::from_u128(2)),
            MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]),
        )
    }
}

#[test]
fn claims_are_known_until_they_are_given_up() {
    let (subnet, other) = (SubnetId(Uuid::from_u128(5)), SubnetId(Uuid::from_u128(6)));
    let claim = |subnet, ip: &str| Claim::Address(subnet, ip.parse().unwrap());
    let mut intent = Intent::default();
    for claim in [
        claim(subnet, "2001:db8::2"),
        claim(subnet, "2001:db8::1"),
        claim(other, "2001:db8::1"),
    ] {
        intent.apply(&Change::Put(Object::Claim(claim.into())));
    }
    let addresses: Vec<String> = intent
        .claimed_addresses(subnet)
        .map(|address| address.to_string())
        .collect();
    assert_eq!(addresses, ["2001:db8::1", "2001:db8::2"]);

    intent.apply(&Change::delete(claim(subnet, "2001:db8::1")));
    assert!(!intent.is_claimed(&claim(subnet, "2001:db8::1")));
    assert!(intent.is_claimed(&claim(other, "2001:db8::1")));
}

#[test]
fn indexes_follow_a_port_that_changes_hands() {
    let router = RouterId(Uuid::from_u128(9));
    let of_router = port(ROUTER_INTERFACE_OWNER, router);
    let mut intent = Intent::default();
    intent.apply(&Change::Put(Object::Port(Arc::new(of_router.clone()))));
    assert_eq!(intent.interfaces_of(router).count(), 1);
    assert_eq!(intent.router_ports_of(of_router.network_id).count(), 1);

    intent.apply(&Change::Put(Object::Port(Arc::new(port(
        "compute:nova",
        router,
    )))));
    assert_eq!(intent.interfaces_of(router).count(), 0);
    assert_eq!(intent.ports_of(of_router.network_id).count(), 1);

    intent.apply(&Change::delete(ObjectKey::Port(of_router.id)));
    assert_eq!(intent, Intent::default());
}

#[test]
fn the_default_group_of_a_project_is_the_one_of_that_name() {
    let group = |n, name: &str| SecurityGroup {
        id: SecurityGroupId(Uuid::from_u128(n)),
        meta: Meta {
            name: name.to_owned(),
            project_id: "p".to_owned(),
            ..Meta::default()
        },
        stateful: true,
    };
    let put = |group| Change::Put(Object::SecurityGroup(Arc::new(group)));
    let (default, other) = (group(1, DEFAULT_SECURITY_GROUP), group(2, "web"));
    let mut intent = Intent::default();
    intent.apply(&put(default.clone()));
    intent.apply(&put(other.clone()));
    assert_eq!(intent.default_group_of("p"), Some(default.id));
    assert_eq!(intent.default_group_of("q"), None);

    intent.apply(&Change::delete(ObjectKey::SecurityGroup(other.id)));
    assert_eq!(intent.default_group_of("p"), Some(default.id));
    intent.apply(&Change::delete(ObjectKey::SecurityGroup(default.id)));
    assert_eq!(intent, Intent::default());
}

#[test]
fn what_a_project_has_is_counted_until_it_is_gone() {
    let mut intent = Intent::default();
    let mut port = port("compute:nova", RouterId(Uuid::nil()));
    port.meta.project_id = "a".to_owned();
    let put = |port: &Port| Change::Put(Object::Port(Arc::new(port.clone())));
    for change in [put(&port), put(&port)] {
        intent.apply(&change);
    }
    assert_eq!(intent.count_of("a", Counted::Port), 1);
    assert_eq!(intent.count_of("a", Counted::Network), 0);
    port.meta.project_id = "b".to_owned();
    intent.apply(&put(&port));
    assert_eq!(
        ["a", "b"].map(|project| intent.count_of(project, Counted::Port)),
        [0, 1]
    );

    intent.apply(&Change::delete(ObjectKey::Port(port.id)));
    assert_eq!(intent, Intent::default());
}

#[test]
fn users_of_a_mac_are_those_that_may_use_it_besides_their_own() {
    let mut port = port("compute:nova", RouterId(Uuid::nil()));
    let (own, shared) = (port.mac_address, MacAddr([0, 0, 0x5e, 0, 2, 1]));
    port.allowed_address_pairs = [own, shared]
        .map(|mac| AddressPair {
            mac_address: Some(mac),
            ip_address: "2001:db8::/64".parse().unwrap(),
        })
        .into();
    let mut intent = Intent::default();
    intent.apply(&Change::Put(Object::Port(Arc::new(port.clone()))));
    let users = |intent: &Intent, mac| intent.users_of(port.network_id, mac).count();
    assert_eq!((users(&intent, own), users(&intent, shared)), (0, 1));

    intent.apply(&Change::delete(ObjectKey::Port(port.id)));
    assert_eq!(intent, Intent::default());
}

#[test]
fn groups_have_numbers_of_their_own_and_keep_them() {
    let group = |id: u128| {
        Object::SecurityGroup(Arc::new(SecurityGroup {
            id: SecurityGroupId(Uuid::from_u128(id)),
            meta: Meta::default(),
            stateful: true,
        }))
    };
    let (first, second) = (SecurityGroupId(Uuid::from_u128(4)), 4 << 64);
    let second_id = SecurityGroupId(Uuid::from_u128(second));
    assert_eq!(GroupNumber::of(first), GroupNumber::of(second_id));

    let mut intent = Intent::default();
    intent.apply(&Change::Put(group(4)));
    intent.apply(&Change::Put(group(second)));
    intent.apply(&Change::Put(group(second)));
    let number = |intent: &Intent, id| intent.group_number(id);
    assert_eq!(number(&intent, first), Some(GroupNumber(4)));
    assert_eq!(number(&intent, second_id), Some(GroupNumber(5)));

    intent.apply(&Change::delete(ObjectKey::SecurityGroup(first)));
    assert_eq!(number(&intent, second_id), Some(GroupNumber(5)));
    intent.apply(&Change::delete(ObjectKey::SecurityGroup(second_id)));
    assert_eq!(intent, Intent::default());
}

#[test]
fn groups_are_found_by_every_address_of_their_ports() {
    let mut port = port("compute:nova", RouterId(Uuid::nil()));
    let group = SecurityGroupId(Uuid::from_u128(7));
    port.security_groups = [group].into();
    port.allowed_address_pairs = vec![AddressPair {
        mac_address: None,
        ip_address: "2001:db8:5::7/64".parse().unwrap(),
    }];
    let mut intent = Intent::default();
    intent.apply(&Change::Put(Object::Port(Arc::new(port.clone()))));
    let pair = MemberAddress::Given("2001:db8:5::/64".parse().unwrap());
    let on_link = MemberAddress::OnLink(port.network_id, port.mac_address.link_local());
    for address in [pair, on_link] {
        assert_eq!(intent.groups_at(&address).collect::<Vec<_>>(), [group]);
    }
    intent.apply(&Change::delete(ObjectKey::Port(port.id)));
    assert_eq!(intent, Intent::default());
}

#[test]
fn objects_are_found_by_values_until_they_have_others() {
    let all = (Bound::Unbounded, Bound::Unbounded);
    let found = |intent: &Intent, value| -> Vec<PortId> {
        let ids = intent.ids_with(value, all);
        ids.into_iter().flatten().collect()
    };
    let mut port = port("compute:nova", RouterId(Uuid::nil()));
    port.device_id = "server".to_owned();
    let put = |port: &Port| Change::Put(Object::Port(Arc::new(port.clone())));
    let mut intent = Intent::default();
    intent.apply(&put(&port));
    port.host_id = "h1".to_owned();
    port.meta.name = "server".to_owned();
    intent.apply(&put(&port));
    let values = [
        IndexedValue::Device("server"),
        IndexedValue::Host("h1"),
        IndexedValue::Name("server"),
        IndexedValue::Mac(port.mac_address),
    ];
    for value in values {
        assert_eq!(found(&intent, value), [port.id], "{value:?}");
    }
    port.device_id.clear();
    intent.apply(&put(&port));
    assert_eq!(found(&intent, values[0]), []);
    assert!(
        intent
            .ids_with::<PortId>(IndexedValue::Device(""), all)
            .is_none()
    );
    let everywhere = (Bound::Unbounded, Bound::Unbounded);
    let networks = intent.ids_with::<NetworkId>(values[2], everywhere);
    assert_eq!(networks.into_iter().flatten().count(), 0);

    intent.apply(&Change::delete(ObjectKey::Port(port.id)));
    assert_eq!(intent, Intent::default());
}

#[test]
fn a_span_of_ids_begins_and_ends_where_it_says() {
    let id = |n| PortId(Uuid::from_u128(n));
    let network = NetworkId(Uuid::from_u128(2));
    let mut intent = Intent::default();
    for n in 1..=5 {
        let mut port = Port::new(id(n), network, MacAddr([2, 0, 0, 0, 0, n as u8]));
        port.meta.name = "web".to_owned();
        intent.apply(&Change::Put(Object::Port(Arc::new(port))));
    }
    let spans = [
        ((Bound::Excluded(id(2)), Bound::Unbounded), vec![3, 4, 5]),
        ((Bound::Included(id(2)), Bound::Excluded(id(4))), vec![2, 3]),
        ((Bound::Unbounded, Bound::Excluded(id(1))), vec![]),
        ((Bound::Excluded(PortId::MAX), Bound::Unbounded), vec![]),
    ];
    for (span, wanted) in spans {
        let wanted: Vec<PortId> = wanted.into_iter().map(id).collect();
        let on_network: Vec<PortId> = intent.port_ids_of(network, span).collect();
        let named = intent.ids_with(IndexedValue::Name("web"), span);
        let named: Vec<PortId> = named.into_iter().flatten().collect();
        assert_eq!((&on_network, &named), (&wanted, &wanted), "{span:?}");
    }
}
