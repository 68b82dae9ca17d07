//! `[metadata]`: how guests reach Nova's metadata service.

use super::ConfigError;
use super::check::quoted;
use crate::store::Password;
use axum::http::Uri;
use serde::Deserialize;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// `[metadata]`: how guests reach Nova's metadata service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetadataConfig {
    /// Whether hypervisors have a port for metadata.
    pub enabled: bool,
    /// Where Nova's metadata API is.
    pub nova_url: String,
    /// The secret that Nova shares.
    pub shared_secret: Password,
    /// The authorities of Nova's certificate. Empty: the system's.
    pub cafile: PathBuf,
    /// The certificate that the service shows to Nova. Empty: none.
    pub certificate: PathBuf,
    /// Its private key.
    pub private_key: PathBuf,
    /// Seconds for which a guest waits at most for Nova.
    pub timeout: u16,
    /// The hypervisor's database.
    pub ovsdb: String,
    /// Address for Prometheus, which reads `/metrics` of the service.
    #[serde(deserialize_with = "super::listeners::address")]
    pub metrics_listen: SocketAddr,
}

impl Default for MetadataConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            nova_url: "http://127.0.0.1:8775".to_owned(),
            shared_secret: Password::default(),
            cafile: PathBuf::new(),
            certificate: PathBuf::new(),
            private_key: PathBuf::new(),
            timeout: 60,
            ovsdb: "unix:/run/openvswitch/db.sock".to_owned(),
            metrics_listen: SocketAddr::from((Ipv6Addr::LOCALHOST, 9698)),
        }
    }
}

impl MetadataConfig {
    /// Checks what the service on a hypervisor needs.
    ///
    /// # Errors
    /// [`ConfigError::Refused`] names the key.
    pub(super) fn check_service(&self, allow_plaintext: bool) -> Result<(), ConfigError> {
        if !is_base(&self.nova_url) {
            let rule = "where Nova's metadata API is: http://HOST:PORT or https://HOST:PORT";
            return Err(quoted("metadata.nova_url", &self.nova_url, rule));
        }
        if self.shared_secret.0.is_empty() {
            let rule = "configure Nova's [neutron] metadata_proxy_shared_secret: without it Nova believes nobody";
            return Err(quoted("metadata.shared_secret", "", rule));
        }
        if !(1..=300).contains(&self.timeout) {
            let seconds = self.timeout.to_string();
            return Err(quoted("metadata.timeout", &seconds, "1 to 300 seconds"));
        }
        if !allow_plaintext && !self.metrics_listen.ip().is_loopback() {
            let listen = self.metrics_listen.to_string();
            let rule = "not a loopback address: allow plaintext with allow_plaintext = true";
            return Err(quoted("metadata.metrics_listen", &listen, rule));
        }
        let shows_certificate = !self.certificate.as_os_str().is_empty();
        if shows_certificate == self.private_key.as_os_str().is_empty() {
            let certificate = self.certificate.display().to_string();
            let rule = "configure certificate and private_key, or neither";
            return Err(quoted("metadata.certificate", &certificate, rule));
        }
        let remote = self.ovsdb.parse::<sextant_ovsdb_client::Remote>();
        remote.map(drop).map_err(|_| {
            let rule = "the hypervisor's database: unix:PATH or tcp:ADDRESS:PORT";
            quoted("metadata.ovsdb", &self.ovsdb, rule)
        })
    }
}

/// Whether requests can go to paths under a URL.
fn is_base(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else {
        return false;
    };
    let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
    let host = uri.host().is_some_and(|host| !host.is_empty());
    scheme && bare && host && !url.contains(['#', '@'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), String> {
        let config: MetadataConfig = toml::from_str(text).unwrap();
        config
            .check_service(false)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_service_has_to_know_nova_and_the_secret() {
        for url in [
            "http://nova:8775",
            "https://[2001:db8::1]:8775/",
            "http://h",
        ] {
            assert_eq!(
                check(&format!("nova_url = '{url}'\nshared_secret = 's'")),
                Ok(())
            );
        }
        for (text, key) in [
            ("", "shared_secret"),
            ("shared_secret = 's'\nnova_url = 'nova:8775'", "nova_url"),
            (
                "shared_secret = 's'\nnova_url = 'http://h/path'",
                "nova_url",
            ),
            ("shared_secret = 's'\ntimeout = 0", "timeout"),
            ("shared_secret = 's'\ncertificate = 'a.pem'", "certificate"),
            (
                "shared_secret = 's'\nmetrics_listen = '[::]:9698'",
                "metrics_listen",
            ),
            ("shared_secret = 's'\novsdb = '/run/db.sock'", "ovsdb"),
        ] {
            let refusal = check(text).unwrap_err();
            let key = format!("metadata.{key} = ");
            assert!(refusal.starts_with(&key), "{refusal}");
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        let config: MetadataConfig = toml::from_str("shared_secret = 'hunter2'").unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
