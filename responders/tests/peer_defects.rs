//! What other implementations were seen to get wrong, and is right here. The numbers are those of
//! `docs/peer-defects.md`, which says where the others are tested.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

use guest::*;
use sextant_model::{Dhcpv6Option, Dhcpv6Options, Dhcpv6Service, Punt, ServerIdentity};
use sextant_responders::dhcpv6::codec::Dhcpv6MessageType::{self, *};
use sextant_responders::dhcpv6::option;
use sextant_responders::frame::{Icmpv6Message, Ipv4Packet, Ipv6Packet, UdpDatagram};
use sextant_responders::ra::{self, Destination};
use sextant_responders::{Answer, Learned, PacketVerdict, dhcpv4, respond};
use std::net::Ipv6Addr;

fn ask(service: Dhcpv6Service, query: &Query) -> Answer {
    respond(&dhcpv6(service), &query.frame())
}

fn told(service: Dhcpv6Service, query: &Query) -> String {
    tell(&ask(service, query).frames[0])
}

fn silent(service: Dhcpv6Service, query: &Query) -> bool {
    ask(service, query).frames.is_empty()
}

/// Defect 1: the domain list and the name are RFC 1035 labels, not one string with dots.
#[test]
fn domain_names_are_sent_as_labels() {
    let mut service = service();
    service.options.fqdn = Some("vm-1.example.org".parse().unwrap());
    let query = Query::bare(InformationRequest).asking(&[option::DOMAIN_LIST, option::CLIENT_FQDN]);
    let frame = ask(service, &query).frames.remove(0);
    for wire in [
        &b"\x07example\x03org\0\x04corp\x07example\x03net\0"[..],
        b"\x04vm-1\x07example\x03org\0",
    ] {
        assert!(frame.windows(wire.len()).any(|window| window == wire));
    }
    assert!(!frame.windows(11).any(|window| window == b"example.org"));
}

/// Defect 3: a Router Solicitation from `::` is answered to ff02::1, never to `::`.
#[test]
fn a_solicitation_from_nowhere_is_answered_to_all_nodes() {
    let asked = solicitation(Ipv6Addr::UNSPECIFIED, &[0; 4]);
    let frames = respond(&solicitation_punt(), &asked).frames;
    let packet = Ipv6Packet::parse(&frames[0]).unwrap();
    assert_eq!(packet.destination, address("ff02::1"));
}

/// Defect 4: Renew and Rebind are answered.
#[test]
fn renew_and_rebind_extend_the_lease() {
    for query in [Query::to_server(Renew), Query::new(Rebind)] {
        let told = told(service(), &query.ia_na(7, &["2001:db8:1::cd"]));
        assert!(
            told.contains("2001:db8:1::cd preferred=86400 valid=86400"),
            "{told}"
        );
    }
}

/// Defect 5: 0 is an IAID as any other.
#[test]
fn iaid_zero_gets_an_address() {
    let told = told(service(), &Query::new(Solicit).ia_na(0, &[]));
    assert!(
        told.contains("iaid=0 t1=43200 t2=69120\n  2001:db8:1::cd"),
        "{told}"
    );
}

/// Defect 6: what is for another server is not answered.
#[test]
fn a_message_to_another_server_is_discarded() {
    for kind in [Request, Renew, Release, Decline] {
        let query = Query::new(kind)
            .with(option::SERVER_ID, &[0, 4, 9, 9, 9])
            .ia_na(7, &["2001:db8:1::cd"]);
        assert!(silent(service(), &query), "{kind:?}");
    }
}

/// Defect 7: a declined address is reported, the Reply says Success and offers nothing in its place.
#[test]
fn decline_is_acknowledged_and_offers_nothing() {
    let query = Query::to_server(Decline).ia_na(7, &["2001:db8:1::cd"]);
    let declined = ask(service(), &query);
    let told = tell(&declined.frames[0]);
    assert!(
        told.contains("status 0") && !told.contains("preferred"),
        "{told}"
    );
    let (port, address) = (service().port, address("2001:db8:1::cd").into());
    assert_eq!(declined.learned, [Learned::Declined { port, address }]);
}

/// Defect 8: Confirm asks whether addresses fit the link, and is answered with that alone, or not at all.
#[test]
fn confirm_tests_the_link() {
    let confirm = |address: &str| Query::new(Confirm).ia_na(7, &[address]);
    assert!(told(service(), &confirm("2001:db8:1::77")).ends_with("status 0 \"\""));
    assert!(told(service(), &confirm("2001:db8:9::1")).contains("status 4"));
    let ignorant = Dhcpv6Service {
        on_link: Vec::new(),
        ..service()
    };
    assert!(silent(ignorant, &confirm("2001:db8:1::77")));
}

/// Defect 9: every identity association is answered, options asked for are sent and others are not, and the port's own
/// options count.
#[test]
fn every_association_is_answered_with_the_options_asked_for() {
    let extra = vec![Dhcpv6Option::parse("ntp-server", "2001:db8::123").unwrap()];
    let service = || Dhcpv6Service {
        options: Dhcpv6Options {
            extra: extra.clone(),
            ..Dhcpv6Options::default()
        },
        ..service()
    };
    let query = || Query::new(Solicit).ia_na(1, &[]).ia_na(2, &[]);
    let plain = told(service(), &query());
    assert!(
        plain.contains("iaid=1") && plain.contains("iaid=2"),
        "{plain}"
    );
    assert!(!plain.contains("DNS servers") && !plain.contains("NtpServer"));
    let asked = told(
        service(),
        &query().asking(&[option::DNS_SERVERS, option::NTP_SERVER]),
    );
    assert!(
        asked.contains("DNS servers") && asked.contains("NtpServer"),
        "{asked}"
    );
}

