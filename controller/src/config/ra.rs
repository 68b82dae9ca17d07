//! `[ra]`: what routers advertise to guests, and how often.

use super::KeyReference;
use super::check::{Checked, quoted, refused, unless};
use ipnet::Ipv6Net;
use serde::{Deserialize, Deserializer};
use sextant_model::{AdvertisedOptions, Pref64, RaSettings, RouterPreference};

/// The lengths of NAT64's prefixes in bits (RFC 6052 §2.2).
const NAT64_LENGTHS: [u8; 6] = [32, 40, 48, 56, 64, 96];
/// The most octets of a captive portal's URI in an option of 255 times 8 octets.
const MOST_URI: usize = 255 * 8 - 2;

/// The section's keys.
pub(super) const KEYS: &[KeyReference] = &[
    (
        "min_interval",
        "30",
        "Seconds between unsolicited Router Advertisements at least: 3 to three quarters of `max_interval`.",
    ),
    (
        "max_interval",
        "100",
        "Seconds between unsolicited Router Advertisements at most: 4 to 1800. DNS servers, search domains and the NAT64 prefix hold for three times as long.",
    ),
    (
        "lifetime",
        "300",
        "Router lifetime in seconds: 0, or from `max_interval` to 9000.",
    ),
    (
        "hop_limit",
        "64",
        "Hop limit of packets that guests send. 0: guests decide.",
    ),
    (
        "preference",
        "medium",
        "Whether guests prefer these routers to others on a network (RFC 4191): `high`, `medium` or `low`.",
    ),
    (
        "reachable_time",
        "0",
        "Milliseconds for which guests take a neighbor for reachable once it answered, at most 3600000. 0: guests decide.",
    ),
    (
        "retransmission_timer",
        "0",
        "Milliseconds between Neighbor Solicitations that guests repeat. 0: guests decide.",
    ),
    (
        "valid_lifetime",
        "86400",
        "Seconds for which guests may use addresses of an advertised prefix, from `max_interval`. A delegated prefix never lasts longer than its delegation.",
    ),
    (
        "preferred_lifetime",
        "14400",
        "Seconds for which guests prefer these addresses for new connections, at most `valid_lifetime`.",
    ),
    (
        "pref64",
        "",
        "The prefix of a NAT64 outside, such as `64:ff9b::/96`, from which guests reach IPv4 (RFC 8781). Empty: none.",
    ),
    (
        "captive_portal",
        "",
        "The URI of a captive portal's API (RFC 8910), `https://…`. Empty: none.",
    ),
];

/// `[ra]`: what routers advertise, as radvd.conf(5) names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ra {
    /// MinRtrAdvInterval in seconds: at least 3, at most three quarters of `max_interval`.
    pub min_interval: u16,
    /// MaxRtrAdvInterval in seconds: 4 to 1800.
    pub max_interval: u16,
    /// AdvDefaultLifetime in seconds: 0, or from `max_interval` to 9000.
    pub lifetime: u16,
    /// AdvCurHopLimit. 0: guests decide.
    pub hop_limit: u8,
    /// AdvDefaultPreference.
    #[serde(deserialize_with = "preference")]
    pub preference: RouterPreference,
    /// AdvReachableTime in milliseconds, at most an hour. 0: guests decide.
    pub reachable_time: u32,
    /// AdvRetransTimer in milliseconds. 0: guests decide.
    pub retransmission_timer: u32,
    /// AdvValidLifetime in seconds, from `max_interval`.
    pub valid_lifetime: u32,
    /// AdvPreferredLifetime in seconds, at most `valid_lifetime`.
    pub preferred_lifetime: u32,
    /// A NAT64 prefix.
    #[serde(deserialize_with = "nat64_prefix")]
    pub pref64: Option<Ipv6Net>,
    /// The URI of a captive portal's API. Empty: none.
    pub captive_portal: String,
}

impl Default for Ra {
    fn default() -> Self {
        let settings = RaSettings::default();
        Self {
            min_interval: settings.min_interval,
            max_interval: settings.max_interval,
            lifetime: settings.lifetime,
            hop_limit: settings.hop_limit,
            preference: settings.options.preference,
            reachable_time: settings.options.reachable_time,
            retransmission_timer: settings.options.retransmission_timer,
            valid_lifetime: settings.valid_lifetime,
            preferred_lifetime: settings.preferred_lifetime,
            pref64: None,
            captive_portal: String::new(),
        }
    }
}

impl Ra {
    /// What routers advertise.
    pub(super) fn settings(&self) -> RaSettings {
        let mut settings = RaSettings {
            min_interval: self.min_interval,
            max_interval: self.max_interval,
            lifetime: self.lifetime,
            hop_limit: self.hop_limit,
            valid_lifetime: self.valid_lifetime,
            preferred_lifetime: self.preferred_lifetime,
            options: AdvertisedOptions {
                preference: self.preference,
                reachable_time: self.reachable_time,
                retransmission_timer: self.retransmission_timer,
                captive_portal: Some(self.captive_portal.clone()).filter(|uri| !uri.is_empty()),
                ..AdvertisedOptions::default()
            },
        };
        settings.options.pref64 = self.pref64.map(|prefix| Pref64 {
            prefix,
            lifetime: settings.option_lifetime(),
        });
        settings
    }

    pub(super) fn check(&self) -> impl Iterator<Item = Checked> {
        self.check_times().into_iter().chain(self.check_options())
    }

