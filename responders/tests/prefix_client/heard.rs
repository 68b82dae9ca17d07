//! Which messages clients take in (RFC 9915 §16), and how a packet with one is answered: not at all.

use crate::guest::delegation::*;
use crate::guest::property::honest;
use crate::guest::{CLIENT_DUID, SERVER_DUID, TRANSACTION, address};
use sextant_model::{NetworkId, Punt};
use sextant_responders::dhcpv6::codec::Dhcpv6MessageType;
use sextant_responders::dhcpv6::option;
use sextant_responders::frame::Refusal;
use sextant_responders::prefix_client::HeardServer;
use sextant_responders::{Learned, PacketVerdict, respond};

fn reply() -> Said {
    Said::bare(REPLY, TRANSACTION)
        .with(option::CLIENT_ID, &CLIENT_DUID)
        .with(option::SERVER_ID, &SERVER_DUID)
        .giving(TIMES, &[USUAL])
}

fn refused(said: &Said) -> (&'static str, &'static str) {
    let (name, refusal) = HeardServer::parse(&said.frame()).unwrap_err();
    match refusal {
        Refusal::Ignored(reason) => (name, reason),
        Refusal::Malformed(malformed) => {
            assert!(malformed.offset <= said.frame().len());
            (name, malformed.reason)
        }
    }
}

#[test]
fn a_servers_message_is_noted_with_the_client_that_it_is_for() {
    let punt = Punt::PrefixClientMessage(NetworkId::MIN);
    let answer = respond(&punt, &reply().frame());
    assert_eq!(answer.frames, [[0_u8; 0]; 0]);
    assert_eq!(answer.outcome.message, "reply");
    assert_eq!(answer.outcome.verdict, PacketVerdict::Noted);
    let heard = reply().heard();
    assert_eq!(heard.client(), CLIENT_DUID);
    assert_eq!(
        answer.learned,
        [Learned::PrefixClientMessage(NetworkId::MIN, heard)]
    );
    assert_eq!((punt.kind(), punt.vlan_tci()), ("delegation", 0));
    let request = Said::bare(Dhcpv6MessageType::Request, TRANSACTION);
    let answer = respond(&punt, &request.frame());
    assert_eq!(answer.outcome.message, "request");
    assert_eq!(
        answer.outcome.verdict,
        PacketVerdict::Ignored("a message that clients send")
    );
    assert_eq!(answer.learned, []);
}

#[test]
fn where_a_servers_message_comes_from_and_goes_to() {
    let mut said = reply();
    said.ports.0 = 40_000;
    assert_eq!(said.heard(), reply().heard(), "from any port");
    said.ports.1 = 547;
    assert_eq!(refused(&said), ("udp", "not to the DHCPv6 client port"));
    let mut said = reply();
    said.addresses.source = address("2001:db8::1");
    assert_eq!(refused(&said), ("reply", "source is not link-local"));
    let mut frame = reply().frame();
    frame[60] ^= 1;
    let (name, _) = HeardServer::parse(&frame).unwrap_err();
    assert_eq!(name, "udp", "its checksum is wrong");
    frame[12] = 8;
    assert_eq!(HeardServer::parse(&frame).unwrap_err().0, "frame");
}

#[test]
fn only_offers_and_answers_are_taken_in() {
    let of = |kind| Said {
        bytes: [&[kind], &reply().bytes[1..]].concat(),
        ..reply()
    };
    for (kind, name) in [
        (1, "solicit"),
        (3, "request"),
        (4, "confirm"),
        (5, "renew"),
        (6, "rebind"),
        (8, "release"),
        (9, "decline"),
        (11, "information_request"),
    ] {
        assert_eq!(refused(&of(kind)), (name, "a message that clients send"));
    }
    let reconfigure = ("reconfigure", "reconfigure that was not agreed to");
    assert_eq!(refused(&of(10)), reconfigure);
    assert_eq!(refused(&of(12)), ("relay_forward", "from a relay agent"));
    assert_eq!(refused(&of(13)), ("relay_reply", "from a relay agent"));
    assert_eq!(refused(&of(14)), ("dhcpv6", "unknown message type"));
    assert_eq!(of(2).heard().message(), "advertise");
}

#[test]
fn a_servers_message_names_both_sides_once() {
    let bare = || Said::bare(ADVERTISE, TRANSACTION);
    let client = bare().with(option::CLIENT_ID, &CLIENT_DUID);
    let server = bare().with(option::SERVER_ID, &SERVER_DUID);
    assert_eq!(refused(&client), ("advertise", "no server identifier"));
    assert_eq!(refused(&server), ("advertise", "no client identifier"));
    let twice = "option that may occur once occurs twice";
    for (code, value) in [
        (option::CLIENT_ID, &CLIENT_DUID[..]),
        (option::SERVER_ID, &SERVER_DUID),
        (option::IA_PD, &association(1, TIMES, &[], None)),
    ] {
        assert_eq!(refused(&reply().with(code, value)), ("reply", twice));
    }
    for (code, value) in [
        (option::PREFERENCE, &[1][..]),
        (option::STATUS_CODE, &[0, 0]),
        (option::SOL_MAX_RT, &[0, 0, 1, 0]),
    ] {
        let once = reply().with(code, value);
        once.heard();
        assert_eq!(refused(&once.with(code, value)), ("reply", twice));
    }
    let others = association(2, TIMES, &[], None);
    let many = reply()
        .with(option::IA_PD, &others)
        .with(option::IA_PD, &others);
    assert_eq!(many.heard(), reply().heard());
}

#[test]
fn what_is_not_read_may_be_malformed() {
    let odd = reply().with(option::DNS_SERVERS, &[1, 2, 3]);
    assert_eq!(odd.heard(), reply().heard());
    for (code, value) in [
        (option::PREFERENCE, &[][..]),
        (option::STATUS_CODE, &[0]),
        (option::SOL_MAX_RT, &[0, 0, 60]),
        (option::IA_PD, &[0, 0, 0, 2]),
    ] {
        assert_eq!(refused(&reply().with(code, value)).0, "reply", "{code}");
    }
    let mut long = association(2, TIMES, &[(net(USUAL.0), 1, 1)], None);
    long[12 + 4 + 8] = 129;
    let long = reply().with(option::IA_PD, &long);
    assert_eq!(refused(&long), ("reply", "IA prefix longer than 128 bits"));
}

#[test]
fn a_message_cut_anywhere_is_refused_unless_an_option_ends_there() {
    let whole = reply().frame();
    let association = whole.len() - (4 + 12 + 4 + 25);
    for length in 0..whole.len() {
        let cut = HeardServer::parse(&honest(whole[..length].to_vec()));
        assert_eq!(cut.is_ok(), length == association, "{length}");
    }
}