/// Defect 10: lifetimes are the server's and finite, and no router lifetime exceeds what RFC 4861 §6.2.1 allows.
#[test]
fn lifetimes_are_the_servers_and_within_limits() {
    // The client proposes to have its address for ever.
    let query = Query::to_server(Request).ia_na(7, &["2001:db8:1::cd"]);
    assert!(!told(service(), &query).contains(&u32::MAX.to_string()));
    let mut excessive = advertisement();
    excessive.lifetime = u16::MAX;
    let frame = ra::advertise(&excessive, Destination::AllNodes);
    assert_eq!(frame[60..62], 9000_u16.to_be_bytes());
}

/// Defect 11: the server's DUID is the same in every answer, from every hypervisor and after every restart: it follows
/// from what is stored, and from nothing else.
#[test]
fn the_server_has_one_duid() {
    let identity = ServerIdentity {
        uuid: "01020304-0506-0708-090a-0b0c0d0e0f10".parse().unwrap(),
    };
    assert_eq!(identity.duid()[..], SERVER_DUID);
    let wire = [&[0, 2, 0, 18][..], &SERVER_DUID].concat();
    for query in [
        Query::new(Solicit).ia_na(7, &[]),
        Query::to_server(Request).ia_na(7, &[]),
        Query::bare(InformationRequest),
    ] {
        let frame = ask(service(), &query).frames.remove(0);
        assert!(frame.windows(wire.len()).any(|window| window == wire));
    }
}

/// Defect 12: an Information-request is answered, and no message needs an IA_NA.
#[test]
fn options_are_told_without_any_association() {
    let asked = [option::DNS_SERVERS];
    for query in [
        Query::bare(InformationRequest),
        Query::new(Solicit),
        Query::to_server(Request),
    ] {
        let told = told(stateless_service(), &query.asking(&asked));
        assert!(told.contains("DNS servers [2001:db8::53]"), "{told}");
    }
}

/// Defect 13: without DNS servers none are advertised, by DHCPv6, DHCPv4 or a router.
#[test]
fn no_dns_server_is_made_up() {
    let mut service = service();
    service.dns_servers.clear();
    let query = Query::bare(InformationRequest).asking(&[option::DNS_SERVERS]);
    assert!(!told(service, &query).contains("DNS"));
    let mut service = ipv4::service();
    service.leases[0].dns_servers.clear();
    let query = ipv4::Query::new(dhcpv4::codec::Dhcpv4MessageType::Discover);
    let frames = respond(&ipv4::dhcpv4(service), &query.frame()).frames;
    assert!(!ipv4::tell(&frames[0]).contains("Dns"));
}

/// Defect 17: a prefix that goes away is deprecated (RFC 9096).
#[test]
fn a_prefix_that_goes_away_is_deprecated() {
    let before = advertisement();
    let mut after = before.clone();
    let gone = after.prefixes.remove(0);
    let said = ra::withdraw(&before, &after, NOW);
    let last = said.prefixes.last().unwrap();
    assert_eq!(
        (last.prefix, last.preferred, last.valid),
        (gone.prefix, 0, 7200)
    );
}

/// Defect 23: the checksums of what is sent are complete; nothing is left to an offload.
#[test]
fn checksums_are_complete() {
    let advertised = ra::advertise(&talkative_advertisement(), Destination::AllNodes);
    let packet = Ipv6Packet::parse(&advertised).unwrap();
    assert!(Icmpv6Message::parse(&packet).is_ok());
    let frames = ask(service(), &Query::new(Solicit).ia_na(7, &[])).frames;
    assert!(UdpDatagram::parse(&Ipv6Packet::parse(&frames[0]).unwrap()).is_ok());
    let query = ipv4::Query::new(dhcpv4::codec::Dhcpv4MessageType::Discover);
    let frames = respond(&ipv4::dhcpv4(ipv4::service()), &query.frame()).frames;
    assert_ne!(frames[0][40..42], [0, 0], "a UDP checksum is there");
    assert!(UdpDatagram::parse_ipv4(&Ipv4Packet::parse(&frames[0]).unwrap()).is_ok());
}

/// Defect 24: a client identifier is read within its bounds, however long it says that it is.
#[test]
fn a_client_identifier_is_not_read_past_its_end() {
    let refused = |punt: &Punt, frame: &[u8]| {
        let verdict = respond(punt, frame).outcome.verdict;
        matches!(verdict, PacketVerdict::Malformed(_))
    };
    let mut query = Query::new(Dhcpv6MessageType::Solicit);
    query.bytes[6..8].copy_from_slice(&[0xff, 0xff]);
    assert!(refused(&dhcpv6(service()), &query.frame()));
    let mut query = ipv4::Query::new(dhcpv4::codec::Dhcpv4MessageType::Discover);
    query
        .options
        .extend([dhcpv4::option::CLIENT_ID, 255, 1, 2, 3]);
    assert!(refused(&ipv4::dhcpv4(ipv4::service()), &query.frame()));
}
