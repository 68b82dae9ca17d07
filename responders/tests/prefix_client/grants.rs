//! Which prefixes are of use, and for how long (RFC 9915 §21.21, §21.22).

use crate::guest::delegation::*;
use crate::guest::{SERVER_DUID, link::START};
use sextant_responders::dhcpv6::codec::put_option;
use sextant_responders::dhcpv6::option;
use sextant_responders::prefix_client::{Client, Effect, PrefixClientState};
use std::time::{Duration, Instant};

/// What comes of a Reply with this.
fn granted(times: (u32, u32), prefixes: &[Given]) -> (Effect, Asking) {
    let mut asking = Asking::new();
    let request = asking.choose(USUAL);
    let reply = Said::to(REPLY, &request).giving(times, prefixes);
    (asking.hear(&reply), asking)
}

fn refused(given: Given) -> &'static str {
    match granted(TIMES, &[given]).0 {
        Effect::Refused(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lease_has_the_times_that_the_server_says() {
    let (effect, asking) = granted((500, 800), &[USUAL]);
    assert_eq!(effect, Effect::Granted);
    assert_eq!(asking.client.state(), PrefixClientState::Bound);
    assert_eq!(asking.prefix(), Some(net(USUAL.0)));
    assert_eq!(asking.client.lease().unwrap().server, SERVER_DUID);
    assert_eq!(
        asking.times(),
        [Some(500), Some(800), Some(1000), Some(2000)]
    );
    let renewal = asking.now + Duration::from_secs(500);
    assert_eq!(asking.client.poll_timeout(), Some(renewal));
}

#[test]
fn times_that_the_server_leaves_to_the_client_follow_from_the_preferred_lifetime() {
    let times = |t1, t2, preferred, valid| {
        let given = ("2001:db8:1::/64", preferred, valid);
        let [t1, t2, ..] = granted((t1, t2), &[given]).1.times();
        (t1, t2)
    };
    assert_eq!(times(0, 0, 1000, 2000), (Some(500), Some(800)));
    assert_eq!(times(0, 300, 1000, 2000), (Some(300), Some(300)));
    assert_eq!(times(900, 0, 1000, 2000), (Some(900), Some(900)));
    assert_eq!(times(0, 0, 0, 2000), (Some(1000), Some(1600)));
    assert_eq!(times(0, 0, 1, 2), (Some(1), Some(1)));
    assert_eq!(times(0, 0, FOR_EVER, FOR_EVER), (None, None));
    assert_eq!(times(60, FOR_EVER, 1000, 2000), (Some(60), None));
    assert_eq!(times(0, FOR_EVER, 1000, 2000), (Some(500), None));
    assert_eq!(times(2000, 3000, 1000, 2000), (Some(500), Some(800)));
    assert_eq!(times(FOR_EVER, FOR_EVER, 1000, 2000), (Some(500), None));
    assert_eq!(
        times(3000, 3500, FOR_EVER, FOR_EVER),
        (Some(3000), Some(3500))
    );
    let nearly = u64::from(FOR_EVER - 1);
    let (half, most) = (Some(nearly / 2), Some(nearly * 8 / 10));
    assert_eq!(times(0, 0, FOR_EVER - 1, FOR_EVER), (half, most));
}

#[test]
fn a_lease_for_ever_is_nothing_to_wait_for() {
    let given = ("2001:db8:1::/64", FOR_EVER, FOR_EVER);
    let (effect, mut asking) = granted((0, 0), &[given]);
    assert_eq!(effect, Effect::Granted);
    assert_eq!(asking.client.poll_timeout(), None);
    assert!(!asking.client.is_done());
    assert_eq!(asking.after(1 << 40), None);
    assert_eq!(asking.prefix(), Some(net(given.0)));
}

#[test]
fn a_prefix_is_of_use_if_a_subnet_fits_in_it() {
    for useful in [
        "2001:db8::/64",
        "2001:db8:ff00::/40",
        "fd00::/8",
        "2000::/3",
    ] {
        let (effect, asking) = granted(TIMES, &[(useful, 10, 10)]);
        assert_eq!(effect, Effect::Granted);
        assert_eq!(asking.prefix(), Some(net(useful)));
    }
    let (_, unaligned) = granted(TIMES, &[("2001:db8::1/56", 10, 10)]);
    assert_eq!(unaligned.prefix(), Some(net("2001:db8::/56")));
}

#[test]
fn a_prefix_that_no_subnet_can_have_is_refused() {
    let why = |prefix| refused((prefix, 10, 10));
    assert_eq!(why("2001:db8::/65"), "prefix longer than 64 bits");
    assert_eq!(why("2001:db8::1/128"), "prefix longer than 64 bits");
    for prefix in ["::/64", "::1/64", "::/0", "2001:db8::/0"] {
        assert_eq!(why(prefix), "unspecified or loopback prefix");
    }
    for prefix in ["ff0e::/64", "fe80::/64", "fe80::/10", "febf::/64"] {
        assert_eq!(why(prefix), "multicast or link-local prefix");
    }
    assert_eq!(
        refused(("2001:db8::/64", 11, 10)),
        "preferred for longer than valid"
    );
    assert_eq!(
        refused(("2001:db8::/64", 0, 0)),
        "prefix without a lifetime"
    );
}

#[test]
fn an_association_that_contradicts_itself_counts_as_absent() {
    for (t1, t2) in [(801, 800), (FOR_EVER, 800)] {
        let (effect, asking) = granted((t1, t2), &[USUAL]);
        assert_eq!(effect, Effect::Refused("T1 is after T2"));
        assert_eq!(asking.client.state(), PrefixClientState::Soliciting);
    }
}

#[test]
fn an_answer_has_to_be_about_what_was_asked() {
    let refused = |change: fn(Said) -> Said| {
        let mut asking = Asking::new();
        let request = asking.choose(USUAL);
        asking.hear(&change(Said::to(REPLY, &request)))
    };
    let of_another = |said: Said| {
        let value = association(2, TIMES, &[(net(USUAL.0), 10, 10)], None);
        said.with(option::IA_PD, &value)
    };
    let nothing = Effect::Refused("no identity association of ours");
    assert_eq!(refused(|said| said), nothing);
    assert_eq!(refused(of_another), nothing);
    assert_eq!(
        refused(|said| said.giving(TIMES, &[])),
        Effect::Refused("no prefix in the identity association")
    );
    assert_eq!(
        refused(|said| said.giving(TIMES, &[USUAL]).status(4)),
        Effect::Refused("NotOnLink")
    );
    for (status, name) in [
        (2, "NoAddrsAvail"),
        (3, "NoBinding"),
        (5, "UseMulticast"),
        (6, "NoPrefixAvail"),
        (7, "another status than success"),
    ] {
        let mut asking = Asking::new();
        let request = asking.choose(USUAL);
        let refusal = Said::to(REPLY, &request).refusing(status);
        assert_eq!(asking.hear(&refusal), Effect::Refused(name));
        assert_eq!(asking.client.state(), PrefixClientState::Soliciting);
    }
}

#[test]
fn a_prefix_with_a_status_of_its_own_is_refused() {
    let mut asking = Asking::new();
    let request = asking.choose(USUAL);
    let mut value = [1, 500, 800].map(u32::to_be_bytes).concat();
    put_option(&mut value, option::IA_PREFIX, |out| {
        out.extend([0, 0, 0, 9, 0, 0, 0, 9, 64]);
        out.extend(net(USUAL.0).network().octets());
        put_option(out, option::STATUS_CODE, |out| out.extend([0, 6]));
    });
    let reply = Said::to(REPLY, &request).with(option::IA_PD, &value);
    assert_eq!(asking.hear(&reply), Effect::Refused("NoPrefixAvail"));
}

#[test]
fn of_several_prefixes_the_one_asked_for_is_kept_while_it_is_preferred() {
    let chosen = |prefixes: &[Given]| granted(TIMES, prefixes).1.prefix().unwrap();
    let [longer, longest] = [
        ("2001:db8:3::/64", 3000, 3000),
        ("2001:db8:4::/64", 4000, 4000),
    ];
    let deprecated = (USUAL.0, 0, 4000);
    let unusable = ("2001:db8:5::/80", 9000, 9000);
    assert_eq!(chosen(&[longest, USUAL, longer]), net(USUAL.0));
    assert_eq!(chosen(&[longer, deprecated, longest]), net(longest.0));
    assert_eq!(chosen(&[unusable, OTHER, longer]), net(longer.0));
    assert_eq!(chosen(&[deprecated, unusable]), net(USUAL.0));
    let alike = ("2001:db8:6::/64", 3000, 3000);
    assert_eq!(chosen(&[longer, alike]), net(longer.0));
    let forever = ("2001:db8:7::/64", FOR_EVER, FOR_EVER);
    assert_eq!(chosen(&[longest, forever]), net(forever.0));
}

/// The last instant that there is, to half a second.
fn end_of_time() -> Instant {
    let bits = (0..63).rev().map(|bit| Duration::from_secs(1 << bit));
    bits.fold(*START, |now, more| now.checked_add(more).unwrap_or(now))
}

#[test]
fn time_may_end() {
    let mut now = end_of_time() - Duration::from_secs(3);
    let mut client = Client::new(subnet(), sender(), None, now, u64::MAX);
    now += Duration::from_secs(1);
    let solicit = Asked::read(&polled(&mut client, now, MIDDLE)[0]);
    let offer = Said::to(ADVERTISE, &solicit)
        .giving(TIMES, &[USUAL])
        .with(option::PREFERENCE, &[255]);
    client.handle_message(&offer.heard(), now, MIDDLE);
    let request = Asked::read(&polled(&mut client, now, MIDDLE)[0]);
    let reply = Said::to(REPLY, &request).giving((1, 1), &[USUAL]);
    assert_eq!(
        client.handle_message(&reply.heard(), now, MIDDLE),
        Effect::Granted
    );
    assert_eq!(
        client.lease().unwrap().valid_until,
        None,
        "no clock reaches it"
    );
    now += Duration::from_secs(2);
    assert_eq!(polled(&mut client, now, MIDDLE).len(), 1);
    assert_eq!(client.poll_timeout(), None);
    client.release(now, MIDDLE);
    assert_eq!(polled(&mut client, now, MIDDLE).len(), 1);
    assert_eq!(client.poll_timeout(), None);
}
