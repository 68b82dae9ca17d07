//! Sessions with switches that are slow, broken or not what they say: over TCP, with a switch of the test's own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a switch that has nothing needs to do little"
)]

#[path = "switch/mod.rs"]
mod fake;
#[path = "switch/log.rs"]
mod log;
#[path = "switch/tenure.rs"]
mod tenure;

use bytes::Bytes;
use fake::{DATAPATH, SOON, Switch, features};
use log::Log;
use rust_openflow::{ErrorCode, ErrorMessage, Message};
use sextant_controller::admission::ConnectionLimits;
use sextant_controller::cluster::Tenures;
use sextant_controller::metrics::Metrics;
use sextant_controller::snapshot::{Publisher, Snapshot, Snapshots};
use sextant_controller::state::{self, Event};
use sextant_controller::switch::{self, SwitchContext};
use sextant_model::{
    Change, Chassis, ChassisId, Encap, EncapKind, ExternalGateway, FixedIp, Ipv6Mode, MacAddr,
    Network, NetworkId, NetworkKey, NetworkType, Object, Plugged, Port, PortId, PrefixSource,
    ROUTER_GATEWAY_OWNER, ROUTER_INTERFACE_OWNER, Router, RouterId, RouterKey, Subnet, SubnetId,
};
use sextant_responders::neighbor::announce;
use sextant_responders::prefix_client::duid;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

/// How many guests a network has.
const TOGETHER: u16 = 100;

/// A controller's side: what is known, and where switches connect.
struct Rig {
    address: SocketAddr,
    publisher: Publisher,
    events: mpsc::Receiver<Event>,
    metrics: Metrics,
}

const LIMITS: ConnectionLimits = ConnectionLimits {
    connections: 100,
    unidentified: 2,
    of_an_origin: 3,
    time: SOON,
};

impl Rig {
    async fn start(snapshot: Snapshot, patience: Duration) -> Self {
        Self::start_with(snapshot, patience, LIMITS).await
    }

    async fn start_with(snapshot: Snapshot, patience: Duration, limits: ConnectionLimits) -> Self {
        Self::start_sharing(snapshot, patience, limits, Tenures::All).await
    }

    async fn start_sharing(
        snapshot: Snapshot,
        patience: Duration,
        limits: ConnectionLimits,
        tenures: Tenures,
    ) -> Self {
        let (publisher, snapshots) = Snapshots::new(snapshot);
        let (events_in, events) = state::events();
        let metrics = Metrics::new().unwrap();
        let context = SwitchContext {
            limits,
            patience,
            tenures,
            ..SwitchContext::new(snapshots, events_in, metrics.clone())
        };
        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(switch::listen(listener, context));
        Self {
            address,
            publisher,
            events,
            metrics,
        }
    }

    /// How many ports turn active with the next confirmation.
    async fn confirmed(&mut self) -> usize {
        match timeout(SOON, self.events.recv()).await {
            Ok(Some(Event::Confirmed(ports))) => ports.len(),
            other => panic!("{other:?}"),
        }
    }
}

/// What is known of one hypervisor with this many guests.
fn known(guests: u16) -> Snapshot {
    let mut snapshot = Snapshot::default();
    snapshot.facts.put_chassis(chassis("h1"));
    for n in 0..=guests / TOGETHER {
        let change = Change::Put(Object::Network(Arc::new(network(n))));
        snapshot.intent.apply(&change);
    }
    for n in 1..=guests {
        let port = port(n);
        let id = port.id;
        let change = Change::Put(Object::Port(Arc::new(port)));
        snapshot.intent.apply(&change);
        let plugged = Plugged {
            chassis: ChassisId::new("h1"),
            ofport: Some(n),
        };
        snapshot.facts.plug(&snapshot.intent, id, plugged);
    }
    snapshot
}

fn chassis(name: &str) -> Chassis {
    Chassis {
        datapath_id: Some(DATAPATH),
        observed: true,
        ..Chassis::new(
            ChassisId::new(name),
            Encap {
                endpoints: "2001:db8::1".parse().unwrap(),
                kind: EncapKind::Vxlan,
            },
        )
    }
}

fn network(n: u16) -> Network {
    Network {
        segmentation_id: Some(u32::from(n) + 1),
        ..Network::new(network_id(n), NetworkKey(u32::from(n) + 1))
    }
}

fn network_id(n: u16) -> NetworkId {
    NetworkId(Uuid::from_u128(u128::from(n)))
}

