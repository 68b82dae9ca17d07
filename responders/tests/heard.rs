//! What is heard on the link outside: which messages are valid (RFC 4861 §6.1.2, §7.1), and what is read in them.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

use guest::link::*;
use guest::{ROUTER_MAC, address, advertisement, talkative_advertisement, usual_solicitation};
use sextant_model::{MacAddr, RouterPreference, solicited_node};
use sextant_responders::frame::Refusal;
use sextant_responders::neighbor::{self, HeardClaim, HeardNeighbor};
use sextant_responders::ra::{self, Destination, HeardAdvertisement};
use std::net::Ipv6Addr;
use std::time::Duration;

/// Why nobody is to heed this.
fn refused(frame: &[u8]) -> &'static str {
    match HeardNeighbor::parse(frame).unwrap_err() {
        Refusal::Ignored(reason) => reason,
        Refusal::Malformed(malformed) => {
            assert!(malformed.offset <= frame.len());
            malformed.reason
        }
    }
}

fn refused_router(frame: &[u8]) -> &'static str {
    match HeardAdvertisement::parse(frame).unwrap_err() {
        Refusal::Ignored(reason) => reason,
        Refusal::Malformed(malformed) => malformed.reason,
    }
}

/// With another hop limit; it is not part of the checksum.
fn hop_limit(mut frame: Vec<u8>, limit: u8) -> Vec<u8> {
    frame[21] = limit;
    frame
}

/// With this code, and the checksum that goes with it.
fn code(frame: Vec<u8>, code: u8) -> Vec<u8> {
    let mut frame = frame;
    frame[55] = code;
    guest::property::honest(frame)
}

fn checksum(mut frame: Vec<u8>) -> Vec<u8> {
    frame[56] ^= 1;
    frame
}

#[test]
fn what_every_message_has_to_be() {
    let messages = [
        answer(OLD),
        asking(OLD),
        router(NEXT_HOP, 0, 9, &option(1, OLD)),
    ];
    for frame in messages {
        assert!(HeardNeighbor::parse(&frame).is_ok());
        assert_eq!(
            refused(&hop_limit(frame.clone(), 254)),
            "hop limit is not 255"
        );
        assert_eq!(refused(&code(frame.clone(), 1)), "code is not 0");
        assert_eq!(refused(&checksum(frame.clone())), "wrong ICMPv6 checksum");
        let kind = frame[54];
        let with = |body: &[u8]| icmpv6(NEXT_HOP, gateway(), kind, body);
        let fields = if kind == 134 { 12 } else { 20 };
        let body = &frame[58..58 + fields];
        assert_eq!(
            refused(&with(&body[..fields - 1])),
            "shorter than its fixed fields"
        );
        let option_of_nothing = [body, &[200, 0]].concat();
        assert_eq!(refused(&with(&option_of_nothing)), "option of length zero");
        let behind = [&frame[58..], &[200, 0]].concat();
        assert_eq!(refused(&with(&behind)), "option of length zero", "anywhere");
        let too_long = [body, &[200, 2, 0, 0, 0, 0, 0, 0]].concat();
        assert_eq!(refused(&with(&too_long)), "option past the message's end");
        let unknown = [&frame[58..], &[200, 1, 1, 2, 3, 4, 5, 6]].concat();
        assert!(
            HeardNeighbor::parse(&with(&unknown)).is_ok(),
            "{kind}: is ignored"
        );
    }
}

/// RFC 4861 §7.1.2.
#[test]
fn which_neighbor_advertisements_are_valid() {
    let to = |destination, flags, target| {
        icmpv6(
            NEXT_HOP,
            destination,
            136,
            &about(flags, target, &option(2, OLD)),
        )
    };
    assert_eq!(refused(&to(gateway(), 0, ALL_NODES)), "target is a group");
    assert_eq!(
        refused(&to(ALL_NODES, SOLICITED, NEXT_HOP)),
        "solicited, and to a group"
    );
    assert!(HeardNeighbor::parse(&to(ALL_NODES, OVERRIDE, NEXT_HOP)).is_ok());
    let from_elsewhere = icmpv6(
        address("2001:db8::1"),
        gateway(),
        136,
        &about(SOLICITED | OVERRIDE, NEXT_HOP, &option(2, OLD)),
    );
    assert_eq!(
        HeardNeighbor::parse(&from_elsewhere).unwrap(),
        HeardNeighbor {
            address: ip(NEXT_HOP),
            mac: Some(OLD),
            to: ip(gateway()),
            claim: HeardClaim::Advertised {
                solicited: true,
                overrides: true,
                router: Some(false)
            },
        },
        "the target counts, not the source"
    );
}

