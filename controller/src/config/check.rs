//! Whether all values fit together.

use super::{Auth, Config, ConfigError};
use crate::api::PolicyFile;
use crate::logging;
use std::fmt::Display;

/// Whether a rule holds.
pub(super) type Checked = Result<(), ConfigError>;

impl Config {
    /// Checks that all values fit together.
    ///
    /// # Errors
    /// [`ConfigError::Refused`] with the first that does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.faults().into_iter().next().map_or(Ok(()), Err)
    }

    /// What does not fit together, rule by rule.
    pub fn faults(&self) -> Vec<ConfigError> {
        let mut checks = vec![self.check_log()];
        checks.extend(self.check_listeners());
        checks.push(self.control.check());
        checks.extend(self.store.check());
        checks.extend(self.controllers.check());
        checks.extend(self.check_certificates());
        checks.extend(self.check_callers());
        checks.extend(self.ra.check());
        checks.extend(self.check_numbers());
        checks.into_iter().filter_map(Result::err).collect()
    }

    pub(super) fn check_log(&self) -> Checked {
        logging::filter(&self.log).map(drop).map_err(|error| {
            let value = self.log.clone();
            ConfigError::Log { value, error }
        })
    }

    fn check_certificates(&self) -> [Checked; 3] {
        let hypervisors = self.hypervisor_tls.files();
        let sections = [("tls", &self.tls), ("hypervisor_tls", &hypervisors)];
        let [own, theirs] = sections.map(|(section, files)| {
            let opened = files.open().map(drop);
            opened.map_err(|error| ConfigError::Tls { section, error })
        });
        let anybody = hypervisors.is_on() && !hypervisors.asks_clients();
        let rule = "anyone could pass for a hypervisor; name the authorities of their certificates";
        let asked = unless(anybody, || quoted("hypervisor_tls.client_ca", "", rule));
        [own, theirs, asked]
    }

    /// Who may call, and whom Sextant calls.
    fn check_callers(&self) -> Vec<Checked> {
        let policy = PolicyFile::read(&self.policy_file);
        let mut checks = vec![policy.map(drop).map_err(ConfigError::from)];
        if self.auth == Auth::Keystone {
            checks.extend(self.keystone.check(self.allow_plaintext));
        }
        if self.nova.enabled {
            checks.extend(self.nova.check(&self.keystone, self.allow_plaintext));
        }
        let nobody = self.auth == Auth::Headers && self.trusted_proxies.is_empty();
        let rule =
            "nobody could call: auth = \"headers\" needs an address that the headers come from";
        checks.push(unless(nobody, || refused("trusted_proxies", "[]", rule)));
        checks
    }

    fn check_numbers(&self) -> [Checked; 3] {
        let (mtu, seconds) = (self.tunnel.underlay_mtu, self.gateway.gone_after);
        let punts = self.punt.rate.min(self.punt.burst);
        [
            unless(mtu < 1280, || {
                let rule = "at least 1280 octets (RFC 8200 section 5)";
                refused("tunnel.underlay_mtu", mtu, rule)
            }),
            unless(punts == 0, || {
                let rule = "rate and burst are at least 1, or guests get no answers";
                refused("punt", punts, rule)
            }),
            unless(!self.gateway.makes_sense(), || {
                refused("gateway.gone_after", seconds, "1 to 3600 seconds")
            }),
        ]
    }
}

/// A rule that holds unless it is `broken`.
pub(super) fn unless(broken: bool, error: impl FnOnce() -> ConfigError) -> Checked {
    match broken {
        true => Err(error()),
        false => Ok(()),
    }
}

/// A key whose value breaks a rule.
pub(super) fn refused(key: &'static str, value: impl Display, rule: &'static str) -> ConfigError {
    let value = value.to_string();
    ConfigError::Refused { key, value, rule }
}

/// A key whose text breaks a rule.
pub(super) fn quoted(key: &'static str, value: &str, rule: &'static str) -> ConfigError {
    refused(key, format!("{value:?}"), rule)
}