fn port(n: u16) -> Port {
    let [high, low] = n.to_be_bytes();
    Port::new(
        PortId(Uuid::from_u128(u128::from(n))),
        network_id(n / TOGETHER),
        MacAddr([0xfa, 0x16, 0x3e, 0, high, low]),
    )
}

/// A router's port on the network of the first guests, which therefore are told of a router.
fn routed() -> Snapshot {
    let mut snapshot = known(1);
    let (subnet, router) = (SubnetId(Uuid::from_u128(1)), RouterId(Uuid::from_u128(1)));
    let mut interface = Port::new(
        PortId(Uuid::from_u128(0xffff)),
        network_id(0),
        MacAddr([0xfa, 0x16, 0x3e, 1, 0, 1]),
    );
    interface.device_id = router.to_string();
    interface.device_owner = ROUTER_INTERFACE_OWNER.to_owned();
    interface.fixed_ips = vec![FixedIp {
        subnet_id: subnet,
        ip_address: "2001:db8:1::1".parse().unwrap(),
    }];
    for object in [
        Object::Subnet(Arc::new(Subnet {
            ipv6_ra_mode: Some(Ipv6Mode::Slaac),
            ipv6_address_mode: Some(Ipv6Mode::Slaac),
            ..Subnet::new(subnet, network_id(0), "2001:db8:1::/64".parse().unwrap())
        })),
        Object::Router(Arc::new(Router::new(router, RouterKey(1)))),
        Object::Port(Arc::new(interface)),
    ] {
        snapshot.intent.apply(&Change::Put(object));
    }
    snapshot
}

#[tokio::test]
async fn a_router_is_announced_only_once_the_switch_has_the_flows_that_carry_it() {
    let rig = Rig::start(routed(), SOON).await;
    let mut switch = Switch::connect(rig.address).await;
    loop {
        let (xid, message) = switch.next().await.expect("a barrier");
        assert!(!matches!(message, Message::PacketOut(_)), "too early");
        if message == Message::BarrierRequest {
            switch.send(xid, &Message::BarrierReply).await;
            break;
        }
        if let Some(reply) = fake::usual(&message) {
            switch.send(xid, &reply).await;
        }
    }
    while !matches!(switch.next().await, Some((_, Message::PacketOut(_)))) {}
}

/// A router with its gateway on this hypervisor, and two subnets on the network of the first guests: for one of them it asks
/// for a prefix.
fn leading_outside() -> Snapshot {
    let mut snapshot = routed();
    let router = RouterId(Uuid::from_u128(1));
    let mut gateway = Port::new(PortId(Uuid::from_u128(0xfffe)), network_id(9), GATEWAY_MAC);
    gateway.device_id = router.to_string();
    gateway.device_owner = ROUTER_GATEWAY_OWNER.to_owned();
    let mut second = (*snapshot.intent.ports[&PortId(Uuid::from_u128(0xffff))]).clone();
    second.id = PortId(Uuid::from_u128(0xfffd));
    second.mac_address = MacAddr([0xfa, 0x16, 0x3e, 1, 0, 2]);
    second.fixed_ips = vec![FixedIp {
        subnet_id: SubnetId(Uuid::from_u128(2)),
        ip_address: "2001:db8:2::1".parse().unwrap(),
    }];
    let router = Router {
        external_gateway: Some(ExternalGateway {
            network_id: network_id(9),
            enable_snat: true,
        }),
        ..(*snapshot.intent.routers[&router]).clone()
    };
    for object in [
        Object::Network(Arc::new(Network {
            external: true,
            network_type: NetworkType::Flat,
            physical_network: Some("physnet1".to_owned()),
            segmentation_id: None,
            ..network(9)
        })),
        delegated(1),
        Object::Subnet(Arc::new(subnet(2))),
        Object::Port(Arc::new(second)),
        Object::Router(Arc::new(router)),
        Object::Port(Arc::new(gateway)),
    ] {
        snapshot.intent.apply(&Change::Put(object));
    }
    snapshot.facts.put_chassis(Chassis {
        bridge_mappings: [("physnet1".to_owned(), "br-ex".to_owned())].into(),
        patch_ports: [("physnet1".to_owned(), 5)].into(),
        ..chassis("h1")
    });
    snapshot.facts.place_gateways(&snapshot.intent);
    snapshot
}

const GATEWAY_MAC: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 2, 0, 1]);

