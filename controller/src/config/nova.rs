//! `[nova]`: whether and where Nova is told what happens to its guests' ports.

use super::ConfigError;
use super::check::{Checked, quoted, unless};
use super::keystone::{KeystoneConfig, is_loopback, parts};
use crate::nova::NovaSettings;
use crate::store::Password;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// The interfaces that Keystone's catalogue may have of a service.
const INTERFACES: [&str; 3] = ["internal", "public", "admin"];

/// `[nova]`: whether and where Nova is told what happens to its guests' ports. The names are those of keystoneauth.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NovaConfig {
    /// Whether Nova is told.
    pub enabled: bool,
    /// Where Nova is, with its version. Empty: where Keystone's catalogue says.
    pub endpoint_override: String,
    /// The region in the catalogue. Empty: any.
    pub region_name: String,
    /// The interface in the catalogue.
    pub valid_interfaces: String,
    /// Where Keystone is. Empty: this and the credentials are those in `[keystone]`.
    pub auth_url: String,
    /// The user who tells Nova. Empty: an application credential does.
    pub username: String,
    /// The user's password.
    pub password: Password,
    /// The name of the user's domain.
    pub user_domain_name: String,
    /// The name of the project for which the user asks.
    pub project_name: String,
    /// The name of the project's domain.
    pub project_domain_name: String,
    /// The application credential. Empty: a user tells Nova.
    pub application_credential_id: String,
    /// Its secret.
    pub application_credential_secret: Password,
    /// The authorities of Nova's and Keystone's certificates. Empty: those in `[keystone]`.
    pub cafile: PathBuf,
    /// Seconds that a request may take.
    pub timeout: u16,
}

impl Default for NovaConfig {
    fn default() -> Self {
        let KeystoneConfig {
            user_domain_name,
            project_name,
            project_domain_name,
            ..
        } = KeystoneConfig::default();
        Self {
            enabled: false,
            endpoint_override: String::new(),
            region_name: String::new(),
            valid_interfaces: INTERFACES[0].to_owned(),
            auth_url: String::new(),
            username: String::new(),
            password: Password::default(),
            user_domain_name,
            project_name,
            project_domain_name,
            application_credential_id: String::new(),
            application_credential_secret: Password::default(),
            cafile: PathBuf::new(),
            timeout: 10,
        }
    }
}

impl NovaConfig {
    /// What it means beside `[keystone]`. `None`: Nova is told nothing.
    pub fn settings(&self, keystone: &KeystoneConfig) -> Option<NovaSettings> {
        self.enabled.then(|| NovaSettings {
            keystone: self.login(keystone).settings(),
            section: self.section(),
            endpoint: self.endpoint_override.clone(),
            region: self.region_name.clone(),
            interface: self.valid_interfaces.clone(),
            timeout: Duration::from_secs(self.timeout.into()),
        })
    }

    /// The section that has the credentials.
    fn section(&self) -> &'static str {
        match self.auth_url.is_empty() {
            true => "keystone",
            false => "nova",
        }
    }

    fn login(&self, keystone: &KeystoneConfig) -> KeystoneConfig {
        let mut login = match self.section() {
            "keystone" => keystone.clone(),
            _ => KeystoneConfig {
                auth_url: self.auth_url.clone(),
                username: self.username.clone(),
                password: self.password.clone(),
                user_domain_name: self.user_domain_name.clone(),
                project_name: self.project_name.clone(),
                project_domain_name: self.project_domain_name.clone(),
                application_credential_id: self.application_credential_id.clone(),
                application_credential_secret: self.application_credential_secret.clone(),
                cafile: keystone.cafile.clone(),
                ..KeystoneConfig::default()
            },
        };
        if !self.cafile.as_os_str().is_empty() {
            login.cafile = self.cafile.clone();
        }
        login
    }

    /// Checks the section where it counts.
    pub(super) fn check(&self, keystone: &KeystoneConfig, allow_plaintext: bool) -> Vec<Checked> {
        let has_own = [
            &self.username,
            &self.application_credential_id,
            &self.password.0,
            &self.application_credential_secret.0,
        ];
        let homeless = self.auth_url.is_empty() && has_own.iter().any(|own| !own.is_empty());
        let mut checks = vec![unless(homeless, || {
            let rule = "credentials in [nova] need auth_url as well; leave them all out to use those in [keystone]";
            quoted("nova.auth_url", "", rule)
        })];
        let interface = self.valid_interfaces.as_str();
        checks.push(unless(!INTERFACES.contains(&interface), || {
            let rule = "internal, public or admin";
            quoted("nova.valid_interfaces", interface, rule)
        }));
        checks.push(unless(!(1..=60).contains(&self.timeout), || {
            let seconds = self.timeout.to_string();
            quoted("nova.timeout", &seconds, "1 to 60 seconds")
        }));
        checks.push(self.check_endpoint(allow_plaintext));
        let keys = match self.section() {
            "keystone" => KeystoneConfig::KEYS,
            _ => KEYS,
        };
        checks.extend(self.login(keystone).check_login(keys, allow_plaintext));
        checks.push(self.check_authorities(keystone));
        checks
    }

    fn check_authorities(&self, keystone: &KeystoneConfig) -> Checked {
        let authorities = self.login(keystone).settings().check();
        authorities.map_err(|error| match self.cafile.as_os_str().is_empty() {
            true => ConfigError::Authorities(error),
            false => ConfigError::NovaAuthorities(error),
        })
    }

    fn check_endpoint(&self, allow_plaintext: bool) -> Result<(), ConfigError> {
        let endpoint = &self.endpoint_override;
        if endpoint.is_empty() {
            return Ok(());
        }
        let (scheme, host) = parts(endpoint).ok_or_else(|| {
            let rule = "where Nova is, with its version: https://HOST:8774/v2.1; or empty";
            quoted("nova.endpoint_override", endpoint, rule)
        })?;
        if scheme == "http" && !allow_plaintext && !is_loopback(&host) {
            let rule = "not a loopback address, so anyone on the network could read Sextant's token. Use https, or allow plaintext with allow_plaintext = true (--allow-plaintext)";
            return Err(quoted("nova.endpoint_override", endpoint, rule));
        }
        Ok(())
    }
}

