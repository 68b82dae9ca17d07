//! Renew and Rebind (RFC 9915 §18.2.4, §18.2.5, §18.2.10.1, §18.2.12), and the end of a lease.

use crate::guest::SERVER_DUID;
use crate::guest::delegation::*;
use crate::guest::link::{START, after};
use sextant_responders::dhcpv6::codec::Dhcpv6MessageType::{Rebind, Renew, Request, Solicit};
use sextant_responders::dhcpv6::option;
use sextant_responders::prefix_client::{Client, Effect, Lease, PrefixClientState};
use std::time::Duration;

/// At T1: the Renew.
fn renewing() -> (Asking, Asked) {
    let mut asking = Asking::bound();
    let renew = asking.next();
    assert_eq!(renew.kind, Renew);
    (asking, renew)
}

/// A lease of the usual prefix as it was kept somewhere.
fn kept(seconds: u64) -> Lease {
    let at = |seconds: u64| Some(*START + Duration::from_secs(seconds));
    Lease {
        prefix: net(USUAL.0),
        server: SERVER_DUID.to_vec(),
        renew_at: at(seconds / 4),
        rebind_at: at(seconds / 2),
        preferred_until: at(seconds),
        valid_until: at(seconds),
    }
}

#[test]
fn at_t1_the_server_is_asked_to_extend() {
    let mut asking = Asking::bound();
    assert_eq!(asking.after(499_999), None);
    let renew = asking.after(1).expect("T1 has come");
    assert_eq!(asking.client.state(), PrefixClientState::Renewing);
    assert_eq!(renew.kind, Renew);
    assert_eq!(renew.server.as_deref(), Some(&SERVER_DUID[..]));
    assert_eq!(renew.prefix, Some(net(USUAL.0)));
    assert_eq!(renew.requested, [option::SOL_MAX_RT]);
    let reply = Said::to(REPLY, &renew).giving((600, 900), &[(USUAL.0, 1200, 2400)]);
    assert_eq!(asking.hear(&reply), Effect::Extended);
    assert_eq!(asking.client.state(), PrefixClientState::Bound);
    assert_eq!(
        asking.times(),
        [Some(600), Some(900), Some(1200), Some(2400)]
    );
}

#[test]
fn at_t2_all_servers_are_asked_and_at_the_end_for_any_prefix() {
    let (mut asking, _) = renewing();
    let sent = asking.sends(9);
    let kinds: Vec<_> = sent.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(
        kinds[..4],
        [Renew; 4],
        "10, 20, 40 and 80 s after one another"
    );
    assert_eq!(kinds[4..], [Rebind; 5]);
    let distances: Vec<_> = sent.iter().map(|(_, after)| after.div_ceil(1000)).collect();
    assert_eq!(distances, [10, 20, 40, 80, 150, 10, 20, 40, 80]);
    assert_eq!(asking.client.state(), PrefixClientState::Rebinding);
    let rebind = asking.next();
    assert_eq!((rebind.kind, &rebind.server), (Rebind, &None));
    assert_eq!(rebind.prefix, Some(net(USUAL.0)));
    let end = after(500) + Duration::from_secs(2000);
    while asking.client.state() == PrefixClientState::Rebinding {
        assert_eq!(asking.prefix(), Some(net(USUAL.0)));
        asking.now = asking.client.poll_timeout().unwrap();
        asking.poll();
    }
    assert_eq!((asking.now, asking.prefix()), (end, None));
    let solicit = asking.next();
    assert_eq!(
        (solicit.kind, solicit.prefix),
        (Solicit, Some(net(USUAL.0)))
    );
}

