use super::*;
use sextant_model::{
    Change, FixedIp, Key, MacAddr, Meta, NetworkId, Object, Port, PortId, PrefixSource,
    ROUTER_GATEWAY_OWNER, ROUTER_INTERFACE_OWNER, Router, RouterId, RouterKey,
};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use uuid::Uuid;

const SUBNET: SubnetId = SubnetId(Uuid::from_u128(1));
const ROUTER: RouterId = RouterId(Uuid::from_u128(2));
const INTERFACE: PortId = PortId(Uuid::from_u128(3));
const GATEWAY: PortId = PortId(Uuid::from_u128(4));
const INSIDE: NetworkId = NetworkId(Uuid::from_u128(5));
const OUTSIDE: NetworkId = NetworkId(Uuid::from_u128(6));
const PREFIX: &str = "2001:db8:1::/64";

fn subnet(cidr: &str) -> Object {
    Object::Subnet(Arc::new(Subnet {
        id: SUBNET,
        network_id: INSIDE,
        meta: Meta::default(),
        cidr: cidr.parse().unwrap(),
        gateway_ip: None,
        allocation_pools: vec![],
        enable_dhcp: true,
        ipv6_ra_mode: None,
        ipv6_address_mode: None,
        dns_nameservers: vec![],
        host_routes: vec![],
        prefix_source: PrefixSource::Delegated,
        service_types: vec![],
    }))
}

fn port(id: PortId, network_id: NetworkId, owner: &str) -> Object {
    let fixed = FixedIp {
        subnet_id: SUBNET,
        ip_address: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    Object::Port(Arc::new(Port {
        id,
        network_id,
        meta: Meta::default(),
        mac_address: MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]),
        fixed_ips: Vec::from_iter((network_id == INSIDE).then_some(fixed)),
        admin_state_up: true,
        device_id: ROUTER.to_string(),
        device_owner: owner.to_owned(),
        port_security_enabled: false,
        allowed_address_pairs: vec![],
        extra_dhcp_opts: vec![],
        host_id: String::new(),
        vnic_type: "normal".to_owned(),
        security_groups: Default::default(),
        dns_name: String::new(),
        binding_profile: String::new(),
    }))
}

/// A subnet with this prefix, on a router with a way out.
fn intent(cidr: &str) -> Intent {
    let router = Object::Router(Arc::new(Router {
        id: ROUTER,
        meta: Meta::default(),
        admin_state_up: true,
        key: RouterKey(1),
        external_gateway: None,
        routes: vec![],
    }));
    let mut intent = Intent::default();
    let objects = [
        router,
        subnet(cidr),
        port(INTERFACE, INSIDE, ROUTER_INTERFACE_OWNER),
        port(GATEWAY, OUTSIDE, ROUTER_GATEWAY_OWNER),
    ];
    objects
        .into_iter()
        .for_each(|object| intent.apply(&Change::Put(object)));
    intent
}

fn facts(valid_until: i64) -> Facts {
    let mut facts = Facts::default();
    let delegation = Delegation {
        prefix: PREFIX.parse().unwrap(),
        server: vec![],
        renew_at: 0,
        rebind_at: 0,
        preferred_until: 0,
        valid_until,
    };
    facts.delegate(SUBNET, Some(Arc::new(delegation)));
    facts
}

fn renumber(prefix: &str) -> BTreeMap<SubnetId, Ipv6Net> {
    [(SUBNET, prefix.parse().unwrap())].into()
}

#[test]
fn a_subnet_has_its_prefix_until_the_delegation_ends() {
    for (cidr, now, wanted) in [
        ("::/64", 99, Some(PREFIX)),
        (PREFIX, 99, None),
        ("2001:db8:2::/64", 99, Some(PREFIX)),
        (PREFIX, 100, Some("::/64")),
        ("::/64", 100, None),
    ] {
        let plan = Plan::of(&intent(cidr), &facts(100), now);
        let lasts = now < 100;
        let expected = Plan {
            renumber: wanted.map(renumber).unwrap_or_default(),
            forget: vec![],
            next_end: lasts.then_some(100),
            delegated: usize::from(lasts),
            waiting: usize::from(!lasts),
        };
        assert_eq!(plan, expected, "{cidr} at {now}");
    }
}

#[test]
fn without_a_router_that_asks_there_is_no_prefix_and_the_delegation_is_forgotten() {
    for gone in [
        Key::Port(INTERFACE),
        Key::Port(GATEWAY),
        Key::Router(ROUTER),
    ] {
        let mut intent = intent(PREFIX);
        let before = intent.clone();
        assert!(before.delegates_as(&intent));
        intent.apply(&Change::Delete(gone.clone()));
        assert!(!before.delegates_as(&intent), "{gone:?}");
        let expected = Plan {
            renumber: renumber("::/64"),
            forget: vec![SUBNET],
            ..Plan::default()
        };
        assert_eq!(Plan::of(&intent, &facts(100), 1), expected, "{gone:?}");
    }
}

#[test]
fn the_delegation_of_a_subnet_that_is_gone_is_forgotten() {
    let mut intent = intent(PREFIX);
    intent.apply(&Change::Delete(Key::Subnet(SUBNET)));
    let expected = Plan {
        forget: vec![SUBNET],
        ..Plan::default()
    };
    assert_eq!(Plan::of(&intent, &facts(100), 1), expected);
}

#[test]
fn ports_of_guests_are_nothing_to_look_at() {
    let before = intent(PREFIX);
    let mut after = before.clone();
    let guest = port(PortId(Uuid::from_u128(9)), INSIDE, "compute:nova");
    after.apply(&Change::Put(guest));
    assert!(before.delegates_as(&after));
}
