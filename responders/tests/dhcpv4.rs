//! DHCPv4 as a guest meets it: a message in, the answer's fields and options out, one line each.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

#[path = "dhcpv4/refused.rs"]
mod refused;

use guest::ipv4::*;
use insta::assert_snapshot;
use sextant_model::{Dhcpv4Service, MacAddr};
use sextant_responders::dhcpv4::codec::Dhcpv4MessageType::{self, *};
use sextant_responders::dhcpv4::codec::{Dhcpv4Message, put_option};
use sextant_responders::dhcpv4::option;
use sextant_responders::frame::{Ipv4Packet, UdpDatagram};
use sextant_responders::{Answer, Learned, PacketVerdict, respond};
use std::net::Ipv4Addr;

fn ask(service: Dhcpv4Service, query: &Query) -> Answer {
    respond(&dhcpv4(service), &query.frame())
}

/// What the one answer says.
fn answer(service: Dhcpv4Service, query: &Query) -> String {
    let answer = ask(service, query);
    let [frame] = &answer.frames[..] else {
        panic!("not one answer: {:?}", answer.outcome);
    };
    tell(frame)
}

/// Why there is no answer.
fn silence(service: Dhcpv4Service, query: &Query) -> &'static str {
    let answer = ask(service, query);
    assert_eq!((answer.frames.len(), answer.learned.len()), (0, 0));
    match answer.outcome.verdict {
        PacketVerdict::Ignored(reason) => reason,
        verdict => panic!("{verdict:?}"),
    }
}

fn malformed(query: &Query) -> &'static str {
    match ask(service(), query).outcome.verdict {
        PacketVerdict::Malformed(malformed) => malformed.reason,
        verdict => panic!("{verdict:?}"),
    }
}

/// The value of the answer's option.
fn value(service: Dhcpv4Service, query: &Query, code: u8) -> Option<Vec<u8>> {
    let frames = ask(service, query).frames;
    let datagram = UdpDatagram::parse_ipv4(&Ipv4Packet::parse(&frames[0]).unwrap()).unwrap();
    let message = Dhcpv4Message::parse(datagram.body, 0).unwrap();
    let values: Vec<_> = message
        .options
        .map(Result::unwrap)
        .filter(|raw| raw.code == code)
        .map(|raw| raw.value.to_vec())
        .collect();
    (!values.is_empty()).then(|| values.concat())
}

