//! The whole way of a packet through the controller but for the socket: the bytes of a packet-in to the bytes of the
//! packet-out that answers it, on a hypervisor with this many guests.
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use bytes::{Bytes, BytesMut};
use divan::{Bencher, black_box};
use rust_openflow::{Cookie, Field, Match, Message, NO_BUFFER, PacketIn, PacketInReason, TableId};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sextant_controller::metrics::Metrics;
use sextant_controller::port_history::PortHistory;
use sextant_controller::switch::Punts;
use sextant_flows::Flows;
use sextant_model::{
    Change, Chassis, ChassisId, Encap, EncapKind, Endpoints, Facts, Intent, IpVersion, MacAddr,
    Object, Plugged, PortId, Punt, ServerIdentity, Settings, Transport,
};
use sextant_responders::dhcpv6::codec::put_option;
use sextant_responders::dhcpv6::{ALL_SERVERS, CLIENT_PORT, SERVER_PORT};
use sextant_responders::frame::{FrameBuilder, Ipv6Addresses};
use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;

const GUESTS: [u16; 2] = [8, 1000];
/// Packets between two additions to the process's metrics, as on a busy connection.
const BATCH: usize = 256;
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const GUEST: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]);

fn main() {
    divan::main();
}

#[divan::bench(args = GUESTS, sample_size = 256)]
fn router_solicitation(bencher: Bencher<'_, '_>, guests: u16) {
    let frame = solicitation();
    answer(bencher, guests, &frame, |punt| {
        matches!(punt, Punt::RouterSolicitation { .. })
    });
}

#[divan::bench(args = GUESTS, sample_size = 256)]
fn dhcpv6_solicit(bencher: Bencher<'_, '_>, guests: u16) {
    let frame = solicit();
    answer(bencher, guests, &frame, |punt| {
        matches!(punt, Punt::Dhcpv6(_))
    });
}

fn answer(bencher: Bencher<'_, '_>, guests: u16, frame: &[u8], wanted: impl Fn(&Punt) -> bool) {
    let flows = flows(guests);
    let cookies = flows
        .iter()
        .filter(|(_, flow)| flow.punt.as_ref().is_some_and(&wanted));
    let messages: Vec<Bytes> = cookies
        .map(|(cookie, _)| packet_in(cookie.0, frame))
        .collect();
    assert_eq!(messages.len(), usize::from(guests));
    let mut punts = Punts::new(Metrics::new().unwrap(), PortHistory::default());
    let (mut buffer, mut begun) = (BytesMut::with_capacity(1 << 20), Instant::now());
    let mut turn = 0;
    bencher.bench_local(|| {
        turn += 1;
        if turn % BATCH == 0 {
            buffer.clear();
            punts.add_up(std::mem::replace(&mut begun, Instant::now()));
        }
        // A stride that meets them all, in no order that a processor foresees.
        let bytes = &messages[turn * 389 % messages.len()];
        let before = buffer.len();
        let (_, message) = Message::decode(black_box(bytes)).unwrap();
        if let Message::PacketIn(packet) = message {
            for reply in punts.answer(&flows, &packet) {
                reply.encode(1, &mut buffer).unwrap();
            }
        }
        assert!(buffer.len() > before, "no answer");
    });
}

fn packet_in(cookie: u64, frame: &[u8]) -> Bytes {
    let matches = Match::new()
        .with(Field::IN_PORT, 7_u8)
        .with(Field::reg(0), 1_u8)
        .with(Field::reg(1), 1_u8);
    let packet = PacketIn {
        buffer_id: NO_BUFFER,
        total_len: u16::try_from(frame.len()).unwrap(),
        reason: PacketInReason::Action,
        table: TableId(16),
        cookie: Cookie(cookie),
        matches,
        data: Bytes::copy_from_slice(frame),
    };
    let mut buffer = BytesMut::new();
    Message::PacketIn(packet).encode(0, &mut buffer).unwrap();
    buffer.freeze()
}

fn solicitation() -> Vec<u8> {
    let addresses = Ipv6Addresses {
        source_mac: GUEST,
        destination_mac: MacAddr([0x33, 0x33, 0, 0, 0, 2]),
        source: GUEST.link_local(),
        destination: ALL_ROUTERS,
    };
    let mut frame = FrameBuilder::icmpv6(addresses, 133, 12);
    frame.bytes().extend([0, 0, 0, 0, 1, 1]);
    frame.bytes().extend(GUEST.0);
    frame.finish()
}

