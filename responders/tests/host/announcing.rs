//! Announcements of routers' addresses that moved.

use crate::clock::start;
use sextant_model::{MacAddr, NetworkKey};
use sextant_responders::host::{AddressOnNetwork, Announcing, OutgoingFrame};
use sextant_responders::neighbor::announce;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const ONE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const TWO: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

fn places(network: u32, mac: MacAddr, addresses: &[&str]) -> BTreeMap<AddressOnNetwork, MacAddr> {
    let of = |address: &&str| (NetworkKey(network), address.parse().unwrap());
    addresses.iter().map(|address| (of(address), mac)).collect()
}

/// The frames that are sent until nothing is due any more, and after how many seconds each.
fn announced(announcing: &mut Announcing, begun: Instant) -> Vec<(u64, Vec<u8>)> {
    announcing.handle_confirmed(begun);
    let mut announced = vec![];
    while let Some(now) = announcing.poll_timeout() {
        for frame in due(announcing, now) {
            announced.push(((now - begun).as_secs(), frame.octets));
        }
    }
    announced
}

fn due(announcing: &mut Announcing, now: Instant) -> Vec<OutgoingFrame> {
    announcing.handle_timeout(now);
    std::iter::from_fn(|| announcing.poll_frame()).collect()
}

#[test]
fn what_moved_is_told_three_times_in_both_families_and_what_comes_is_not() {
    let now = start().instant;
    let mut announcing = Announcing::default();
    let (v6, v4) = ("2001:db8:a::1", "10.0.0.1");
    announcing.handle_planned(&places(1, ONE, &[v6, v4]));
    assert_eq!(announced(&mut announcing, now), []);

    announcing.handle_planned(&places(1, TWO, &[v6, v4]));
    assert_eq!(announcing.poll_timeout(), None, "not before its flows");
    let frame = |address: &str| announce(TWO, address.parse().unwrap());
    let both = |second| [(second, frame(v4)), (second, frame(v6))];
    assert_eq!(
        announced(&mut announcing, now),
        [0, 1, 2].map(both).concat(),
        "RFC 4861 §10: MAX_NEIGHBOR_ADVERTISEMENT"
    );
    let mut more = places(1, TWO, &[v6, v4]);
    more.extend(places(2, ONE, &[v6]));
    announcing.handle_planned(&more);
    assert_eq!(announced(&mut announcing, now), [], "another network");
}

#[test]
fn an_address_that_was_nobodys_meanwhile_has_moved_all_the_same() {
    let now = start().instant;
    let mut announcing = Announcing::default();
    announcing.handle_planned(&places(1, ONE, &["10.0.0.1"]));
    announcing.handle_planned(&BTreeMap::new());
    announcing.handle_planned(&places(1, ONE, &["10.0.0.1"]));
    assert_eq!(announced(&mut announcing, now), [], "it is back");
    announcing.handle_planned(&BTreeMap::new());
    announcing.handle_planned(&places(1, TWO, &["10.0.0.1"]));
    assert_eq!(announced(&mut announcing, now).len(), 3);
}

#[test]
fn what_moves_on_is_told_of_where_it_is_and_what_went_is_not() {
    let now = start().instant;
    let mut announcing = Announcing::default();
    announcing.handle_planned(&places(1, ONE, &["10.0.0.1"]));
    announcing.handle_planned(&places(1, TWO, &["10.0.0.1"]));
    announcing.handle_confirmed(now);
    assert_eq!(due(&mut announcing, now).len(), 1);
    announcing.handle_planned(&BTreeMap::new());
    assert_eq!(due(&mut announcing, now + Duration::from_secs(1)), []);
    assert_eq!(announcing.poll_timeout(), None);
}

#[test]
fn not_everything_is_remembered() {
    let mut announcing = Announcing::default();
    for network in 0..3000 {
        announcing.handle_planned(&places(network, ONE, &["10.0.0.1"]));
    }
    for (network, frames) in [(0, 0), (1000, 0), (2500, 3)] {
        announcing.handle_planned(&places(network, TWO, &["10.0.0.1"]));
        let sent = announced(&mut announcing, start().instant);
        assert_eq!(
            sent.len(),
            frames,
            "{network}: the latest 1024 are remembered"
        );
    }
}
