//! The link outside, as the tests play it: a gateway port, the routers it hears, and what they send.

use super::{ROUTER_MAC, address};
use sextant_model::{MacAddr, solicited_node};
use sextant_responders::frame::{FrameBuilder, Ipv6Addresses};
use sextant_responders::neighbor::{Change, Ends, NeighborCache, Target};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "an instant has no other origin")]
pub static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The next hop, and the MACs that it has one after the other.
pub const NEXT_HOP: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
pub const NEXT_HOP4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
pub const OLD: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
pub const NEW: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
/// The gateway port's address.
pub const GATEWAY4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

pub const SOLICITED: u8 = 0x40;
pub const OVERRIDE: u8 = 0x20;
pub const ROUTER: u8 = 0x80;

pub fn gateway() -> Ipv6Addr {
    ROUTER_MAC.link_local()
}

pub fn target() -> Target {
    Target {
        ends: Ends::V6 {
            source: gateway(),
            next_hop: NEXT_HOP,
        },
        source_mac: ROUTER_MAC,
    }
}

pub fn target4() -> Target {
    Target {
        ends: Ends::V4 {
            source: GATEWAY4,
            next_hop: NEXT_HOP4,
        },
        source_mac: ROUTER_MAC,
    }
}

pub fn after(milliseconds: u64) -> Instant {
    *START + Duration::from_millis(milliseconds)
}

/// A message of this type with these octets after the checksum.
pub fn icmpv6(source: Ipv6Addr, destination: Ipv6Addr, kind: u8, body: &[u8]) -> Vec<u8> {
    let addresses = Ipv6Addresses {
        source_mac: OLD,
        destination_mac: ROUTER_MAC,
        source,
        destination,
    };
    let mut frame = FrameBuilder::icmpv6(addresses, kind, body.len());
    frame.bytes().extend(body);
    frame.finish()
}

/// A link-layer address option.
pub fn option(kind: u8, mac: MacAddr) -> Vec<u8> {
    [&[kind, 1][..], &mac.0].concat()
}

/// Flags, target and options of a Neighbor Advertisement or Solicitation.
pub fn about(flags: u8, target: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    [&[flags, 0, 0, 0][..], &target.octets(), options].concat()
}

/// The next hop's Neighbor Advertisement: to the gateway port where it is solicited, else to all.
pub fn advertised(flags: u8, mac: Option<MacAddr>) -> Vec<u8> {
    let to = match flags & SOLICITED {
        0 => ALL_NODES,
        _ => gateway(),
    };
    let options = mac.map_or(Vec::new(), |mac| option(2, mac));
    icmpv6(NEXT_HOP, to, 136, &about(flags, NEXT_HOP, &options))
}

/// The usual answer of a router.
pub fn answer(mac: MacAddr) -> Vec<u8> {
    advertised(ROUTER | SOLICITED | OVERRIDE, Some(mac))
}

/// The next hop asks for the gateway port.
pub fn asking(mac: MacAddr) -> Vec<u8> {
    let body = about(0, gateway(), &option(1, mac));
    icmpv6(NEXT_HOP, solicited_node(gateway()), 135, &body)
}

/// A Router Advertisement with these flags, lifetime in seconds and options.
pub fn router(source: Ipv6Addr, flags: u8, lifetime: u16, options: &[u8]) -> Vec<u8> {
    let [high, low] = lifetime.to_be_bytes();
    let fields = [64, flags, high, low, 0, 0, 0x75, 0x30, 0, 0, 3, 0xe8];
    icmpv6(source, ALL_NODES, 134, &[&fields[..], options].concat())
}

/// An ARP message: operation, sender, target.
pub fn arp(operation: u8, mac: MacAddr, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let head = [8, 6, 0, 1, 8, 0, 6, 4, 0, operation];
    let sides = [
        &mac.0[..],
        &sender.octets(),
        &ROUTER_MAC.0,
        &target.octets(),
    ];
    [&ROUTER_MAC.0[..], &mac.0, &head, &sides.concat()].concat()
}

/// One of each that is heard on a link.
pub fn everything() -> Vec<Vec<u8>> {
    let mtu = [5, 1, 0, 0, 0, 0, 5, 0xdc];
    let options = [&option(1, OLD)[..], &mtu].concat();
    let mut frames = vec![
        answer(OLD),
        answer(NEW),
        advertised(SOLICITED, None),
        advertised(OVERRIDE, Some(NEW)),
        advertised(ROUTER, Some(NEW)),
        asking(NEW),
        icmpv6(
            NEXT_HOP,
            address("ff02::2"),
            133,
            &[&[0; 4][..], &option(1, NEW)].concat(),
        ),
        router(NEXT_HOP, 0x08, 1800, &options),
        router(NEXT_HOP, 0, 0, &options),
        arp(1, OLD, NEXT_HOP4, GATEWAY4),
        arp(2, OLD, NEXT_HOP4, GATEWAY4),
        arp(2, NEW, NEXT_HOP4, NEXT_HOP4),
    ];
    frames.extend((2..20).map(|host| {
        let source = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host);
        router(source, 0, 600, &option(1, NEW))
    }));
    frames
}

pub fn ip(address: impl Into<IpAddr>) -> IpAddr {
    address.into()
}

/// What a cache sends, and what changes.
pub struct Due {
    pub frames: Vec<Vec<u8>>,
    pub changes: Vec<Change>,
}

/// What is due of it at a time.
pub fn due(cache: &mut NeighborCache, now: Instant) -> Due {
    cache.handle_timeout(now);
    Due {
        frames: std::iter::from_fn(|| cache.poll_frame()).collect(),
        changes: std::iter::from_fn(|| cache.poll_event()).collect(),
    }
}
