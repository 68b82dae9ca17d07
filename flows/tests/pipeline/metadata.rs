//! What of guests reaches their hypervisor's metadata service, from where it seems to come, and what goes back.

use crate::support::frames;
use crate::support::{Cloud, Fabric};
use rust_openflow::Field;
use sextant_flows::trace::Packet;
use sextant_model::{
    METADATA_IPV4, METADATA_IPV6, METADATA_LISTENER_IPV4, METADATA_LISTENER_PORT, METADATA_MAC,
    MetadataClient, Port,
};
use std::net::{Ipv4Addr, Ipv6Addr};

const GUEST_PORT: u16 = 40_000;

/// `a` and `b` on networks of their own, with the same addresses; `a2` beside `a`, under no rule at all.
fn cloud() -> Cloud {
    let mut cloud = Cloud::with_hypervisors(2);
    for (network, guest) in [("red", "a"), ("blue", "b")] {
        cloud.network(network);
        cloud.subnet(&format!("{network}4"), network, "10.0.0.0/24", None);
        cloud.guest(guest, network, "h1");
    }
    let same = cloud.get_port("a");
    cloud.change_port("b", |port| {
        port.mac_address = same.mac_address;
        for (own, other) in port.fixed_ips.iter_mut().zip(&same.fixed_ips) {
            own.ip_address = other.ip_address;
        }
    });
    cloud.guest("a2", "red", "h1");
    cloud.put_under("a2", &[]);
    cloud.serve_metadata("h1", true);
    cloud
}

fn ask(port: &Port) -> Packet {
    let own = frames::ipv4_address(port);
    let packet = frames::ipv4(port, own, METADATA_IPV4, METADATA_MAC);
    frames::tcp(packet, GUEST_PORT, 80)
}

fn ask6(port: &Port) -> Packet {
    let own = port.mac_address.link_local();
    let packet = frames::ipv6(port, own, METADATA_IPV6, METADATA_MAC);
    frames::tcp(packet, GUEST_PORT, 80)
}

fn client(cloud: &Cloud, guest: &str, number: u8) -> MetadataClient {
    let plugged = &cloud.facts.plugged()[&cloud.get_port(guest).id];
    MetadataClient {
        ofport: plugged.ofport.unwrap(),
        number,
    }
}

/// An answer of the service over IPv4.
fn answer(to: Ipv4Addr) -> Packet {
    let packet = frames::ethernet(METADATA_MAC, METADATA_MAC, 0x0800)
        .with(Field::IPV4_SRC, METADATA_LISTENER_IPV4.to_bits())
        .with(Field::IPV4_DST, to.to_bits());
    frames::tcp(packet, METADATA_LISTENER_PORT, GUEST_PORT)
}

#[test]
fn guests_with_the_same_address_are_told_apart() {
    let cloud = cloud();
    let fabric = Fabric::new(&cloud);
    for guest in ["a", "b", "a2"] {
        let port = cloud.get_port(guest);
        let journey = fabric.send(guest, &ask(&port));
        let [heard] = &journey.asked[..] else {
            panic!("{journey:?}")
        };
        let carried = client(&cloud, guest, 1);
        assert_eq!(heard.get(Field::IPV4_SRC), carried.ipv4().to_bits().into());
        assert_eq!(
            heard.get(Field::IPV4_DST),
            METADATA_LISTENER_IPV4.to_bits().into()
        );
        assert_eq!(heard.get(Field::TCP_DST), METADATA_LISTENER_PORT.into());
        assert_eq!(heard.get(Field::ETH_DST), METADATA_MAC.to_u64().into());
        let back = fabric.serve("h1", &answer(carried.ipv4()));
        let delivered = back.only();
        assert_eq!(delivered.port, guest);
        let packet = &delivered.packet;
        let own = frames::ipv4_address(&port);
        assert_eq!(packet.get(Field::IPV4_DST), own.to_bits().into());
        assert_eq!(packet.get(Field::IPV4_SRC), METADATA_IPV4.to_bits().into());
        assert_eq!(packet.get(Field::TCP_SRC), 80);
        assert_eq!(packet.get(Field::ETH_DST), port.mac_address.to_u64().into());
    }
}

