//! Next hops followed by Neighbor Unreachability Detection, rule by rule: RFC 4861 §7.2, §7.3 and appendix C, RFC 7048.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

#[path = "neighbor/states.rs"]
mod states;

use guest::link::*;
use guest::{ROUTER_MAC, address};
use sextant_model::MacAddr;
use sextant_responders::neighbor::{
    Change, HeardNeighbor, Neighbor, NeighborCache, NeighborState, Timing,
};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The solicited-node group of the next hop, as Ethernet has it.
const GROUP: MacAddr = MacAddr([0x33, 0x33, 0xff, 0, 0, 1]);
const EVERYBODY: MacAddr = MacAddr([0xff; 6]);
/// Draws a ReachableTime of 5 s.
const LONG: u32 = u32::MAX;

fn resolving() -> NeighborCache {
    let mut cache = NeighborCache::new(Timing::default());
    cache.want(target(), None, after(0), LONG);
    cache
}

/// The next hop has answered at 0.
fn reachable() -> NeighborCache {
    let mut cache = resolving();
    due(&mut cache, after(0));
    hear(&mut cache, after(0), &answer(OLD));
    cache
}

fn hear(cache: &mut NeighborCache, now: Instant, frame: &[u8]) -> Option<Change> {
    cache.handle_message(&HeardNeighbor::parse(frame).unwrap(), now);
    let change = cache.poll_event();
    assert_eq!(cache.poll_event(), None);
    change
}

fn neighbor(cache: &NeighborCache) -> &Neighbor {
    cache.get(ip(NEXT_HOP)).unwrap()
}

/// When, in milliseconds, and whom it asks for so long, each time that something is due; and what changes.
fn asks(cache: &mut NeighborCache, until: u64) -> (Vec<(u64, MacAddr)>, Vec<Change>) {
    let (mut asked, mut changes) = (Vec::new(), Vec::new());
    while let Some(now) = cache.poll_timeout().filter(|now| *now <= after(until)) {
        let due = due(cache, now);
        let at = (now - *START).as_millis() as u64;
        asked.extend(due.frames.iter().map(|frame| (at, destination(frame))));
        changes.extend(due.changes);
    }
    (asked, changes)
}

fn destination(frame: &[u8]) -> MacAddr {
    MacAddr(*frame.first_chunk().unwrap())
}

fn change(mac: Option<MacAddr>, state: NeighborState, router: Option<bool>) -> Change {
    Change {
        address: ip(NEXT_HOP),
        mac,
        state,
        router,
    }
}

#[test]
fn an_address_is_asked_for_three_times_then_ever_less_often() {
    let (asked, changes) = asks(&mut resolving(), 36_000);
    let times = [0, 1000, 2000, 3000, 6000, 15_000, 25_000, 35_000];
    assert_eq!(asked, times.map(|at| (at, GROUP)));
    assert_eq!(changes, [change(None, NeighborState::Unreachable, None)]);
}

#[test]
fn an_answer_resolves_and_is_confirmed_again_before_its_time_is_over() {
    let mut cache = resolving();
    due(&mut cache, after(0));
    let learned = hear(&mut cache, after(20), &answer(OLD));
    assert_eq!(
        learned,
        Some(change(Some(OLD), NeighborState::Reachable, Some(true)))
    );
    assert_eq!(asks(&mut cache, 5020), (vec![(5020, OLD)], vec![]));
    assert_eq!(neighbor(&cache).state(), NeighborState::Probe);
    assert_eq!(hear(&mut cache, after(5040), &answer(OLD)), None);
    assert_eq!(neighbor(&cache).state(), NeighborState::Reachable);
    assert_eq!(neighbor(&cache).confirmed_at(), Some(after(5040)));
    assert_eq!(cache.poll_timeout(), Some(after(10_040)));
}

#[test]
fn next_hops_are_asked_at_a_half_to_the_whole_of_reachable_time() {
    for (random, at) in [(0, 2500), (u32::MAX / 2 + 1, 3750), (u32::MAX, 5000)] {
        let mut cache = NeighborCache::new(Timing::default());
        cache.want(target(), None, after(0), random);
        due(&mut cache, after(0));
        hear(&mut cache, after(0), &answer(OLD));
        let next = cache.poll_timeout().unwrap() - *START;
        assert_eq!(next.as_millis(), at);
    }
}