fn subnet(n: u128) -> Subnet {
    let cidr = format!("2001:db8:{n}::/64").parse().unwrap();
    Subnet::new(SubnetId(Uuid::from_u128(n)), network_id(0), cidr)
}

fn delegated(n: u128) -> Object {
    Object::Subnet(Arc::new(Subnet {
        prefix_source: PrefixSource::Delegated,
        ..subnet(n)
    }))
}

/// No flow differs by for how many subnets a router asks for prefixes, and its neighbours need not know.
#[tokio::test]
async fn what_differs_outside_and_not_in_flows_waits_for_no_other_change() {
    let rig = Rig::start(leading_outside(), SOON).await;
    let mut switch = Switch::connect(rig.address).await;
    let announcement = announce(GATEWAY_MAC, GATEWAY_MAC.link_local().into());
    bundles_before(&mut switch, |frame| frame == announcement).await;
    let mut changed = leading_outside();
    changed.intent.apply(&Change::Put(delegated(2)));
    rig.publisher.publish(changed);
    let client = duid(SubnetId(Uuid::from_u128(2)));
    let asks = |frame: &[u8]| frame.windows(client.len()).any(|part| part == client);
    let asked = timeout(SOON, bundles_before(&mut switch, asks)).await;
    assert_eq!(asked.expect("it asks for a prefix"), 0, "no flow differs");
}

/// Waits until such a frame is sent. Returns how many messages about bundles came before.
async fn bundles_before(switch: &mut Switch, is_it: impl Fn(&[u8]) -> bool) -> usize {
    let mut bundles = 0;
    loop {
        let (xid, message) = switch.next().await.expect("such a frame");
        if matches!(&message, Message::PacketOut(out) if is_it(&out.data)) {
            return bundles;
        }
        bundles += usize::from(matches!(message, Message::BundleControl(_)));
        if let Some(reply) = fake::usual(&message) {
            switch.send(xid, &reply).await;
        }
    }
}

fn is_inventory(message: &Message) -> bool {
    matches!(message, Message::MultipartRequest(_))
}

#[tokio::test]
async fn a_change_of_any_length_is_sent_without_a_pause() {
    const GUESTS: u16 = 4_000;
    let mut rig = Rig::start(known(GUESTS), SOON).await;
    let mut switch = Switch::connect(rig.address).await;
    let confirmed = tokio::select! {
        confirmed = rig.confirmed() => confirmed,
        () = switch.serve(|_| None) => panic!("the controller hung up"),
    };
    assert_eq!(confirmed, usize::from(GUESTS));
    assert!(
        switch.taken > 4 << 20,
        "{} octets are no test",
        switch.taken
    );
}

#[tokio::test]
async fn a_switch_that_does_not_say_what_it_has_is_hung_up_on() {
    let rig = Rig::start(known(1), Duration::from_millis(100)).await;
    let mut silent = Switch::connect(rig.address).await;
    silent
        .serve(|message| is_inventory(message).then_some(None))
        .await;

    let rig = Rig::start(known(1), SOON).await;
    let refusal = Message::Error(ErrorMessage {
        code: ErrorCode::BAD_TYPE,
        data: Bytes::new(),
    });
    let mut unable = Switch::connect(rig.address).await;
    unable
        .serve(|message| is_inventory(message).then(|| Some(refusal.clone())))
        .await;
}

#[tokio::test]
async fn a_switch_that_does_not_confirm_is_hung_up_on() {
    for mute in [
        (|message| matches!(message, Message::BarrierRequest)) as fn(&Message) -> bool,
        |message| matches!(message, Message::BundleControl(_)),
    ] {
        let rig = Rig::start(known(1), Duration::from_millis(100)).await;
        let mut switch = Switch::connect(rig.address).await;
        switch.serve(|message| mute(message).then_some(None)).await;
    }
}

#[tokio::test]
async fn the_newer_connection_of_a_switch_ends_the_older_one() {
    let mut rig = Rig::start(known(1), SOON).await;
    let mut old = Switch::connect(rig.address).await;
    tokio::select! {
        _ = rig.confirmed() => {}
        () = old.serve(|_| None) => panic!("the controller hung up"),
    }
    let mut new = Switch::connect(rig.address).await;
    tokio::select! {
        () = old.serve(|_| None) => {}
        () = new.serve(|_| None) => panic!("the controller hung up on the newer one"),
    }
    // What is confirmed is a matter of the newer one.
    tokio::select! {
        confirmed = rig.confirmed() => assert_eq!(confirmed, 1),
        () = new.serve(|_| None) => panic!("the controller hung up on the newer one"),
    }
}

