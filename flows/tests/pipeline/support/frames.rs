//! Frames as the fields that flows see.

use rust_openflow::Field;
use sextant_flows::trace::Packet;
use sextant_model::{MacAddr, Port, solicited_node};
use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
pub(crate) const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
pub(crate) const ALL_DHCP_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// The first IPv6 address of a port.
pub(crate) fn address(port: &Port) -> Ipv6Addr {
    port.ipv6_addresses().next().unwrap().1
}

/// The Ethernet address of an IPv6 multicast address (RFC 2464 §7).
pub(crate) fn multicast_mac(group: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = group.octets();
    MacAddr([0x33, 0x33, a, b, c, d])
}

pub(crate) fn ethernet(source: MacAddr, destination: MacAddr, ethertype: u16) -> Packet {
    Packet::default()
        .mac(Field::ETH_SRC, source.0)
        .mac(Field::ETH_DST, destination.0)
        .with(Field::ETH_TYPE, ethertype)
}

/// An IPv6 packet without content that this port sends; multicast goes to its own MAC, anything else to `next_hop`.
pub(crate) fn ipv6(from: &Port, source: Ipv6Addr, to: Ipv6Addr, next_hop: MacAddr) -> Packet {
    let destination = if to.is_multicast() {
        multicast_mac(to)
    } else {
        next_hop
    };
    ethernet(from.mac_address, destination, 0x86dd)
        .ipv6(Field::IPV6_SRC, source)
        .ipv6(Field::IPV6_DST, to)
        .with(Field::IP_PROTO, 59u8)
        .with(Field::NW_TTL, 64u8)
}

fn icmpv6(packet: Packet, kind: u8) -> Packet {
    packet
        .with(Field::IP_PROTO, 58u8)
        .with(Field::ICMPV6_TYPE, kind)
}

/// An echo request from the port's address.
pub(crate) fn ping(from: &Port, to: Ipv6Addr, next_hop: MacAddr) -> Packet {
    icmpv6(ipv6(from, address(from), to, next_hop), 128)
}

/// A Neighbor Discovery message of this type.
pub(crate) fn discovery(from: &Port, source: Ipv6Addr, to: Ipv6Addr, kind: u8) -> Packet {
    icmpv6(ipv6(from, source, to, from.mac_address), kind).with(Field::NW_TTL, 255u8)
}

/// Who has this address?
pub(crate) fn solicit(from: &Port, target: Ipv6Addr) -> Packet {
    discovery(from, address(from), solicited_node(target), 135)
        .ipv6(Field::ND_TARGET, target)
        .mac(Field::ND_SLL, from.mac_address.0)
}

/// Has anybody this address that I am about to take?
pub(crate) fn probe(from: &Port, target: Ipv6Addr) -> Packet {
    discovery(from, Ipv6Addr::UNSPECIFIED, solicited_node(target), 135)
        .ipv6(Field::ND_TARGET, target)
}

/// I have this address.
pub(crate) fn advertise(from: &Port, target: Ipv6Addr) -> Packet {
    discovery(from, target, ALL_NODES, 136)
        .ipv6(Field::ND_TARGET, target)
        .mac(Field::ND_TLL, from.mac_address.0)
}

pub(crate) fn udp(packet: Packet, source: u16, destination: u16) -> Packet {
    packet
        .with(Field::IP_PROTO, 17u8)
        .with(Field::UDP_SRC, source)
        .with(Field::UDP_DST, destination)
}

pub(crate) fn dhcpv6(from: &Port) -> Packet {
    let source = from.mac_address.link_local();
    udp(
        ipv6(from, source, ALL_DHCP_SERVERS, from.mac_address),
        546,
        547,
    )
}

pub(crate) fn tcp(packet: Packet, source: u16, destination: u16) -> Packet {
    packet
        .with(Field::IP_PROTO, 6u8)
        .with(Field::TCP_SRC, source)
        .with(Field::TCP_DST, destination)
}

/// A packet from one guest's address to another's on the same network.
pub(crate) fn between(from: &Port, to: &Port) -> Packet {
    ipv6(from, address(from), address(to), to.mac_address)
}

/// The first IPv4 address of a port.
pub(crate) fn ipv4_address(port: &Port) -> Ipv4Addr {
    port.ipv4_addresses().next().unwrap().1
}

/// An IPv4 packet without content that this port sends.
pub(crate) fn ipv4(from: &Port, source: Ipv4Addr, to: Ipv4Addr, next_hop: MacAddr) -> Packet {
    ethernet(from.mac_address, next_hop, 0x0800)
        .with(Field::IPV4_SRC, source.to_bits())
        .with(Field::IPV4_DST, to.to_bits())
        .with(Field::IP_PROTO, 59u8)
        .with(Field::NW_TTL, 64u8)
}

/// An IPv4 echo request from the port's address.
pub(crate) fn ping4(from: &Port, to: Ipv4Addr, next_hop: MacAddr) -> Packet {
    ipv4(from, ipv4_address(from), to, next_hop)
        .with(Field::IP_PROTO, 1u8)
        .with(Field::ICMPV4_TYPE, 8u8)
}

/// Who has this IPv4 address? From 0.0.0.0 it is an address probe (RFC 5227 §2.1.1).
pub(crate) fn arp_request(from: &Port, source: Ipv4Addr, target: Ipv4Addr) -> Packet {
    ethernet(from.mac_address, MacAddr([0xff; 6]), 0x0806)
        .with(Field::ARP_OP, 1u8)
        .mac(Field::ARP_SHA, from.mac_address.0)
        .with(Field::ARP_SPA, source.to_bits())
        .with(Field::ARP_TPA, target.to_bits())
}
