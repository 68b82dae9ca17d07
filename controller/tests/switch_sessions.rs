//! Sessions with switches that are slow, broken or not what they say: over TCP, with a switch of the test's own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a switch that has nothing needs to do little"
)]

use bytes::{Bytes, BytesMut};
use rust_openflow::{
    BundleControl, BundleControlType, ErrorCode, ErrorMessage, Features, Framer, Hello, Message,
    MultipartBody, MultipartReply, MultipartRequest,
};
use sextant_controller::metrics::Metrics;
use sextant_controller::seat::Seats;
use sextant_controller::snapshot::{Snapshot, Snapshots};
use sextant_controller::state::{self, Event};
use sextant_controller::switch::{self, Context};
use sextant_model::{
    Change, Chassis, ChassisId, Encap, EncapKind, MacAddr, Meta, Network, NetworkId, NetworkKey,
    NetworkType, Object, Plugged, Port, PortId,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use uuid::Uuid;

/// How many guests a network has.
const TOGETHER: u16 = 100;
const DATAPATH: u64 = 0xd;
/// Far more than anything here takes, unless it never happens.
const SOON: Duration = Duration::from_secs(20);

/// A controller's side: what is known, and where switches connect.
struct Rig {
    address: SocketAddr,
    publish: watch::Sender<Arc<Snapshot>>,
    events: mpsc::Receiver<Event>,
}

impl Rig {
    async fn start(snapshot: Snapshot, patience: Duration) -> Self {
        let (publish, snapshots) = Snapshots::new(snapshot);
        let (events_in, events) = state::events();
        let context = Context {
            snapshots,
            events: events_in,
            metrics: Metrics::new().unwrap(),
            seats: Seats::default(),
            patience,
        };
        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(switch::listen(listener, context));
        Self {
            address,
            publish,
            events,
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
        id: ChassisId::new(name),
        encap: Encap {
            ip: "2001:db8::1".parse().unwrap(),
            kind: EncapKind::Vxlan,
        },
        bridge_mappings: BTreeMap::new(),
        datapath_id: Some(DATAPATH),
        tunnel_ports: BTreeMap::new(),
        patch_ports: BTreeMap::new(),
        observed: true,
    }
}

fn network(n: u16) -> Network {
    Network {
        id: network_id(n),
        meta: Meta::default(),
        admin_state_up: true,
        shared: false,
        external: false,
        mtu: None,
        port_security_enabled: true,
        network_type: NetworkType::Vxlan,
        physical_network: None,
        segmentation_id: Some(u32::from(n) + 1),
        key: NetworkKey(u32::from(n) + 1),
    }
}

fn network_id(n: u16) -> NetworkId {
    NetworkId(Uuid::from_u128(u128::from(n)))
}

fn port(n: u16) -> Port {
    let [high, low] = n.to_be_bytes();
    Port {
        id: PortId(Uuid::from_u128(u128::from(n))),
        network_id: network_id(n / TOGETHER),
        meta: Meta::default(),
        mac_address: MacAddr([0xfa, 0x16, 0x3e, 0, high, low]),
        fixed_ips: vec![],
        admin_state_up: true,
        device_id: String::new(),
        device_owner: String::new(),
        port_security_enabled: true,
        allowed_address_pairs: vec![],
        extra_dhcp_opts: vec![],
        host_id: String::new(),
        vnic_type: "normal".to_owned(),
        security_groups: Default::default(),
        dns_name: String::new(),
    }
}

/// A switch without flows that takes everything.
struct Switch {
    stream: TcpStream,
    unread: BytesMut,
    /// Octets of flows that it was given.
    taken: usize,
}

impl Switch {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut switch = Self {
            stream,
            unread: BytesMut::new(),
            taken: 0,
        };
        switch.send(0, &Message::Hello(Hello::openflow13())).await;
        switch
    }

    async fn send(&mut self, xid: u32, message: &Message) {
        let mut frame = BytesMut::new();
        message.encode(xid, &mut frame).unwrap();
        // Whoever has hung up is noticed when reading.
        let _ = self.stream.write_all(&frame).await;
    }

    /// The next message; none once the controller has hung up.
    async fn next(&mut self) -> Option<(u32, Message)> {
        loop {
            if let Some(frame) = Framer.next(&mut self.unread).unwrap() {
                return Some(Message::decode(&frame).unwrap());
            }
            if timeout(SOON, self.stream.read_buf(&mut self.unread))
                .await
                .expect("the controller says something")
                .unwrap_or(0)
                == 0
            {
                return None;
            }
        }
    }

    /// Answers everything for which `answer` has no answer of its own, until the controller hangs up.
    async fn serve(&mut self, answer: impl Fn(&Message) -> Option<Option<Message>>) {
        while let Some((xid, message)) = self.next().await {
            if let Message::BundleAdd(add) = &message {
                let mut flow = BytesMut::new();
                add.message.encode(0, &mut flow).unwrap();
                self.taken += flow.len();
            }
            if let Some(reply) = answer(&message).unwrap_or_else(|| usual(&message)) {
                self.send(xid, &reply).await;
            }
        }
    }
}

fn usual(message: &Message) -> Option<Message> {
    let body = match message {
        Message::FeaturesRequest => return Some(Message::FeaturesReply(features(DATAPATH))),
        Message::EchoRequest(data) => return Some(Message::EchoReply(data.clone())),
        Message::BarrierRequest => return Some(Message::BarrierReply),
        Message::BundleControl(control) => return Some(bundle(control)),
        Message::MultipartRequest(MultipartRequest::Flow(_)) => MultipartBody::Flow(vec![]),
        Message::MultipartRequest(MultipartRequest::MeterConfig(_)) => {
            MultipartBody::MeterConfig(vec![])
        }
        _ => return None,
    };
    Some(Message::MultipartReply(MultipartReply {
        more: false,
        body,
    }))
}

fn features(datapath_id: u64) -> Features {
    Features {
        datapath_id,
        buffers: 0,
        tables: 254,
        auxiliary_id: 0,
        capabilities: 0x4f,
    }
}

fn bundle(control: &BundleControl) -> Message {
    let kind = match control.kind {
        BundleControlType::OpenRequest => BundleControlType::OpenReply,
        BundleControlType::CloseRequest => BundleControlType::CloseReply,
        BundleControlType::CommitRequest => BundleControlType::CommitReply,
        _ => BundleControlType::DiscardReply,
    };
    Message::BundleControl(BundleControl { kind, ..*control })
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
    rig.publish.send_replace(Arc::new(renamed));
    switch.serve(|_| None).await;
}