#[test]
fn over_ipv6_it_is_the_same() {
    let cloud = cloud();
    let fabric = Fabric::new(&cloud);
    for guest in ["a", "b"] {
        let port = cloud.get_port(guest);
        let journey = fabric.send(guest, &ask6(&port));
        let [heard] = &journey.asked[..] else {
            panic!("{journey:?}")
        };
        let carried = client(&cloud, guest, 0).ipv6();
        assert_eq!(heard.get(Field::IPV6_SRC), carried.to_bits());
        let packet = frames::ethernet(METADATA_MAC, METADATA_MAC, 0x86dd)
            .ipv6(Field::IPV6_SRC, METADATA_IPV6)
            .ipv6(Field::IPV6_DST, carried);
        let back = frames::tcp(packet, METADATA_LISTENER_PORT, GUEST_PORT);
        let back = fabric.serve("h1", &back);
        let delivered = back.only();
        assert_eq!(delivered.port, guest);
        let own = port.mac_address.link_local();
        assert_eq!(delivered.packet.get(Field::IPV6_DST), own.to_bits());
    }
}

#[test]
fn nothing_else_of_a_guest_gets_there() {
    let cloud = cloud();
    let fabric = Fabric::new(&cloud);
    let port = cloud.get_port("a");
    let carried = client(&cloud, "b", 1);
    let with_source = |source: Ipv4Addr| ask(&port).with(Field::IPV4_SRC, source.to_bits());
    let of_another: Ipv6Addr = "fe80::1".parse().unwrap();
    let refused = [
        frames::tcp(ask(&port), GUEST_PORT, 8080),
        frames::tcp(ask(&port), GUEST_PORT, METADATA_LISTENER_PORT),
        frames::udp(ask(&port), GUEST_PORT, 80),
        with_source(frames::ipv4_address(&cloud.get_port("a2"))),
        with_source(carried.ipv4()),
        ask6(&port).ipv6(Field::IPV6_SRC, of_another),
        ask6(&port).ipv6(Field::IPV6_SRC, carried.ipv6()),
        ask(&port).with(Field::IPV4_DST, METADATA_LISTENER_IPV4.to_bits()),
        ask(&port).with(Field::IP_FRAG, 1u8),
    ];
    for frame in refused {
        let journey = fabric.send("a", &frame);
        assert!(journey.asked.is_empty(), "{frame}: {journey:?}");
        assert!(journey.deliveries.is_empty(), "{frame}: {journey:?}");
    }
}

#[test]
fn nothing_but_answers_comes_from_there() {
    let cloud = cloud();
    let fabric = Fabric::new(&cloud);
    let own = client(&cloud, "a", 1).ipv4();
    let nobody = MetadataClient {
        ofport: 4711,
        number: 1,
    };
    let refused = [
        answer(nobody.ipv4()),
        answer(frames::ipv4_address(&cloud.get_port("a"))),
        answer(own).with(Field::IPV4_SRC, METADATA_IPV4.to_bits()),
        frames::tcp(answer(own), 22, GUEST_PORT),
        frames::udp(answer(own), METADATA_LISTENER_PORT, GUEST_PORT),
    ];
    for frame in refused {
        assert!(fabric.serve("h1", &frame).is_lost(), "{frame}");
    }
}

#[test]
fn a_hypervisor_without_the_port_sends_nothing_elsewhere() {
    let mut cloud = cloud();
    cloud.serve_metadata("h1", false);
    cloud.serve_metadata("h2", true);
    cloud.guest("far", "red", "h2");
    let port = cloud.get_port("a");
    let fabric = Fabric::new(&cloud);
    for frame in [ask(&port), ask6(&port)] {
        let journey = fabric.send("a", &frame);
        assert!(
            journey.is_lost() && journey.tunnels.is_empty(),
            "{journey:?}"
        );
    }
}