fn solicit() -> Vec<u8> {
    let addresses = Ipv6Addresses {
        source_mac: GUEST,
        destination_mac: MacAddr([0x33, 0x33, 0, 1, 0, 2]),
        source: GUEST.link_local(),
        destination: ALL_SERVERS,
    };
    let mut frame = FrameBuilder::udp(addresses, CLIENT_PORT, SERVER_PORT, 64);
    let body = frame.bytes();
    body.extend([1, 0x5e, 0x87, 0x7a]);
    put_option(body, 1, |out| {
        out.extend([&[0, 3, 0, 1], &GUEST.0[..]].concat())
    });
    put_option(body, 3, |out| {
        out.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    });
    put_option(body, 6, |out| out.extend([0, 23, 0, 24]));
    put_option(body, 8, |out| out.extend([0, 0]));
    frame.finish()
}

/// The flows of the only hypervisor of a cloud: one stateful network with a router, and guests.
fn flows(guests: u16) -> Flows {
    let chassis = ChassisId::new("h1");
    let mut intent = Intent::new(Settings::default());
    let objects = fixed_objects().into_iter();
    let objects = objects.chain((1..=guests).map(|guest| Object::Port(port(guest))));
    objects.for_each(|object| intent.apply(&Change::Put(object)));
    let mut facts = Facts::default();
    facts.put_chassis(Chassis {
        datapath_id: Some(1),
        tunnel_ports: BTreeMap::from([(
            Transport {
                kind: EncapKind::Vxlan,
                family: IpVersion::V6,
            },
            65000,
        )]),
        observed: true,
        ..Chassis::new(
            chassis.clone(),
            Encap {
                endpoints: Endpoints::Ipv6(Ipv6Addr::LOCALHOST),
                kind: EncapKind::Vxlan,
            },
        )
    });
    for guest in 1..=guests {
        let plugged = Plugged {
            chassis: chassis.clone(),
            ofport: Some(guest),
        };
        facts.plug(&intent, PortId(id(guest)), plugged);
    }
    Flows::compute(&intent, &facts, &chassis)
}

fn id(number: u16) -> Uuid {
    Uuid::from_u128(number.into())
}

fn fixed_objects() -> Vec<Object> {
    let network = json!({"id": id(60001), "meta": meta(), "admin_state_up": true, "shared": false,
        "external": false, "mtu": null, "port_security_enabled": true, "network_type": "vxlan",
        "physical_network": null, "segmentation_id": 1, "key": 1});
    let subnet = json!({"id": id(60002), "network_id": id(60001), "meta": meta(),
        "cidr": "2001:db8:1::/64", "gateway_ip": "2001:db8:1::1", "allocation_pools": [],
        "enable_dhcp": true, "ipv6_ra_mode": "dhcpv6-stateful",
        "ipv6_address_mode": "dhcpv6-stateful", "dns_nameservers": ["2001:db8:53::1"],
        "host_routes": []});
    let router = json!({"id": id(60003), "meta": meta(), "admin_state_up": true, "key": 2});
    let mut interface = port_json(60004, "2001:db8:1::1".parse().unwrap());
    interface["device_id"] = json!(id(60003));
    interface["device_owner"] = "network:router_interface".into();
    vec![
        Object::ServerIdentity(ServerIdentity { uuid: id(1) }),
        Object::Network(read(network)),
        Object::Subnet(read(subnet)),
        Object::Router(read(router)),
        Object::Port(read(interface)),
    ]
}

fn port(number: u16) -> Arc<sextant_model::Port> {
    let address = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 1, number);
    read(port_json(number, address))
}

fn port_json(number: u16, address: Ipv6Addr) -> Value {
    let [high, low] = number.to_be_bytes();
    let mac = MacAddr([0xfa, 0x16, 0x3e, 0, high, low]);
    json!({"id": id(number), "network_id": id(60001), "meta": meta(), "mac_address": mac,
        "fixed_ips": [{"subnet_id": id(60002), "ip_address": address}], "admin_state_up": true,
        "device_id": "", "device_owner": "", "port_security_enabled": true,
        "allowed_address_pairs": [], "extra_dhcp_opts": [], "host_id": "", "vnic_type": "normal"})
}

fn meta() -> Value {
    json!(sextant_model::Meta::default())
}

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}
