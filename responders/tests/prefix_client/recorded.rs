//! What Neutron's client (dibbler) and a dibbler server said to each other, as recorded on the wire: the server's
//! messages do for our client, and ours are what theirs are.

use crate::guest::delegation::*;
use crate::guest::property::honest;
use sextant_responders::dhcpv6::option;
use sextant_responders::prefix_client::{Client, Effect, HeardServer, duid};
use std::time::Duration;

fn sample(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples");
    let text = std::fs::read_to_string(format!("{folder}/neutron-pd.{name}.hex")).unwrap();
    let digits: String = text.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// The server's message, as if it had been asked for in this transaction.
fn answer(name: &str, asked: &Asked) -> HeardServer {
    let mut frame = sample(name);
    frame[63..66].copy_from_slice(&asked.transaction);
    HeardServer::parse(&honest(frame)).unwrap()
}

/// Ours, but for what is chosen at random and what theirs does not say.
fn alike(ours: Asked, theirs: &Asked) -> Asked {
    Asked {
        transaction: theirs.transaction,
        requested: theirs.requested.clone(),
        ..ours
    }
}

#[test]
fn the_recorded_exchange_with_our_client_in_the_place_of_neutrons() {
    let mut asking = Asking::new();
    let solicit = asking.next();
    let theirs = Asked::read(&sample("solicit"));
    let mut ours = alike(solicit.clone(), &theirs);
    assert_eq!(
        ours.prefix.take(),
        Some(net("::/64")),
        "theirs wishes for nothing"
    );
    assert_eq!(ours, theirs);
    assert_eq!(theirs.client, duid(subnet()));

    let hear = |client: &mut Client, name, asked: &Asked, now| {
        client.handle_message(&answer(name, asked), now, MIDDLE)
    };
    let effect = hear(&mut asking.client, "advertise", &solicit, asking.now);
    assert_eq!(effect, Effect::Taken);
    let request = asking.poll().expect("its preference is the highest");
    let theirs = Asked::read(&sample("request"));
    assert_eq!(alike(request.clone(), &theirs), theirs);

    let effect = hear(&mut asking.client, "reply", &request, asking.now);
    assert_eq!(effect, Effect::Granted);
    assert_eq!(asking.prefix(), Some(net("2001:db8:2222:6e2b::/64")));
    assert_eq!(
        asking.times(),
        [Some(1000), Some(1600), Some(3600), Some(7200)]
    );

    asking.now += Duration::from_secs(11);
    asking.client.release(asking.now, MIDDLE);
    let release = asking.next();
    let theirs = Asked {
        elapsed: 0, // theirs says nothing, which RFC 9915 §18.2.7 demands
        ..Asked::read(&sample("release"))
    };
    assert_eq!(alike(release.clone(), &theirs), theirs);
    let effect = hear(&mut asking.client, "released", &release, asking.now);
    assert_eq!(effect, Effect::Taken);
    assert!(asking.client.is_done());
}

#[test]
fn as_recorded_the_servers_messages_are_of_another_transaction() {
    let mut asking = Asking::new();
    asking.next();
    let heard = HeardServer::parse(&sample("advertise")).unwrap();
    assert_eq!(heard.client(), duid(subnet()));
    assert_eq!(
        asking.client.handle_message(&heard, asking.now, MIDDLE),
        Effect::NotForUs
    );
}

#[test]
fn all_our_messages_ask_for_the_longest_wait() {
    let mut asking = Asking::new();
    assert_eq!(asking.next().requested, [option::SOL_MAX_RT]);
    assert!(Asked::read(&sample("solicit")).requested.is_empty());
}
