//! What holds whatever a guest sends: shared by the property tests, the fuzz targets and the replay of their corpora.

use super::*;
use sextant_responders::dhcpv4;
use sextant_responders::dhcpv6::codec::RawDhcpv6Option;
use sextant_responders::dhcpv6::relay::RelayMessage;
use sextant_responders::frame::{Icmpv6Message, Ipv4Packet};
use sextant_responders::{PacketVerdict, respond};

/// Octets of the largest frame that can be sent: headers and a payload as long as IPv6 counts.
const LARGEST: usize = 14 + 40 + 65_535;

/// There are frames exactly where the outcome says that the packet was answered, and each is whole: lengths and
/// checksum are right. A malformed packet is so within its bounds.
pub fn answers_are_whole(punt: &Punt, frame: &[u8]) -> PacketVerdict {
    let answer = respond(punt, frame);
    let verdict = answer.outcome.verdict;
    let answered = matches!(verdict, PacketVerdict::Answered(_));
    assert_eq!(answer.frames.is_empty(), !answered, "{verdict:?}");
    for frame in &answer.frames {
        assert!(frame.len() <= LARGEST);
        if let Punt::Dhcpv4(service) = punt {
            ipv4_is_whole(frame, service.mtu);
            continue;
        }
        if let Punt::IcmpError(error) = punt {
            error_is_whole(error.source.is_ipv4(), frame);
            continue;
        }
        let packet = Ipv6Packet::parse(frame).unwrap();
        assert_eq!(packet.offset + packet.payload.len(), frame.len());
        let icmpv6 = Icmpv6Message::parse(&packet).is_ok();
        assert!(icmpv6 || UdpDatagram::parse(&packet).is_ok());
    }
    if let PacketVerdict::Malformed(malformed) = verdict {
        assert!(malformed.offset <= frame.len(), "{malformed}");
    }
    verdict
}

/// Lengths and checksums are right, and the packet fits its link.
fn ipv4_is_whole(frame: &[u8], mtu: u16) {
    assert!(frame.len() <= 14 + usize::from(mtu.max(576)));
    let packet = Ipv4Packet::parse(frame).unwrap();
    assert_eq!(packet.offset + packet.payload.len(), frame.len());
    let datagram = UdpDatagram::parse_ipv4(&packet).unwrap();
    let message = dhcpv4::codec::Dhcpv4Message::parse(datagram.body, datagram.offset).unwrap();
    assert!(message.options.flatten().count() > 1);
}

/// Lengths and checksums are right, and every path carries it.
fn error_is_whole(ipv4: bool, frame: &[u8]) {
    if ipv4 {
        assert!(frame.len() <= 14 + 576);
        let packet = Ipv4Packet::parse(frame).unwrap();
        assert_eq!(packet.offset + packet.payload.len(), frame.len());
        assert_eq!(refused::internet_checksum(packet.payload), 0);
    } else {
        assert!(frame.len() <= 14 + 1280);
        let packet = Ipv6Packet::parse(frame).unwrap();
        assert_eq!(packet.offset + packet.payload.len(), frame.len());
        assert!(Icmpv6Message::parse(&packet).unwrap().kind < 128);
    }
}

/// Every port that a frame can come from.
pub fn punts() -> [Punt; 5] {
    let ignorant = Dhcpv6Service {
        on_link: Vec::new(),
        ..stateless_service()
    };
    [
        solicitation_punt(),
        dhcpv6(service()),
        dhcpv6(stateless_service()),
        dhcpv6(talkative_service()),
        dhcpv6(ignorant),
    ]
}

