use super::*;
use sextant_model::{
    Change, ExternalGateway, FixedIp, MacAddr, Meta, Network, NetworkKey, NetworkType, Object,
    Port, PortId, PrefixSource, ROUTER_GATEWAY_OWNER, ROUTER_INTERFACE_OWNER, Router, RouterId,
    RouterKey, Speaker, Subnet,
};
use sextant_responders::dhcpv6::codec::put_option;
use sextant_responders::dhcpv6::{CLIENT_PORT, SERVER_PORT};
use sextant_responders::frame::{Addresses, FrameBuilder};
use std::net::Ipv6Addr;
use uuid::Uuid;

const OUTSIDE: NetworkId = NetworkId(Uuid::from_u128(1));
const INSIDE: NetworkId = NetworkId(Uuid::from_u128(2));
const SUBNET: SubnetId = SubnetId(Uuid::from_u128(3));
const ROUTER: RouterId = RouterId(Uuid::from_u128(4));
const INTERFACE: PortId = PortId(Uuid::from_u128(5));
const GATEWAY: PortId = PortId(Uuid::from_u128(6));
const MAC: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]);

/// DHCPv6 message types (RFC 9915 §7.3), and where they are in a frame without extension headers.
const SOLICIT: u8 = 1;
const REBIND: u8 = 6;
const REPLY: u8 = 7;
const RELEASE: u8 = 8;
const TYPE: usize = 14 + 40 + 8;

fn port(id: PortId, network: NetworkId, owner: &str) -> Port {
    let on_subnet = FixedIp {
        subnet_id: SUBNET,
        ip_address: Ipv6Addr::UNSPECIFIED.into(),
    };
    Port {
        fixed_ips: Some(on_subnet)
            .filter(|_| network == INSIDE)
            .into_iter()
            .collect(),
        device_id: ROUTER.to_string(),
        device_owner: owner.to_owned(),
        port_security_enabled: false,
        ..Port::new(id, network, MAC)
    }
}

fn network(id: NetworkId) -> Object {
    Object::Network(Arc::new(Network {
        id,
        meta: Meta::default(),
        admin_state_up: true,
        shared: false,
        external: id == OUTSIDE,
        is_default: false,
        mtu: None,
        port_security_enabled: true,
        dns_domain: String::new(),
        network_type: NetworkType::Flat,
        physical_network: Some("physnet1".to_owned()),
        segmentation_id: None,
        key: NetworkKey(1),
    }))
}

/// A router with its gateway outside and a subnet inside that waits for its prefix.
fn snapshot() -> Snapshot {
    let subnet = Subnet {
        prefix_source: PrefixSource::Delegated,
        ..Subnet::new(SUBNET, INSIDE, "::/64".parse().unwrap())
    };
    let router = Router {
        id: ROUTER,
        meta: Meta::default(),
        admin_state_up: true,
        key: RouterKey(1),
        external_gateway: Some(ExternalGateway {
            network_id: OUTSIDE,
            enable_snat: true,
        }),
        routes: vec![],
    };
    let mut snapshot = Snapshot::default();
    for object in [
        network(OUTSIDE),
        network(INSIDE),
        Object::Subnet(Arc::new(subnet)),
        Object::Router(Arc::new(router)),
        Object::Port(Arc::new(port(INTERFACE, INSIDE, ROUTER_INTERFACE_OWNER))),
        Object::Port(Arc::new(port(GATEWAY, OUTSIDE, ROUTER_GATEWAY_OWNER))),
    ] {
        snapshot.intent.apply(&Change::Put(object));
    }
    snapshot
}

fn uplinks() -> BTreeMap<NetworkId, Uplink> {
    uplinks_of(OUTSIDE, MAC)
}

/// A speaker with this MAC asks on this network.
fn uplinks_of(network: NetworkId, mac: MacAddr) -> BTreeMap<NetworkId, Uplink> {
    let speaker = Speaker {
        mac,
        addresses: vec![mac.link_local().into()],
        delegated: [SUBNET].into(),
    };
    let uplink = Uplink {
        port: 5,
        vlan_tci: 0x1064,
        speakers: [(GATEWAY, speaker)].into(),
        next_hops: Default::default(),
        listens: false,
    };
    [(network, uplink)].into()
}

fn delegation(from_now: i64) -> Delegation {
    let at = clock::now() + from_now;
    Delegation {
        network: OUTSIDE,
        prefix: "2001:db8:2222::/64".parse().unwrap(),
        server: vec![0, 3, 0, 1, 2, 0, 0, 0, 0, 1],
        renew_at: at,
        rebind_at: at,
        preferred_until: at,
        valid_until: at,
    }
}