#[test]
fn a_discover_is_offered_the_ports_address_and_the_options_asked_for() {
    let query = Query::new(Discover).asking(&USUAL_REQUEST);
    assert_snapshot!(answer(service(), &query), @r#"
    192.0.2.1 to 192.0.2.11 at the guest
    yours 192.0.2.11
    offer
    ServerId(192.0.2.1)
    LeaseTime(86400)
    RenewalTime(43200)
    RebindingTime(75600)
    SubnetMask(255.255.255.0)
    BroadcastAddress(192.0.2.255)
    Mtu(1430)
    ClasslessRoutes([25, 203, 0, 113, 0, 192, 0, 2, 7, 0, 192, 0, 2, 1])
    Routers [192.0.2.1]
    DnsServers [192.0.2.53, 198.51.100.53]
    DomainName "example.org"
    HostName "host-192-0-2-11"
    "#);
}

#[test]
fn a_request_for_the_offer_is_acknowledged_under_server_policy() {
    let query = Query::to_server(Request)
        .requesting(LEASED)
        .with(option::LEASE_TIME, &[0, 0, 0, 60])
        .asking(&[option::DNS_SERVERS]);
    assert_snapshot!(answer(service(), &query), @r#"
    192.0.2.1 to 192.0.2.11 at the guest
    yours 192.0.2.11
    ack
    ServerId(192.0.2.1)
    LeaseTime(86400)
    RenewalTime(43200)
    RebindingTime(75600)
    SubnetMask(255.255.255.0)
    BroadcastAddress(192.0.2.255)
    Mtu(1430)
    DnsServers [192.0.2.53, 198.51.100.53]
    "#);
}

#[test]
fn who_asks_for_nothing_is_told_everything() {
    let all = answer(service(), &Query::new(Discover));
    for said in [
        "Routers",
        "DnsServers",
        "HostName",
        "DomainName",
        "ClasslessRoutes",
    ] {
        assert!(all.contains(said), "{said} in {all}");
    }
    let none = answer(
        service(),
        &Query::new(Discover).with(option::PARAMETER_REQUEST, &[]),
    );
    assert!(none.ends_with("Mtu(1430)"), "{none}");
}

#[test]
fn rapid_commit_saves_a_round_trip() {
    let query = Query::new(Discover)
        .with(option::RAPID_COMMIT, &[])
        .asking(&[]);
    let told = answer(service(), &query);
    assert!(
        told.contains("\nack\n") && told.contains("RapidCommit"),
        "{told}"
    );
}

#[test]
fn a_client_that_cannot_receive_unicast_is_answered_as_one_of_all() {
    let first = |query: &Query| answer(service(), query).lines().next().unwrap().to_owned();
    let discover = Query::new(Discover);
    assert_eq!(first(&discover), "192.0.2.1 to 192.0.2.11 at the guest");
    assert_eq!(
        first(&discover.broadcast()),
        "192.0.2.1 to 255.255.255.255 at all"
    );
    let renewal = Query::new(Request).of(LEASED).broadcast();
    assert_eq!(first(&renewal), "192.0.2.1 to 192.0.2.11 at the guest");
}

#[test]
fn renewing_by_unicast_and_rebinding_by_broadcast_extend_the_lease() {
    let rebinding = Query::new(Request).of(LEASED);
    let mut renewing = rebinding.clone();
    renewing.destination = SERVER;
    for query in [renewing, rebinding] {
        let told = answer(service(), &query);
        for said in [
            "client 192.0.2.11",
            "yours 192.0.2.11",
            "\nack\n",
            "LeaseTime(86400)",
        ] {
            assert!(told.contains(said), "{said} in {told}");
        }
    }
}

#[test]
fn an_address_that_is_not_the_ports_is_refused_as_one_of_all() {
    let wrong = Ipv4Addr::new(192, 0, 2, 99);
    let rebooting = Query::new(Request).requesting(wrong);
    assert_snapshot!(answer(service(), &rebooting), @r#"
    192.0.2.1 to 255.255.255.255 at all
    nak
    ServerId(192.0.2.1)
    Message "not an address of this port"
    "#);
    for query in [
        Query::to_server(Request).requesting(wrong),
        Query::new(Request).of(wrong),
    ] {
        assert_eq!(answer(service(), &query), answer(service(), &rebooting));
    }
}

#[test]
fn a_client_that_chose_another_server_is_left_to_it() {
    for kind in [Request, Decline, Release] {
        let query = Query::new(kind)
            .with(option::SERVER_ID, &[192, 0, 2, 9])
            .requesting(LEASED);
        assert_eq!(silence(service(), &query), "foreign server identifier");
    }
    for kind in [Decline, Release] {
        let query = Query::new(kind).requesting(LEASED);
        assert_eq!(silence(service(), &query), "foreign server identifier");
    }
    let mut elsewhere = Query::new(Request).of(LEASED);
    elsewhere.destination = Ipv4Addr::new(192, 0, 2, 9);
    assert_eq!(silence(service(), &elsewhere), "sent to another server");
    assert_eq!(
        silence(service(), &Query::new(Request)),
        "request for no address"
    );
}

#[test]
fn a_port_with_two_addresses_gives_the_one_that_is_asked_for() {
    let yours = |query: &Query| {
        let told = answer(two_leases(), query);
        told.lines()
            .find(|line| line.starts_with("yours"))
            .unwrap()
            .to_owned()
    };
    assert_eq!(yours(&Query::new(Discover)), "yours 192.0.2.11");
    let second = Query::new(Discover).requesting(SECOND);
    assert_eq!(yours(&second), "yours 198.51.100.5");
    let told = answer(two_leases(), &second);
    assert!(told.starts_with("169.254.0.67 to 198.51.100.5"), "{told}");
    assert!(told.contains("SubnetMask(255.255.255.240)") && !told.contains("Routers"));
}

#[test]
fn decline_and_release_are_reported_and_not_answered() {
    let declined = ask(service(), &Query::to_server(Decline).requesting(LEASED));
    let released = ask(service(), &Query::to_server(Release).of(LEASED));
    let (port, address) = (service().port, LEASED.into());
    assert_eq!(declined.learned, [Learned::Declined { port, address }]);
    assert_eq!(released.learned, [Learned::Released { port, address }]);
    for answer in [declined, released] {
        assert_eq!(answer.outcome.verdict, PacketVerdict::Noted);
        assert!(answer.frames.is_empty());
    }
    let foreign = Query::to_server(Release).of(SECOND);
    assert_eq!(silence(service(), &foreign), "not an address of this port");
}

#[test]
fn an_inform_gets_options_and_no_lease() {
    let query = Query::new(Inform)
        .of(Ipv4Addr::new(192, 0, 2, 200))
        .asking(&[6, 15]);
    assert_snapshot!(answer(service(), &query), @r#"
    192.0.2.1 to 192.0.2.200 at the guest
    client 192.0.2.200
    ack
    ServerId(192.0.2.1)
    SubnetMask(255.255.255.0)
    BroadcastAddress(192.0.2.255)
    Mtu(1430)
    DnsServers [192.0.2.53, 198.51.100.53]
    DomainName "example.org"
    "#);
    assert_eq!(
        silence(service(), &Query::new(Inform)),
        "inform without an address"
    );
}

#[test]
fn the_clients_identifier_is_repeated() {
    let id = [1, 2, 3, 4, 5];
    for query in [
        Query::new(Discover),
        Query::new(Request).requesting(LEASED),
        Query::new(Request).requesting(SECOND),
    ] {
        let query = query.with(option::CLIENT_ID, &id);
        assert_eq!(
            value(service(), &query, option::CLIENT_ID),
            Some(id.to_vec())
        );
    }
    assert_eq!(
        value(service(), &Query::new(Discover), option::CLIENT_ID),
        None
    );
}

#[test]
fn routes_are_told_with_as_much_of_the_prefix_as_counts() {
    let query = Query::new(Discover).asking(&[121, 249]);
    let routes = [25, 203, 0, 113, 0, 192, 0, 2, 7, 0, 192, 0, 2, 1].to_vec();
    assert_eq!(value(service(), &query, 121), Some(routes.clone()));
    assert_eq!(
        value(service(), &query, 249),
        Some(routes),
        "as Windows asks"
    );
    assert_eq!(value(service(), &query, 3), None);
}

#[test]
fn the_domains_to_search_go_to_who_asks_for_them() {
    let ask = Query::new(Discover).asking(&[119]);
    let searching = |domains: &[&str]| Dhcpv4Service {
        search: domains.iter().map(|name| name.parse().unwrap()).collect(),
        ..service()
    };
    let two = searching(&["red.example", "example.org"]);
    let wire = b"\x03red\x07example\0\x07example\x03org\0".to_vec();
    assert_eq!(value(two.clone(), &ask, 119), Some(wire));
    assert_eq!(value(two, &Query::new(Discover).asking(&[15]), 119), None);
    assert_eq!(value(searching(&[]), &ask, 119), None);
    let own = Dhcpv4Service {
        search: searching(&["red.example"]).search,
        ..given(&[("domain-search", "a.b")])
    };
    assert_eq!(value(own, &ask, 119), Some(b"\x01a\x01b\0".to_vec()));
}

#[test]
fn the_guest_learns_its_full_name_in_the_form_that_it_uses() {
    let named = |flags, name: &[u8]| {
        let value = [&[flags, 0, 0][..], name].concat();
        Query::new(Discover)
            .with(option::CLIENT_FQDN, &value)
            .asking(&[])
    };
    let told = |query: &Query| value(service(), query, option::CLIENT_FQDN).unwrap();
    let (text, wire) = (
        b"host-192-0-2-11.example.org".as_slice(),
        b"\x0fhost-192-0-2-11\x07example\x03org\0".as_slice(),
    );
    assert_eq!(told(&named(0, b"vm")), [&[8, 255, 255], text].concat());
    assert_eq!(told(&named(4, b"\x02vm")), [&[12, 255, 255], wire].concat());
    assert_eq!(
        told(&named(5, b"\x02vm")),
        [&[14, 255, 255], wire].concat(),
        "overridden"
    );
}

#[test]
fn a_ports_own_option_wins_over_its_subnets() {
    let asked = Query::new(Discover).asking(&[6, 12, 26, 28]);
    let service = || {
        given(&[
            ("dns-server", "192.0.2.99"),
            ("mtu", "1300"),
            ("28", "192.0.2.0"),
        ])
    };
    assert_eq!(value(service(), &asked, 6), Some(vec![192, 0, 2, 99]));
    assert_eq!(value(service(), &asked, 26), Some(vec![5, 20]));
    assert_eq!(value(service(), &asked, 28), Some(vec![192, 0, 2, 0]));
    let not_asked = Query::new(Discover).asking(&[]);
    assert_eq!(value(service(), &not_asked, 6), None);
    assert_eq!(
        value(service(), &not_asked, 26),
        Some(vec![5, 20]),
        "the MTU is told anyway"
    );
}

#[test]
fn what_to_boot_follows_the_clients_architecture_and_user_class() {
    let boot = |query: Query| value(talkative_service(), &query.asking(&[67]), 67).unwrap();
    let bios = || Query::new(Discover).with(option::CLIENT_ARCHITECTURES, &[0, 0]);
    let uefi = || Query::new(Discover).with(option::CLIENT_ARCHITECTURES, &[0, 7]);
    assert_eq!(boot(Query::new(Discover)), b"undionly.kpxe");
    assert_eq!(boot(bios()), b"undionly.kpxe");
    assert_eq!(boot(uefi()), b"ipxe.efi");
    let ipxe: [&[u8]; 2] = [b"iPXE", b"\x04iPXE"];
    for class in ipxe {
        let query = bios().with(option::USER_CLASS, class);
        assert_eq!(boot(query), b"http://192.0.2.2/boot.ipxe");
    }
}

#[test]
fn a_client_that_does_not_ask_for_the_boot_file_finds_it_in_its_field() {
    let told = |codes: &[u8]| answer(talkative_service(), &Query::new(Discover).asking(codes));
    let field = told(&[]);
    assert!(
        field.contains("next server 192.0.2.2\nfile \"undionly.kpxe\""),
        "{field}"
    );
    let option = told(&[67]);
    assert!(option.contains("BootFile \"undionly.kpxe\"") && !option.contains("file \""));
}

#[test]
fn an_answer_is_no_longer_than_the_client_takes() {
    let mut many = service();
    many.leases[0].dns_servers = vec![LEASED; 50];
    many.leases[0].routes = vec![many.leases[0].routes[0]; 80];
    let query = Query::new(Discover).asking(&USUAL_REQUEST);
    let length = |size: Option<u16>| {
        let query = match size {
            Some(size) => query
                .clone()
                .with(option::MAX_MESSAGE_SIZE, &size.to_be_bytes()),
            None => query.clone(),
        };
        ask(many.clone(), &query).frames[0].len() - 14
    };
    assert!(length(None) <= 576);
    assert!(length(Some(100)) <= 576, "nobody may take less");
    let long = length(Some(u16::MAX));
    assert!((577..=1430).contains(&long), "{long}");
    let large = query.with(option::MAX_MESSAGE_SIZE, &[5, 0xdc]);
    let routes = value(many.clone(), &large, 121).unwrap();
    assert_eq!(
        routes.len(),
        80 * 9,
        "in several options that are read as one"
    );
}

#[test]
fn options_in_file_and_sname_are_read_where_option_52_says_so() {
    let mut query = Query::new(Request);
    let mut area = Vec::new();
    put_option(&mut area, option::REQUESTED_ADDRESS, |out| {
        out.extend(LEASED.octets())
    });
    query.server_name[..area.len()].copy_from_slice(&area);
    assert_eq!(silence(service(), &query), "request for no address");
    assert_eq!(
        silence(service(), &query.clone().with(option::OVERLOAD, &[1])),
        "request for no address"
    );
    for overload in [2, 3] {
        let told = answer(
            service(),
            &query.clone().with(option::OVERLOAD, &[overload]),
        );
        assert!(told.contains("\nack\n"), "{told}");
    }
    query.server_name[0..3].copy_from_slice(&[option::OVERLOAD, 1, 3]);
    let again = query.clone().with(option::OVERLOAD, &[3]);
    assert_eq!(silence(service(), &again), "request for no address");
    query.server_name[62..].copy_from_slice(&[option::CLIENT_ID, 40]);
    query.server_name[..62].fill(0);
    assert_eq!(
        malformed(&query.with(option::OVERLOAD, &[3])),
        "option past the end of what contains it"
    );
}

#[test]
fn outcomes_carry_the_names_that_metrics_use() {
    let outcome = |kind: Dhcpv4MessageType| ask(service(), &Query::to_server(kind)).outcome;
    assert_eq!(outcome(Discover).message, "discover");
    assert_eq!(outcome(Discover).verdict, PacketVerdict::Answered("offer"));
    for (kind, name) in [
        (Request, "request"),
        (Decline, "decline"),
        (Inform, "inform"),
        (Ack, "ack"),
    ] {
        assert_eq!(
            (outcome(kind).message, outcome(kind).verdict.as_str()),
            (name, "ignored")
        );
    }
    assert_eq!(ask(service(), &Query::bare()).outcome.message, "dhcpv4");
}

#[test]
fn an_option_in_several_instances_is_read_as_one() {
    let id = [1, 0xfa, 0x16, 0x3e, 0, 0, 2];
    let whole = Query::new(Discover).with(option::CLIENT_ID, &id);
    let split = Query::new(Discover)
        .with(option::CLIENT_ID, &id[..3])
        .with(option::HOST_NAME, b"guest")
        .with(option::CLIENT_ID, &id[3..]);
    assert_eq!(answer(service(), &split), answer(service(), &whole));
    let address = Query::to_server(Request)
        .with(option::REQUESTED_ADDRESS, &[192, 0])
        .with(option::REQUESTED_ADDRESS, &[2, 11]);
    let asked = Query::to_server(Request).requesting(LEASED);
    assert_eq!(answer(service(), &address), answer(service(), &asked));
}

#[test]
fn an_option_that_says_the_same_twice_says_it_once() {
    let once = Query::new(Discover).with(option::MAX_MESSAGE_SIZE, &[5, 0xdc]);
    let twice = once.clone().with(option::MAX_MESSAGE_SIZE, &[5, 0xdc]);
    assert_eq!(answer(service(), &twice), answer(service(), &once));
    let unread = once
        .clone()
        .with(option::LEASE_TIME, &[0, 0, 0, 1])
        .with(option::LEASE_TIME, &[0, 0, 0, 2]);
    assert_eq!(answer(service(), &unread), answer(service(), &once));
}
