//! Solicit and Request (RFC 9915 §18.2.1, §18.2.2, §18.2.9).

use crate::guest::SERVER_DUID;
use crate::guest::delegation::*;
use crate::guest::link::{START, after};
use sextant_responders::dhcpv6::codec::Dhcpv6MessageType::{Request, Solicit};
use sextant_responders::dhcpv6::option;
use sextant_responders::prefix_client::{Client, Effect, PrefixClientState, duid};
use std::time::Duration;

const ANOTHER: [u8; 10] = [0, 3, 0, 1, 2, 0, 0, 0, 0, 9];

#[test]
fn a_subnet_has_the_duid_that_neutron_gives_it() {
    let mut wanted = vec![0, 2, 0, 0, 0x22, 0xb8];
    wanted.extend(subnet().0.as_bytes());
    assert_eq!(duid(subnet()), wanted);
}

#[test]
fn the_first_solicit_is_delayed_by_up_to_a_second() {
    for (random, milliseconds) in [(0, 0), (MIDDLE, 500), (u64::MAX, 1000)] {
        let client = Client::new(subnet(), sender(), None, *START, random);
        let delay = client.poll_timeout().unwrap() - *START;
        assert_eq!(delay.as_millis(), milliseconds);
        assert_eq!(client.state(), PrefixClientState::Soliciting);
    }
    let mut asking = Asking::new();
    assert_eq!(asking.poll(), None);
    let solicit = asking.next();
    assert_eq!(solicit.kind, Solicit);
    assert_eq!(solicit.client, duid(subnet()));
    assert_eq!(solicit.server, None);
    assert_eq!(solicit.elapsed, 0);
    assert_eq!(solicit.requested, [option::SOL_MAX_RT]);
    assert_eq!(solicit.prefix, Some(net("::/64")), "the length is a hint");
}

#[test]
fn solicits_are_sent_at_doubled_distances_up_to_an_hour() {
    let mut asking = Asking::new();
    let first = asking.next();
    let distances: Vec<_> = asking
        .sends(14)
        .into_iter()
        .map(|(_, after)| after)
        .collect();
    // The first wait is longer than a second: RAND is positive.
    let mut wanted = vec![1050, 2100, 4200, 8400, 16_800, 33_600, 67_200, 134_400];
    wanted.extend([268_800, 537_600, 1_075_200, 2_150_400, 3_600_000, 3_600_000]);
    assert!(
        distances
            .iter()
            .zip(&wanted)
            .all(|(is, wanted)| is.abs_diff(*wanted) <= 2),
        "{distances:?}"
    );
    let last = asking.next();
    assert_eq!(last.transaction, first.transaction);
    assert_eq!(last.elapsed, u16::MAX);
}

#[test]
fn the_distances_vary_by_a_tenth() {
    let distances = |random| {
        let mut client = Client::new(subnet(), sender(), None, *START, MIDDLE);
        let mut now = client.poll_timeout().unwrap();
        [(); 3].map(|()| {
            assert_eq!(polled(&mut client, now, random).len(), 1);
            let next = client.poll_timeout().unwrap();
            now = next;
            (next - *START).as_millis()
        })
    };
    let [a, b, c] = distances(0);
    assert_eq!((a - 500, b - a, c - b), (1000, 1900, 3610));
    let first = Client::new(subnet(), sender(), None, *START, 0);
    let mut solicits = first;
    polled(&mut solicits, *START, 0);
    let wait = solicits.poll_timeout().unwrap() - *START;
    assert!(
        wait > Duration::from_secs(1),
        "the first is longer than IRT"
    );
    let [a, b, c] = distances(u64::MAX);
    assert_eq!((a - 500, b - a, c - b), (1100, 2310, 4851));
}