/// RFC 4861 §7.1.1.
#[test]
fn which_neighbor_solicitations_are_valid() {
    let ask = |source: Ipv6Addr, destination, options: &[u8]| {
        icmpv6(source, destination, 135, &about(0, gateway(), options))
    };
    let (nobody, group) = (Ipv6Addr::UNSPECIFIED, solicited_node(gateway()));
    assert_eq!(
        refused(&ask(nobody, ALL_NODES, &[])),
        "from no address, and not to the solicited-node group"
    );
    assert_eq!(
        refused(&ask(nobody, group, &option(1, OLD))),
        "source link-layer address of a sender without address"
    );
    assert_eq!(refused(&ask(nobody, group, &[])), "sender without address");
    assert_eq!(
        refused(&ask(ALL_NODES, group, &option(1, OLD))),
        "multicast source"
    );
    assert_eq!(
        refused(&ask(NEXT_HOP, gateway(), &[])),
        "sender does not say its MAC"
    );
    let of_group = icmpv6(
        NEXT_HOP,
        gateway(),
        135,
        &about(0, ALL_NODES, &option(1, OLD)),
    );
    assert_eq!(refused(&of_group), "target is a group");
    let heard = HeardNeighbor::parse(&ask(NEXT_HOP, group, &option(1, OLD))).unwrap();
    assert_eq!((heard.address, heard.mac), (ip(NEXT_HOP), Some(OLD)));
    assert_eq!(heard.claim, HeardClaim::Mentioned { router: None });
}

