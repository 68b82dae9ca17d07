//! DHCPv6 options that a port was given, and the guest's name: who gets them, and what they are on the wire.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

use guest::*;
use sextant_model::{Dhcpv6Option, Dhcpv6Options, Dhcpv6Service};
use sextant_responders::dhcpv6::codec::{Dhcpv6Message, Dhcpv6MessageType, RawDhcpv6Option};
use sextant_responders::dhcpv6::option;
use sextant_responders::frame::{Ipv6Packet, UdpDatagram};
use sextant_responders::respond;

fn with_options(options: Dhcpv6Options) -> Dhcpv6Service {
    Dhcpv6Service {
        options,
        ..service()
    }
}

fn given(extra: &[(&str, &str)]) -> Dhcpv6Service {
    let extra = extra
        .iter()
        .map(|(name, value)| Dhcpv6Option::parse(name, value).unwrap())
        .collect();
    with_options(Dhcpv6Options {
        extra,
        ..Dhcpv6Options::default()
    })
}

/// Code and value of the options of the answer, without the identifiers.
fn answer(service: Dhcpv6Service, query: &Query) -> Vec<(u16, Vec<u8>)> {
    let frames = respond(&dhcpv6(service), &query.frame()).frames;
    let datagram = UdpDatagram::parse(&Ipv6Packet::parse(&frames[0]).unwrap()).unwrap();
    let message = Dhcpv6Message::parse(datagram.body, 0).unwrap();
    message
        .options
        .map(Result::unwrap)
        .filter(|option| option.code > option::SERVER_ID)
        .map(|RawDhcpv6Option { code, value, .. }| (code, value.to_vec()))
        .collect()
}

fn information(codes: &[u16]) -> Query {
    Query::new(Dhcpv6MessageType::InformationRequest).asking(codes)
}

#[test]
fn each_option_is_in_its_format() {
    let service = given(&[
        ("sntp-server", "2001:db8::1"),
        ("information-refresh-time", "3600"),
        ("ntp-server", "2001:db8::1,ff05::101,ntp.example"),
        ("bootfile-url", "tftp://[2001:db8::1]/x"),
        ("bootfile-param", "quiet,a=b"),
        ("sol-max-rt", "3600"),
        ("inf-max-rt", "7200"),
        ("65000", "01:02:ff"),
    ]);
    let one = address("2001:db8::1").octets();
    let ntp = [
        &[0, 1, 0, 16][..],
        &one,
        &[0, 2, 0, 16],
        &address("ff05::101").octets(),
        b"\0\x03\0\x0d\x03ntp\x07example\0",
    ]
    .concat();
    let asked = [31, 32, 56, 59, 60, 82, 83, 65000];
    assert_eq!(
        answer(service, &information(&asked)),
        [
            (31, one.to_vec()),
            (32, vec![0, 0, 0x0e, 0x10]),
            (56, ntp),
            (59, b"tftp://[2001:db8::1]/x".to_vec()),
            (60, b"\0\x05quiet\0\x03a=b".to_vec()),
            (82, vec![0, 0, 0x0e, 0x10]),
            (83, vec![0, 0, 0x1c, 0x20]),
            (65000, vec![1, 2, 255]),
        ]
    );
}

#[test]
fn what_is_not_asked_for_is_not_sent() {
    let service = given(&[("bootfile-url", "tftp://x"), ("ntp-server", "2001:db8::1")]);
    let codes = |query| {
        answer(service.clone(), &query)
            .into_iter()
            .map(|(code, _)| code)
    };
    assert!(codes(information(&[option::BOOT_FILE_URL])).eq([59]));
    assert!(codes(information(&[])).next().is_none());
}

#[test]
fn a_ports_own_option_wins_over_its_subnets() {
    let service = given(&[
        ("dns-server", "2001:db8::99"),
        ("domain-search", "own.example"),
    ]);
    let asked = information(&[option::DNS_SERVERS, option::DOMAIN_LIST]);
    assert_eq!(
        answer(service, &asked),
        [
            (23, address("2001:db8::99").octets().to_vec()),
            (24, b"\x03own\x07example\0".to_vec()),
        ]
    );
}