#[test]
fn the_best_of_the_offers_of_the_first_second_is_chosen() {
    let mut asking = Asking::new();
    let solicit = asking.next();
    let offers = [
        Said::from(&[9; 10], ADVERTISE, &solicit).giving(TIMES, &[USUAL]),
        Said::to(ADVERTISE, &solicit)
            .giving(TIMES, &[OTHER])
            .with(option::PREFERENCE, &[7]),
        Said::from(&ANOTHER, ADVERTISE, &solicit)
            .giving(TIMES, &[("2001:db8:3::/64", 5000, 5000)])
            .with(option::PREFERENCE, &[6]),
    ];
    for offer in &offers {
        assert_eq!(asking.hear(offer), Effect::Taken);
        assert_eq!(asking.after(100), None, "others may offer");
        assert_eq!(asking.client.state(), PrefixClientState::Soliciting);
    }
    let request = asking.next();
    assert_eq!(request.kind, Request);
    assert_eq!(request.server.as_deref(), Some(&SERVER_DUID[..]));
    assert_eq!(request.prefix, Some(net(OTHER.0)));
    assert_eq!((request.elapsed, request.client), (0, solicit.client));
    assert_eq!(request.requested, [option::SOL_MAX_RT]);
    assert_eq!(asking.now, after(500 + 1050));
    assert_eq!(asking.client.state(), PrefixClientState::Requesting);
}

#[test]
fn of_equal_servers_the_one_with_the_prefix_that_was_had_is_chosen_then_the_longest_lifetime() {
    let offers = |asking: &mut Asking| {
        let solicit = asking.next();
        let longer = ("2001:db8:3::/64", 5000, 5000);
        for (server, given) in [(1, OTHER), (2, USUAL), (3, longer), (4, longer)] {
            let offer = Said::from(&[server; 10], ADVERTISE, &solicit).giving(TIMES, &[given]);
            assert_eq!(asking.hear(&offer), Effect::Taken);
        }
        asking.next().server.unwrap()[0]
    };
    assert_eq!(offers(&mut Asking::new()), 3);
    let mut asking = Asking::bound();
    asking.now += Duration::from_secs(2000);
    assert_eq!(offers(&mut asking), 2);
}

#[test]
fn the_highest_preference_ends_the_search_at_once() {
    let mut asking = Asking::new();
    asking.choose(USUAL);
    assert_eq!(asking.now, after(500));
}

#[test]
fn after_the_first_second_any_offer_will_do() {
    let mut asking = Asking::new();
    asking.next();
    let solicit = asking.next();
    let offer = Said::to(ADVERTISE, &solicit).giving(TIMES, &[USUAL]);
    assert_eq!(asking.hear(&offer), Effect::Taken);
    assert_eq!(asking.poll().unwrap().kind, Request, "at once");
}

#[test]
fn a_server_may_say_how_rarely_it_is_asked() {
    let longest = |seconds: u32| {
        let mut asking = Asking::new();
        let solicit = asking.next();
        let refusal = Said::to(ADVERTISE, &solicit)
            .refusing(6)
            .with(option::SOL_MAX_RT, &seconds.to_be_bytes());
        assert_eq!(asking.hear(&refusal), Effect::Refused("NoPrefixAvail"));
        let distances = asking.sends(20);
        distances.last().unwrap().1 / 1000
    };
    assert_eq!(longest(60), 60);
    assert_eq!(longest(86_400), 86_400);
    assert_eq!(longest(59), 3600);
    assert_eq!(longest(86_401), 3600);
}

#[test]
fn a_request_is_sent_ten_times_then_servers_are_looked_for_again() {
    let mut asking = Asking::new();
    let request = asking.choose(USUAL);
    let sent = asking.sends(9);
    let wanted = [
        1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000,
    ];
    for ((kind, after), wanted) in sent.iter().zip(wanted) {
        assert_eq!(*kind, Request);
        assert!(after.abs_diff(wanted) <= 20, "{sent:?}");
    }
    let again = asking.next();
    assert_eq!((again.kind, again.elapsed), (Solicit, 0));
    let late = Said::to(REPLY, &request).giving(TIMES, &[USUAL]);
    assert_eq!(
        asking.hear(&late),
        Effect::Refused("not an answer to what was asked"),
        "the transaction is the same: the tests draw the same number"
    );
}

#[test]
fn a_request_that_failed_is_another_exchange() {
    let mut client = Client::new(subnet(), sender(), None, *START, 1);
    let first = Asked::read(&polled(&mut client, after(1000), 2)[0]);
    let offer = Said::to(ADVERTISE, &first)
        .giving(TIMES, &[USUAL])
        .with(option::PREFERENCE, &[255]);
    client.handle_message(&offer.heard(), after(1000), 0x00ab_cdef);
    let request = Asked::read(&polled(&mut client, after(1000), 4)[0]);
    assert_eq!(first.transaction, [0, 0, 1]);
    assert_eq!(request.transaction, [0xab, 0xcd, 0xef]);
}