/// What this section calls the keys of a login.
const KEYS: super::keystone::LoginKeys = super::keystone::LoginKeys {
    auth_url: "nova.auth_url",
    username: "nova.username",
    application_credential_id: "nova.application_credential_id",
};

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const SHARED: &str =
        "[keystone]\nauth_url = \"https://k\"\nusername = \"sextant\"\npassword = \"hunter2\"\n";
    const OWN: &str = "auth_url = \"https://own\"\nusername = \"teller\"\npassword = \"hunter3\"\n";

    fn read(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).unwrap();
        config.check().map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn it_is_off_unless_it_is_switched_on() {
        let config = read("[nova]\nauth_url = \"nonsense\"").unwrap();
        assert_eq!(config.nova.settings(&config.keystone), None);
    }

    #[test]
    fn credentials_are_its_own_or_those_of_keystone() {
        for (text, url, section) in [
            (
                format!("{SHARED}[nova]\nenabled = true"),
                "https://k",
                "keystone",
            ),
            (
                format!("{SHARED}[nova]\nenabled = true\n{OWN}"),
                "https://own",
                "nova",
            ),
            (
                format!("[nova]\nenabled = true\n{OWN}"),
                "https://own",
                "nova",
            ),
        ] {
            let config = read(&text).unwrap();
            let settings = config.nova.settings(&config.keystone).unwrap();
            assert_eq!(settings.keystone.auth_url, url);
            assert_eq!(
                (settings.section, settings.interface.as_str()),
                (section, "internal")
            );
            assert!(!format!("{config:?}").contains("hunter"));
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_key() {
        let on = format!("{SHARED}[nova]\nenabled = true\n");
        for (text, key) in [
            ("[nova]\nenabled = true".to_owned(), "keystone.auth_url"),
            (format!("{on}username = \"u\""), "nova.auth_url"),
            (format!("{on}auth_url = \"k\""), "nova.auth_url"),
            (
                format!("{on}auth_url = \"http://192.0.2.1\""),
                "nova.auth_url",
            ),
            (format!("{on}auth_url = \"https://k\""), "nova.username"),
            (
                format!("{on}{OWN}application_credential_secret = \"s\""),
                "nova.application_credential_id",
            ),
            (
                format!("{on}valid_interfaces = \"inside\""),
                "nova.valid_interfaces",
            ),
            (format!("{on}timeout = 0"), "nova.timeout"),
            (format!("{on}cafile = \"/nowhere\""), "nova.cafile"),
            (
                format!("{on}endpoint_override = \"nova\""),
                "nova.endpoint_override",
            ),
            (
                format!("{on}endpoint_override = \"http://192.0.2.1:8774/v2.1\""),
                "nova.endpoint_override",
            ),
        ] {
            let refusal = read(&text).unwrap_err();
            assert!(refusal.starts_with(&format!("{key} = ")), "{refusal}");
            assert!(!refusal.contains("hunter"), "{refusal}");
        }
    }
}