#[test]
fn a_mac_that_changed_without_a_word_is_followed_within_eight_seconds() {
    let mut cache = reachable();
    let (asked, changes) = asks(&mut cache, 8000);
    let unicast = [5000, 6000, 7000].map(|at| (at, OLD));
    assert_eq!(asked, [&unicast[..], &[(8000, GROUP)]].concat());
    let silent = change(Some(OLD), NeighborState::Unreachable, Some(true));
    assert_eq!(changes, [silent], "the MAC is kept, for want of a better");
    let followed = hear(&mut cache, after(8010), &advertised(SOLICITED, Some(NEW)));
    assert_eq!(
        followed,
        Some(change(Some(NEW), NeighborState::Reachable, Some(false)))
    );
}

#[test]
fn a_mac_that_is_announced_is_asked_for_at_once_and_taken_with_the_answer() {
    let mut cache = reachable();
    let announced = advertised(ROUTER | OVERRIDE, Some(NEW));
    assert_eq!(hear(&mut cache, after(100), &announced), None);
    assert_eq!(neighbor(&cache).mac(), Some(OLD), "nobody answered there");
    assert_eq!(
        asks(&mut cache, 1999),
        (vec![(1000, GROUP)], vec![]),
        "a second after the latest solicitation"
    );
    assert_eq!(hear(&mut cache, after(1010), &answer(NEW)), None);
    let moved = change(Some(NEW), NeighborState::Reachable, Some(true));
    assert_eq!(
        asks(&mut cache, 2000),
        (vec![], vec![moved]),
        "a second for the other to answer"
    );
    let asked = vec![(7000, NEW)];
    assert_eq!(asks(&mut cache, 7000), (asked, vec![]));
}

/// Whatever is forged, before it is asked, while it is and after it answered: what answers stays where it answers.
#[test]
fn nobody_turns_away_what_goes_to_a_next_hop_that_answers() {
    let elsewhere: [(&str, Vec<u8>); 9] = [
        ("advertised", advertised(ROUTER | OVERRIDE, Some(NEW))),
        ("an answer", answer(NEW)),
        ("a polite answer", advertised(SOLICITED | ROUTER, Some(NEW))),
        (
            "an answer of no router",
            advertised(SOLICITED | OVERRIDE, Some(OLD)),
        ),
        ("asking", asking(NEW)),
        ("a router", router(NEXT_HOP, 0, 1800, &option(1, NEW))),
        ("no router", advertised(OVERRIDE, None)),
        ("no router there", advertised(OVERRIDE, Some(OLD))),
        ("a host", solicits(OLD)),
    ];
    for (kind, forged) in elsewhere {
        let mut cache = reachable();
        let forge = |cache: &mut NeighborCache, now| {
            assert_eq!(hear(cache, now, &forged), None, "{kind}");
        };
        for second in 1..60 {
            let now = after(second * 1000 + 500);
            forge(&mut cache, now);
            let due = due(&mut cache, now);
            assert!(due.changes.is_empty(), "{kind}: {:?}", due.changes);
            if !due.frames.is_empty() {
                forge(&mut cache, now);
                let answered = hear(&mut cache, now, &answer(OLD));
                assert_eq!(answered, None, "{kind}");
                forge(&mut cache, now);
            }
            let known = neighbor(&cache);
            assert!(known.answers(), "{kind}");
            assert_eq!(
                (known.mac(), known.router()),
                (Some(OLD), Some(true)),
                "{kind}"
            );
        }
    }
}

/// What is heard while the next hop alone is asked has answered nobody, even if that one's answer is lost.
#[test]
fn an_answer_from_elsewhere_counts_once_everyone_was_asked() {
    let mut cache = reachable();
    assert_eq!(asks(&mut cache, 5000).0, [(5000, OLD)]);
    assert_eq!(hear(&mut cache, after(5010), &answer(NEW)), None);
    assert_eq!(asks(&mut cache, 6000), (vec![(6000, GROUP)], vec![]));
    assert_eq!(hear(&mut cache, after(6010), &answer(NEW)), None);
    assert_eq!(hear(&mut cache, after(6020), &answer(OLD)), None);
    assert_eq!(asks(&mut cache, 11_020), (vec![(11_020, OLD)], vec![]));
}

