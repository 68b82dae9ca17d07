//! Default routers heard, ranked and forgotten (RFC 4861 §6.3.4 to §6.3.6, RFC 4191 §3); when announcements and
//! solicitations are sent again.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

use guest::link::*;
use sextant_model::RouterPreference::{self, High, Low, Medium};
use sextant_responders::default_routers::Reachability::{Answers, Presumed, Unreachable};
use sextant_responders::default_routers::{DefaultRouters, Listing, MAX_ROUTERS};
use sextant_responders::ra::HeardAdvertisement;
use sextant_responders::repetition::Repetition;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

fn router_at(host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host)
}

fn heard(host: u16, preference: RouterPreference, lifetime: u64) -> HeardAdvertisement {
    HeardAdvertisement {
        source: router_at(host),
        lifetime: Duration::from_secs(lifetime),
        preference,
        mac: Some(OLD),
        mtu: Some(1500),
        reachable_time: None,
        retransmission_timer: None,
    }
}

fn hear(routers: &mut DefaultRouters, now: Instant, advertisement: &HeardAdvertisement) -> Listing {
    routers.handle_advertisement(advertisement, Presumed, now)
}

/// These routers heard at 0, in this order, for 1800 s.
fn routers(all: &[(u16, RouterPreference)]) -> DefaultRouters {
    let mut routers = DefaultRouters::default();
    for (host, preference) in all {
        let listing = hear(&mut routers, after(0), &heard(*host, *preference, 1800));
        assert_eq!(listing, Listing::Added);
    }
    routers
}

fn best(routers: &DefaultRouters) -> Option<u16> {
    routers.best().map(|router| router.address.segments()[7])
}

#[test]
fn a_router_counts_for_its_lifetime() {
    let mut routers = DefaultRouters::default();
    assert_eq!((best(&routers), routers.poll_timeout()), (None, None));
    assert_eq!(
        hear(&mut routers, after(0), &heard(1, Medium, 30)),
        Listing::Added
    );
    let known = *routers.best().unwrap();
    assert_eq!((known.mac, known.mtu), (Some(OLD), Some(1500)));
    assert_eq!(routers.poll_timeout(), Some(after(30_000)));
    assert_eq!(
        hear(&mut routers, after(20_000), &heard(1, Medium, 30)),
        Listing::Refreshed
    );
    assert_eq!(routers.poll_timeout(), Some(after(50_000)));
    assert!(routers.handle_timeout(after(49_999)).is_empty());
    assert_eq!(best(&routers), Some(1));
    assert_eq!(routers.handle_timeout(after(50_000)), [router_at(1)]);
    assert_eq!((best(&routers), routers.poll_timeout()), (None, None));
}

#[test]
fn a_lifetime_of_zero_removes_a_router() {
    let mut routers = routers(&[(1, High), (2, Medium)]);
    assert_eq!(
        hear(&mut routers, after(1), &heard(1, Medium, 0)),
        Listing::Removed
    );
    assert_eq!(best(&routers), Some(2));
    assert_eq!(
        hear(&mut routers, after(1), &heard(1, Medium, 0)),
        Listing::NotDefault
    );
    assert!(routers.remove(router_at(2)));
    assert!(!routers.remove(router_at(2)));
    assert_eq!(best(&routers), None);
}

#[test]
fn the_most_preferred_is_used_and_among_equals_the_one_in_use() {
    let mut routers = routers(&[(1, Low), (2, Medium), (3, Medium)]);
    assert_eq!(best(&routers), Some(2));
    hear(&mut routers, after(1), &heard(4, High, 1800));
    assert_eq!(best(&routers), Some(4));
    hear(&mut routers, after(2), &heard(4, Medium, 1800));
    assert_eq!(best(&routers), Some(4), "an equal stays in use");
    hear(&mut routers, after(3), &heard(4, Low, 1800));
    assert_eq!(best(&routers), Some(2), "the first heard of equals");
}

/// RFC 4191 §3.2: reachability comes before preference.
#[test]
fn a_router_that_does_not_answer_comes_last() {
    let mut routers = routers(&[(1, High), (2, Medium), (3, Medium)]);
    routers.mark(router_at(1), Unreachable);
    assert_eq!(best(&routers), Some(2));
    hear(&mut routers, after(1), &heard(1, High, 1800));
    assert_eq!(best(&routers), Some(2), "to be heard is not to hear");
    routers.mark(router_at(2), Unreachable);
    assert_eq!(best(&routers), Some(3));
    routers.mark(router_at(2), Presumed);
    assert_eq!(best(&routers), Some(3), "an equal stays in use");
    routers.mark(router_at(1), Presumed);
    assert_eq!(best(&routers), Some(1));
    for host in [1, 2, 3] {
        routers.mark(router_at(host), Unreachable);
    }
    assert_eq!(
        best(&routers),
        Some(1),
        "the most preferred, for want of better"
    );
    routers.mark(router_at(9), Unreachable);
    assert_eq!(routers.iter().count(), 3, "an unknown one is not noted");
}

