//! Whether all values fit together.

use super::{Auth, Config, ConfigError, Ra};
use crate::api::PolicyFile;
use crate::logging;
use std::fmt::Display;

impl Config {
    /// Checks that all values fit together.
    ///
    /// # Errors
    /// [`ConfigError::Refused`] with the first that does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_log()?;
        self.check_listeners()?;
        self.control.check()?;
        self.store.check()?;
        self.controllers.check()?;
        self.check_certificates()?;
        self.check_callers()?;
        self.ra.check()?;
        self.check_numbers()
    }

    pub(super) fn check_log(&self) -> Result<(), ConfigError> {
        logging::filter(&self.log).map(drop).map_err(|error| {
            let value = self.log.clone();
            ConfigError::Log { value, error }
        })
    }

    fn check_certificates(&self) -> Result<(), ConfigError> {
        let hypervisor_tls = self.hypervisor_tls.files();
        for (section, files) in [("tls", &self.tls), ("hypervisor_tls", &hypervisor_tls)] {
            let opened = files.open();
            opened.map_err(|error| ConfigError::Tls { section, error })?;
        }
        if hypervisor_tls.is_on() && !hypervisor_tls.asks_clients() {
            return Err(quoted(
                "hypervisor_tls.client_ca",
                "",
                "anyone could pass for a hypervisor; name the authorities of their certificates",
            ));
        }
        Ok(())
    }

    /// Who may call, and whom Sextant calls.
    fn check_callers(&self) -> Result<(), ConfigError> {
        PolicyFile::read(&self.policy_file)?;
        if self.auth == Auth::Keystone {
            self.keystone.check(self.allow_plaintext)?;
        }
        if self.nova.enabled {
            self.nova.check(&self.keystone, self.allow_plaintext)?;
        }
        if self.auth == Auth::Headers && self.trusted_proxies.is_empty() {
            return Err(refused(
                "trusted_proxies",
                "[]",
                "nobody could call: auth = \"headers\" needs an address that the headers come from",
            ));
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), ConfigError> {
        if self.tunnel.underlay_mtu < 1280 {
            return Err(refused(
                "tunnel.underlay_mtu",
                self.tunnel.underlay_mtu,
                "at least 1280 octets (RFC 8200 section 5)",
            ));
        }
        if self.punt.rate == 0 || self.punt.burst == 0 {
            return Err(refused(
                "punt",
                self.punt.rate.min(self.punt.burst),
                "rate and burst are at least 1, or guests get no answers",
            ));
        }
        if !self.gateway.makes_sense() {
            let seconds = self.gateway.gone_after;
            return Err(refused("gateway.gone_after", seconds, "1 to 3600 seconds"));
        }
        Ok(())
    }
}

impl Ra {
    fn check(&self) -> Result<(), ConfigError> {
        let Self {
            min_interval,
            max_interval,
            lifetime,
        } = *self;
        if !(4..=1800).contains(&max_interval) {
            return Err(refused(
                "ra.max_interval",
                max_interval,
                "4 to 1800 seconds (RFC 4861 section 6.2.1)",
            ));
        }
        if min_interval < 3 || u32::from(min_interval) * 4 > u32::from(max_interval) * 3 {
            return Err(refused(
                "ra.min_interval",
                min_interval,
                "3 seconds to three quarters of ra.max_interval (RFC 4861 section 6.2.1)",
            ));
        }
        if lifetime != 0 && !(max_interval..=9000).contains(&lifetime) {
            return Err(refused(
                "ra.lifetime",
                lifetime,
                "0, or from ra.max_interval to 9000 seconds (RFC 4861 section 6.2.1)",
            ));
        }
        Ok(())
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