#[test]
fn a_link_layer_address_is_that_of_one_station() {
    for mac in [
        MacAddr([0; 6]),
        MacAddr([0xff; 6]),
        MacAddr([1, 0, 0, 0, 0, 1]),
    ] {
        let reason = "link-layer address is no single station's";
        assert_eq!(refused(&advertised(OVERRIDE, Some(mac))), reason);
        assert_eq!(refused(&asking(mac)), reason);
        assert_eq!(
            refused_router(&router(NEXT_HOP, 0, 9, &option(1, mac))),
            reason
        );
        let sender = refused(&arp(2, mac, NEXT_HOP4, GATEWAY4));
        assert_eq!(sender, "ARP sender is no single station");
    }
    let long = [2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let frame = icmpv6(NEXT_HOP, ALL_NODES, 136, &about(0, NEXT_HOP, &long));
    assert_eq!(refused(&frame), "link-layer address is not 6 octets long");
}

/// RFC 4861 §6.1.2.
#[test]
fn which_router_advertisements_are_valid() {
    let valid = router(NEXT_HOP, 0, 9, &[]);
    assert!(HeardAdvertisement::parse(&valid).is_ok());
    assert_eq!(
        refused_router(&router(address("2001:db8::1"), 0, 9, &[])),
        "source is not link-local"
    );
    assert_eq!(
        refused_router(&hop_limit(valid.clone(), 64)),
        "hop limit is not 255"
    );
    assert_eq!(refused_router(&code(valid.clone(), 1)), "code is not 0");
    assert_eq!(refused_router(&checksum(valid)), "wrong ICMPv6 checksum");
    assert_eq!(
        refused_router(&icmpv6(NEXT_HOP, ALL_NODES, 134, &[0; 11])),
        "shorter than its fixed fields"
    );
    assert_eq!(
        refused_router(&router(NEXT_HOP, 0, 9, &[1, 0])),
        "option of length zero"
    );
    assert_eq!(
        refused_router(&router(
            NEXT_HOP,
            0,
            9,
            &[5, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        )),
        "MTU option is not 8 octets long"
    );
    assert_eq!(
        refused_router(&usual_solicitation()),
        "not a router advertisement"
    );
}

#[test]
fn a_router_advertisement_is_read_as_it_is_sent() {
    let mut sent = talkative_advertisement();
    for (preference, lifetime) in [
        (RouterPreference::High, 300),
        (RouterPreference::Medium, 300),
        (RouterPreference::Low, 9000),
    ] {
        sent.options.preference = preference;
        sent.lifetime = lifetime;
        let frame = ra::advertise(&sent, Destination::AllNodes);
        assert_eq!(
            HeardAdvertisement::parse(&frame).unwrap(),
            HeardAdvertisement {
                source: ROUTER_MAC.link_local(),
                lifetime: Duration::from_secs(lifetime.into()),
                preference,
                mac: Some(ROUTER_MAC),
                mtu: Some(1430),
                reachable_time: Some(Duration::from_secs(30)),
                retransmission_timer: Some(Duration::from_secs(1)),
            }
        );
    }
    let frame = ra::advertise(&advertisement(), Destination::AllNodes);
    let heard = HeardAdvertisement::parse(&frame).unwrap();
    assert_eq!(
        (heard.reachable_time, heard.retransmission_timer),
        (None, None)
    );
}

/// RFC 4191 §2.2.
#[test]
fn preferences_are_read_with_care() {
    let preference = |flags, lifetime| {
        let frame = router(NEXT_HOP, flags, lifetime, &[]);
        HeardAdvertisement::parse(&frame).unwrap().preference
    };
    assert_eq!(preference(0b0000_1000, 9), RouterPreference::High);
    assert_eq!(preference(0b0001_1000, 9), RouterPreference::Low);
    assert_eq!(preference(0b1110_0111, 9), RouterPreference::Medium);
    assert_eq!(
        preference(0b0001_0000, 9),
        RouterPreference::Medium,
        "reserved"
    );
    assert_eq!(
        preference(0b0000_1000, 0),
        RouterPreference::Medium,
        "no default router"
    );
}

#[test]
fn an_mtu_that_no_link_has_is_not_heard() {
    for (mtu, heard) in [(1279_u32, None), (1280, Some(1280)), (9000, Some(9000))] {
        let option = [&[5, 1, 0, 0][..], &mtu.to_be_bytes()].concat();
        let frame = router(NEXT_HOP, 0, 9, &option);
        assert_eq!(HeardAdvertisement::parse(&frame).unwrap().mtu, heard);
    }
}

/// RFC 826, RFC 5227.
#[test]
fn which_arp_messages_are_heard() {
    let request = arp(1, OLD, NEXT_HOP4, GATEWAY4);
    let heard = HeardNeighbor::parse(&request).unwrap();
    assert_eq!((heard.address, heard.mac), (ip(NEXT_HOP4), Some(OLD)));
    assert_eq!(heard.to, ip(GATEWAY4));
    for length in 14..request.len() {
        assert_eq!(
            refused(&request[..length]),
            "frame shorter than its ARP message"
        );
    }
    let changed = |at: usize, octet| {
        let mut frame = request.clone();
        frame[at] = octet;
        refused(&frame)
    };
    for at in 14..20 {
        assert_eq!(changed(at, 9), "ARP of other kinds of addresses");
    }
    assert_eq!(changed(21, 3), "neither ARP request nor reply");
    assert_eq!(changed(20, 1), "neither ARP request nor reply");
    let probe = arp(1, OLD, [0; 4].into(), NEXT_HOP4);
    assert_eq!(refused(&probe), "ARP probe of a sender without address");
}

#[test]
fn what_says_nothing_of_a_neighbor_is_ignored() {
    let echo = icmpv6(NEXT_HOP, gateway(), 128, &[0; 4]);
    assert_eq!(refused(&echo), "no message about a neighbor");
    let redirect = icmpv6(NEXT_HOP, gateway(), 137, &[0; 36]);
    assert_eq!(refused(&redirect), "no message about a neighbor");
    assert_eq!(refused(&guest::refused::datagram(8)), "not ICMPv6");
    assert_eq!(
        refused(&guest::refused::datagram4(8)),
        "not an untagged IPv6 frame"
    );
}

#[test]
fn what_is_sent_is_heard_as_meant() {
    let announced = HeardNeighbor::parse(&neighbor::announce(ROUTER_MAC, ip(gateway()))).unwrap();
    let unsolicited = HeardClaim::Advertised {
        solicited: false,
        overrides: true,
        router: Some(true),
    };
    assert_eq!(announced.claim, unsolicited);
    assert_eq!(announced.address, ip(gateway()));
    assert_eq!(
        (announced.mac, announced.to),
        (Some(ROUTER_MAC), ip(ALL_NODES))
    );

    let solicited = HeardNeighbor::parse(&ra::solicit(ROUTER_MAC, gateway())).unwrap();
    assert_eq!(solicited.mac, Some(ROUTER_MAC));
    assert_eq!(
        solicited.claim,
        HeardClaim::Mentioned {
            router: Some(false)
        }
    );

    let announced = HeardNeighbor::parse(&neighbor::announce(ROUTER_MAC, ip(GATEWAY4))).unwrap();
    assert_eq!(announced.address, ip(GATEWAY4));
    assert_eq!(announced.to, ip(GATEWAY4));
}
