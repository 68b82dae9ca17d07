//! What the configuration, and tags of networks and subnets, say about Router Advertisements.
//!
//! A setting has one name. It is a key of the configuration's `[ra]`, and with [`RaSettings::TAG`] before it and `=VALUE`
//! after it a tag.

use crate::{AdvertisedOptions, Pref64, RaInterval, RouterPreference, UnknownPreference};
use ipnet::Ipv6Net;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::num::ParseIntError;
use std::str::FromStr;

/// The lengths of NAT64's prefixes in bits (RFC 6052 §2.2).
const NAT64_LENGTHS: [u8; 6] = [32, 40, 48, 56, 64, 96];
/// The most octets of a captive portal's URI in an option of 255 times 8 octets.
const MOST_URI: usize = 255 * 8 - 2;

/// What routers advertise, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaSettings {
    /// MinRtrAdvInterval in seconds (RFC 4861 §6.2.1).
    pub min_interval: u16,
    /// MaxRtrAdvInterval in seconds.
    pub max_interval: u16,
    /// AdvDefaultLifetime in seconds, at most 9000.
    pub lifetime: u16,
    /// AdvCurHopLimit. 0: hosts decide.
    pub hop_limit: u8,
    /// AdvDefaultPreference (RFC 4191 §2.2).
    pub preference: RouterPreference,
    /// AdvReachableTime in milliseconds. 0: hosts decide.
    pub reachable_time: u32,
    /// AdvRetransTimer in milliseconds. 0: hosts decide.
    pub retransmission_timer: u32,
    /// AdvValidLifetime of prefixes, in seconds.
    pub valid_lifetime: u32,
    /// AdvPreferredLifetime of prefixes, in seconds.
    pub preferred_lifetime: u32,
    /// Which routes are advertised.
    pub routes: AdvertisedRoutes,
    /// The prefix of a NAT64 outside.
    pub pref64: Option<Ipv6Net>,
    /// The URI of a captive portal's API. Empty: none.
    pub captive_portal: String,
}

/// Which routes a router advertises (RFC 4191 §2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdvertisedRoutes {
    /// None.
    None,
    /// The host routes of its subnets whose next hop it is.
    #[default]
    HostRoutes,
    /// These, and the routes that it has itself.
    All,
}

/// A value that a setting cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RaValueError {
    /// No setting has this name.
    #[error("no setting has this name; there are {}", RaSettings::names().collect::<Vec<_>>().join(", "))]
    UnknownKey,
    /// It is no number, or too large.
    #[error("{0:?} is not a number that fits: {1}")]
    Number(String, ParseIntError),
    /// It is no preference.
    #[error(transparent)]
    Preference(#[from] UnknownPreference),
    /// It names no routes.
    #[error("{0:?} names no routes: use none, host_routes or all")]
    Routes(String),
    /// It is no prefix of a NAT64.
    #[error("{0:?} is no prefix of NAT64, such as 64:ff9b::/96, of 32, 40, 48, 56, 64 or 96 bits")]
    Nat64(String),
}

/// A setting that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value}: {rule}")]
pub struct RaFault {
    /// The setting.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// The rule, and where it comes from.
    pub rule: &'static str,
}

/// A tag that sets nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RaTagError {
    /// It has no value.
    #[error("the tag {0:?} has no value: write {tag}NAME=VALUE", tag = RaSettings::TAG)]
    NoValue(String),
    /// A subnet has settings of its prefix alone.
    #[error("the tag {0:?} belongs on the network: a subnet has {names} alone", names = RaSettings::KEYS_OF_SUBNETS.join(" and "))]
    NotOfSubnets(String),
    /// Its value is none that the setting can have.
    #[error("the tag {0:?}: {1}")]
    Value(String, RaValueError),
    /// With it, the settings break a rule.
    #[error("the tags break a rule: {0}")]
    Fault(RaFault),
}

impl Default for RaSettings {
    /// What Neutron's radvd sends: its own intervals, and the defaults of radvd.conf(5).
    fn default() -> Self {
        Self {
            min_interval: 30,
            max_interval: 100,
            lifetime: 300,
            hop_limit: 64,
            preference: RouterPreference::Medium,
            reachable_time: 0,
            retransmission_timer: 0,
            valid_lifetime: 86_400,
            preferred_lifetime: 14_400,
            routes: AdvertisedRoutes::HostRoutes,
            pref64: None,
            captive_portal: String::new(),
        }
    }
}

impl RaSettings {
    /// The name of each setting, its default and its meaning.
    pub const KEYS: &[(&str, &str, &str)] = &[
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
            "routes",
            "host_routes",
            "Which routes are advertised (RFC 4191): `host_routes`, those of the subnets whose next hop is the router; `all`, also the router's own; or `none`.",
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

    /// The names of all settings.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::KEYS.iter().map(|(name, ..)| *name)
    }

    /// The settings that a subnet may have for itself: its prefix's.
    pub const KEYS_OF_SUBNETS: &[&str] = &["valid_lifetime", "preferred_lifetime"];