/// Nor does what is forged keep one that is dead.
#[test]
fn a_next_hop_that_is_dead_is_found_to_be_whoever_speaks_for_it() {
    for forged in [asking(NEW), advertised(ROUTER | OVERRIDE, Some(NEW))] {
        let mut cache = reachable();
        let dead = (0..90).any(|tenth| {
            let now = after(tenth * 100);
            hear(&mut cache, now, &forged);
            let due = due(&mut cache, now);
            due.changes
                .iter()
                .any(|change| change.state == NeighborState::Unreachable)
        });
        assert!(dead);
        assert!(!neighbor(&cache).answers());
    }
}

/// The Router Solicitation of somebody who says that it has the next hop's address and this MAC.
fn solicits(mac: MacAddr) -> Vec<u8> {
    let body = [&[0; 4][..], &option(1, mac)].concat();
    icmpv6(NEXT_HOP, address("ff02::2"), 133, &body)
}

#[test]
fn an_unreachable_next_hop_that_is_heard_is_asked_at_once() {
    for sign in [
        asking(OLD),
        advertised(ROUTER, Some(OLD)),
        router(NEXT_HOP, 0, 9, &[]),
    ] {
        let mut cache = reachable();
        asks(&mut cache, 11_000);
        assert_eq!(cache.poll_timeout(), Some(after(20_000)));
        assert_eq!(hear(&mut cache, after(13_000), &sign), None);
        assert_eq!(neighbor(&cache).state(), NeighborState::Unreachable);
        assert_eq!(cache.poll_timeout(), Some(after(13_000)));
    }
}

/// RFC 4861 §7.2.5: whoever was a router and says that it is none has to be told of.
#[test]
fn a_router_that_ceases_to_be_one_is_reported_once_it_says_so_itself() {
    let quits: [Vec<u8>; 2] = [advertised(OVERRIDE, Some(OLD)), solicits(OLD)];
    for quit in quits {
        let mut cache = reachable();
        assert_eq!(neighbor(&cache).router(), Some(true));
        assert_eq!(hear(&mut cache, after(10), &quit), None);
        assert_eq!(asks(&mut cache, 1000).0, [(1000, GROUP)]);
        let answer = advertised(SOLICITED, Some(OLD));
        assert_eq!(hear(&mut cache, after(1010), &answer), None);
        let ceased = change(Some(OLD), NeighborState::Reachable, Some(false));
        assert_eq!(asks(&mut cache, 2000), (vec![], vec![ceased]));
        let back = hear(&mut cache, after(2020), &router(NEXT_HOP, 0, 1800, &[]));
        assert_eq!(back.unwrap().router, Some(true));
    }
}

#[test]
fn whatever_is_heard_solicitations_keep_their_distance() {
    let mut cache = resolving();
    let mut asked = Vec::new();
    for millisecond in 0..10_000 {
        let mac = if millisecond % 2 == 0 { OLD } else { NEW };
        let now = after(millisecond);
        hear(&mut cache, now, &advertised(OVERRIDE, Some(mac)));
        if !due(&mut cache, now).frames.is_empty() {
            asked.push(millisecond);
        }
    }
    assert_eq!(
        asked,
        (0..10).map(|second| second * 1000).collect::<Vec<_>>()
    );
}

#[test]
fn a_remembered_mac_is_used_and_asked_at_once() {
    let mut cache = NeighborCache::new(Timing::default());
    cache.want(target(), Some(OLD), after(0), LONG);
    let known = (neighbor(&cache).mac(), neighbor(&cache).state());
    assert_eq!(known, (Some(OLD), NeighborState::Stale));
    assert_eq!(asks(&mut cache, 0).0, [(0, OLD)]);
}

#[test]
fn a_flush_forgets_and_asks_anew() {
    let mut cache = reachable();
    cache.flush(after(2000));
    assert_eq!(
        cache.poll_event(),
        Some(change(None, NeighborState::Incomplete, None))
    );
    assert_eq!(neighbor(&cache).confirmed_at(), None);
    assert_eq!(asks(&mut cache, 2000).0, [(2000, GROUP)]);
    cache.flush(after(2000));
    assert_eq!(cache.poll_event(), None, "nothing known");
}

