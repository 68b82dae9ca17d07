//! What a guest is told of a packet for its router itself, which takes none (RFC 8200 §4, RFC 4443 §3, RFC 1122 §3.2.2).

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

use guest::property::answers_are_whole;
use guest::refused::*;
use proptest::prelude::*;
use sextant_model::Problem::OwnAddress;
use sextant_responders::frame::{FrameBuilder, Icmpv6Message, Ipv4Packet, Ipv6Packet};
use sextant_responders::{PacketVerdict, respond};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const OPTIONS: u8 = 60;
/// The longest padding that fits a header of 8 octets.
const PADDING: &[u8] = &[0, 1, 4, 0, 0, 0, 0];

/// Type, code and pointer, and the name in metrics.
fn told(frame: &[u8]) -> ([u8; 2], u32, &'static str) {
    let answer = respond(&error(OwnAddress, ROUTER), frame);
    let PacketVerdict::Answered(name) = answer.outcome.verdict else {
        panic!("{:?}", answer.outcome);
    };
    let packet = Ipv6Packet::parse(&answer.frames[0]).unwrap();
    let from_it_to_the_guest = (packet.source, packet.destination);
    assert_eq!(from_it_to_the_guest, (FAR, GUEST), "RFC 4443 §2.2(a)");
    let message = Icmpv6Message::parse(&packet).unwrap();
    let (rest, quoted) = message.body.split_first_chunk().unwrap();
    assert_eq!(quoted, &frame[14..]);
    let rest = u32::from_be_bytes(*rest);
    ([message.kind, message.code], rest, name)
}

fn told4(protocol: u8) -> ([u8; 2], &'static str) {
    let answer = respond(&error(OwnAddress, ROUTER4), &of_protocol4(protocol));
    let packet = Ipv4Packet::parse(&answer.frames[0]).unwrap();
    assert_eq!((packet.source, packet.destination), (FAR4, GUEST4));
    let kind = [packet.payload[0], packet.payload[1]];
    (kind, answer.outcome.message)
}

fn of_protocol(number: u8) -> Vec<u8> {
    let mut frame = datagram(20);
    frame[20] = number;
    frame
}