/// However often, and with whatever preference.
#[test]
fn who_has_not_answered_displaces_nobody_who_does() {
    let mut routers = routers(&[(1, Low), (2, Low)]);
    routers.mark(router_at(1), Answers);
    routers.mark(router_at(2), Answers);
    for host in 10..2000 {
        hear(
            &mut routers,
            after(u64::from(host)),
            &heard(host, High, 9000),
        );
        assert_eq!(best(&routers), Some(1));
    }
    let listed =
        |routers: &DefaultRouters, host| routers.iter().any(|of| of.address == router_at(host));
    assert!(listed(&routers, 2), "nor from the list");
    let third = heard(3, Low, 9000);
    assert_eq!(hear(&mut routers, after(2000), &third), Listing::Full);
    let listing = routers.handle_advertisement(&third, Answers, after(2000));
    assert_eq!(listing, Listing::Added, "one that is known to answer");
    assert!(listed(&routers, 2) && listed(&routers, 3));

    routers.mark(router_at(10), Answers);
    assert_eq!(best(&routers), Some(10), "once it answers, it is preferred");
    routers.mark(router_at(10), Unreachable);
    assert_eq!(best(&routers), Some(1));
}

#[test]
fn a_flood_neither_grows_the_list_nor_drives_out_the_router_in_use() {
    let mut routers = routers(&[(1, Medium)]);
    for host in 2..2000 {
        hear(&mut routers, after(0), &heard(host, Medium, 9000));
    }
    assert_eq!(routers.iter().count(), MAX_ROUTERS);
    assert_eq!(best(&routers), Some(1));
    assert_eq!(
        hear(&mut routers, after(0), &heard(3000, Low, 9000)),
        Listing::Full
    );
    assert_eq!(
        hear(&mut routers, after(0), &heard(3000, Medium, 9000)),
        Listing::Full
    );
    routers.mark(router_at(5), Unreachable);
    assert_eq!(
        hear(&mut routers, after(0), &heard(3000, Medium, 9000)),
        Listing::Added,
        "in place of one that does not answer"
    );
    let listed: Vec<u16> = routers
        .iter()
        .map(|router| router.address.segments()[7])
        .collect();
    assert!(!listed.contains(&5) && listed.contains(&3000), "{listed:?}");
    assert_eq!(
        hear(&mut routers, after(0), &heard(1, Medium, 9)),
        Listing::Refreshed
    );
    for host in 4000..5000 {
        hear(&mut routers, after(0), &heard(host, High, 9000));
    }
    let listed: Vec<u16> = routers
        .iter()
        .map(|router| router.address.segments()[7])
        .collect();
    assert_eq!(listed.len(), MAX_ROUTERS);
    assert_eq!(best(&routers), Some(4000), "the first that was better");
}

#[test]
fn the_router_in_use_is_kept_even_when_a_better_one_takes_its_place() {
    let others: Vec<_> = (1..MAX_ROUTERS as u16).map(|host| (host, Medium)).collect();
    let mut routers = routers(&others);
    hear(&mut routers, after(0), &heard(50, High, 1800));
    hear(&mut routers, after(0), &heard(50, Medium, 1800));
    assert_eq!(best(&routers), Some(50));
    assert_eq!(
        hear(&mut routers, after(0), &heard(60, High, 1800)),
        Listing::Added
    );
    assert_eq!(best(&routers), Some(60));
    assert!(routers.remove(router_at(60)));
    assert!(routers.remove(router_at(50)), "it is there to go back to");
}

#[test]
fn room_is_made_by_those_whose_time_is_over() {
    let mut routers = DefaultRouters::default();
    for host in 0..MAX_ROUTERS as u16 {
        hear(&mut routers, after(0), &heard(host, High, 1));
    }
    assert_eq!(
        hear(&mut routers, after(999), &heard(99, Low, 9)),
        Listing::Full
    );
    assert_eq!(
        hear(&mut routers, after(1000), &heard(99, Low, 9)),
        Listing::Added
    );
    assert_eq!(routers.iter().count(), 1);
}

/// When it is sent, in seconds, as many times as this at most.
fn sent(mut repetition: Repetition, times: usize) -> Vec<u64> {
    let mut sent = Vec::new();
    while let Some(due) = repetition.poll_timeout().filter(|_| sent.len() < times) {
        let early: Instant = due - Duration::from_millis(1);
        assert!(
            early < *START || !repetition.handle_timeout(early),
            "not before it is due"
        );
        assert!(repetition.handle_timeout(due));
        sent.push((due - *START).as_secs());
    }
    sent
}

#[test]
fn an_announcement_is_sent_three_times() {
    assert_eq!(sent(Repetition::announcement(*START), 9), [0, 1, 2]);
}

/// RFC 7559 §2.
#[test]
fn a_solicitation_is_sent_ever_less_often() {
    let sent = sent(Repetition::solicitation(*START), 14);
    assert_eq!(sent[..6], [0, 4, 12, 28, 60, 124]);
    let last = &sent[12..];
    assert_eq!(last[1] - last[0], 3600);
}