    fn check_times(&self) -> [Checked; 5] {
        let (min, max, lifetime) = (self.min_interval, self.max_interval, self.lifetime);
        let short = min < 3 || u32::from(min) * 4 > u32::from(max) * 3;
        let (valid, preferred) = (self.valid_lifetime, self.preferred_lifetime);
        [
            unless(!(4..=1800).contains(&max), || {
                let rule = "4 to 1800 seconds (RFC 4861 section 6.2.1)";
                refused("ra.max_interval", max, rule)
            }),
            unless(short, || {
                let rule =
                    "3 seconds to three quarters of ra.max_interval (RFC 4861 section 6.2.1)";
                refused("ra.min_interval", min, rule)
            }),
            unless(lifetime != 0 && !(max..=9000).contains(&lifetime), || {
                let rule = "0, or from ra.max_interval to 9000 seconds (RFC 4861 section 6.2.1)";
                refused("ra.lifetime", lifetime, rule)
            }),
            unless(valid < u32::from(max), || {
                let rule = "at least ra.max_interval, or guests lose their addresses before they hear of them again";
                refused("ra.valid_lifetime", valid, rule)
            }),
            unless(preferred > valid, || {
                let rule = "at most ra.valid_lifetime (RFC 4861 section 6.2.1)";
                refused("ra.preferred_lifetime", preferred, rule)
            }),
        ]
    }

    fn check_options(&self) -> [Checked; 2] {
        let uri = self.captive_portal.as_str();
        // A captive portal's API is HTTP over TLS (RFC 8908 §4).
        let reachable = uri
            .strip_prefix("https://")
            .is_some_and(|rest| !rest.is_empty());
        let plain = uri.len() <= MOST_URI && uri.bytes().all(|octet| octet.is_ascii_graphic());
        [
            unless(self.reachable_time > 3_600_000, || {
                let rule = "at most 3600000 milliseconds (RFC 4861 section 6.2.1)";
                refused("ra.reachable_time", self.reachable_time, rule)
            }),
            unless(!(uri.is_empty() || reachable && plain), || {
                let rule = "a URI in ASCII that begins with https:// (RFC 8908 section 4)";
                quoted("ra.captive_portal", uri, rule)
            }),
        ]
    }
}

fn preference<'de, D: Deserializer<'de>>(from: D) -> Result<RouterPreference, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// A prefix of NAT64, or none.
fn nat64_prefix<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Ipv6Net>, D::Error> {
    let text = String::deserialize(from)?;
    if text.is_empty() {
        return Ok(None);
    }
    let prefix = text.parse::<Ipv6Net>().ok();
    let prefix = prefix.filter(|prefix| NAT64_LENGTHS.contains(&prefix.prefix_len()));
    match prefix {
        Some(prefix) if prefix.addr() == prefix.network() => Ok(Some(prefix)),
        Some(_) | None => Err(serde::de::Error::custom(format!(
            "{text:?} is no prefix of NAT64, such as 64:ff9b::/96, of 32, 40, 48, 56, 64 or 96 bits"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigError;

    fn ra(text: &str) -> Result<Ra, String> {
        let ra: Ra = toml::from_str(text).map_err(|error| error.to_string())?;
        let checked: Result<Vec<()>, ConfigError> = ra.check().collect();
        checked.map(|_| ra).map_err(|error| error.to_string())
    }

    #[test]
    fn all_of_it_is_advertised() {
        let text = "hop_limit = 32\npreference = 'high'\nreachable_time = 30000\nretransmission_timer = 500\nmax_interval = 600\nlifetime = 1800\nvalid_lifetime = 7200\npreferred_lifetime = 3600\npref64 = '2001:db8:64::/96'\ncaptive_portal = 'https://portal.example/api'";
        let settings = ra(text).unwrap().settings();
        let options = AdvertisedOptions {
            preference: RouterPreference::High,
            reachable_time: 30_000,
            retransmission_timer: 500,
            pref64: Some(Pref64 {
                prefix: "2001:db8:64::/96".parse().unwrap(),
                lifetime: 1800,
            }),
            captive_portal: Some("https://portal.example/api".to_owned()),
            ..AdvertisedOptions::default()
        };
        let expected = RaSettings {
            min_interval: 30,
            max_interval: 600,
            lifetime: 1800,
            hop_limit: 32,
            valid_lifetime: 7200,
            preferred_lifetime: 3600,
            options,
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn what_guests_could_not_use_is_refused() {
        for (text, key) in [
            ("valid_lifetime = 99", "ra.valid_lifetime"),
            ("preferred_lifetime = 86401", "ra.preferred_lifetime"),
            ("reachable_time = 3600001", "ra.reachable_time"),
            (
                "captive_portal = 'http://portal.example'",
                "ra.captive_portal",
            ),
            ("captive_portal = 'https://'", "ra.captive_portal"),
            (
                "captive_portal = 'https://portal.example/a b'",
                "ra.captive_portal",
            ),
            (
                "preference = 'highest'",
                "'highest' is no router preference",
            ),
            (
                "pref64 = '64:ff9b::/95'",
                "\"64:ff9b::/95\" is no prefix of NAT64",
            ),
            (
                "pref64 = '64:ff9b::1/96'",
                "\"64:ff9b::1/96\" is no prefix of NAT64",
            ),
            ("pref64 = 'none'", "\"none\" is no prefix of NAT64"),
        ] {
            let error = ra(text).unwrap_err();
            assert!(error.contains(key), "{text}: {error}");
        }
        let long = format!("captive_portal = 'https://{}'", "a".repeat(MOST_URI));
        assert!(ra(&long).unwrap_err().contains("ra.captive_portal"));
    }
}
