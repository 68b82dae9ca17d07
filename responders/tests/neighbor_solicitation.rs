//! Neighbor Solicitations that the switch has no flow to answer, and the advertisements that answer them.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

use guest::link::{ALL_NODES, NEW, OLD, OVERRIDE, ROUTER, SOLICITED, about, icmpv6, option};
use guest::property::answers_are_whole;
use guest::{GUEST_MAC, address, guest_address};
use proptest::prelude::*;
use sextant_model::{KnownNeighbor, MacAddr, Punt, solicited_node};
use sextant_responders::frame::{Icmpv6Message, Ipv6Packet};
use sextant_responders::{PacketVerdict, respond};
use std::net::Ipv6Addr;

const SOLICITATION: u8 = 135;

fn target() -> Ipv6Addr {
    address("2001:db8:a::1")
}

fn punt(router: bool) -> Punt {
    Punt::NeighborSolicitation(KnownNeighbor {
        address: target(),
        mac: NEW,
        router,
        overrides: true,
        vlan_tci: 0,
    })
}

/// What a frame asks from that source, of anybody.
fn asked(source: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    let body = about(0, target(), options);
    icmpv6(source, solicited_node(target()), SOLICITATION, &body)
}

/// The only answer: to which MAC and address, and what it says.
fn told(punt: &Punt, frame: &[u8]) -> (MacAddr, Ipv6Addr, Vec<u8>) {
    let answer = respond(punt, frame);
    assert_eq!(
        answer.outcome.verdict,
        PacketVerdict::Answered("neighbor_advertisement")
    );
    let [frame] = &answer.frames[..] else {
        panic!("{answer:?}")
    };
    let packet = Ipv6Packet::parse(frame).unwrap();
    assert_eq!((packet.source_mac, packet.source), (NEW, target()));
    assert_eq!(packet.hop_limit, 255);
    let message = Icmpv6Message::parse(&packet).expect("checksum is right");
    assert_eq!((message.kind, message.code), (136, 0));
    let to = MacAddr(frame[..6].try_into().unwrap());
    (to, packet.destination, message.body.to_vec())
}

#[test]
fn who_asks_is_told_alone() {
    let question = asked(guest_address(), &option(1, GUEST_MAC));
    for (router, flags) in [
        (false, SOLICITED | OVERRIDE),
        (true, ROUTER | SOLICITED | OVERRIDE),
    ] {
        let (mac, to, said) = told(&punt(router), &question);
        assert_eq!(
            (mac, to),
            (OLD, guest_address()),
            "to where the frame came from"
        );
        assert_eq!(said, about(flags, target(), &option(2, NEW)));
    }
}

/// RFC 4862 §5.4.3: who probes has no address yet that it could be told at.
#[test]
fn a_probe_is_answered_to_all() {
    let (mac, to, said) = told(&punt(true), &asked(Ipv6Addr::UNSPECIFIED, &[]));
    assert_eq!((mac, to), (MacAddr([0x33, 0x33, 0, 0, 0, 1]), ALL_NODES));
    assert_eq!(said, about(ROUTER | OVERRIDE, target(), &option(2, NEW)));
}

/// RFC 4861 §7.1.1.
#[test]
fn what_is_no_valid_solicitation_is_not_answered() {
    let refused = |frame: &[u8]| {
        let answer = respond(&punt(false), frame);
        assert!(answer.frames.is_empty());
        match answer.outcome.verdict {
            PacketVerdict::Malformed(malformed) => malformed.reason,
            PacketVerdict::Ignored(reason) => reason,
            verdict => panic!("{verdict:?}"),
        }
    };
    let of = |kind, body: &[u8]| icmpv6(guest_address(), solicited_node(target()), kind, body);
    let mut far = asked(guest_address(), &[]);
    far[21] = 254;
    assert_eq!(refused(&far), "hop limit is not 255");
    assert_eq!(
        refused(&of(SOLICITATION, &[0; 8])),
        "shorter than its fixed fields"
    );
    assert_eq!(
        refused(&of(SOLICITATION, &about(0, ALL_NODES, &[]))),
        "multicast target"
    );
    let other = about(0, address("2001:db8:a::2"), &[]);
    assert_eq!(refused(&of(SOLICITATION, &other)), "for another address");
    let advertisement = about(0, target(), &[]);
    assert_eq!(
        refused(&of(136, &advertisement)),
        "not a neighbor solicitation"
    );
    let probe = asked(Ipv6Addr::UNSPECIFIED, &option(1, GUEST_MAC));
    assert_eq!(
        refused(&probe),
        "source link-layer address of a sender without address"
    );
}

proptest! {
    #[test]
    fn whatever_comes_up_is_answered_whole_or_not_at_all(frame in prop::collection::vec(any::<u8>(), 0..200), body in prop::collection::vec(any::<u8>(), 0..64)) {
        answers_are_whole(&punt(true), &frame);
        let framed = icmpv6(guest_address(), solicited_node(target()), SOLICITATION, &body);
        answers_are_whole(&punt(true), &framed);
    }
}
