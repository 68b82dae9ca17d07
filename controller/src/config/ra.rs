//! `[ra]`: what routers advertise to guests, and how often.

use super::check::Checked;
use super::{ConfigError, KeyReference};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use sextant_model::{RaSettings, RaValueError};
use std::fmt;

/// The section's keys.
pub(super) const KEYS: &[KeyReference] = RaSettings::KEYS;

/// `[ra]`: what routers advertise, as radvd.conf(5) names it. Networks and subnets may say otherwise by tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ra(pub RaSettings);

impl Ra {
    pub(super) fn check(&self) -> impl Iterator<Item = Checked> {
        let faults = self.0.faults().into_iter();
        faults.map(|fault| Err(ConfigError::Ra(fault)))
    }
}

impl<'de> Deserialize<'de> for Ra {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Section).map(Self)
    }
}

/// The whole section.
struct Section;

impl<'de> Visitor<'de> for Section {
    type Value = RaSettings;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("settings of Router Advertisements")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut section: A) -> Result<RaSettings, A::Error> {
        let mut settings = RaSettings::default();
        while let Some(key) = section.next_key_seed(SettingName)? {
            let settings = &mut settings;
            section.next_value_seed(SettingSeed { settings, key })?;
        }
        Ok(settings)
    }
}

/// The name of a setting.
struct SettingName;

impl<'de> DeserializeSeed<'de> for SettingName {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<&'static str, D::Error> {
        let name = String::deserialize(from)?;
        let known = RaSettings::names().find(|known| *known == name);
        known.ok_or_else(|| {
            let error = RaValueError::UnknownKey;
            D::Error::custom(format!("unknown field `{name}`: {error}"))
        })
    }
}

/// The value of a setting: a number or a text.
struct SettingSeed<'a> {
    settings: &'a mut RaSettings,
    key: &'static str,
}

impl SettingSeed<'_> {
    fn set<E: Error>(self, value: &str) -> Result<(), E> {
        let set = self.settings.set(self.key, value);
        set.map_err(|error| E::custom(format!("{}: {error}", self.key)))
    }
}

impl<'de> DeserializeSeed<'de> for SettingSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl Visitor<'_> for SettingSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number or a text")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.set(&number.to_string())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.set(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sextant_model::{AdvertisedRoutes, RouterPreference};

    fn ra(text: &str) -> Result<Ra, String> {
        let ra: Ra = toml::from_str(text).map_err(|error| error.to_string())?;
        let checked: Result<Vec<()>, ConfigError> = ra.check().collect();
        checked.map(|_| ra).map_err(|error| error.to_string())
    }

    #[test]
    fn all_of_it_is_advertised() {
        let text = "routes = 'none'\nhop_limit = 32\npreference = 'high'\nreachable_time = 30000\nretransmission_timer = 500\nmax_interval = 600\nlifetime = 1800\nvalid_lifetime = 7200\npreferred_lifetime = 3600\npref64 = '2001:db8:64::/96'\ncaptive_portal = 'https://portal.example/api'";
        let settings = ra(text).unwrap().0;
        let expected = RaSettings {
            min_interval: 30,
            max_interval: 600,
            lifetime: 1800,
            hop_limit: 32,
            preference: RouterPreference::High,
            reachable_time: 30_000,
            retransmission_timer: 500,
            valid_lifetime: 7200,
            preferred_lifetime: 3600,
            routes: AdvertisedRoutes::None,
            pref64: Some("2001:db8:64::/96".parse().unwrap()),
            captive_portal: "https://portal.example/api".to_owned(),
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
            (
                "hop_limit = 256",
                "hop_limit: \"256\" is not a number that fits",
            ),
            ("max_interval = true", "a number or a text"),
            ("routes = 'some'", "\"some\" names no routes"),
            ("routs = 'all'", "unknown field `routs`"),
        ] {
            let error = ra(text).unwrap_err();
            assert!(error.contains(key), "{text}: {error}");
        }
        let long = format!("captive_portal = 'https://{}'", "a".repeat(2040));
        assert!(ra(&long).unwrap_err().contains("ra.captive_portal"));
    }
}
