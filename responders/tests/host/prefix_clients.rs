//! The clients that ask for prefixes: for which subnets, and what the owner learns.

use crate::clock::{Seeded, start};
use crate::uplinks::chassis;
use sextant_model::{
    Change, Chassis, ChassisId, Delegation, Encap, EncapKind, ExternalGateway, Facts, FixedIp,
    Intent, MacAddr, Network, NetworkId, NetworkKey, NetworkType, Object, ObjectKey, Port, PortId,
    PrefixSource, ROUTER_GATEWAY_OWNER, ROUTER_INTERFACE_OWNER, Router, RouterId, RouterKey,
    Speaker, Subnet, SubnetId, Uplink,
};
use sextant_responders::Learned;
use sextant_responders::dhcpv6::codec::put_option;
use sextant_responders::dhcpv6::{CLIENT_PORT, SERVER_PORT};
use sextant_responders::frame::{FrameBuilder, Ipv6Addresses};
use sextant_responders::host::{HostEvent, PrefixClients, Time, Way};
use sextant_responders::prefix_client::{HeardServer, PrefixClientState, duid};
use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const OUTSIDE: NetworkId = NetworkId::MAX;
pub(crate) const INSIDE: NetworkId = NetworkId::MIN;
pub(crate) const SUBNET: SubnetId = SubnetId::MAX;
const ROUTER: RouterId = RouterId::MAX;
const INTERFACE: PortId = PortId::MIN;
const GATEWAY: PortId = PortId::MAX;
pub(crate) const MAC: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]);

/// DHCPv6 message types (RFC 9915 §7.3), and where they are in a frame without extension headers.
const SOLICIT: u8 = 1;
const REBIND: u8 = 6;
const REPLY: u8 = 7;
const RELEASE: u8 = 8;
const TYPE: usize = 14 + 40 + 8;

fn elsewhere() -> NetworkId {
    "2a15d0e9-fccc-4143-a255-b0b35642843b".parse().unwrap()
}

pub(crate) fn port(id: PortId, network: NetworkId, owner: &str) -> Port {
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
        external: id != INSIDE,
        network_type: NetworkType::Flat,
        physical_network: Some("physnet1".to_owned()),
        segmentation_id: None,
        ..Network::new(id, NetworkKey(1))
    }))
}

/// A router with its gateway outside and a subnet inside that waits for its prefix.
pub(crate) fn intent() -> Intent {
    let subnet = Subnet {
        prefix_source: PrefixSource::Delegated,
        ..Subnet::new(SUBNET, INSIDE, "::/64".parse().unwrap())
    };
    let mut intent = Intent::default();
    for object in [
        network(OUTSIDE),
        network(INSIDE),
        network(elsewhere()),
        Object::Subnet(Arc::new(subnet)),
        Object::Port(Arc::new(port(INTERFACE, INSIDE, ROUTER_INTERFACE_OWNER))),
    ] {
        intent.apply(&Change::Put(object));
    }
    lead(&mut intent, OUTSIDE);
    intent
}

/// The router's gateway is on this network.
fn lead(intent: &mut Intent, network_id: NetworkId) {
    let router = Router {
        external_gateway: Some(ExternalGateway {
            network_id,
            enable_snat: true,
        }),
        ..Router::new(ROUTER, RouterKey(1))
    };
    let gateway = port(GATEWAY, network_id, ROUTER_GATEWAY_OWNER);
    intent.apply(&Change::Put(Object::Router(Arc::new(router))));
    intent.apply(&Change::Put(Object::Port(Arc::new(gateway))));
}

/// A hypervisor that can have gateways.
pub(crate) fn reaching(id: ChassisId) -> Chassis {
    let encap = Encap {
        endpoints: "192.0.2.1".parse().unwrap(),
        kind: EncapKind::Vxlan,
    };
    Chassis {
        bridge_mappings: [("physnet1".to_owned(), "br-ex".to_owned())].into(),
        patch_ports: [("physnet1".to_owned(), 5)].into(),
        observed: true,
        ..Chassis::new(id, encap)
    }
}