fn of_protocol4(number: u8) -> Vec<u8> {
    let mut frame = datagram4(20);
    frame[23] = number;
    frame[24..26].fill(0);
    let sum = internet_checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

fn verdict(frame: &[u8]) -> PacketVerdict {
    answers_are_whole(&error(OwnAddress, ROUTER), frame)
}

#[test]
fn nobody_listens_at_a_router() {
    for transport in [6, 17] {
        let unreachable = ([1, 4], 0, "port_unreachable");
        assert_eq!(told(&of_protocol(transport)), unreachable);
        assert_eq!(told4(transport), ([3, 3], "port_unreachable"));
    }
}

/// AH, ESP, Mobility, SCTP, an experiment.
#[test]
fn a_router_speaks_no_other_protocol() {
    for protocol in [50, 51, 132, 135, 253] {
        let unrecognized = ([4, 1], 6, "unrecognized_next_header");
        assert_eq!(told(&of_protocol(protocol)), unrecognized);
        let behind_padding = behind(&[(OPTIONS, PADDING), (protocol, PADDING)]);
        let unrecognized = ([4, 1], 40, "unrecognized_next_header");
        assert_eq!(told(&behind_padding), unrecognized);
        assert_eq!(told4(protocol), ([3, 2], "protocol_unreachable"));
    }
}

#[test]
fn hop_by_hop_options_come_first_or_are_unrecognized() {
    let late = behind(&[(OPTIONS, PADDING), (HOP_BY_HOP, PADDING)]);
    assert_eq!(told(&late), ([4, 1], 40, "unrecognized_next_header"));
    let first = behind(&[(HOP_BY_HOP, PADDING), (OPTIONS, PADDING)]);
    assert_eq!(told(&first), ([1, 4], 0, "port_unreachable"));
}

/// RFC 8200 §4.2: the two highest bits of an option that is not known say what is to be done.
#[test]
fn an_option_that_asks_for_it_is_told_of() {
    for header in [HOP_BY_HOP, OPTIONS] {
        for kind in [0x82, 0x9e, 0xc2, 0xc9] {
            let alone = behind(&[(header, &[0, kind, 4, 0, 0, 0, 0])]);
            assert_eq!(told(&alone), ([4, 2], 42, "unrecognized_option"));
            let padded = [1, 0, 0, 5, 2, 0, 0, 1, 0, kind, 3, 0, 0, 0, 0];
            let padded = behind(&[(header, &padded)]);
            assert_eq!(told(&padded), ([4, 2], 50, "unrecognized_option"));
        }
        let skipped = behind(&[(header, &[0, 0x1e, 4, 0, 0, 0, 0])]);
        assert_eq!(told(&skipped), ([1, 4], 0, "port_unreachable"));
        let silent = behind(&[(header, &[0, 0x5e, 4, 0, 0, 0, 0])]);
        let reason = "an unknown option asks for silence";
        assert_eq!(verdict(&silent), PacketVerdict::Ignored(reason));
    }
}

/// RFC 8200 §4.4, RFC 5095 §3: type 0 as any other.
#[test]
fn a_route_that_goes_on_from_here_is_told_of() {
    let mut route = [0; 23];
    route[0] = 2;
    for kind in [0, 2, 4, 253] {
        (route[1], route[2]) = (kind, 1);
        let goes_on = behind(&[(ROUTING, &route)]);
        assert_eq!(told(&goes_on), ([4, 0], 42, "unrecognized_routing_type"));
        route[2] = 0;
        let ended = behind(&[(ROUTING, &route)]);
        assert_eq!(told(&ended), ([1, 4], 0, "port_unreachable"));
    }
}

#[test]
fn the_first_fragment_shows_what_it_is_part_of() {
    let first = behind(&[(FRAGMENT, &[0, 0, 1, 0, 0, 0, 7])]);
    assert_eq!(told(&first), ([1, 4], 0, "port_unreachable"));
    let later = behind(&[(FRAGMENT, &[0, 0, 9, 0, 0, 0, 7])]);
    let reason = "a fragment other than the first";
    assert_eq!(verdict(&later), PacketVerdict::Ignored(reason));
}

#[test]
fn icmp_and_nothing_at_all_are_not_told_of() {
    let addresses = sextant_responders::frame::Ipv6Addresses {
        source_mac: guest::GUEST_MAC,
        destination_mac: guest::ROUTER_MAC,
        source: GUEST,
        destination: ROUTER,
    };
    let echo_reply = FrameBuilder::icmpv6(addresses, 129, 0).finish();
    let reason = "ICMP that is not answered";
    assert_eq!(verdict(&echo_reply), PacketVerdict::Ignored(reason));
    let nothing = PacketVerdict::Ignored("nothing follows its headers");
    assert_eq!(verdict(&of_protocol(59)), nothing);
    let timestamp4 = {
        let mut frame = of_protocol4(1);
        frame[34] = 13;
        frame
    };
    let answer = respond(&error(OwnAddress, ROUTER4), &timestamp4);
    assert_eq!(answer.outcome.message, "own_address");
    assert_eq!(answer.outcome.verdict, PacketVerdict::Ignored(reason));
}

#[test]
fn headers_and_options_end_where_they_say_or_are_malformed() {
    for broken in [
        behind(&[(OPTIONS, &[0, 0x1e, 5, 0, 0, 0, 0])]),
        behind(&[(OPTIONS, &[0, 1, 3, 0, 0, 0, 0x1e])]),
        behind(&[(OPTIONS, &[9, 1, 4, 0, 0, 0, 0])]),
        behind(&[(ROUTING, &[9, 0, 0, 0, 0, 0, 0])]),
    ] {
        let verdict = verdict(&broken);
        assert!(
            matches!(verdict, PacketVerdict::Malformed(_)),
            "{verdict:?}"
        );
    }
    let endless = behind(&[(OPTIONS, PADDING); 12]);
    let reason = "too many extension headers";
    assert_eq!(verdict(&endless), PacketVerdict::Ignored(reason));
}

proptest! {
    #[test]
    fn any_headers_are_no_harm(
        numbers in prop::collection::vec(prop::sample::select(vec![0_u8, 6, 17, 43, 44, 50, 51, 58, 59, 60, 135]), 1..12),
        bytes in prop::collection::vec(any::<u8>(), 12 * 7),
        length in 54_usize..200,
    ) {
        let headers: Vec<_> = numbers.into_iter().zip(bytes.chunks(7)).collect();
        let mut frame = behind(&headers);
        verdict(&frame);
        frame.truncate(length);
        let payload = (frame.len() - 54) as u16;
        frame[18..20].copy_from_slice(&payload.to_be_bytes());
        verdict(&frame);
    }
}