    /// What a tag begins with that is a setting.
    pub const TAG: &str = "sextant:ra:";

    /// Sets one of them.
    ///
    /// # Errors
    /// There is no such setting, or it cannot have this value. Whether values fit together, [`Self::faults`] says.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), RaValueError> {
        match key {
            "min_interval" => self.min_interval = number(value)?,
            "max_interval" => self.max_interval = number(value)?,
            "lifetime" => self.lifetime = number(value)?,
            "hop_limit" => self.hop_limit = number(value)?,
            "preference" => self.preference = value.parse()?,
            "reachable_time" => self.reachable_time = number(value)?,
            "retransmission_timer" => self.retransmission_timer = number(value)?,
            "valid_lifetime" => self.valid_lifetime = number(value)?,
            "preferred_lifetime" => self.preferred_lifetime = number(value)?,
            "routes" => self.routes = value.parse()?,
            "pref64" => self.pref64 = nat64_prefix(value)?,
            "captive_portal" => value.clone_into(&mut self.captive_portal),
            _ => return Err(RaValueError::UnknownKey),
        }
        Ok(())
    }

    /// Settings that break a rule.
    #[must_use]
    pub fn faults(&self) -> Vec<RaFault> {
        let faults = self.faults_of_times().into_iter();
        faults.chain(self.faults_of_options()).flatten().collect()
    }

    fn faults_of_times(&self) -> [Option<RaFault>; 5] {
        let (min, max, lifetime) = (self.min_interval, self.max_interval, self.lifetime);
        let short = min < 3 || u32::from(min) * 4 > u32::from(max) * 3;
        let (valid, preferred) = (self.valid_lifetime, self.preferred_lifetime);
        [
            fault(
                !(4..=1800).contains(&max),
                ("max_interval", &max),
                "4 to 1800 seconds (RFC 4861 section 6.2.1)",
            ),
            fault(
                short,
                ("min_interval", &min),
                "3 seconds to three quarters of max_interval (RFC 4861 section 6.2.1)",
            ),
            fault(
                lifetime != 0 && !(max..=9000).contains(&lifetime),
                ("lifetime", &lifetime),
                "0, or from max_interval to 9000 seconds (RFC 4861 section 6.2.1)",
            ),
            fault(
                valid < u32::from(max),
                ("valid_lifetime", &valid),
                "at least max_interval, or guests lose their addresses before they hear of them again",
            ),
            fault(
                preferred > valid,
                ("preferred_lifetime", &preferred),
                "at most valid_lifetime (RFC 4861 section 6.2.1)",
            ),
        ]
    }

    fn faults_of_options(&self) -> [Option<RaFault>; 2] {
        let uri = self.captive_portal.as_str();
        // A captive portal's API is HTTP over TLS (RFC 8908 §4).
        let reachable = uri
            .strip_prefix("https://")
            .is_some_and(|rest| !rest.is_empty());
        let plain = uri.len() <= MOST_URI && uri.bytes().all(|octet| octet.is_ascii_graphic());
        [
            fault(
                self.reachable_time > 3_600_000,
                ("reachable_time", &self.reachable_time),
                "at most 3600000 milliseconds (RFC 4861 section 6.2.1)",
            ),
            fault(
                !(uri.is_empty() || reachable && plain),
                ("captive_portal", &format!("{uri:?}")),
                "a URI in ASCII that begins with https:// (RFC 8908 section 4)",
            ),
        ]
    }

    /// The settings of a network with these tags.
    ///
    /// # Errors
    /// A tag sets nothing, or with the tags the settings break a rule.
    pub fn on_network(&self, tags: &BTreeSet<String>) -> Result<Cow<'_, Self>, RaTagError> {
        self.tagged(tags, |_| true)
    }

    /// The settings of a subnet with these tags, on a network with the settings `self`.
    ///
    /// # Errors
    /// The same, and a tag that belongs on the network.
    pub fn on_subnet(&self, tags: &BTreeSet<String>) -> Result<Cow<'_, Self>, RaTagError> {
        self.tagged(tags, |key| Self::KEYS_OF_SUBNETS.contains(&key))
    }

    fn tagged(
        &self,
        tags: &BTreeSet<String>,
        may: fn(&str) -> bool,
    ) -> Result<Cow<'_, Self>, RaTagError> {
        let mut settings = Cow::Borrowed(self);
        for tag in tags {
            let Some(setting) = tag.strip_prefix(Self::TAG) else {
                continue;
            };
            let Some((key, value)) = setting.split_once('=') else {
                return Err(RaTagError::NoValue(tag.clone()));
            };
            if Self::names().any(|known| known == key) && !may(key) {
                return Err(RaTagError::NotOfSubnets(tag.clone()));
            }
            let set = settings.to_mut().set(key, value);
            set.map_err(|error| RaTagError::Value(tag.clone(), error))?;
        }
        // Without tags the settings are the configuration's, which checks them itself.
        match &settings {
            Cow::Borrowed(_) => Ok(settings),
            Cow::Owned(own) => match own.faults().into_iter().next() {
                Some(fault) => Err(RaTagError::Fault(fault)),
                None => Ok(settings),
            },
        }
    }

    /// How often routers advertise.
    #[must_use]
    pub fn interval(&self) -> RaInterval {
        RaInterval {
            min: self.min_interval,
            max: self.max_interval,
        }
    }

    /// The lifetime in seconds of what is advertised each time anew: three times the longest interval (RFC 8106 §5.1,
    /// RFC 8781 §5).
    #[must_use]
    pub fn option_lifetime(&self) -> u16 {
        self.max_interval.saturating_mul(3)
    }

    /// What advertisements contain by these settings alone.
    #[must_use]
    pub fn options(&self) -> AdvertisedOptions {
        let lifetime = self.option_lifetime();
        let pref64 = self.pref64.map(|prefix| Pref64 { prefix, lifetime });
        AdvertisedOptions {
            preference: self.preference,
            reachable_time: self.reachable_time,
            retransmission_timer: self.retransmission_timer,
            pref64: pref64.into_iter().collect(),
            captive_portal: Some(self.captive_portal.clone()).filter(|uri| !uri.is_empty()),
            ..AdvertisedOptions::default()
        }
    }
}

