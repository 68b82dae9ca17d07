//! Whatever a guest sends: no panic, no answer to what is broken, and what is answered is well formed.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

use guest::property::*;
use guest::*;
use proptest::prelude::*;
use sextant_model::Punt;
use sextant_responders::dhcpv6::codec::{Dhcpv6MessageType, RawDhcpv6Options, put_option};
use sextant_responders::dhcpv6::option::{self, DecodedDhcpv6Option, IaKind};
use sextant_responders::{PacketVerdict, dhcpv4};
use std::net::IpAddr;

fn full_query() -> Query {
    Query::to_server(Dhcpv6MessageType::Request)
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

/// A discover with everything that a client says.
fn full_discover() -> ipv4::Query {
    ipv4::Query::new(dhcpv4::codec::Dhcpv4MessageType::Discover)
        .with(61, &[1, 0xfa, 0x16, 0x3e, 0, 0, 2])
        .with(57, &[5, 0xdc])
        .with(77, b"iPXE")
        .with(93, &[0, 7])
        .with(81, &[5, 0, 0, 2, b'v', b'm'])
        .asking(&ipv4::USUAL_REQUEST)
}

#[test]
fn a_dhcpv4_message_cut_or_changed_anywhere_is_no_harm() {
    let whole = full_discover().frame();
    let message = &whole[42..];
    for choice in [0, 1, 2, 3, 0x40, 0x80, 0x81, 0x82] {
        for length in 0..=whole.len() {
            fuzz_dhcpv4(&[&[choice][..], &whole[..length]].concat());
        }
    }
    for at in 0..message.len() {
        for octet in [0, 1, 3, 52, 127, 255] {
            let mut changed = whole.clone();
            changed[42 + at] = octet;
            fuzz_dhcpv4(&[&[0x82][..], &changed].concat());
            fuzz_dhcpv4(&[&[0x40][..], &changed[42..]].concat());
        }
    }
    let verdict = answers_are_whole(&ipv4::dhcpv4(ipv4::service()), &whole);
    assert_eq!(verdict, PacketVerdict::Answered("offer"));
}

#[test]
fn the_samples_are_answered() {
    for (punt, frame) in samples() {
        assert!(matches!(
            answers_are_whole(&punt, &frame),
            PacketVerdict::Answered(_)
        ));
        assert_eq!(honest(frame.clone()), frame);
    }
}

#[test]
fn a_frame_cut_anywhere_is_malformed() {
    for (punt, frame) in samples() {
        for length in 0..frame.len() {
            let verdict = answers_are_whole(&punt, &frame[..length]);
            assert!(
                matches!(verdict, PacketVerdict::Malformed(_)),
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
    for option in RawDhcpv6Options::new(&frame[start..], start) {
        let option = option.unwrap();
        boundaries.push(option.offset + option.value.len());
    }
    for length in 54..frame.len() {
        let malformed = matches!(
            answers_are_whole(&punt, &honest(frame[..length].to_vec())),
            PacketVerdict::Malformed(_)
        );
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
    let query = Query::new(Dhcpv6MessageType::Solicit).with(option::IA_NA, &nested);
    let verdict = answers_are_whole(&dhcpv6(service()), &query.frame());
    assert_eq!(verdict, PacketVerdict::Answered("advertise"));
}

#[test]
fn an_answer_too_long_for_a_packet_is_not_sent() {
    let query = (0..4000).fold(Query::new(Dhcpv6MessageType::Solicit), |query, iaid| {
        query.ia_na(iaid, &[])
    });
    let verdict = answers_are_whole(&dhcpv6(service()), &query.frame());
    assert_eq!(
        verdict,
        PacketVerdict::Ignored("the answer would exceed a packet")
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_at_all(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for (punt, _) in samples() {
            answers_are_whole(&punt, &bytes);
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
            answers_are_whole(&punt, &if recompute { honest(frame) } else { frame });
        }
    }

    #[test]
    fn anything_at_all_is_quoted_whole_or_not_at_all(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        octets in 0_usize..1500,
    ) {
        let mut changed = [refused::datagram(octets), refused::datagram4(octets)];
        for frame in &mut changed {
            for (at, octet) in &changes {
                let at = at.index(frame.len());
                frame[at] = *octet;
            }
        }
        for problem in refused::PROBLEMS {
            for source in [IpAddr::from(refused::ROUTER), refused::ROUTER4.into()] {
                let punt = refused::error(problem, source);
                answers_are_whole(&punt, &bytes);
                for frame in &changed {
                    answers_are_whole(&punt, frame);
                }
            }
        }
    }

    #[test]
    fn any_options(kind in 0_u8..16, options in prop::collection::vec((0_u16..100, prop::collection::vec(any::<u8>(), 0..50)), 0..12)) {
        let mut query = full_query();
        query.bytes[0] = kind;
        for (code, value) in &options {
            query = query.with(*code, value);
        }
        answers_are_whole(&dhcpv6(service()), &query.frame());
    }

    #[test]
    fn any_dhcpv4_options(choice in 0_u8..4, options in prop::collection::vec((0_u8..=255, prop::collection::vec(any::<u8>(), 0..300)), 0..12)) {
        let mut query = full_discover();
        for (code, value) in &options {
            query = query.with(*code, value);
        }
        fuzz_dhcpv4(&[&[choice][..], &query.frame()].concat());
        fuzz_dhcpv4(&[&[0x40][..], &query.body()].concat());
    }

    #[test]
    fn any_options_survive_the_codec(options in prop::collection::vec((0_u16..150, prop::collection::vec(any::<u8>(), 0..80)), 0..6)) {
        let mut wire = Vec::new();
        for (code, value) in &options {
            put_option(&mut wire, *code, |out| out.extend(value));
        }
        codec_loses_nothing(&wire);
    }

    #[test]
    fn any_bytes_survive_the_codec(bytes: Vec<u8>) {
        codec_loses_nothing(&bytes);
    }

    #[test]
    fn well_formed_options_are_put_as_they_were_decoded(iaid: u32, addresses: Vec<[u8; 16]>, codes: Vec<u16>, name in "[a-z]{1,9}(\\.[a-z]{1,9}){0,3}") {
        let texts: Vec<_> = addresses.iter().map(|a| std::net::Ipv6Addr::from(*a).to_string()).collect();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let mut names = Vec::new();
        sextant_responders::dhcpv6::domain::put_text(&mut names, &name).unwrap();
        let query = Query::to_server(Dhcpv6MessageType::Request)
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
        for option in RawDhcpv6Options::new(&query.bytes[4..], 4) {
            DecodedDhcpv6Option::decode(option.unwrap()).unwrap().put(&mut again);
        }
        prop_assert_eq!(query.bytes, again);
    }
}