#[test]
fn without_an_answer_the_server_is_asked_every_ten_minutes_in_the_end() {
    let mut asking = Asking::bound_to((500, FOR_EVER), (USUAL.0, 5000, 6000));
    assert_eq!(asking.next().kind, Renew);
    let sent = asking.sends(9);
    let distances: Vec<_> = sent.iter().map(|(_, after)| after.div_ceil(1000)).collect();
    assert_eq!(distances, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
    assert!(sent.iter().all(|(kind, _)| *kind == Renew), "T2 is never");
}

#[test]
fn another_server_may_extend() {
    let (mut asking, _) = renewing();
    asking.now += Duration::from_secs(300);
    let rebind = asking.poll().unwrap();
    assert_eq!(rebind.kind, Rebind);
    let another = [0, 3, 0, 1, 2, 0, 0, 0, 0, 9];
    let reply = Said::from(&another, REPLY, &rebind).giving(TIMES, &[USUAL]);
    assert_eq!(asking.hear(&reply), Effect::Extended);
    assert_eq!(asking.client.lease().unwrap().server, another);
}

#[test]
fn a_server_that_knows_nothing_of_the_lease_is_asked_for_it() {
    for said in [Said::refusing as fn(Said, u16) -> Said, Said::status] {
        let (mut asking, renew) = renewing();
        let unknown = said(Said::to(REPLY, &renew), 3);
        assert_eq!(asking.hear(&unknown), Effect::Refused("NoBinding"));
        assert_eq!(asking.client.state(), PrefixClientState::Requesting);
        assert_eq!(asking.prefix(), Some(net(USUAL.0)), "until it is answered");
        let request = asking.poll().expect("at once");
        assert_eq!(
            (request.kind, request.prefix),
            (Request, Some(net(USUAL.0)))
        );
        assert_eq!(request.server.as_deref(), Some(&SERVER_DUID[..]));
        let reply = Said::to(REPLY, &request).giving(TIMES, &[OTHER, USUAL]);
        assert_eq!(asking.hear(&reply), Effect::Extended);
    }
}

/// With a lease that its server knows nothing of: the Request.
fn unknown() -> (Asking, Asked) {
    let (mut asking, renew) = renewing();
    let unknown = Said::to(REPLY, &renew).refusing(3);
    assert_eq!(asking.hear(&unknown), Effect::Refused("NoBinding"));
    let request = asking.next();
    (asking, request)
}

#[test]
fn a_lease_that_its_server_knows_nothing_of_ends_when_it_is_not_given_again() {
    let (mut asking, request) = unknown();
    let refusal = Said::to(REPLY, &request).refusing(6);
    assert_eq!(asking.hear(&refusal), Effect::Lost);
    assert_eq!(asking.prefix(), None);
    assert_eq!(asking.client.state(), PrefixClientState::Soliciting);

    let (mut asking, request) = unknown();
    let reply = Said::to(REPLY, &request).giving(TIMES, &[OTHER]);
    assert_eq!(asking.hear(&reply), Effect::Granted);
    assert_eq!(asking.prefix(), Some(net(OTHER.0)));

    let (mut asking, _) = unknown();
    asking.sends(9);
    assert_eq!(asking.prefix(), Some(net(USUAL.0)));
    assert_eq!(asking.next().kind, Solicit);
    assert_eq!(asking.prefix(), None);
}

#[test]
fn a_lease_that_ends_while_it_is_asked_for_anew_is_asked_for_still() {
    let mut asking = Asking::bound_to((10, 20), (USUAL.0, 11, 11));
    let renew = asking.next();
    asking.hear(&Said::to(REPLY, &renew).refusing(3));
    asking.next();
    let request = asking.after(1500).expect("again");
    assert_eq!((request.kind, asking.prefix()), (Request, None));
    let reply = Said::to(REPLY, &request).giving(TIMES, &[USUAL]);
    assert_eq!(asking.hear(&reply), Effect::Granted);
}

#[test]
fn a_server_may_give_another_prefix_and_take_the_old_one() {
    let (mut asking, renew) = renewing();
    let gone = (USUAL.0, 0, 0);
    let reply = Said::to(REPLY, &renew).giving(TIMES, &[gone, OTHER]);
    assert_eq!(asking.hear(&reply), Effect::Granted);
    assert_eq!(asking.prefix(), Some(net(OTHER.0)));

    let (mut asking, renew) = renewing();
    let ending = (USUAL.0, 0, 60);
    let reply = Said::to(REPLY, &renew).giving(TIMES, &[ending, OTHER]);
    assert_eq!(asking.hear(&reply), Effect::Granted);

    let (mut asking, renew) = renewing();
    let reply = Said::to(REPLY, &renew).giving((0, 0), &[ending]);
    assert_eq!(asking.hear(&reply), Effect::Extended);
    assert_eq!(asking.times(), [Some(30), Some(48), Some(0), Some(60)]);
}

#[test]
fn a_prefix_that_is_taken_back_is_lost() {
    let (mut asking, renew) = renewing();
    let reply = Said::to(REPLY, &renew).giving(TIMES, &[(USUAL.0, 0, 0)]);
    assert_eq!(asking.hear(&reply), Effect::Lost);
    assert_eq!(
        (asking.prefix(), asking.client.state()),
        (None, PrefixClientState::Soliciting)
    );
    let solicit = asking.next();
    assert_eq!(
        (solicit.kind, solicit.prefix),
        (Solicit, Some(net(USUAL.0)))
    );
    assert!(asking.now - after(500) < Duration::from_secs(502));
}

#[test]
fn what_does_not_mention_the_prefix_changes_nothing() {
    let longer = ("2001:db8:9::/80", 9, 9);
    type Change = fn(Said) -> Said;
    let says: [(Change, Effect); 6] = [
        (|said| said.giving(TIMES, &[OTHER]), Effect::Taken),
        (
            |said| said,
            Effect::Refused("no identity association of ours"),
        ),
        (
            |said| said.giving(TIMES, &[]),
            Effect::Refused("no prefix in the identity association"),
        ),
        (|said| said.refusing(6), Effect::Refused("NoPrefixAvail")),
        (|said| said.status(1), Effect::Refused("UnspecFail")),
        (
            |said| said.giving((9, 8), &[USUAL]),
            Effect::Refused("T1 is after T2"),
        ),
    ];
    for (change, effect) in says {
        let (mut asking, renew) = renewing();
        let before = asking.client.clone();
        assert_eq!(asking.hear(&change(Said::to(REPLY, &renew))), effect);
        assert_eq!(asking.client, before);
        assert_eq!(
            asking.sends(1)[0].1.div_ceil(1000),
            10,
            "as if there was no answer"
        );
    }
    for discarded in [[(USUAL.0, 7, 5), longer], [(USUAL.0, 1, 0), longer]] {
        let (mut asking, renew) = renewing();
        let before = asking.client.clone();
        let reply = Said::to(REPLY, &renew).giving(TIMES, &discarded);
        let reason = Effect::Refused("preferred for longer than valid");
        assert_eq!(asking.hear(&reply), reason);
        assert_eq!(asking.client, before);
    }
}

#[test]
fn a_prefix_that_is_preferred_no_more_gives_way_to_another() {
    let mut asking = Asking::bound_to((10, 20), (USUAL.0, 30, 1000));
    let other = |asked: &Asked| Said::to(REPLY, asked).giving(TIMES, &[OTHER]);
    let renew = asking.next();
    assert_eq!(asking.hear(&other(&renew)), Effect::Taken);
    asking.now += Duration::from_secs(30);
    let rebind = asking.poll().unwrap();
    assert_eq!(asking.hear(&other(&rebind)), Effect::Granted);
}

#[test]
fn sol_max_rt_is_learned_from_any_answer() {
    let (mut asking, renew) = renewing();
    let reply = Said::to(REPLY, &renew)
        .giving(TIMES, &[(USUAL.0, 0, 0)])
        .with(option::SOL_MAX_RT, &60_u32.to_be_bytes());
    assert_eq!(asking.hear(&reply), Effect::Lost);
    assert_eq!(asking.sends(10).last().unwrap().1.div_ceil(1000), 60);
}

#[test]
fn a_lease_known_from_before_is_confirmed_and_counts_meanwhile() {
    let mut asking = Asking::with(Some(kept(4000)));
    assert_eq!(asking.client.state(), PrefixClientState::Rebinding);
    assert_eq!(asking.client.lease(), Some(&kept(4000)));
    let rebind = asking.next();
    assert_eq!(asking.now, after(500));
    assert_eq!((rebind.kind, rebind.prefix), (Rebind, Some(net(USUAL.0))));
    let mut other = Asking::with(Some(kept(4000)));
    let asked = other.next();
    let reply = Said::to(REPLY, &asked).giving(TIMES, &[USUAL]);
    assert_eq!(other.hear(&reply), Effect::Extended);
    // Nobody answers for ten seconds.
    let distances: Vec<_> = asking.sends(3).iter().map(|sent| sent.1).collect();
    assert!(
        distances
            .iter()
            .zip([1000, 2000, 4000])
            .all(|(is, to_be)| is.abs_diff(to_be) < 3)
    );
    asking.now = asking.client.poll_timeout().unwrap();
    assert_eq!(asking.now, after(500) + Duration::from_secs(10));
    assert_eq!(asking.poll(), None);
    assert_eq!(asking.client.state(), PrefixClientState::Bound);
    assert_eq!(asking.client.lease(), Some(&kept(4000)));
    assert_eq!(asking.client.poll_timeout(), kept(4000).renew_at);
}

#[test]
fn a_lease_known_from_before_that_nobody_confirms_is_extended_as_it_is_time() {
    let mut asking = Asking::with(Some(kept(16)));
    asking.sends(4);
    let rebind = asking.next();
    assert_eq!(rebind.kind, Rebind, "T2 has passed meanwhile");
    assert_eq!(rebind.elapsed, 0, "another exchange");
    asking.now = after(16_000);
    assert_eq!(asking.poll(), None);
    assert_eq!(asking.client.state(), PrefixClientState::Soliciting);
}

#[test]
fn a_lease_that_has_ended_before_is_a_wish() {
    let mut client = Client::new(subnet(), sender(), Some(kept(5)), after(5000), MIDDLE);
    assert_eq!(
        (client.state(), client.lease()),
        (PrefixClientState::Soliciting, None)
    );
    let solicit = Asked::read(&polled(&mut client, after(6000), MIDDLE)[0]);
    assert_eq!(solicit.prefix, Some(net(USUAL.0)));
}
