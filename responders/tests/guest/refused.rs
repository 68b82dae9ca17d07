//! What guests send that routers do not take, and errors about it.

use super::{GUEST_MAC, ROUTER_MAC};
use sextant_model::{IcmpError, Problem, Punt};
use sextant_responders::frame::{FrameBuilder, Ipv4Addresses, Ipv4FrameBuilder, Ipv6Addresses};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub const GUEST: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 0x11);
pub const ROUTER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 1);
pub const FAR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xb, 0, 0, 0, 0, 9);
pub const GUEST4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);
pub const ROUTER4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub const FAR4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);

pub const PROBLEMS: [Problem; 5] = [
    Problem::HopLimit,
    Problem::NoRoute,
    Problem::Unreachable,
    Problem::TooBig { mtu: 1400 },
    Problem::OwnAddress,
];

pub fn error(problem: Problem, source: impl Into<IpAddr>) -> Punt {
    Punt::IcmpError(IcmpError {
        problem,
        mac: ROUTER_MAC,
        source: source.into(),
        vlan_tci: 0,
    })
}

/// A datagram of so many octets to somebody far away.
pub fn datagram(octets: usize) -> Vec<u8> {
    let addresses = Ipv6Addresses {
        source_mac: GUEST_MAC,
        destination_mac: ROUTER_MAC,
        source: GUEST,
        destination: FAR,
    };
    let mut frame = FrameBuilder::udp(addresses, 5000, 33434, octets);
    frame.bytes().extend((0..octets).map(|at| at as u8));
    frame.finish()
}

pub fn datagram4(octets: usize) -> Vec<u8> {
    let addresses = Ipv4Addresses {
        source_mac: GUEST_MAC,
        destination_mac: ROUTER_MAC,
        source: GUEST4,
        destination: FAR4,
    };
    let mut frame = Ipv4FrameBuilder::udp(addresses, 5000, 33434, octets);
    frame.bytes().extend((0..octets).map(|at| at as u8));
    frame.finish()
}

/// A datagram behind extension headers, or behind what is said to be one: each a number, and what follows its next header.
pub fn behind(headers: &[(u8, &[u8])]) -> Vec<u8> {
    let mut frame = datagram(20);
    let numbers: Vec<u8> = headers.iter().map(|(number, _)| *number).collect();
    let next = numbers.iter().skip(1).chain([&17]);
    let chain: Vec<u8> = headers
        .iter()
        .zip(next)
        .flat_map(|((_, rest), next)| [&[*next], *rest].concat())
        .collect();
    let length = u16::from_be_bytes([frame[18], frame[19]]) + chain.len() as u16;
    frame[18..20].copy_from_slice(&length.to_be_bytes());
    frame[20] = numbers[0];
    frame.splice(54..54, chain);
    frame
}

/// The complement of the sum of 16-bit words (RFC 1071).
pub fn internet_checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
