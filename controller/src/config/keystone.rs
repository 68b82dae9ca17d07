//! `[keystone]`: how callers' tokens are validated.

use super::ConfigError;
use super::check::{Checked, quoted, unless};
use crate::keystone::{Credentials, KeystoneSettings};
use crate::store::Password;
use axum::http::Uri;
use serde::Deserialize;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// `[keystone]`: how callers' tokens are validated. The names are those of keystoneauth and keystonemiddleware.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeystoneConfig {
    /// Where Keystone is.
    pub auth_url: String,
    /// Where it is for clients. Empty: at `auth_url`.
    pub www_authenticate_uri: String,
    /// The user who asks. Empty: an application credential does.
    pub username: String,
    /// The user's password.
    pub password: Password,
    /// The name of the user's domain.
    pub user_domain_name: String,
    /// The name of the project for which the user asks.
    pub project_name: String,
    /// The name of the project's domain.
    pub project_domain_name: String,
    /// The application credential that asks. Empty: a user does.
    pub application_credential_id: String,
    /// Its secret.
    pub application_credential_secret: Password,
    /// The authorities of Keystone's certificate. Empty: the system's.
    pub cafile: PathBuf,
    /// Seconds for which a caller waits at most.
    pub timeout: u16,
    /// Seconds for which a token is believed; -1: for none.
    pub token_cache_time: i32,
    /// The roles of services.
    pub service_token_roles: Vec<String>,
    /// Whether a service's token without any of them is refused.
    pub service_token_roles_required: bool,
}

/// What a section calls the keys of a login.
#[derive(Clone, Copy)]
pub(super) struct LoginKeys {
    pub(super) auth_url: &'static str,
    pub(super) username: &'static str,
    pub(super) application_credential_id: &'static str,
}

impl Default for KeystoneConfig {
    fn default() -> Self {
        Self {
            auth_url: String::new(),
            www_authenticate_uri: String::new(),
            username: String::new(),
            password: Password::default(),
            user_domain_name: "Default".to_owned(),
            project_name: "service".to_owned(),
            project_domain_name: "Default".to_owned(),
            application_credential_id: String::new(),
            application_credential_secret: Password::default(),
            cafile: PathBuf::new(),
            timeout: 5,
            token_cache_time: 300,
            service_token_roles: vec!["service".to_owned()],
            service_token_roles_required: true,
        }
    }
}

impl KeystoneConfig {
    /// What it means.
    pub fn settings(&self) -> KeystoneSettings {
        let seconds = u64::try_from(self.token_cache_time).unwrap_or_default();
        KeystoneSettings {
            auth_url: self.auth_url.clone(),
            www_authenticate_uri: self.www_authenticate_uri.clone(),
            credentials: self.credentials(),
            cafile: self.cafile.clone(),
            timeout: Duration::from_secs(self.timeout.into()),
            token_cache_time: Duration::from_secs(seconds),
            service_token_roles: self.service_token_roles.clone(),
            service_token_roles_required: self.service_token_roles_required,
        }
    }

    fn credentials(&self) -> Credentials {
        if !self.application_credential_id.is_empty() {
            return Credentials::Application {
                id: self.application_credential_id.clone(),
                secret: self.application_credential_secret.clone(),
            };
        }
        Credentials::User {
            username: self.username.clone(),
            password: self.password.clone(),
            user_domain_name: self.user_domain_name.clone(),
            project_name: self.project_name.clone(),
            project_domain_name: self.project_domain_name.clone(),
        }
    }

    /// What this section calls the keys of a login.
    pub(super) const KEYS: LoginKeys = LoginKeys {
        auth_url: "keystone.auth_url",
        username: "keystone.username",
        application_credential_id: "keystone.application_credential_id",
    };

    /// Checks the section where it counts.
    pub(super) fn check(&self, allow_plaintext: bool) -> [Checked; 6] {
        let [url, credentials] = self.check_login(Self::KEYS, allow_plaintext);
        let timeout = unless(!(1..=60).contains(&self.timeout), || {
            let seconds = self.timeout.to_string();
            quoted("keystone.timeout", &seconds, "1 to 60 seconds")
        });
        let is_time = matches!(self.token_cache_time, -1 | 1..=3600);
        let cache = unless(!is_time, || {
            let seconds = self.token_cache_time.to_string();
            let rule = "1 to 3600 seconds, or -1 for no cache";
            quoted("keystone.token_cache_time", &seconds, rule)
        });
        let authorities = self.settings().check().map_err(ConfigError::Authorities);
        let public = self.check_public();
        [url, credentials, public, timeout, cache, authorities]
    }

    /// Checks who asks Keystone, and where it is.
    pub(super) fn check_login(&self, keys: LoginKeys, allow_plaintext: bool) -> [Checked; 2] {
        let url = self.check_url(keys, allow_plaintext);
        [url, self.check_credentials(keys)]
    }