#[tokio::test]
async fn a_switch_whose_hypervisor_has_another_name_is_hung_up_on() {
    let mut rig = Rig::start(known(1), SOON).await;
    let mut switch = Switch::connect(rig.address).await;
    tokio::select! {
        _ = rig.confirmed() => {}
        () = switch.serve(|_| None) => panic!("the controller hung up"),
    }
    let mut renamed = known(1);
    renamed.facts.remove_chassis(&ChassisId::new("h1"));
    renamed.facts.put_chassis(chassis("h2"));
    rig.publisher.publish(renamed);
    switch.serve(|_| None).await;
}

#[tokio::test]
async fn nonsense_and_refusals_of_a_switch_are_counted_and_seldom_logged() {
    const EACH: usize = 500;
    let (log, _guard) = Log::begin();
    let mut rig = Rig::start(known(1), SOON).await;
    let mut switch = Switch::connect(rig.address).await;
    tokio::select! {
        _ = rig.confirmed() => {}
        () = switch.serve(|_| None) => panic!("the controller hung up"),
    }
    let refusal = Message::Error(ErrorMessage {
        code: ErrorCode::BAD_TYPE,
        data: Bytes::new(),
    });
    for xid in 0..EACH {
        switch.send(0xffff_0000, &refusal).await;
        // A packet-in that ends before its cookie.
        let [.., high, low] = xid.to_be_bytes();
        let packet = [4, 10, 0, 12, 0, 0, high, low, 255, 255, 255, 255];
        switch.send_octets(&packet).await;
    }
    let mut answered = 0;
    while answered < EACH {
        let (_, message) = switch.next().await.unwrap();
        answered += usize::from(matches!(message, Message::Error(_)));
    }
    let counted = |kind: &str| rig.metrics.openflow_errors.with_label_values(&[kind]).get();
    assert_eq!([counted("malformed"), counted("refused")], [EACH as u64; 2]);
    let said = log.lines_with("switch sent what is no OpenFlow").len()
        + log.lines_with("switch refused a message").len();
    assert_eq!(said, 5);

    drop(switch);
    let last_word = async {
        while log.lines_with("switch disconnected").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, last_word).await.unwrap();
    let rest = log.lines_with("more was wrong with what this switch sent");
    assert!(rest[0].contains("unsaid=995"), "{rest:?}");
}

/// A switch that nobody knows has been heard to the end of the handshake.
async fn stranger(address: SocketAddr) -> Switch {
    let mut switch = Switch::connect(address).await;
    while let Some((xid, message)) = switch.next().await {
        if message == Message::FeaturesRequest {
            let features = Message::FeaturesReply(features(0xbad));
            switch.send(xid, &features).await;
            break;
        }
    }
    switch
}

#[tokio::test]
async fn strangers_do_not_keep_the_switch_of_a_hypervisor_out() {
    let (log, _guard) = Log::begin();
    let limits = ConnectionLimits {
        time: Duration::ZERO,
        ..LIMITS
    };
    let mut rig = Rig::start_with(known(1), SOON, limits).await;
    let (mut oldest, _other) = (stranger(rig.address).await, stranger(rig.address).await);
    let mut switch = Switch::connect(rig.address).await;
    tokio::select! {
        confirmed = rig.confirmed() => assert_eq!(confirmed, 1),
        () = switch.serve(|_| None) => panic!("the controller hung up"),
    }
    assert!(oldest.next().await.is_none(), "the oldest is hung up on");
    let refused = &rig.metrics.connections_refused;
    assert_eq!(refused.with_label_values(&["openflow", "stale"]).get(), 1);
    let said = log.lines_with("too many connections of nobody known: the oldest was ended");
    assert_eq!(said.len(), 1);
}

#[tokio::test]
async fn newcomers_wait_while_others_say_who_they_are() {
    let rig = Rig::start(known(1), SOON).await;
    let others = [stranger(rig.address).await, stranger(rig.address).await];
    let mut newest = Switch::connect(rig.address).await;
    drop(others);
    assert!(newest.next().await.is_some(), "the newest is served");
    let refused = &rig.metrics.connections_refused;
    for reason in ["unidentified", "origin", "stale"] {
        assert_eq!(refused.with_label_values(&["openflow", reason]).get(), 0);
    }
}