/// A frame with its lengths and its checksum as an honest sender has them, so that what lies behind is reached. One
/// that is neither UDP nor ICMPv6 right behind the IPv6 header stays as it is.
pub fn honest(mut frame: Vec<u8>) -> Vec<u8> {
    let checksum = match frame.get(20) {
        Some(17) if frame.len() >= 62 => 60,
        Some(58) if frame.len() >= 58 => 56,
        _ => return frame,
    };
    let Ok(length) = u16::try_from(frame.len() - 54) else {
        return frame;
    };
    frame[18..20].copy_from_slice(&length.to_be_bytes());
    if checksum == 60 {
        frame[58..60].copy_from_slice(&length.to_be_bytes());
    }
    frame[checksum..checksum + 2].fill(0);
    let sum = checksum_of(&frame[22..], frame[20], length);
    frame[checksum..checksum + 2].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// RFC 1071 word by word; the addresses and the packet follow one another in the frame.
fn checksum_of(addresses_and_packet: &[u8], next_header: u8, length: u16) -> u16 {
    let [high, low] = length.to_be_bytes();
    let mut sum: u32 = addresses_and_packet
        .chunks(2)
        .chain([&[high, low][..], &[0, next_header]])
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    match !(sum as u16) {
        0 => u16::MAX,
        sum => sum,
    }
}

/// What is decoded is put back octet by octet: a relay agent's message, or else options, each by itself.
pub fn codec_loses_nothing(bytes: &[u8]) {
    if let Ok(message) = RelayMessage::parse(bytes, 0) {
        let mut again = Vec::new();
        message.put(&mut again);
        assert_eq!(again, bytes);
        if let Ok(Some((relayed, offset))) = message.relayed() {
            assert_eq!(&bytes[offset..offset + relayed.len()], relayed);
        }
    }
    for option in RawDhcpv6Options::new(bytes, 0).flatten() {
        option_survives(option);
    }
}

fn option_survives(raw: RawDhcpv6Option<'_>) {
    let Ok(option) = DecodedDhcpv6Option::decode(raw) else {
        return;
    };
    let mut wire = Vec::new();
    put_option(&mut wire, raw.code, |out| out.extend(raw.value));
    let mut again = Vec::new();
    option.put(&mut again);
    assert_eq!(again, wire);
}

/// The first octet of an input of the fuzz target that is heard by a client that asks for a prefix.
const DELEGATION: u8 = 0x7f;

/// What a fuzz target's input means: the first octet chooses the port, its highest bit an honest frame.
pub fn fuzz_respond(input: &[u8]) {
    let Some((choice, frame)) = input.split_first() else {
        return;
    };
    let frame = match choice & 0x80 {
        0 => frame.to_vec(),
        _ => honest(frame.to_vec()),
    };
    if choice & 0x7f == DELEGATION {
        answers_are_whole(&Punt::PrefixClientMessage(NetworkId::MIN), &frame);
        return delegation::hears_anything(&frame);
    }
    let punts = punts();
    answers_are_whole(&punts[usize::from(choice & 0x7f) % punts.len()], &frame);
}

/// Every port that a DHCPv4 message can come from.
fn dhcpv4_punts() -> [Punt; 4] {
    let nobody = sextant_model::Dhcpv4Service {
        leases: Vec::new(),
        ..ipv4::service()
    };
    [
        ipv4::dhcpv4(ipv4::service()),
        ipv4::dhcpv4(ipv4::two_leases()),
        ipv4::dhcpv4(ipv4::talkative_service()),
        ipv4::dhcpv4(nobody),
    ]
}

/// An IPv4 frame with its lengths and its header's checksum as an honest sender has them, and without a UDP checksum.
/// One with options in its header stays as it is.
pub fn honest_ipv4(mut frame: Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(frame.len().saturating_sub(14));
    let (Ok(length), Some(0x45), true) = (length, frame.get(14), frame.len() >= 42) else {
        return frame;
    };
    frame[16..18].copy_from_slice(&length.to_be_bytes());
    frame[38..40].copy_from_slice(&(length - 20).to_be_bytes());
    frame[40..42].fill(0);
    frame[24..26].fill(0);
    let mut sum: u32 = frame[14..34]
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    frame[24..26].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    frame
}

/// What is decoded is put back octet by octet: the fields of a message, and each option by itself. However the areas
/// refer to one another, no octet is read as an option twice.
pub fn dhcpv4_codec_loses_nothing(bytes: &[u8]) {
    let Ok(message) = dhcpv4::codec::Dhcpv4Message::parse(bytes, 0) else {
        return;
    };
    let mut again = Vec::new();
    message.put_fields(&mut again);
    again.extend(message.options.bytes());
    assert_eq!(again, bytes);
    let mut read = vec![false; bytes.len()];
    for raw in message.options.flatten() {
        let whole = raw.offset - 2..raw.offset + raw.value.len();
        assert_eq!(&bytes[raw.offset..whole.end], raw.value);
        assert!(!read[whole.clone()].contains(&true));
        read[whole].fill(true);
        if let Ok(option) = dhcpv4::option::DecodedDhcpv4Option::decode(raw) {
            let mut wire = Vec::new();
            option.put(&mut wire);
            assert_eq!(wire, bytes[raw.offset - 2..raw.offset + raw.value.len()]);
        }
    }
}

/// What a fuzz target's input means: the first octet chooses the port, its highest bit an honest frame, its second
/// highest a message instead of a frame.
pub fn fuzz_dhcpv4(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else {
        return;
    };
    if choice & 0x40 != 0 {
        return dhcpv4_codec_loses_nothing(rest);
    }
    let frame = match choice & 0x80 {
        0 => rest.to_vec(),
        _ => honest_ipv4(rest.to_vec()),
    };
    let punts = dhcpv4_punts();
    answers_are_whole(&punts[usize::from(choice & 0x3f) % punts.len()], &frame);
}
