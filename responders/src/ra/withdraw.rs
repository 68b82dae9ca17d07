//! What is said when something is advertised no more, so that hosts stop using what leads nowhere.

use sextant_model::{
    AdvertisedPrefix, AdvertisedRoute, Advertisement, PrefixEnds, RouterPreference,
};

/// Hosts keep an address for two hours at least, whatever an advertisement says (RFC 4862 §5.5.3), so a prefix that
/// is gone is not called valid for longer, counted from when it went (RFC 7084 L-13, as of RFC 9096 §3.5).
const GONE_VALID: u32 = 7200;

/// How many prefixes that are gone are told of at most: with them an advertisement fits the least MTU of IPv6, however
/// often a server outside delegates another.
const MOST_GONE: usize = 24;

/// A router's final advertisement on a link (RFC 4861 §6.2.5) that it leaves `now`, in seconds since 1970: a default
/// router no more, its routes over, its prefixes valid for a while but not preferred (RFC 9096 §3.5).
pub fn last_word(advertisement: &Advertisement, now: i64) -> Advertisement {
    let mut last = advertisement.clone();
    last.lifetime = 0;
    let prefixes = last.prefixes.iter_mut();
    prefixes.for_each(|prefix| deprecate(prefix, now));
    last.options
        .routes
        .iter_mut()
        .for_each(|route| route.lifetime = 0);
    last
}

/// The advertisement that replaces `before` from `now` on, in seconds since 1970: `after`, and a last word on the prefixes
/// and routes that it lacks; of many prefixes, on those that went last. To be sent for some time, as hosts may miss one.
pub fn withdraw(before: &Advertisement, after: &Advertisement, now: i64) -> Advertisement {
    let mut all = after.clone();
    let keeps =
        |gone: &AdvertisedPrefix| after.prefixes.iter().any(|kept| kept.prefix == gone.prefix);
    let gone = before.prefixes.iter().filter(|prefix| !keeps(prefix));
    for gone in gone.take(MOST_GONE) {
        let mut gone = *gone;
        deprecate(&mut gone, now);
        all.prefixes.push(gone);
    }
    let routes = &after.options.routes;
    for gone in &before.options.routes {
        if !routes.iter().any(|kept| kept.prefix == gone.prefix) {
            let (prefix, preference, lifetime) = (gone.prefix, RouterPreference::Medium, 0);
            all.options.routes.push(AdvertisedRoute {
                prefix,
                preference,
                lifetime,
            });
        }
    }
    all
}

/// One that is deprecated already ends no later.
fn deprecate(prefix: &mut AdvertisedPrefix, now: i64) {
    prefix.preferred = 0;
    prefix.valid = prefix.valid.min(GONE_VALID);
    let until = now.saturating_add(prefix.valid.into());
    prefix.ends = Some(PrefixEnds {
        preferred_until: now,
        valid_until: prefix
            .ends
            .map_or(until, |ends| ends.valid_until.min(until)),
    });
}