pub(crate) fn uplinks() -> BTreeMap<NetworkId, Uplink> {
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

/// A hypervisor with the gateway of the router, and an owner of facts.
struct PrefixClientStory {
    clients: PrefixClients,
    intent: Intent,
    facts: Facts,
    now: Time,
    random: Seeded,
}

impl PrefixClientStory {
    /// Nothing is known of the subnet's prefix.
    fn new() -> Self {
        let (intent, now) = (intent(), start());
        let mut facts = Facts::default();
        facts.put_chassis(reaching(chassis()));
        facts.place_gateways(&intent);
        let mut story = Self {
            clients: PrefixClients::new(chassis(), now),
            intent,
            facts,
            now,
            random: Seeded::new(1),
        };
        story.set(uplinks());
        story
    }

    /// A prefix is known from before, which ends so many seconds from the beginning.
    fn knowing(seconds: i64) -> Self {
        let mut story = Self::new();
        story.clients = PrefixClients::new(chassis(), story.now);
        let known = Arc::new(story.delegation(seconds));
        story.facts.delegate(SUBNET, Some(known));
        story.set(uplinks());
        story
    }

    fn set(&mut self, uplinks: BTreeMap<NetworkId, Uplink>) {
        let (known, now) = ((&self.intent, &self.facts), self.now.instant);
        self.clients
            .handle_uplinks(&uplinks, known, now, &mut self.random.draw());
    }

    fn delegation(&self, from_now: i64) -> Delegation {
        let at = self.now.unix + from_now;
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

    fn pass(&mut self, seconds: u64) {
        self.now.instant += Duration::from_secs(seconds);
        self.now.unix += seconds as i64;
    }

    fn detach(&mut self) {
        self.intent
            .apply(&Change::delete(ObjectKey::Port(INTERFACE)));
    }

    fn due(&mut self) -> Vec<Vec<u8>> {
        let now = self.now.instant;
        self.clients.handle_timeout(now, &mut self.random.draw());
        let frames = std::iter::from_fn(|| self.clients.poll_frame());
        let (port, vlan_tci) = (5, 0x1064);
        let octets = frames.map(|frame| {
            assert_eq!(frame.way, Way::Uplink { port, vlan_tci });
            frame.octets
        });
        octets.collect()
    }

    /// The types of the messages that are sent within so many seconds.
    fn sent_within(&mut self, seconds: u64) -> Vec<u8> {
        let begun = self.now;
        let end = begun.instant + Duration::from_secs(seconds);
        let mut types = vec![];
        while let Some(due) = self.clients.poll_timeout().filter(|due| *due <= end) {
            self.now.instant = due;
            types.extend(self.due().iter().map(|frame| frame[TYPE]));
        }
        self.now = begun;
        self.pass(seconds);
        types
    }

    /// What the owner learns of the subnet, and knows from then on.
    fn reports(&mut self) -> Vec<Option<Arc<Delegation>>> {
        self.clients
            .handle_snapshot(&self.intent, &self.facts, self.now);
        let mut reports = vec![];
        while let Some(event) = self.clients.poll_event() {
            if let HostEvent::Delegated(subnet, delegation) = event {
                self.facts.delegate(subnet, delegation.clone());
                reports.push(delegation);
            }
        }
        reports
    }

    fn is_idle(&self) -> bool {
        self.clients.states().next().is_none()
    }
}

fn all_are(kind: u8, sent: &[u8]) {
    let are = sent.iter().all(|sent| *sent == kind);
    assert!(!sent.is_empty() && are, "{sent:?} for {kind}");
}

#[test]
fn it_asks_where_the_gateway_is_until_nobody_wants_a_prefix_any_more() {
    let mut story = PrefixClientStory::new();
    let asked = story.sent_within(5);
    all_are(SOLICIT, &asked);
    assert!(asked.len() >= 2, "{asked:?}");

    // There is nothing to give back.
    story.detach();
    story.set(BTreeMap::new());
    assert_eq!(story.sent_within(60), [] as [u8; 0]);
    assert!(story.is_idle());
}

#[test]
fn a_prefix_known_from_before_is_rebound_and_given_back_once_nobody_wants_it() {
    let mut story = PrefixClientStory::knowing(3600);
    all_are(REBIND, &story.sent_within(5));
    assert_eq!(story.reports(), []);

    story.detach();
    story.set(BTreeMap::new());
    all_are(RELEASE, &story.sent_within(600));
    assert!(story.is_idle());
}

#[test]
fn what_another_hypervisor_asks_for_is_left_to_it() {
    let mut story = PrefixClientStory::knowing(3600);
    story.set(BTreeMap::new());
    assert_eq!(story.sent_within(600), [] as [u8; 0]);
}

/// Its flows are changed later than what is known.
#[test]
fn what_another_hypervisor_has_learned_is_not_contradicted() {
    let mut story = PrefixClientStory::knowing(3600);
    let mut other = reaching(ChassisId::new("h2"));
    other.gateway_priority = u16::MAX;
    story.facts.put_chassis(other);
    story.facts.place_gateways(&story.intent);
    let extended = Arc::new(story.delegation(7200));
    story.facts.delegate(SUBNET, Some(extended));
    assert_eq!(story.reports(), []);
}

#[test]
fn what_is_wanted_again_while_it_is_given_back_begins_anew() {
    let mut story = PrefixClientStory::knowing(3600);
    let with = story.intent.clone();
    story.detach();
    story.set(BTreeMap::new());
    story.intent = with;
    story.set(uplinks());
    assert_eq!(story.reports(), [None], "what was given back has ended");
    all_are(SOLICIT, &story.sent_within(5));
}

#[test]
fn one_that_ended_meanwhile_is_taken_back_and_asked_for_anew() {
    let mut story = PrefixClientStory::knowing(-10);
    all_are(SOLICIT, &story.sent_within(5));
    assert_eq!(story.reports(), [None]);
}

#[test]
fn another_sender_tells_servers_of_itself_at_once() {
    let mut story = PrefixClientStory::knowing(3600);
    // Nobody contradicts: it is bound.
    story.sent_within(30);
    assert_eq!(story.sent_within(60), [] as [u8; 0]);

    let other = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 2]);
    story.set(uplinks_of(OUTSIDE, other));
    all_are(REBIND, &story.sent_within(5));
    assert_eq!(story.reports(), [], "it still has its lease");
}