#[test]
fn a_server_that_does_not_keep_its_word_is_asked_less_and_less_often() {
    /// How many seconds the client waits after it was refused what it had been offered.
    fn pause(asking: &mut Asking) -> u64 {
        let request = asking.choose(USUAL);
        let refusal = Said::to(REPLY, &request).refusing(6);
        assert_eq!(asking.hear(&refusal), Effect::Refused("NoPrefixAvail"));
        assert_eq!(asking.client.state(), PrefixClientState::Soliciting);
        let pause = asking.client.poll_timeout().unwrap() - asking.now;
        pause.as_secs_f64().round() as u64
    }
    let mut asking = Asking::new();
    let pauses = [(); 13].map(|()| pause(&mut asking));
    assert_eq!(pauses[..4], [1, 2, 4, 8]);
    assert_eq!(pauses[11..], [2048, 3600]);
    let request = asking.choose(USUAL);
    let reply = Said::to(REPLY, &request).giving(TIMES, &[USUAL]);
    assert_eq!(asking.hear(&reply), Effect::Granted);
    asking.now += Duration::from_secs(2000);
    assert_eq!(pause(&mut asking), 1, "all is forgiven");
}

#[test]
fn a_server_that_fails_is_asked_again_with_the_same_request() {
    let mut asking = Asking::new();
    let request = asking.choose(USUAL);
    for failure in [
        Said::to(REPLY, &request).status(1),
        Said::to(REPLY, &request).refusing(1),
    ] {
        assert_eq!(asking.hear(&failure), Effect::Refused("UnspecFail"));
        let again = asking.next();
        assert_eq!(
            (again.kind, again.transaction),
            (Request, request.transaction)
        );
        assert!(again.elapsed >= 99);
    }
}

#[test]
fn a_solicit_is_answered_by_offers_only() {
    let mut asking = Asking::new();
    let solicit = asking.next();
    let quick = Said::to(REPLY, &solicit)
        .giving(TIMES, &[USUAL])
        .with(option::RAPID_COMMIT, &[]);
    assert_eq!(
        asking.hear(&quick),
        Effect::Refused("not an answer to what was asked")
    );
    assert_eq!(asking.prefix(), None);
}

#[test]
fn what_answers_another_is_not_ours() {
    let mut asking = Asking::new();
    let mut solicit = asking.next();
    let offer = |asked: &Asked| Said::to(ADVERTISE, asked).giving(TIMES, &[USUAL]);
    let own = solicit.transaction;
    solicit.transaction[2] ^= 1;
    assert_eq!(asking.hear(&offer(&solicit)), Effect::NotForUs);
    solicit.transaction = own;
    solicit.client[9] ^= 1;
    assert_eq!(asking.hear(&offer(&solicit)), Effect::NotForUs);
    solicit.client[9] ^= 1;
    let mut unasked = Asking::new();
    assert_eq!(
        unasked.hear(&offer(&solicit)),
        Effect::NotForUs,
        "nothing was sent"
    );
    assert_eq!(Asking::bound().hear(&offer(&solicit)), Effect::NotForUs);
    assert_eq!(asking.hear(&offer(&solicit)), Effect::Taken);
}

#[test]
fn frames_come_from_where_the_gateway_port_is() {
    let mut asking = Asking::new();
    let frame = |asking: &mut Asking| {
        asking.now = asking.client.poll_timeout().unwrap();
        polled(&mut asking.client, asking.now, MIDDLE).remove(0)
    };
    let before = frame(&mut asking);
    assert_eq!(before[6..12], sender().mac.0);
    assert_eq!(before[22..38], sender().address.octets());
    let mut moved = sender();
    moved.mac = crate::guest::GUEST_MAC;
    moved.address = moved.mac.link_local();
    asking.client.set_sender(moved);
    let after = frame(&mut asking);
    assert_eq!(after[6..12], moved.mac.0);
    assert_eq!(after[22..38], moved.address.octets());
}
