//! What DHCPv6 does not answer, and what of a message it does not read.

use super::*;

#[test]
fn a_foreign_server_identifier_is_discarded() {
    for kind in [Request, Renew, Release, Decline, InformationRequest] {
        let query = Query::new(kind).with(option::SERVER_ID, &[0, 4, 9, 9, 9]);
        assert_eq!(silence(service(), &query), "foreign server identifier");
    }
}

#[test]
fn a_message_to_one_server_names_it() {
    for kind in [Request, Renew, Release, Decline] {
        assert_eq!(
            silence(service(), &Query::new(kind)),
            "no server identifier"
        );
    }
}

#[test]
fn a_message_to_any_server_names_none() {
    for kind in [Solicit, Confirm, Rebind] {
        assert_eq!(
            silence(service(), &Query::to_server(kind)),
            "server identifier in a message to any server"
        );
    }
}

#[test]
fn a_client_names_itself() {
    for kind in [Solicit, Request, Confirm, Renew, Rebind, Release, Decline] {
        let query = Query::bare(kind).with(option::SERVER_ID, &SERVER_DUID);
        assert_eq!(silence(service(), &query), "no client identifier");
    }
}

#[test]
fn what_servers_and_relay_agents_send_is_not_answered() {
    for kind in [Advertise, Reply, Reconfigure] {
        let query = Query::to_server(kind);
        assert_eq!(silence(service(), &query), "a message that servers send");
    }
    let mut relayed = Query::new(Solicit);
    for (kind, name) in [(12, "relay_forward"), (13, "relay_reply")] {
        relayed.bytes[0] = kind;
        assert_eq!(silence(service(), &relayed), "from a relay agent");
        assert_eq!(ask(service(), &relayed).outcome.message, name);
    }
    for kind in [0, 14, 255] {
        relayed.bytes[0] = kind;
        assert_eq!(silence(service(), &relayed), "unknown message type");
    }
}

#[test]
fn an_information_request_asks_for_no_addresses() {
    let query = Query::new(InformationRequest).ia_na(7, &[]);
    assert_eq!(
        silence(service(), &query),
        "identity association in an information request"
    );
}

#[test]
fn only_multicast_from_a_link_local_address_to_the_server_port_is_answered() {
    let usual = || Query::new(Solicit).ia_na(7, &[]);
    let mut query = usual();
    query.addresses.destination = service().server_address;
    assert_eq!(silence(service(), &query), "not sent to all servers");
    let mut query = usual();
    query.addresses.source = address("2001:db8:1::cd");
    assert_eq!(silence(service(), &query), "source is not link-local");
    let mut query = usual();
    query.addresses.source_mac = query.addresses.destination_mac;
    assert_eq!(silence(service(), &query), "multicast Ethernet source");
    let mut query = usual();
    query.port = 546;
    assert_eq!(silence(service(), &query), "not to the DHCPv6 server port");
}

#[test]
fn options_unknown_to_the_server_are_as_if_not_there() {
    let plain = Query::new(Solicit).ia_na(7, &[]);
    let adorned = plain.clone().with(0xfffe, b"?").with(16, &[0, 0, 1, 2]);
    assert_eq!(answer(service(), &adorned), answer(service(), &plain));
}

#[test]
fn a_malformed_option_is_named_with_its_place() {
    let start = 14 + 40 + 8 + 4 + 4 + CLIENT_DUID.len();
    let reason = |code: u16, value: &[u8]| {
        let answer = ask(service(), &Query::new(Solicit).with(code, value));
        match answer.outcome.verdict {
            PacketVerdict::Malformed(malformed) => {
                assert_eq!(answer.frames.len(), 0);
                (malformed.offset - start, malformed.reason)
            }
            verdict => panic!("{verdict:?}"),
        }
    };
    let ia = |rest: &[u8]| [&[0; 12], rest].concat();
    assert_eq!(
        reason(option::IA_NA, &[0; 11]),
        (4, "identity association shorter than 12 octets")
    );
    assert_eq!(
        reason(option::IA_TA, &[0; 3]),
        (4, "identity association shorter than 4 octets")
    );
    assert_eq!(
        reason(option::IA_NA, &ia(&[0, 5])),
        (16, "option header cut short")
    );
    assert_eq!(
        reason(option::IA_NA, &ia(&[0, 5, 0, 1, 7])),
        (20, "IA address shorter than 24 octets")
    );
    assert_eq!(
        reason(option::IA_PD, &ia(&[0, 26, 0, 1, 7])),
        (20, "IA prefix shorter than 25 octets")
    );
    assert_eq!(
        reason(option::OPTION_REQUEST, &[0]),
        (4, "list that ends within an item")
    );
    assert_eq!(
        reason(option::RAPID_COMMIT, &[0]),
        (4, "option of a wrong length")
    );
    assert_eq!(
        reason(option::CLIENT_ID, &CLIENT_DUID),
        (4, "option that may occur once occurs twice")
    );
    assert_eq!(
        reason(option::STATUS_CODE, &[0]),
        (4, "status code shorter than 2 octets")
    );
}

#[test]
fn a_client_identifier_keeps_to_its_bounds() {
    let with = |duid: &[u8]| {
        Query::bare(Solicit)
            .with(option::CLIENT_ID, duid)
            .ia_na(7, &[])
    };
    for length in [0, 2, 131, 1000] {
        let outcome = ask(service(), &with(&vec![1; length])).outcome;
        assert!(
            matches!(outcome.verdict, PacketVerdict::Malformed(malformed)
            if malformed.reason == "DUID not of 3 to 130 octets")
        );
    }
    let mut overrun = with(&CLIENT_DUID);
    overrun.bytes[6..8].copy_from_slice(&[0xff, 0xff]);
    let outcome = ask(service(), &overrun).outcome;
    assert!(
        matches!(outcome.verdict, PacketVerdict::Malformed(malformed)
        if malformed.reason == "option past the end of what contains it")
    );
    assert_eq!(ask(service(), &with(&[1; 130])).frames.len(), 1);
}