/// The types of the messages that are sent within so many seconds.
fn sent_within(delegations: &mut Delegations, begin: Instant, seconds: u64) -> Vec<u8> {
    let metrics = Metrics::new().unwrap();
    let end = begin + Duration::from_secs(seconds);
    let mut types = vec![];
    while let Some(due) = delegations.deadline().filter(|due| *due <= end) {
        for message in delegations.due(due, &metrics) {
            let Message::PacketOut(packet) = message else {
                panic!("{message:?}")
            };
            assert_eq!(packet.actions, tagged(0x1064, 5));
            types.push(packet.data[TYPE]);
        }
    }
    types
}

fn all_are(kind: u8, sent: &[u8]) {
    let are = sent.iter().all(|sent| *sent == kind);
    assert!(!sent.is_empty() && are, "{sent:?} for {kind}");
}

fn detach(snapshot: &mut Snapshot) {
    let interface = sextant_model::ObjectKey::Port(INTERFACE);
    snapshot.intent.apply(&Change::delete(interface));
}

/// What goes on with a prefix that was known before and ends so many seconds from now.
fn asking_with(from_now: i64) -> (Snapshot, Delegations, Instant) {
    let (mut snapshot, now) = (snapshot(), Instant::now());
    let known = Arc::new(delegation(from_now));
    snapshot.facts.delegate(SUBNET, Some(known));
    let mut delegations = Delegations::default();
    delegations.update(&uplinks(), &snapshot, now);
    (snapshot, delegations, now)
}

#[test]
fn it_asks_where_the_gateway_is_until_nobody_wants_a_prefix_any_more() {
    let (mut snapshot, now) = (snapshot(), Instant::now());
    let mut delegations = Delegations::default();
    delegations.update(&uplinks(), &snapshot, now);
    let asked = sent_within(&mut delegations, now, 5);
    assert!(
        asked.len() >= 2 && asked.iter().all(|kind| *kind == SOLICIT),
        "{asked:?}"
    );

    // There is nothing to give back.
    detach(&mut snapshot);
    delegations.update(&BTreeMap::new(), &snapshot, now);
    assert_eq!(sent_within(&mut delegations, now, 60), [] as [u8; 0]);
    assert!(delegations.all().next().is_none());
}

#[test]
fn a_prefix_known_from_before_is_rebound_and_given_back_once_nobody_wants_it() {
    let (mut snapshot, mut delegations, now) = asking_with(3600);
    let asked = sent_within(&mut delegations, now, 5);
    all_are(REBIND, &asked);
    assert!(
        delegations
            .clients
            .get_mut(&SUBNET)
            .unwrap()
            .news()
            .is_none()
    );

    detach(&mut snapshot);
    let later = now + Duration::from_secs(5);
    delegations.update(&BTreeMap::new(), &snapshot, later);
    let released = sent_within(&mut delegations, later, 600);
    all_are(RELEASE, &released);
    assert!(delegations.all().next().is_none());
}

#[test]
fn what_another_hypervisor_asks_for_now_is_left_to_it() {
    let (snapshot, mut delegations, now) = asking_with(3600);
    delegations.update(&BTreeMap::new(), &snapshot, now);
    assert_eq!(sent_within(&mut delegations, now, 600), [] as [u8; 0]);
}

#[test]
fn what_is_wanted_again_while_it_is_given_back_begins_anew() {
    let (snapshot, mut delegations, now) = asking_with(3600);
    let mut without = snapshot.clone();
    detach(&mut without);
    delegations.update(&BTreeMap::new(), &without, now);
    delegations.update(&uplinks(), &snapshot, now);
    // What was given back counts no more.
    assert_eq!(
        delegations.clients.get_mut(&SUBNET).unwrap().news(),
        Some(None)
    );
    let asked = sent_within(&mut delegations, now, 5);
    all_are(SOLICIT, &asked);
}

#[test]
fn one_that_ended_meanwhile_is_taken_back_and_asked_for_anew() {
    let (_, mut delegations, now) = asking_with(-10);
    let asked = sent_within(&mut delegations, now, 5);
    all_are(SOLICIT, &asked);
    assert_eq!(
        delegations.clients.get_mut(&SUBNET).unwrap().news(),
        Some(None)
    );
}

#[test]
fn another_sender_tells_servers_of_itself_at_once() {
    let (snapshot, mut delegations, now) = asking_with(3600);
    // Nobody contradicts: it is bound.
    sent_within(&mut delegations, now, 30);
    assert_eq!(sent_within(&mut delegations, now, 60), [] as [u8; 0]);

    let later = now + Duration::from_secs(60);
    let other = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 2]);
    delegations.update(&uplinks_of(OUTSIDE, other), &snapshot, later);
    let asked = sent_within(&mut delegations, later, 5);
    all_are(REBIND, &asked);
    let asking = delegations.clients.get_mut(&SUBNET).unwrap();
    assert!(asking.client.lease().is_some() && asking.news().is_none());
}

