//! Router Solicitations as a guest sends them, and the advertisements that it gets.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

use guest::*;
use sextant_model::{
    AdvertisedOptions, AdvertisedRoute, Advertisement, MacAddr, Pref64, Punt, RouterPreference,
};
use sextant_responders::frame::{Icmpv6Message, Ipv6Packet};
use sextant_responders::ra::{self, Destination};
use sextant_responders::{Answer, PacketVerdict, respond};
use std::net::Ipv6Addr;

fn ask(frame: &[u8]) -> Answer {
    respond(&solicitation_punt(), frame)
}

fn refusal(frame: &[u8]) -> &'static str {
    let answer = ask(frame);
    assert_eq!(answer.frames.len(), 0);
    match answer.outcome.verdict {
        PacketVerdict::Malformed(malformed) => malformed.reason,
        PacketVerdict::Ignored(reason) => reason,
        verdict @ (PacketVerdict::Answered(_) | PacketVerdict::Noted) => panic!("{verdict:?}"),
    }
}

fn body(frame: &[u8]) -> &[u8] {
    let packet = Ipv6Packet::parse(frame).unwrap();
    assert_eq!(packet.hop_limit, 255);
    let message = Icmpv6Message::parse(&packet).expect("checksum is right");
    assert_eq!((message.kind, message.code), (134, 0));
    message.body
}

/// Type and content of each option after the advertisement's own fields.
fn options(frame: &[u8]) -> Vec<(u8, &[u8])> {
    let mut rest = &body(frame)[12..];
    let mut options = Vec::new();
    while let [kind, units, ..] = rest {
        let (option, tail) = rest.split_at(usize::from(*units) * 8);
        options.push((*kind, &option[2..]));
        rest = tail;
    }
    options
}

/// Sets an octet and completes the checksum again.
fn altered(mut frame: Vec<u8>, at: usize, octet: u8) -> Vec<u8> {
    let before = u16::from(frame[at]) << (8 * (1 - at % 2));
    let after = u16::from(octet) << (8 * (1 - at % 2));
    frame[at] = octet;
    // RFC 1624: HC' = ~(~HC + ~m + m').
    let sum = u32::from(!u16::from_be_bytes([frame[56], frame[57]]))
        + u32::from(!before)
        + u32::from(after);
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !(((folded & 0xffff) + (folded >> 16)) as u16);
    frame[56..58].copy_from_slice(&checksum.to_be_bytes());
    frame
}

#[test]
fn the_advertisement_goes_to_who_asked_from_the_routers_link_local_address() {
    let answer = ask(&usual_solicitation());
    assert_eq!(answer.outcome.message, "router_solicitation");
    assert_eq!(
        answer.outcome.verdict,
        PacketVerdict::Answered("router_advertisement")
    );
    let packet = Ipv6Packet::parse(&answer.frames[0]).unwrap();
    assert_eq!(
        (packet.source_mac, packet.destination_mac),
        (ROUTER_MAC, GUEST_MAC)
    );
    assert_eq!(
        (packet.source, packet.destination),
        (ROUTER_MAC.link_local(), guest_address())
    );
}

#[test]
fn a_sender_without_address_is_answered_at_all_nodes() {
    let answer = ask(&solicitation(Ipv6Addr::UNSPECIFIED, &[0; 4]));
    let packet = Ipv6Packet::parse(&answer.frames[0]).unwrap();
    assert_eq!(packet.destination, address("ff02::1"));
    assert_eq!(packet.destination_mac, MacAddr([0x33, 0x33, 0, 0, 0, 1]));
    body(&answer.frames[0]);
}

#[test]
fn every_router_of_the_link_is_told_of() {
    let mut second = advertisement();
    second.mac = MacAddr([0xfa, 0x16, 0x3e, 0xff, 0, 2]);
    second.source = second.mac.link_local();
    let punt = |advertisements: Vec<Advertisement>| Punt::RouterSolicitation {
        port: service().port,
        advertisements: advertisements.into_iter().map(Into::into).collect(),
    };
    let answer = respond(&punt(vec![advertisement(), second]), &usual_solicitation());
    let sources: Vec<_> = answer
        .frames
        .iter()
        .map(|frame| Ipv6Packet::parse(frame).unwrap().source.to_string())
        .collect();
    assert_eq!(
        sources,
        ["fe80::f816:3eff:feff:1", "fe80::f816:3eff:feff:2"]
    );
    let nobody = respond(&punt(vec![]), &usual_solicitation()).outcome;
    assert_eq!(
        nobody.verdict,
        PacketVerdict::Ignored("no router advertises here")
    );
}