#[test]
fn on_another_network_it_begins_anew_and_gives_back_what_it_had() {
    let mut story = PrefixClientStory::knowing(3600);
    lead(&mut story.intent, elsewhere());
    story.facts.place_gateways(&story.intent);
    story.set(uplinks_of(elsewhere(), MAC));
    assert_eq!(story.reports(), [None]);
    let asked = story.sent_within(20);
    let count = |kind| asked.iter().filter(|sent| **sent == kind).count();
    assert!(count(RELEASE) > 0 && count(SOLICIT) > 0, "{asked:?}");
    assert_eq!(count(RELEASE) + count(SOLICIT), asked.len(), "{asked:?}");
    let states: Vec<PrefixClientState> = story.clients.states().collect();
    assert_eq!(states, [PrefixClientState::Soliciting]);
}

#[test]
fn what_is_given_back_is_left_to_another_hypervisor_that_asks_for_it() {
    let mut story = PrefixClientStory::knowing(3600);
    let with = story.intent.clone();
    story.detach();
    story.set(BTreeMap::new());
    assert_eq!(story.sent_within(0), [RELEASE]);

    // What it would say after that takes away what was delegated to the other.
    story.intent = with;
    story.reports();
    assert_eq!(story.sent_within(60), [] as [u8; 0]);
}

/// A server's Reply to the client's message in a frame.
fn reply_to(frame: &[u8], server: &[u8]) -> HeardServer {
    let addresses = Ipv6Addresses {
        source_mac: MacAddr([2, 0, 0, 0, 0, 1]),
        destination_mac: MAC,
        source: MacAddr([2, 0, 0, 0, 0, 1]).link_local(),
        destination: MAC.link_local(),
    };
    let mut reply = FrameBuilder::udp(addresses, SERVER_PORT, CLIENT_PORT, 100);
    let out = reply.bytes();
    out.push(REPLY);
    out.extend(&frame[TYPE + 1..TYPE + 4]);
    for (code, value) in [(1, &duid(SUBNET)[..]), (2, server)] {
        put_option(out, code, |out| out.extend(value));
    }
    HeardServer::parse(&reply.finish()).unwrap()
}

#[test]
fn what_is_given_back_is_over_when_the_server_says_so() {
    let mut story = PrefixClientStory::knowing(3600);
    story.detach();
    story.set(BTreeMap::new());
    let [release] = &story.due()[..] else {
        panic!("one message")
    };
    let reply = reply_to(release, &story.delegation(0).server);
    let reply = Learned::PrefixClientMessage(OUTSIDE, reply);
    let now = story.now.instant;
    story
        .clients
        .handle_learned(&reply, now, &mut story.random.draw());
    assert!(story.is_idle());
}

#[test]
fn what_was_forgotten_meanwhile_is_reported_again() {
    let mut story = PrefixClientStory::knowing(3600);
    assert_eq!(story.reports(), []);
    story.facts.delegate(SUBNET, None);
    let known = story.delegation(3600);
    assert_eq!(story.reports(), [Some(Arc::new(known))]);
    assert_eq!(story.reports(), []);
}

/// The lease ends when it does; by the clock that was set this is another time.
#[test]
fn when_the_clock_was_set_it_is_reported_when_a_prefix_ends() {
    for (set_by, is_news) in [
        (0, false),
        (29, false),
        (-29, false),
        (7200, true),
        (-7200, true),
    ] {
        let mut story = PrefixClientStory::knowing(3600);
        let ends = story.delegation(3600).valid_until;
        story.pass(100);
        story.now.unix += set_by;
        let reported = story.reports().into_iter().flatten();
        let reported: Vec<i64> = reported.map(|of| of.valid_until).collect();
        let expected = is_news.then_some(ends + set_by);
        assert_eq!(reported, Vec::from_iter(expected), "{set_by}");
    }
}