impl FromStr for AdvertisedRoutes {
    type Err = RaValueError;

    fn from_str(text: &str) -> Result<Self, RaValueError> {
        match text {
            "none" => Ok(Self::None),
            "host_routes" => Ok(Self::HostRoutes),
            "all" => Ok(Self::All),
            other => Err(RaValueError::Routes(other.to_owned())),
        }
    }
}

fn fault(
    is: bool,
    (key, value): (&'static str, &dyn Display),
    rule: &'static str,
) -> Option<RaFault> {
    let value = value.to_string();
    is.then_some(RaFault { key, value, rule })
}

fn number<T: FromStr<Err = ParseIntError>>(text: &str) -> Result<T, RaValueError> {
    let number = text.parse();
    number.map_err(|error| RaValueError::Number(text.to_owned(), error))
}

/// A prefix of NAT64, or none.
fn nat64_prefix(text: &str) -> Result<Option<Ipv6Net>, RaValueError> {
    if text.is_empty() {
        return Ok(None);
    }
    let prefix = text.parse::<Ipv6Net>().ok();
    let prefix = prefix.filter(|prefix| NAT64_LENGTHS.contains(&prefix.prefix_len()));
    match prefix {
        Some(prefix) if prefix.addr() == prefix.network() => Ok(Some(prefix)),
        Some(_) | None => Err(RaValueError::Nat64(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(tags: &[&str]) -> BTreeSet<String> {
        tags.iter().map(|tag| (*tag).to_owned()).collect()
    }

    #[test]
    fn each_key_is_a_setting() {
        let mut settings = RaSettings::default();
        for key in RaSettings::names() {
            assert_ne!(
                settings.set(key, "\u{7f}"),
                Err(RaValueError::UnknownKey),
                "{key}"
            );
        }
        assert_eq!(settings.set("interval", "3"), Err(RaValueError::UnknownKey));
    }

    #[test]
    fn tags_set_what_they_name() {
        let all = tags(&[
            "blue",
            "sextant:ra:hop_limit=32",
            "sextant:ra:routes=all",
            "sextant:ra:pref64=64:ff9b::/96",
        ]);
        let configured = RaSettings::default();
        let settings = configured.on_network(&all).unwrap();
        let expected = RaSettings {
            hop_limit: 32,
            routes: AdvertisedRoutes::All,
            pref64: Some("64:ff9b::/96".parse().unwrap()),
            ..RaSettings::default()
        };
        assert_eq!(*settings, expected);
        let own = tags(&["sextant:ra:preferred_lifetime=60"]);
        let of_subnet = settings.on_subnet(&own).unwrap();
        assert_eq!(
            (of_subnet.preferred_lifetime, of_subnet.hop_limit),
            (60, 32)
        );
    }

    #[test]
    fn a_tag_that_sets_nothing_is_refused_by_name() {
        for (tag, reason) in [
            ("sextant:ra:hop_limit", "has no value"),
            ("sextant:ra:hop_limit=256", "\"256\" is not a number"),
            ("sextant:ra:hop=1", "no setting has this name"),
            (
                "sextant:ra:lifetime=50",
                "lifetime = 50: 0, or from max_interval",
            ),
            (
                "sextant:ra:captive_portal=http://portal",
                "begins with https://",
            ),
            ("sextant:ra:routes=some", "\"some\" names no routes"),
        ] {
            let configured = RaSettings::default();
            let error = configured.on_network(&tags(&[tag])).unwrap_err();
            assert!(error.to_string().contains(reason), "{tag}: {error}");
        }
        let of_network = tags(&["sextant:ra:hop_limit=1"]);
        let error = RaSettings::default()
            .on_subnet(&of_network)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("a subnet has valid_lifetime and preferred_lifetime alone"),
            "{error}"
        );
    }
}