    fn check_url(&self, keys: LoginKeys, allow_plaintext: bool) -> Result<(), ConfigError> {
        let (scheme, host) = parts(&self.auth_url).ok_or_else(|| {
            let rule = "where Keystone is: http://HOST:PORT or https://HOST:PORT, and what comes before /v3 of its path";
            quoted(keys.auth_url, &self.auth_url, rule)
        })?;
        if scheme == "http" && !allow_plaintext && !is_loopback(&host) {
            let rule = "not a loopback address, so anyone on the network could read every token and the password. Use https, or allow plaintext with allow_plaintext = true (--allow-plaintext)";
            return Err(quoted(keys.auth_url, &self.auth_url, rule));
        }
        Ok(())
    }

    fn check_public(&self) -> Result<(), ConfigError> {
        let public = &self.www_authenticate_uri;
        if !public.is_empty() && parts(public).is_none() {
            let rule = "http://HOST:PORT or https://HOST:PORT, or empty";
            return Err(quoted("keystone.www_authenticate_uri", public, rule));
        }
        Ok(())
    }

    fn check_credentials(&self, keys: LoginKeys) -> Result<(), ConfigError> {
        let (user, application) = (&self.username, &self.application_credential_id);
        if user.is_empty() == application.is_empty() {
            let rule = "configure either username and password, or application_credential_id and application_credential_secret: who asks Keystone";
            return Err(quoted(keys.username, user, rule));
        }
        if user.is_empty() != self.password.0.is_empty() {
            let rule = "configure username and password, or neither";
            return Err(quoted(keys.username, user, rule));
        }
        if application.is_empty() != self.application_credential_secret.0.is_empty() {
            let rule =
                "configure application_credential_id and application_credential_secret, or neither";
            return Err(quoted(keys.application_credential_id, application, rule));
        }
        Ok(())
    }
}

/// Scheme and host of a URL that requests can go to.
pub(super) fn parts(url: &str) -> Option<(String, String)> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str()?.to_owned();
    let plain = uri.query().is_none() && !url.contains(['#', '"', '@']);
    let known = scheme == "http" || scheme == "https";
    let host = uri.host().filter(|host| !host.is_empty())?.to_owned();
    (known && plain).then_some((scheme, host))
}

pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use crate::config::{Auth, Config};

    fn check(section: &str) -> Result<(), String> {
        let text = format!("auth = \"keystone\"\n[keystone]\n{section}");
        let config: Config = toml::from_str(&text).unwrap();
        assert_eq!(config.auth, Auth::Keystone);
        config.check().map_err(|error| error.to_string())
    }

    const WHO: &str = "username = \"sextant\"\npassword = \"hunter2\"\n";

    #[test]
    fn who_asks_whom_has_to_be_said() {
        for url in [
            "https://keystone.example:5000",
            "https://[2001:db8::1]/identity/v3",
            "http://127.0.0.1:5000/",
            "http://[::1]:5000/v3",
            "http://localhost",
        ] {
            assert_eq!(check(&format!("auth_url = \"{url}\"\n{WHO}")), Ok(()));
        }
        let application = "auth_url = \"https://k\"\napplication_credential_id = \"a\"\napplication_credential_secret = \"s\"";
        assert_eq!(check(application), Ok(()));
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_key() {
        let reached = format!("auth_url = \"https://k\"\n{WHO}");
        for (section, key) in [
            (WHO.to_owned(), "auth_url"),
            (format!("auth_url = \"keystone:5000\"\n{WHO}"), "auth_url"),
            (format!("auth_url = \"ftp://k\"\n{WHO}"), "auth_url"),
            (format!("auth_url = \"https://k/?a\"\n{WHO}"), "auth_url"),
            (format!("auth_url = \"https://u@k/\"\n{WHO}"), "auth_url"),
            (
                format!("auth_url = \"http://192.0.2.1\"\n{WHO}"),
                "auth_url",
            ),
            ("auth_url = \"https://k\"".to_owned(), "username"),
            (
                format!("{reached}application_credential_id = \"a\""),
                "username",
            ),
            (
                "auth_url = \"https://k\"\nusername = \"u\"".to_owned(),
                "username",
            ),
            (format!("{reached}timeout = 0"), "timeout"),
            (format!("{reached}token_cache_time = 0"), "token_cache_time"),
            (format!("{reached}cafile = \"/nowhere\""), "cafile"),
            (
                format!("{reached}www_authenticate_uri = \"k\""),
                "www_authenticate_uri",
            ),
        ] {
            let refusal = check(&section).unwrap_err();
            assert!(
                refusal.starts_with(&format!("keystone.{key} = ")),
                "{refusal}"
            );
            assert!(!refusal.contains("hunter2"), "{refusal}");
        }
    }

    #[test]
    fn plaintext_to_keystone_can_be_allowed() {
        let text = format!(
            "auth = \"keystone\"\nallow_plaintext = true\n[keystone]\nauth_url = \"http://192.0.2.1\"\n{WHO}"
        );
        let config: Config = toml::from_str(&text).unwrap();
        config.check().unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