#[test]
fn the_advertisement_says_what_the_router_says() {
    let frame = ra::advertise(&advertisement(), Destination::AllNodes);
    let prefix = |flags, subnet| {
        let mut option = vec![64, flags, 0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40, 0, 0, 0, 0];
        option.extend([0x20, 1, 0x0d, 0xb8, 0, subnet, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        option
    };
    let mut servers = vec![0, 0, 0, 0, 1, 44];
    servers.extend(address("2001:db8::53").octets());
    servers.extend(address("2001:db8::54").octets());
    assert_eq!(
        body(&frame)[..12],
        [64, 0x40, 1, 44, 0, 0, 0, 0, 0, 0, 0, 0]
    );
    assert_eq!(
        options(&frame),
        [
            (1, &ROUTER_MAC.0[..]),
            (5, &[0, 0, 0, 0, 5, 0x96]),
            (3, &prefix(0xc0, 1)),
            (3, &prefix(0x80, 2)),
            (25, &servers),
        ]
    );
}

#[test]
fn the_flags_are_the_modes() {
    for (managed, other, flags) in [
        (false, false, 0),
        (false, true, 0x40),
        (true, false, 0x80),
        (true, true, 0xc0),
    ] {
        let advertisement = Advertisement {
            managed,
            other,
            ..advertisement()
        };
        let frame = ra::advertise(&advertisement, Destination::AllNodes);
        assert_eq!(body(&frame)[1], flags);
    }
}

#[test]
fn what_is_not_there_is_not_advertised() {
    let bare = Advertisement {
        mtu: None,
        prefixes: vec![],
        dns_servers: vec![],
        ..advertisement()
    };
    let frame = ra::advertise(&bare, Destination::AllNodes);
    assert_eq!(options(&frame), [(1, &ROUTER_MAC.0[..])]);
}

#[test]
fn the_last_word_ends_the_router_and_deprecates_its_prefixes() {
    let last = ra::last_word(&advertisement(), NOW);
    let frame = ra::advertise(&last, Destination::AllNodes);
    assert_eq!(body(&frame)[2..4], [0, 0], "router lifetime");
    let lifetimes: Vec<_> = options(&frame)
        .into_iter()
        .filter(|(kind, _)| *kind == 3)
        .map(|(_, option)| option[2..10].to_vec())
        .collect();
    assert_eq!(
        lifetimes,
        [[0, 0, 0x1c, 0x20, 0, 0, 0, 0]; 2],
        "valid for two hours at most, preferred no more"
    );
}

#[test]
fn lifetimes_stay_within_the_rfcs_limits() {
    let mut excessive = advertisement();
    excessive.lifetime = u16::MAX;
    excessive.prefixes[0].preferred = u32::MAX;
    let frame = ra::advertise(&excessive, Destination::AllNodes);
    assert_eq!(body(&frame)[2..4], 9000_u16.to_be_bytes());
    let (_, prefix) = options(&frame)[2];
    assert_eq!(prefix[2..6], prefix[6..10], "preferred is at most valid");
}

#[test]
fn an_advertisement_never_exceeds_its_link() {
    let mut many = advertisement();
    many.prefixes = vec![many.prefixes[0]; 60];
    many.dns_servers = vec![address("2001:db8::53"); 600];
    many.options.search_domains = vec!["a-domain.example.org".parse().unwrap(); 600];
    many.options.routes = vec![route("2001:db8::/32", RouterPreference::Medium); 60];
    for mtu in [Some(1280), Some(1430), Some(9000), None] {
        many.mtu = mtu;
        let frame = ra::advertise(&many, Destination::AllNodes);
        let packet = frame.len() - 14;
        let limit = usize::from(mtu.unwrap_or(1280));
        assert!(
            packet <= limit && packet > limit - 40,
            "{packet} of {limit}"
        );
        assert_eq!(options(&frame)[0].0, 1);
    }
}

#[test]
fn a_solicitation_is_validated_as_rfc_4861_6_1_1_says() {
    let usual = usual_solicitation();
    assert_eq!(
        refusal(&{
            let mut f = usual.clone();
            f[21] = 254;
            f
        }),
        "hop limit is not 255"
    );
    assert_eq!(
        refusal(&{
            let mut f = usual.clone();
            f[56] ^= 1;
            f
        }),
        "wrong ICMPv6 checksum"
    );
    assert_eq!(refusal(&altered(usual.clone(), 55, 1)), "code is not 0");
    assert_eq!(
        refusal(&altered(usual.clone(), 63, 0)),
        "option of length zero"
    );
    assert_eq!(
        refusal(&altered(usual.clone(), 63, 2)),
        "option past the message's end"
    );
    assert_eq!(
        refusal(&altered(usual, 54, 135)),
        "not a router solicitation"
    );
    assert_eq!(
        refusal(&solicitation(guest_address(), &[0; 3])),
        "shorter than its fixed fields"
    );
    assert_eq!(
        refusal(&solicitation(guest_address(), &[0; 5])),
        "option header cut short"
    );
    assert_eq!(
        refusal(&solicitation(address("ff02::1"), &[0; 4])),
        "multicast source"
    );
    let with_link_layer = [0, 0, 0, 0, 1, 1, 0xfa, 0x16, 0x3e, 0, 0, 2];
    assert_eq!(
        refusal(&solicitation(Ipv6Addr::UNSPECIFIED, &with_link_layer)),
        "source link-layer address of a sender without address"
    );
}

#[test]
fn options_that_are_unknown_are_skipped() {
    let body = [
        0, 0, 0, 0, 253, 1, 1, 2, 3, 4, 5, 6, 14, 1, 1, 2, 3, 4, 5, 6,
    ];
    assert_eq!(ask(&solicitation(guest_address(), &body)).frames.len(), 1);
    assert_eq!(
        ask(&solicitation(Ipv6Addr::UNSPECIFIED, &body))
            .frames
            .len(),
        1
    );
}

#[test]
fn extension_headers_are_passed_and_fragments_are_not() {
    let behind = |next: u8, header: &[u8]| {
        let usual = usual_solicitation();
        let mut frame = usual[..54].to_vec();
        frame[20] = next;
        frame[19] += header.len() as u8;
        frame.extend(header);
        frame.extend(&usual[54..]);
        frame
    };
    let options = [58, 0, 1, 4, 0, 0, 0, 0];
    let long = [&[58, 1][..], &[0; 14]].concat();
    let authentication = [&[58, 4][..], &[0; 22]].concat();
    for (next, header) in [
        (0, &options[..]),
        (60, &options),
        (43, &options),
        (60, &long),
        (51, &authentication),
    ] {
        assert_eq!(ask(&behind(next, header)).frames.len(), 1, "header {next}");
    }
    assert_eq!(refusal(&behind(44, &options)), "fragment");
    let beyond = [58, 9, 1, 4, 0, 0, 0, 0];
    assert_eq!(
        refusal(&behind(60, &beyond)),
        "extension header past the packet's end"
    );
    let chain = [[60, 0, 1, 4, 0, 0, 0, 0]; 9].concat();
    assert_eq!(refusal(&behind(60, &chain)), "too many extension headers");
}

#[test]
fn what_is_no_solicitation_is_named_by_how_far_it_got() {
    let named = |frame: &[u8]| ask(frame).outcome.message;
    let usual = usual_solicitation();
    let mut tagged = usual.clone();
    tagged[12..14].copy_from_slice(&[0x81, 0]);
    assert_eq!(refusal(&tagged), "not an untagged IPv6 frame");
    assert_eq!(named(&tagged), "frame");
    let mut version = usual.clone();
    version[14] = 0x40;
    assert_eq!(refusal(&version), "IP version is not 6");
    assert_eq!(
        refusal(&Query::new(sextant_responders::dhcpv6::codec::Dhcpv6MessageType::Solicit).frame()),
        "not ICMPv6"
    );
    assert_eq!(named(&altered(usual, 54, 135)), "icmpv6");
}

#[test]
fn ethernet_padding_is_not_part_of_the_packet() {
    let mut frame = solicitation(guest_address(), &[0; 4]);
    frame.resize(64, 0xa5);
    assert_eq!(ask(&frame).frames.len(), 1);
}

#[test]
fn every_option_is_said_as_its_rfc_has_it() {
    let mut said = Advertisement {
        prefixes: vec![],
        dns_servers: vec![],
        mtu: None,
        ..advertisement()
    };
    said.options = AdvertisedOptions {
        preference: RouterPreference::Low,
        reachable_time: 30_000,
        retransmission_timer: 1000,
        search_domains: vec!["example.org".parse().unwrap(), "a.b".parse().unwrap()],
        routes: vec![
            route("::/0", RouterPreference::High),
            route("2001:db8:5::/48", RouterPreference::Medium),
            route("2001:db8:5::1/128", RouterPreference::Low),
        ],
        pref64: vec![Pref64 {
            prefix: "64:ff9b::/96".parse().unwrap(),
            lifetime: 1801,
        }],
        captive_portal: Some("https://p.example/api".into()),
    };
    let frame = ra::advertise(&said, Destination::AllNodes);
    assert_eq!(
        body(&frame)[..12],
        [64, 0x58, 1, 44, 0, 0, 0x75, 0x30, 0, 0, 3, 0xe8]
    );
    let mut network = vec![0, 0x00, 0, 0, 0, 60, 0x20, 1, 0x0d, 0xb8, 0, 5, 0, 0];
    network[0] = 48;
    let mut host = vec![128, 0x18, 0, 0, 0, 60];
    host.extend(address("2001:db8:5::1").octets());
    assert_eq!(
        options(&frame),
        [
            (1, &ROUTER_MAC.0[..]),
            (24, &[0, 0x08, 0, 0, 0, 60]),
            (24, &network),
            (24, &host),
            (
                31,
                b"\0\0\0\0\x01\x2c\x07example\x03org\0\x01a\x01b\0\0\0\0\0\0\0"
            ),
            (
                38,
                &[0x07, 0x10, 0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0]
            ),
            (37, b"https://p.example/api\0"),
        ]
    );
}

fn route(prefix: &str, preference: RouterPreference) -> AdvertisedRoute {
    AdvertisedRoute {
        prefix: prefix.parse().unwrap(),
        preference,
        lifetime: 60,
    }
}

#[test]
fn a_router_that_is_no_default_router_has_no_preference() {
    let mut last = ra::last_word(&advertisement(), NOW);
    last.options.preference = RouterPreference::High;
    let frame = ra::advertise(&last, Destination::AllNodes);
    assert_eq!(body(&frame)[1], 0x40);
}

#[test]
fn the_p_flag_is_the_prefixes_own() {
    let mut delegating = advertisement();
    delegating.prefixes[0].delegation_preferred = true;
    let frame = ra::advertise(&delegating, Destination::AllNodes);
    assert_eq!(
        (options(&frame)[2].1[1], options(&frame)[3].1[1]),
        (0xd0, 0x80)
    );
}

#[test]
fn a_nat64_prefix_of_another_length_is_not_advertised() {
    for (length, code) in [
        (96, Some(0)),
        (64, Some(1)),
        (56, Some(2)),
        (48, Some(3)),
        (40, Some(4)),
        (32, Some(5)),
        (80, None),
    ] {
        let mut nat64 = advertisement();
        let prefix = ipnet::Ipv6Net::new(address("2001:db8::"), length).unwrap();
        nat64.options.pref64 = vec![Pref64 {
            prefix,
            lifetime: u16::MAX,
        }];
        let frame = ra::advertise(&nat64, Destination::AllNodes);
        let said = options(&frame).into_iter().find(|(kind, _)| *kind == 38);
        assert_eq!(
            said.map(|(_, option)| option[1]),
            code.map(|code| 0xf8 | code)
        );
        assert!(
            said.is_none_or(|(_, option)| option[0] == 0xff),
            "as long as can be said"
        );
    }
}