#[test]
fn the_refresh_time_is_for_clients_without_leases() {
    let service = given(&[("information-refresh-time", "3600")]);
    let asked = [option::INFORMATION_REFRESH_TIME];
    let query = Query::to_server(Dhcpv6MessageType::Request).asking(&asked);
    assert_eq!(answer(service.clone(), &query), []);
    assert_eq!(answer(service, &information(&asked)).len(), 1);
}

#[test]
fn a_preference_is_in_the_advertise_only() {
    let service = with_options(Dhcpv6Options {
        preference: 255,
        ..Dhcpv6Options::default()
    });
    let solicit = Query::new(Dhcpv6MessageType::Solicit);
    assert_eq!(answer(service.clone(), &solicit), [(7, vec![255])]);
    let request = Query::to_server(Dhcpv6MessageType::Request);
    assert_eq!(answer(service, &request), []);
}

#[test]
fn the_guest_learns_its_name_when_it_asks_or_names_itself() {
    let name = "vm-1.example.org";
    let service = with_options(Dhcpv6Options {
        fqdn: Some(name.parse().unwrap()),
        ..Dhcpv6Options::default()
    });
    let told = |query: Query| answer(service.clone(), &query);
    let named = |flags| vec![(39, [&[flags][..], b"\x04vm-1\x07example\x03org\0"].concat())];
    let query = || Query::new(Dhcpv6MessageType::InformationRequest);
    assert_eq!(told(query()), []);
    assert_eq!(
        told(query().asking(&[option::CLIENT_FQDN])),
        named(4),
        "no updates"
    );
    assert_eq!(
        told(query().with(option::CLIENT_FQDN, b"\0\x02vm")),
        named(4)
    );
    let overridden = query().with(option::CLIENT_FQDN, b"\x01\x02vm");
    assert_eq!(
        told(overridden),
        named(6),
        "the client wanted the server to update"
    );
    assert_eq!(answer(given(&[]), &query().asking(&[39])), []);
}

#[test]
fn what_to_boot_follows_the_clients_architecture_and_user_class() {
    let service = given(&[
        ("bootfile-url", "tftp://x/bios"),
        ("tag:arch-7,option6:59", "tftp://x/efi"),
        ("tag:arch-16,59", "http://x/efi"),
        ("tag:ipxe6,bootfile-url", "http://x/script"),
        ("tag:!ipxe6,tag:arch-11,59", "tftp://x/arm"),
    ]);
    let boot = |query: Query| {
        let options = answer(service.clone(), &query.asking(&[option::BOOT_FILE_URL]));
        let [(59, url)] = &options[..] else {
            panic!("not one boot file: {options:?}");
        };
        String::from_utf8(url.clone()).unwrap()
    };
    let of = |numbers: &[u16]| {
        let octets: Vec<u8> = numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
        Query::new(Dhcpv6MessageType::Solicit).with(option::CLIENT_ARCHITECTURES, &octets)
    };
    let ipxe = |query: Query| query.with(option::USER_CLASS, b"\0\x04iPXE");
    assert_eq!(
        boot(Query::new(Dhcpv6MessageType::Solicit)),
        "tftp://x/bios"
    );
    assert_eq!(boot(of(&[0])), "tftp://x/bios");
    assert_eq!(boot(of(&[7])), "tftp://x/efi");
    assert_eq!(boot(of(&[16])), "http://x/efi");
    assert_eq!(boot(of(&[11])), "tftp://x/arm");
    assert_eq!(boot(ipxe(of(&[11]))), "http://x/script");
    assert_eq!(boot(ipxe(of(&[0]))), "http://x/script");
}

#[test]
fn an_option_for_others_is_as_if_not_there() {
    let service = given(&[("tag:arch-7,dns-server", "2001:db8::99")]);
    let asked = information(&[option::DNS_SERVERS]);
    let dns = |address_of: &str| [(23, address(address_of).octets().to_vec())];
    assert_eq!(answer(service.clone(), &asked), dns("2001:db8::53"));
    let efi = asked.with(option::CLIENT_ARCHITECTURES, &[0, 7]);
    assert_eq!(answer(service, &efi), dns("2001:db8::99"));
}