#[test]
fn what_is_wanted_again_keeps_what_is_known_and_asks_from_elsewhere() {
    let mut cache = reachable();
    let mut moved = target();
    moved.source_mac = NEW;
    cache.want(moved, None, after(10), LONG);
    assert_eq!(neighbor(&cache).state(), NeighborState::Reachable);
    assert_eq!(cache.poll_timeout(), Some(after(5000)));
    let frame = due(&mut cache, after(5000)).frames.remove(0);
    assert_eq!(frame[6..12], NEW.0);
}

#[test]
fn what_is_not_wanted_is_not_kept() {
    let mut cache = reachable();
    assert!(cache.unwant(ip(NEXT_HOP)));
    assert!(!cache.unwant(ip(NEXT_HOP)));
    assert_eq!(cache.poll_timeout(), None);
    for frame in everything() {
        assert_eq!(hear(&mut cache, after(10), &frame), None);
    }
    assert_eq!(cache.iter().count(), 0);
}

#[test]
fn arp_follows_ipv4_next_hops_in_the_same_way() {
    let mut cache = NeighborCache::new(Timing::default());
    cache.want(target4(), None, after(0), LONG);
    let request = due(&mut cache, after(0)).frames.remove(0);
    assert_eq!(request[..6], EVERYBODY.0);
    let hop = |cache: &NeighborCache| {
        let neighbor = cache.get(ip(NEXT_HOP4)).unwrap();
        (neighbor.state(), neighbor.mac().unwrap(), neighbor.router())
    };
    hear(&mut cache, after(0), &arp(2, OLD, NEXT_HOP4, GATEWAY4));
    assert_eq!(hop(&cache), (NeighborState::Reachable, OLD, None));
    assert_eq!(asks(&mut cache, 5000).0, [(5000, OLD)]);
    hear(&mut cache, after(5001), &arp(1, OLD, NEXT_HOP4, GATEWAY4));
    assert_eq!(
        hop(&cache),
        (NeighborState::Probe, OLD, None),
        "a request is no answer"
    );
    let (_, silent) = asks(&mut cache, 8000);
    assert_eq!(silent[0].state, NeighborState::Unreachable);
    for operation in [1, 2] {
        let mut cache = cache.clone();
        let gratuitous = arp(operation, NEW, NEXT_HOP4, NEXT_HOP4);
        hear(&mut cache, after(8001), &gratuitous);
        assert_eq!(hop(&cache), (NeighborState::Stale, NEW, None));
    }
}

#[test]
fn both_families_are_kept_side_by_side() {
    let mut cache = reachable();
    cache.want(target4(), None, after(0), LONG);
    let known: Vec<IpAddr> = cache.iter().map(Neighbor::address).collect();
    assert_eq!(known, [ip(NEXT_HOP4), ip(NEXT_HOP)]);
    assert_eq!(cache.poll_timeout(), Some(after(0)), "the earlier of both");
    assert_eq!(destination(&due(&mut cache, after(0)).frames[0]), EVERYBODY);
    assert_eq!(cache.poll_timeout(), Some(after(1000)));
    assert_eq!(neighbor(&cache).target().source_mac, ROUTER_MAC);
}

#[test]
fn a_timing_without_sense_is_moved_to_the_nearest_with_sense() {
    let nothing = Timing {
        reachable: Duration::ZERO,
        retransmission: Duration::ZERO,
        multicast_solicitations: 0,
        unicast_solicitations: 0,
        patience: Duration::ZERO,
    };
    let mut cache = NeighborCache::new(nothing);
    cache.want(target(), None, after(0), 0);
    let (asked, changes) = asks(&mut cache, 30);
    assert_eq!(asked, [0, 10, 20, 30].map(|at| (at, GROUP)));
    assert_eq!(changes.len(), 1);

    cache.want(target4(), Some(OLD), after(30), 0);
    due(&mut cache, after(30));
    hear(&mut cache, after(30), &arp(2, OLD, NEXT_HOP4, GATEWAY4));
    assert_eq!(cache.poll_timeout(), Some(after(40)), "not after 5 ms");

    let endless = Timing {
        reachable: Duration::MAX,
        retransmission: Duration::MAX,
        multicast_solicitations: u32::MAX,
        unicast_solicitations: u32::MAX,
        patience: Duration::MAX,
    };
    let mut cache = NeighborCache::new(endless);
    cache.want(target(), Some(OLD), after(0), LONG);
    let day = 86_400_000;
    let asked = asks(&mut cache, 2 * day).0;
    assert_eq!(asked, [0, day, 2 * day].map(|at| (at, OLD)));
}