#[test]
fn on_another_network_it_begins_anew_and_gives_back_what_it_had() {
    const ELSEWHERE: NetworkId = NetworkId(Uuid::from_u128(9));
    let (mut snapshot, mut delegations, now) = asking_with(3600);
    let gateway = port(GATEWAY, ELSEWHERE, ROUTER_GATEWAY_OWNER);
    let moved = Change::Put(Object::Port(Arc::new(gateway)));
    snapshot.intent.apply(&moved);
    delegations.update(&uplinks_of(ELSEWHERE, MAC), &snapshot, now);
    let asking = delegations.clients.get_mut(&SUBNET).unwrap();
    assert_eq!(asking.news(), Some(None));
    let asked = sent_within(&mut delegations, now, 20);
    let count = |kind| asked.iter().filter(|sent| **sent == kind).count();
    assert!(count(RELEASE) > 0 && count(SOLICIT) > 0, "{asked:?}");
    assert_eq!(count(RELEASE) + count(SOLICIT), asked.len(), "{asked:?}");
    assert!(delegations.leaving.is_empty());
}

#[test]
fn what_is_given_back_is_left_to_another_hypervisor_that_asks_for_it() {
    let (mut snapshot, mut delegations, now) = asking_with(3600);
    let with = snapshot.clone();
    detach(&mut snapshot);
    delegations.update(&BTreeMap::new(), &snapshot, now);
    assert_eq!(sent_within(&mut delegations, now, 0), [RELEASE]);

    // What it would say now takes away what was delegated to the other.
    delegations.compare(&with, (now, clock::now()));
    assert_eq!(sent_within(&mut delegations, now, 60), [] as [u8; 0]);
}

/// A server's Reply to the client's message in a frame.
fn reply_to(frame: &[u8]) -> Heard {
    let addresses = Addresses {
        source_mac: MacAddr([2, 0, 0, 0, 0, 1]),
        destination_mac: MAC,
        source: MacAddr([2, 0, 0, 0, 0, 1]).link_local(),
        destination: MAC.link_local(),
    };
    let mut reply = FrameBuilder::udp(addresses, SERVER_PORT, CLIENT_PORT, 100);
    let out = reply.bytes();
    out.push(REPLY);
    out.extend(&frame[TYPE + 1..TYPE + 4]);
    for (code, value) in [(1, &duid(SUBNET)), (2, &delegation(0).server)] {
        put_option(out, code, |out| out.extend(value));
    }
    Heard::parse(&reply.finish()).unwrap()
}

#[test]
fn what_is_given_back_is_over_when_the_server_says_so() {
    let (mut snapshot, mut delegations, now) = asking_with(3600);
    detach(&mut snapshot);
    delegations.update(&BTreeMap::new(), &snapshot, now);
    let sent = delegations.due(now, &Metrics::new().unwrap());
    let [Message::PacketOut(release)] = &sent[..] else {
        panic!("{sent:?}")
    };
    let reply = Learned::Delegation(OUTSIDE, reply_to(&release.data));
    delegations.learn(&[reply]);
    assert!(delegations.leaving.is_empty());
}

#[test]
fn what_was_forgotten_meanwhile_is_told_anew() {
    let (mut snapshot, mut delegations, now) = asking_with(3600);
    let news = |delegations: &mut Delegations| {
        let asking = delegations.clients.get_mut(&SUBNET).unwrap();
        asking.news().flatten()
    };
    delegations.compare(&snapshot, (now, clock::now()));
    assert_eq!(news(&mut delegations), None);
    snapshot.facts.delegate(SUBNET, None);
    delegations.compare(&snapshot, (now, clock::now()));
    let told = news(&mut delegations).unwrap();
    assert_eq!(told.network, OUTSIDE);
}

#[test]
fn when_the_clock_was_set_it_is_told_anew_when_a_prefix_ends() {
    let (snapshot, mut delegations, now) = asking_with(3600);
    let (later, wall) = (now + Duration::from_secs(100), clock::now() + 100);
    for (set_by, news) in [
        (0, false),
        (29, false),
        (-29, false),
        (7200, true),
        (-7200, true),
    ] {
        delegations.compare(&snapshot, (later, wall + set_by));
        let asking = delegations.clients.get_mut(&SUBNET).unwrap();
        assert_eq!(asking.news().is_some(), news, "{set_by}");
        asking.told_at = (now, wall - 100);
    }
}

#[test]
fn times_are_the_same_there_and_back() {
    let now = Instant::now();
    let known = Delegation {
        valid_until: i64::MAX,
        ..delegation(100)
    };
    let back = super::delegation(&lease(&known, now), OUTSIDE, now);
    assert_eq!(back.valid_until, i64::MAX);
    assert!((back.renew_at - known.renew_at).abs() <= 1);
}
