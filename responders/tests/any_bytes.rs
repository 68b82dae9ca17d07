//! Whatever a guest sends: no panic, no answer to what is broken, and what is answered is well formed.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

use guest::*;
use proptest::prelude::*;
use sextant_model::Punt;
use sextant_responders::dhcpv6::codec::{MessageType, Options};
use sextant_responders::dhcpv6::option::{self, DhcpOption, IaKind};
use sextant_responders::frame::{Icmpv6Message, Ipv6Packet, UdpDatagram};
use sextant_responders::{Verdict, respond};

fn full_query() -> Query {
    Query::to_server(MessageType::Request)
        .ia_na(0, &["2001:db8:1::cd", "2001:db8:2::cd"])
        .ia(IaKind::Temporary, 1, &[])
        .ia(IaKind::Prefixes, 2, &[])
        .asking(&[option::DNS_SERVERS, option::DOMAIN_LIST, 82])
        .with(option::ELAPSED_TIME, &[0, 0])
        .with(16, &[0, 0, 1, 0x37, 0, 4, b'M', b'S', b'F', b'T'])
}

fn samples() -> Vec<(Punt, Vec<u8>)> {
    vec![
        (solicitation_punt(), usual_solicitation()),
        (dhcpv6(service()), full_query().frame()),
    ]
}

/// An answer's frames parse, and there are some exactly where the outcome says so.
fn check(punt: &Punt, frame: &[u8]) -> Verdict {
    let answer = respond(punt, frame);
    let verdict = answer.outcome.verdict;
    assert_eq!(
        answer.frames.is_empty(),
        !matches!(verdict, Verdict::Answered(_))
    );
    for frame in &answer.frames {
        let packet = Ipv6Packet::parse(frame).unwrap();
        let icmpv6 = Icmpv6Message::parse(&packet).is_ok();
        assert!(icmpv6 || UdpDatagram::parse(&packet).is_ok());
    }
    if let Verdict::Malformed(malformed) = verdict {
        assert!(malformed.offset <= frame.len(), "{malformed}");
    }
    verdict
}

