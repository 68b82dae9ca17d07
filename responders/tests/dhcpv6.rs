//! DHCPv6 as a guest meets it: a message in, the answer's options out, one line each.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

#[path = "dhcpv6/refused.rs"]
mod refused;

use guest::*;
use insta::assert_snapshot;
use sextant_model::Dhcpv6Service;
use sextant_responders::dhcpv6::codec::Dhcpv6MessageType::{self, *};
use sextant_responders::dhcpv6::option::{self, IaKind};
use sextant_responders::{Answer, Learned, PacketVerdict, respond};

fn ask(service: Dhcpv6Service, query: &Query) -> Answer {
    respond(&dhcpv6(service), &query.frame())
}

/// What the one answer says.
fn answer(service: Dhcpv6Service, query: &Query) -> String {
    let answer = ask(service, query);
    let [frame] = &answer.frames[..] else {
        panic!("not one answer: {:?}", answer.outcome);
    };
    tell(frame)
}

/// Why there is no answer.
fn silence(service: Dhcpv6Service, query: &Query) -> &'static str {
    let answer = ask(service, query);
    assert_eq!((answer.frames.len(), answer.learned.len()), (0, 0));
    match answer.outcome.verdict {
        PacketVerdict::Ignored(reason) => reason,
        verdict => panic!("{verdict:?}"),
    }
}

const EVERYTHING: [u16; 2] = [option::DNS_SERVERS, option::DOMAIN_LIST];

