//! What guests are told of prefixes and routes that are gone.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod guest;

use guest::*;
use sextant_model::{AdvertisedRoute, Advertisement, PrefixEnds, RouterPreference};
use sextant_responders::ra;

#[test]
fn what_a_change_took_away_is_deprecated_beside_what_stays() {
    let mut before = advertisement();
    before.options.routes = vec![AdvertisedRoute {
        prefix: "2001:db8:5::/48".parse().unwrap(),
        preference: RouterPreference::High,
        lifetime: 600,
    }];
    let mut after = advertisement();
    after.prefixes.remove(0);
    let all = ra::withdraw(&before, &after, NOW);
    let told: Vec<_> = all
        .prefixes
        .iter()
        .map(|prefix| (prefix.prefix.to_string(), prefix.preferred, prefix.valid))
        .collect();
    let kept = ("2001:db8:2::/64".to_owned(), 14_400, 86_400);
    let gone = ("2001:db8:1::/64".to_owned(), 0, 7200);
    assert_eq!(told, [kept, gone]);
    assert_eq!(all.lifetime, after.lifetime);
    assert_eq!(all.options.routes[0].lifetime, 0);
    assert_eq!(ra::withdraw(&before, &before, NOW), before);
}

#[test]
fn a_prefix_that_is_gone_is_valid_for_two_hours_from_then_and_not_from_each_advertisement() {
    let before = advertisement();
    let mut after = advertisement();
    after.prefixes.remove(0);
    let valid = |said: &Advertisement, now| said.at(now).prefixes.last().unwrap().valid;
    let first = ra::withdraw(&before, &after, NOW);
    assert_eq!(
        [0, 1000, 7200].map(|n| valid(&first, NOW + n)),
        [7200, 6200, 0]
    );

    let mut others = after.clone();
    others.dns_servers.clear();
    let second = ra::withdraw(&first, &others, NOW + 1000);
    assert_eq!(valid(&second, NOW + 1000), 6200);

    let mut ending = advertisement();
    ending.prefixes[0].ends = Some(PrefixEnds {
        preferred_until: NOW + 10,
        valid_until: NOW + 20,
    });
    let said = ra::withdraw(&ending, &after, NOW);
    let said = said.at(NOW);
    let gone = said.prefixes.last().unwrap();
    assert_eq!((gone.preferred, gone.valid), (0, 20));
}