/// The frame with its upper-layer checksum set right, so that what lies behind it is reached.
fn with_checksum(mut frame: Vec<u8>) -> Vec<u8> {
    let at = if frame[20] == 17 { 60 } else { 56 };
    let Some(field) = frame.get_mut(at..at + 2) else {
        return frame;
    };
    field.fill(0);
    let length = frame.len() - 54;
    let pseudo = [0, 0, (length >> 8) as u8, length as u8, 0, 0, 0, frame[20]];
    let mut sum: u32 = frame[22..]
        .chunks(2)
        .chain(pseudo.chunks(2))
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    frame[at..at + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    frame
}

/// The frame cut after `length` octets, its length fields and checksum as of an honest sender.
fn cut(frame: &[u8], length: usize) -> Vec<u8> {
    let mut frame = frame[..length].to_vec();
    if length >= 54 {
        let payload = ((length - 54) as u16).to_be_bytes();
        frame[18..20].copy_from_slice(&payload);
        if frame[20] == 17 && length >= 62 {
            frame[58..60].copy_from_slice(&payload);
        }
        frame = with_checksum(frame);
    }
    frame
}

#[test]
fn the_samples_are_answered() {
    for (punt, frame) in samples() {
        assert!(matches!(check(&punt, &frame), Verdict::Answered(_)));
        assert_eq!(with_checksum(frame.clone()), frame);
    }
}

#[test]
fn a_frame_cut_anywhere_is_malformed() {
    for (punt, frame) in samples() {
        for length in 0..frame.len() {
            let verdict = check(&punt, &frame[..length]);
            assert!(
                matches!(verdict, Verdict::Malformed(_)),
                "{length}: {verdict:?}"
            );
        }
    }
}

#[test]
fn a_message_cut_within_an_option_is_malformed() {
    let (punt, frame) = samples().remove(1);
    let start = 14 + 40 + 8 + 4;
    let mut boundaries = vec![start];
    for option in Options::new(&frame[start..], start) {
        let option = option.unwrap();
        boundaries.push(option.offset + option.value.len());
    }
    for length in 54..frame.len() {
        let malformed = matches!(check(&punt, &cut(&frame, length)), Verdict::Malformed(_));
        assert_eq!(malformed, !boundaries.contains(&length), "{length}");
    }
}

#[test]
fn nesting_without_end_is_bounded() {
    let mut nested = Vec::new();
    while nested.len() < 65_000 {
        let mut outer = vec![0; 12];
        outer.extend(option::IA_NA.to_be_bytes());
        outer.extend((nested.len() as u16).to_be_bytes());
        outer.append(&mut nested);
        nested = outer;
    }
    let query = Query::new(MessageType::Solicit).with(option::IA_NA, &nested);
    let verdict = check(&dhcpv6(service()), &query.frame());
    assert_eq!(verdict, Verdict::Answered("advertise"));
}

#[test]
fn an_answer_too_long_for_a_packet_is_not_sent() {
    let query = (0..4000).fold(Query::new(MessageType::Solicit), |query, iaid| {
        query.ia_na(iaid, &[])
    });
    let verdict = check(&dhcpv6(service()), &query.frame());
    assert_eq!(
        verdict,
        Verdict::Ignored("the answer would exceed a packet")
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_at_all(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for (punt, _) in samples() {
            check(&punt, &bytes);
        }
    }

    #[test]
    fn a_sample_with_octets_changed(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        recompute: bool,
    ) {
        for (punt, mut frame) in samples() {
            for (at, octet) in &changes {
                let at = at.index(frame.len());
                frame[at] = *octet;
            }
            check(&punt, &if recompute { with_checksum(frame) } else { frame });
        }
    }

    #[test]
    fn any_options(kind in 0_u8..16, options in prop::collection::vec((0_u16..100, prop::collection::vec(any::<u8>(), 0..50)), 0..12)) {
        let mut query = full_query();
        query.bytes[0] = kind;
        for (code, value) in &options {
            query = query.with(*code, value);
        }
        check(&dhcpv6(service()), &query.frame());
    }

    #[test]
    fn an_option_is_put_as_it_was_decoded(code in 0_u16..150, value in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut wire = Vec::new();
        sextant_responders::dhcpv6::codec::put_option(&mut wire, code, |out| out.extend(&value));
        let raw = Options::new(&wire, 0).next().unwrap().unwrap();
        if let Ok(option) = DhcpOption::decode(raw) {
            let mut again = Vec::new();
            option.put(&mut again);
            prop_assert_eq!(wire, again);
        }
    }

    #[test]
    fn well_formed_options_are_put_as_they_were_decoded(iaid: u32, addresses: Vec<[u8; 16]>, codes: Vec<u16>, name in "[a-z]{1,9}(\\.[a-z]{1,9}){0,3}") {
        let texts: Vec<_> = addresses.iter().map(|a| std::net::Ipv6Addr::from(*a).to_string()).collect();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let mut names = Vec::new();
        sextant_responders::dhcpv6::domain::put_text(&mut names, &name).unwrap();
        let query = Query::to_server(MessageType::Request)
            .ia_na(iaid, &texts)
            .ia(IaKind::Temporary, iaid, &texts)
            .ia(IaKind::Prefixes, iaid, &[])
            .asking(&codes)
            .with(option::DNS_SERVERS, addresses.as_flattened())
            .with(option::DOMAIN_LIST, &names)
            .with(option::STATUS_CODE, &[0, 5, b'o', b'k'])
            .with(option::PREFERENCE, &[255])
            .with(option::RAPID_COMMIT, &[]);
        let mut again = query.bytes[..4].to_vec();
        for option in Options::new(&query.bytes[4..], 4) {
            DhcpOption::decode(option.unwrap()).unwrap().put(&mut again);
        }
        prop_assert_eq!(query.bytes, again);
    }
}
