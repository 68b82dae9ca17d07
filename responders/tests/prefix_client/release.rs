//! Release (RFC 9915 §18.2.7).

use crate::guest::SERVER_DUID;
use crate::guest::delegation::*;
use sextant_responders::dhcpv6::codec::Dhcpv6MessageType::{Release, Solicit};
use sextant_responders::prefix_client::{Effect, PrefixClientState};

#[test]
fn a_release_is_sent_four_times() {
    let mut asking = Asking::bound();
    asking.client.release(asking.now, MIDDLE);
    assert_eq!(
        (asking.prefix(), asking.client.state()),
        (None, PrefixClientState::Releasing)
    );
    let release = asking.poll().expect("at once");
    assert_eq!(release.kind, Release);
    assert_eq!(release.server.as_deref(), Some(&SERVER_DUID[..]));
    assert_eq!(release.prefix, Some(net(USUAL.0)));
    assert_eq!(release.requested, [0_u16; 0]);
    let distances: Vec<_> = asking.sends(3).iter().map(|sent| sent.1 / 999).collect();
    assert_eq!(distances, [1, 2, 4]);
    assert!(!asking.client.is_done(), "the last one may be answered");
    asking.now = asking.client.poll_timeout().unwrap();
    assert_eq!(asking.poll(), None);
    assert!(asking.client.is_done());
    assert_eq!(asking.client.poll_timeout(), None);
}

#[test]
fn any_answer_to_a_release_will_do() {
    for status in [0, 1, 3] {
        let mut asking = Asking::bound();
        asking.client.release(asking.now, MIDDLE);
        let release = asking.next();
        let other = Said::to(ADVERTISE, &release).giving(TIMES, &[USUAL]);
        assert_eq!(
            asking.hear(&other),
            Effect::Refused("not an answer to what was asked")
        );
        let reply = Said::to(REPLY, &release).status(status);
        assert_eq!(asking.hear(&reply), Effect::Taken);
        assert!(asking.client.is_done());
        assert_eq!((asking.poll(), asking.client.poll_timeout()), (None, None));
        assert_eq!(asking.hear(&reply), Effect::NotForUs);
    }
}

#[test]
fn what_may_have_been_granted_is_given_back_too() {
    let mut asking = Asking::new();
    asking.choose(USUAL);
    asking.client.release(asking.now, MIDDLE);
    let release = asking.next();
    assert_eq!(
        (release.kind, release.prefix),
        (Release, Some(net(USUAL.0)))
    );
}

#[test]
fn who_has_nothing_gives_nothing_back() {
    let mut asking = Asking::new();
    assert_eq!(asking.next().kind, Solicit);
    asking.client.release(asking.now, MIDDLE);
    assert!(asking.client.is_done());
    assert_eq!(asking.client.state(), PrefixClientState::Releasing);
    assert_eq!(
        (asking.after(10_000), asking.client.poll_timeout()),
        (None, None)
    );
}

#[test]
fn to_release_again_changes_nothing() {
    let mut asking = Asking::bound();
    asking.client.release(asking.now, MIDDLE);
    asking.next();
    let before = asking.client.clone();
    asking.client.release(asking.now, MIDDLE);
    assert_eq!(asking.client, before);
}