#[test]
fn a_solicit_is_offered_the_ports_addresses_and_the_options_asked_for() {
    let query = Query::new(Solicit).ia_na(7, &[]).asking(&EVERYTHING);
    assert_snapshot!(answer(service(), &query), @r#"
    advertise
    client identifier
    server identifier
    NonTemporary iaid=7 t1=43200 t2=69120
      2001:db8:1::cd preferred=86400 valid=86400
      2001:db8:2::cd preferred=86400 valid=86400
    DNS servers [2001:db8::53]
    domains ["example.org", "corp.example.net"]
    "#);
}

#[test]
fn a_request_gets_them_under_server_policy_whatever_lifetimes_the_client_proposes() {
    let query = Query::to_server(Request).ia_na(7, &["2001:db8:1::cd"]);
    assert_snapshot!(answer(service(), &query), @r#"
    reply
    client identifier
    server identifier
    NonTemporary iaid=7 t1=43200 t2=69120
      2001:db8:1::cd preferred=86400 valid=86400
      2001:db8:2::cd preferred=86400 valid=86400
    "#);
}

#[test]
fn rapid_commit_saves_a_round_trip() {
    let query = Query::new(Solicit)
        .ia_na(7, &[])
        .with(option::RAPID_COMMIT, &[]);
    assert_snapshot!(answer(service(), &query), @r#"
    reply
    client identifier
    server identifier
    RapidCommit
    NonTemporary iaid=7 t1=43200 t2=69120
      2001:db8:1::cd preferred=86400 valid=86400
      2001:db8:2::cd preferred=86400 valid=86400
    "#);
    let nothing_to_commit = answer(stateless_service(), &query);
    assert!(
        nothing_to_commit.starts_with("advertise\n"),
        "{nothing_to_commit}"
    );
}

#[test]
fn an_iaid_of_zero_is_an_iaid() {
    let zero = answer(service(), &Query::new(Solicit).ia_na(0, &[]));
    let seven = answer(service(), &Query::new(Solicit).ia_na(7, &[]));
    assert_eq!(zero, seven.replace("iaid=7", "iaid=0"));
}

#[test]
fn every_identity_association_is_answered() {
    let query = Query::new(Solicit)
        .ia_na(1, &[])
        .ia_na(2, &[])
        .ia(IaKind::Temporary, 3, &[])
        .ia(IaKind::Prefixes, 4, &[]);
    assert_snapshot!(answer(service(), &query), @r#"
    advertise
    client identifier
    server identifier
    NonTemporary iaid=1 t1=43200 t2=69120
      2001:db8:1::cd preferred=86400 valid=86400
      2001:db8:2::cd preferred=86400 valid=86400
    NonTemporary iaid=2 t1=0 t2=0
      status 2 "no address for this association"
    Temporary iaid=3 t1=0 t2=0
      status 2 "no address for this association"
    Prefixes iaid=4 t1=0 t2=0
      status 6 "no prefix for this association"
    "#);
}

#[test]
fn the_identity_association_that_names_the_address_holds_it() {
    let query = Query::to_server(Request)
        .ia_na(1, &[])
        .ia_na(2, &["2001:db8:1::cd"]);
    assert_snapshot!(answer(service(), &query), @r#"
    reply
    client identifier
    server identifier
    NonTemporary iaid=1 t1=0 t2=0
      status 2 "no address for this association"
    NonTemporary iaid=2 t1=43200 t2=69120
      2001:db8:1::cd preferred=86400 valid=86400
      2001:db8:2::cd preferred=86400 valid=86400
    "#);
}

#[test]
fn without_addresses_a_solicit_is_told_so() {
    let query = Query::new(Solicit).ia_na(7, &[]).asking(&EVERYTHING);
    assert_snapshot!(answer(stateless_service(), &query), @r#"
    advertise
    client identifier
    server identifier
    NonTemporary iaid=7 t1=0 t2=0
      status 2 "no address for this association"
    DNS servers [2001:db8::53]
    domains ["example.org", "corp.example.net"]
    "#);
}

#[test]
fn a_request_for_an_address_of_another_link_is_told_so() {
    let query = Query::to_server(Request).ia_na(7, &["2001:db8:1::cd", "2001:db8:bad::1"]);
    assert_snapshot!(answer(service(), &query), @r#"
    reply
    client identifier
    server identifier
    NonTemporary iaid=7 t1=0 t2=0
      status 4 "an address is not of this link"
    "#);
}

#[test]
fn renew_extends_what_is_the_ports_and_ends_what_is_not() {
    let query = Query::to_server(Renew).ia_na(7, &["2001:db8:1::cd", "2001:db8:1::dead"]);
    assert_snapshot!(answer(service(), &query), @r#"
    reply
    client identifier
    server identifier
    NonTemporary iaid=7 t1=43200 t2=69120
      2001:db8:1::cd preferred=86400 valid=86400
      2001:db8:2::cd preferred=86400 valid=86400
      2001:db8:1::dead preferred=0 valid=0
    "#);
}

#[test]
fn renew_without_any_address_left_ends_the_leases() {
    let query = Query::to_server(Renew)
        .ia_na(7, &["2001:db8:1::cd"])
        .ia_na(8, &[]);
    assert_snapshot!(answer(stateless_service(), &query), @r#"
    reply
    client identifier
    server identifier
    NonTemporary iaid=7 t1=0 t2=0
      2001:db8:1::cd preferred=0 valid=0
    NonTemporary iaid=8 t1=0 t2=0
      status 2 "no address for this association"
    "#);
}

#[test]
fn rebind_extends_what_is_the_ports() {
    let query = Query::new(Rebind).ia_na(7, &["2001:db8:1::cd", "2001:db8:bad::1"]);
    assert_snapshot!(answer(service(), &query), @r#"
    reply
    client identifier
    server identifier
    NonTemporary iaid=7 t1=43200 t2=69120
      2001:db8:1::cd preferred=86400 valid=86400
      2001:db8:2::cd preferred=86400 valid=86400
      2001:db8:bad::1 preferred=0 valid=0
    "#);
}

#[test]
fn rebind_of_another_servers_leases_is_left_to_it() {
    let query = Query::new(Rebind).ia_na(7, &["2001:db8:1::cd"]);
    assert_eq!(
        silence(stateless_service(), &query),
        "leases of another server"
    );
    let prefixes = Query::new(Rebind).ia(IaKind::Prefixes, 7, &[]);
    assert_eq!(silence(service(), &prefixes), "leases of another server");
}

#[test]
fn confirm_is_success_not_on_link_or_silence() {
    let confirm = |addresses: &[&str]| Query::new(Confirm).ia_na(7, addresses);
    assert_snapshot!(answer(service(), &confirm(&["2001:db8:1::5", "2001:db8:2::cd"])), @r#"
    reply
    client identifier
    server identifier
    status 0 ""
    "#);
    assert_snapshot!(answer(service(), &confirm(&["2001:db8:1::cd", "2001:db8:bad::1"])), @r#"
    reply
    client identifier
    server identifier
    status 4 "an address is not of this link"
    "#);
    assert_eq!(silence(service(), &confirm(&[])), "no address to confirm");
    let mut ignorant = service();
    ignorant.on_link.clear();
    assert_eq!(
        silence(ignorant, &confirm(&["2001:db8:1::cd"])),
        "the prefixes of the link are not known"
    );
}

#[test]
fn a_declined_address_is_reported_and_not_offered_again_in_the_reply() {
    let query = Query::to_server(Decline)
        .ia_na(7, &["2001:db8:1::cd", "2001:db8:1::dead"])
        .ia_na(8, &["2001:db8:1::dead"])
        .asking(&EVERYTHING);
    let declined = ask(service(), &query);
    assert_snapshot!(tell(&declined.frames[0]), @r#"
    reply
    client identifier
    server identifier
    status 0 ""
    NonTemporary iaid=8 t1=0 t2=0
      status 3 "nothing leased to this association"
    "#);
    let (port, address) = (service().port, address("2001:db8:1::cd").into());
    assert_eq!(declined.learned, [Learned::Declined { port, address }]);
}

#[test]
fn a_release_is_reported_and_confirmed() {
    let query =
        Query::to_server(Release)
            .ia_na(7, &["2001:db8:1::cd"])
            .ia(IaKind::Prefixes, 8, &[]);
    let released = ask(service(), &query);
    assert_snapshot!(tell(&released.frames[0]), @r#"
    reply
    client identifier
    server identifier
    status 0 ""
    Prefixes iaid=8 t1=0 t2=0
      status 3 "nothing leased to this association"
    "#);
    let (port, address) = (service().port, address("2001:db8:1::cd").into());
    assert_eq!(released.learned, [Learned::Released { port, address }]);
}

#[test]
fn an_information_request_gets_the_options_it_asks_for_and_no_others() {
    let ask_for = |codes: &[u16]| {
        let query = Query::bare(InformationRequest).asking(codes);
        answer(stateless_service(), &query)
    };
    assert_snapshot!(ask_for(&EVERYTHING), @r#"
    reply
    server identifier
    DNS servers [2001:db8::53]
    domains ["example.org", "corp.example.net"]
    "#);
    assert!(!ask_for(&[option::DNS_SERVERS]).contains("domains"));
    assert_eq!(ask_for(&[]), "reply\nserver identifier");
    let identified = Query::to_server(InformationRequest);
    let reply = answer(stateless_service(), &identified);
    assert_eq!(reply, "reply\nclient identifier\nserver identifier");
}

#[test]
fn domain_list_is_uncompressed_labels() {
    let query = Query::bare(InformationRequest).asking(&[option::DOMAIN_LIST]);
    let mut service = service();
    service.domains = vec!["a.example.org".into(), "b.example.org".into()];
    let frame = &ask(service, &query).frames[0];
    let wire = b"\0\x18\0\x1e\x01a\x07example\x03org\0\x01b\x07example\x03org\0";
    assert!(frame.ends_with(wire));
}

#[test]
fn without_dns_servers_none_are_advertised() {
    let mut service = service();
    service.dns_servers.clear();
    service.domains.clear();
    let query = Query::bare(InformationRequest).asking(&EVERYTHING);
    assert_eq!(answer(service, &query), "reply\nserver identifier");
}

#[test]
fn a_domain_without_wire_format_spoils_nothing() {
    let mut service = service();
    service.domains = vec!["a..b".into(), "example.org".into(), "x".repeat(64)];
    let query = Query::bare(InformationRequest).asking(&EVERYTHING);
    assert!(answer(service, &query).ends_with("domains [\"example.org\"]"));
}

#[test]
fn the_renewal_times_follow_the_shortest_preferred_lifetime() {
    let times = |lifetimes: [(u32, u32); 2]| {
        let mut service = service();
        for (lease, (preferred, valid)) in service.addresses.iter_mut().zip(lifetimes) {
            (lease.preferred, lease.valid) = (preferred, valid);
        }
        let told = answer(service, &Query::new(Solicit).ia_na(7, &[]));
        let line = told.lines().find(|line| line.contains("iaid")).unwrap();
        line.split_once(" t1=").unwrap().1.to_owned()
    };
    assert_eq!(times([(1000, 2000), (600, 2000)]), "300 t2=480");
    assert_eq!(times([(0, 2000), (600, 2000)]), "300 t2=480");
    assert_eq!(times([(600, 500), (600, 600)]), "250 t2=400");
    assert_eq!(times([(0, 2000), (0, 2000)]), "0 t2=0");
    assert_eq!(times([(u32::MAX, u32::MAX); 2]), "4294967295 t2=4294967295");
    assert_eq!(
        times([(u32::MAX - 1, u32::MAX); 2]),
        "2147483647 t2=3435973835"
    );
}

#[test]
fn outcomes_carry_the_names_that_metrics_use() {
    let outcome = |kind: Dhcpv6MessageType, name: &'static str| {
        let outcome = ask(service(), &Query::bare(kind)).outcome;
        assert_eq!(outcome.message, name);
        outcome.verdict.as_str()
    };
    assert_eq!(
        outcome(InformationRequest, "information_request"),
        "answered"
    );
    assert_eq!(outcome(Solicit, "solicit"), "ignored");
    let answered = ask(service(), &Query::new(Solicit).ia_na(7, &[])).outcome;
    assert_eq!(answered.verdict, PacketVerdict::Answered("advertise"));
}

#[test]
fn a_solicit_without_any_association_is_offered_the_options() {
    let query = Query::new(Solicit).asking(&EVERYTHING);
    assert_snapshot!(answer(service(), &query), @r#"
    advertise
    client identifier
    server identifier
    DNS servers [2001:db8::53]
    domains ["example.org", "corp.example.net"]
    "#);
}

#[test]
fn an_address_named_twice_is_reported_once() {
    let query = Query::to_server(Release)
        .ia_na(7, &["2001:db8:1::cd"])
        .ia_na(8, &["2001:db8:1::cd"]);
    assert_eq!(ask(service(), &query).learned.len(), 1);
}

#[test]
fn an_answer_longer_than_every_link_carries_comes_in_fragments() {
    let long = Dhcpv6Service {
        domains: (0..40)
            .map(|n| format!("{}{n}.example.org", "d".repeat(50)))
            .collect(),
        ..service()
    };
    let query = Query::new(Solicit).ia_na(7, &[]).asking(&EVERYTHING);
    let frames = ask(long, &query).frames;
    assert_eq!(frames.len(), 3);
    let mut payload = Vec::new();
    for (number, frame) in frames.iter().enumerate() {
        let (packet, more) = (&frame[14..], number < 2);
        assert!(packet.len() <= 1280);
        assert_eq!(
            usize::from(packet[4]) << 8 | usize::from(packet[5]),
            packet.len() - 40
        );
        assert_eq!((packet[6], packet[40]), (44, 17));
        let field = u16::from_be_bytes([packet[42], packet[43]]);
        assert_eq!(
            (usize::from(field & !7), field & 7),
            (payload.len(), u16::from(more))
        );
        assert_eq!(packet[44..48], frames[0][58..62]);
        payload.extend_from_slice(&packet[48..]);
    }
    let mut whole = frames[0][..54].to_vec();
    whole[20] = 17;
    whole[18..20].copy_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
    whole.extend(payload);
    let told = tell(&whole);
    assert!(told.contains("39.example.org"), "{told}");
}
