//! What a guest is told of a packet that its router does not forward, and when it is told nothing.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

use guest::refused::*;
use guest::{GUEST_MAC, ROUTER_MAC};
use sextant_model::Problem::{HopLimit, NoRoute, TooBig, Unreachable};
use sextant_model::{MacAddr, Problem, Punt};
use sextant_responders::frame::{Icmpv6Message, Ipv4Packet, Ipv6Packet};
use sextant_responders::{PacketVerdict, respond};

/// The error's whole frame.
fn told(punt: &Punt, frame: &[u8]) -> Vec<u8> {
    let answer = respond(punt, frame);
    assert_eq!(answer.frames.len(), 1, "{:?}", answer.outcome);
    answer.frames[0].clone()
}

fn silence(punt: &Punt, frame: &[u8]) -> &'static str {
    let answer = respond(punt, frame);
    assert!(answer.frames.is_empty());
    match answer.outcome.verdict {
        PacketVerdict::Ignored(reason) => reason,
        verdict => panic!("{verdict:?}"),
    }
}

#[test]
fn each_problem_has_its_type_and_code_and_quotes_the_packet() {
    let cases: [(Problem, [u8; 2], [u8; 2], u32); 4] = [
        (HopLimit, [3, 0], [11, 0], 0),
        (NoRoute, [1, 0], [3, 0], 0),
        (Unreachable, [1, 3], [3, 1], 0),
        (TooBig { mtu: 1400 }, [2, 0], [3, 4], 1400),
    ];
    for (problem, v6, v4, rest) in cases {
        let sent = datagram(20);
        let frame = told(&error(problem, ROUTER), &sent);
        let packet = Ipv6Packet::parse(&frame).unwrap();
        let ends = (packet.source_mac, packet.destination_mac);
        assert_eq!(ends, (ROUTER_MAC, GUEST_MAC));
        assert_eq!((packet.source, packet.destination), (ROUTER, GUEST));
        let message = Icmpv6Message::parse(&packet).unwrap();
        assert_eq!([message.kind, message.code], v6);
        assert_eq!(message.body, [&rest.to_be_bytes(), &sent[14..]].concat());

        let sent = datagram4(20);
        let frame = told(&error(problem, ROUTER4), &sent);
        let packet = Ipv4Packet::parse(&frame).unwrap();
        let ends: (MacAddr, MacAddr) = (packet.source_mac, packet.destination_mac);
        assert_eq!(ends, (ROUTER_MAC, GUEST_MAC));
        assert_eq!((packet.source, packet.destination), (ROUTER4, GUEST4));
        assert_eq!((packet.protocol, &packet.payload[..2]), (1, &v4[..]));
        assert_eq!(internet_checksum(packet.payload), 0);
        let quoted = [&rest.to_be_bytes(), &sent[14..]].concat();
        assert_eq!(packet.payload[4..], quoted);
    }
}

#[test]
fn as_much_is_quoted_as_every_path_carries() {
    for (octets, v6, v4) in [
        (400, 14 + 40 + 8 + 40 + 8 + 400, 14 + 20 + 8 + 20 + 8 + 400),
        (1300, 14 + 1280, 14 + 576),
    ] {
        assert_eq!(told(&error(HopLimit, ROUTER), &datagram(octets)).len(), v6);
        assert_eq!(
            told(&error(HopLimit, ROUTER4), &datagram4(octets)).len(),
            v4
        );
    }
}

#[test]
fn the_padding_of_a_short_frame_is_not_quoted() {
    let sent = datagram4(1);
    let padded = [&sent[..], &[0; 17]].concat();
    let punt = error(HopLimit, ROUTER4);
    assert_eq!(told(&punt, &padded), told(&punt, &sent));
}

#[test]
fn no_error_is_told_of_an_error() {
    let (v6, v4) = (error(NoRoute, ROUTER), error(NoRoute, ROUTER4));
    let (about_v6, about_v4) = (told(&v6, &datagram(20)), told(&v4, &datagram4(20)));
    assert_eq!(silence(&v6, &about_v6), "it is an error itself");
    assert_eq!(silence(&v4, &about_v4), "it is an error itself");
    let behind_options = {
        let mut frame = about_v6.clone();
        frame[14 + 6] = 60;
        let length = u16::from_be_bytes([frame[18], frame[19]]) + 8;
        frame[18..20].copy_from_slice(&length.to_be_bytes());
        frame.splice(54..54, [58, 0, 1, 4, 0, 0, 0, 0]);
        frame
    };
    assert_eq!(silence(&v6, &behind_options), "it is an error itself");
    let mut redirect = about_v6;
    redirect[54] = 137;
    assert_eq!(silence(&v6, &redirect), "it is an error itself");
}

#[test]
fn none_is_told_of_what_is_for_many_or_of_nobody() {
    let v6 = |at: usize, address: &str| {
        let mut frame = datagram(20);
        let octets = address.parse::<std::net::Ipv6Addr>().unwrap().octets();
        frame[at..at + 16].copy_from_slice(&octets);
        frame
    };
    let (source, destination) = (22, 38);
    for from in ["::", "ff02::1"] {
        let reason = silence(&error(NoRoute, ROUTER), &v6(source, from));
        assert_eq!(reason, "its source is no single host");
    }
    let to_many = v6(destination, "ff0e::1");
    assert_eq!(silence(&error(NoRoute, ROUTER), &to_many), "it is for many");
    told(&error(TooBig { mtu: 1400 }, ROUTER), &to_many);

    for (at, address) in [
        (26, [0, 0, 0, 0]),
        (26, [127, 0, 0, 1]),
        (26, [224, 0, 0, 1]),
        (30, [239, 1, 2, 3]),
        (30, [255, 255, 255, 255]),
    ] {
        let mut frame = datagram4(20);
        frame[at..at + 4].copy_from_slice(&address);
        let reason = silence(&error(NoRoute, ROUTER4), &header_summed(frame));
        assert_eq!(reason, "it is not between single hosts");
    }
}

/// The header's checksum made right again.
fn header_summed(mut frame: Vec<u8>) -> Vec<u8> {
    frame[24..26].fill(0);
    let sum = internet_checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

#[test]
fn only_the_first_fragment_is_told_of() {
    let fragment = |offset: u16| {
        let mut frame = datagram4(20);
        frame[20..22].copy_from_slice(&(0x2000 | offset).to_be_bytes());
        header_summed(frame)
    };
    told(&error(HopLimit, ROUTER4), &fragment(0));
    let later = silence(&error(HopLimit, ROUTER4), &fragment(100));
    assert_eq!(later, "a fragment other than the first");

    let fragment = |offset: u16| {
        let mut frame = datagram(20);
        let [high, low] = (offset << 3 | 1).to_be_bytes();
        let length = u16::from_be_bytes([frame[18], frame[19]]) + 8;
        frame[18..20].copy_from_slice(&length.to_be_bytes());
        frame[20] = 44;
        frame.splice(54..54, [17, 0, high, low, 0, 0, 0, 7]);
        frame
    };
    told(&error(HopLimit, ROUTER), &fragment(0));
    let later = silence(&error(HopLimit, ROUTER), &fragment(100));
    assert_eq!(later, "a fragment other than the first");
}

#[test]
fn what_may_be_fragmented_is_not_called_too_big() {
    let mut frame = datagram4(20);
    frame[20..22].fill(0);
    let reason = silence(&error(TooBig { mtu: 1400 }, ROUTER4), &header_summed(frame));
    assert_eq!(reason, "it may be fragmented");
}
