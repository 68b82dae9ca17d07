//! `[store]`: where intent is stored.

use super::ConfigError;
use super::check::{Checked, quoted, unless};
use crate::store::{EtcdSettings, Password, check_endpoint};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// `[store]`: where intent is stored, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Which store it is.
    pub kind: StoreKind,
    /// The URLs of etcd's members.
    pub endpoints: Vec<String>,
    /// What all keys in etcd begin with.
    pub prefix: String,
    /// The authorities of the members' certificates: a PEM file.
    pub ca: PathBuf,
    /// The certificate that etcd asks for. Empty: none.
    pub certificate: PathBuf,
    /// Its private key.
    pub private_key: PathBuf,
    /// The user in etcd. Empty: none.
    pub user: String,
    /// The user's password.
    pub password: Password,
}

/// The kinds of stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// A file in the data folder, for one controller.
    #[default]
    Embedded,
    /// A cluster of etcd, for several controllers.
    Etcd,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            kind: StoreKind::default(),
            endpoints: vec!["http://localhost:2379".to_owned()],
            prefix: "/sextant/".to_owned(),
            ca: PathBuf::new(),
            certificate: PathBuf::new(),
            private_key: PathBuf::new(),
            user: String::new(),
            password: Password::default(),
        }
    }
}

impl StoreConfig {
    /// The part for etcd.
    pub fn etcd(&self) -> EtcdSettings {
        EtcdSettings {
            endpoints: self.endpoints.clone(),
            prefix: self.prefix.clone(),
            ca: self.ca.clone(),
            certificate: self.certificate.clone(),
            private_key: self.private_key.clone(),
            user: self.user.clone(),
            password: self.password.clone(),
        }
    }

    pub(super) fn check(&self) -> [Checked; 4] {
        let unnamed = self.prefix.len() < 2 || !self.prefix.ends_with('/');
        let prefix = unless(unnamed, || {
            let rule = "what all keys begin with, and end of it: a name and a slash";
            quoted("store.prefix", &self.prefix, rule)
        });
        let user = unless(self.user.is_empty() != self.password.0.is_empty(), || {
            let rule = "configure user and password, or neither";
            quoted("store.user", &self.user, rule)
        });
        [self.check_endpoints(), prefix, user, self.check_tls()]
    }

    fn check_endpoints(&self) -> Result<(), ConfigError> {
        let all = self.endpoints.join(", ");
        if self.endpoints.is_empty() {
            return Err(quoted("store.endpoints", &all, "at least one"));
        }
        for endpoint in &self.endpoints {
            check_endpoint(endpoint).map_err(|rule| quoted("store.endpoints", endpoint, rule))?;
        }
        let encrypted = self
            .endpoints
            .iter()
            .filter(|url| is_encrypted(url))
            .count();
        if encrypted != 0 && encrypted != self.endpoints.len() {
            let rule = "all by https or all by http";
            return Err(quoted("store.endpoints", &all, rule));
        }
        Ok(())
    }

    fn check_tls(&self) -> Result<(), ConfigError> {
        let is_on = self.endpoints.iter().any(|url| is_encrypted(url));
        let [ca, certificate, key] =
            [&self.ca, &self.certificate, &self.private_key].map(|path| !is_none(path));
        if is_on != ca {
            let rule = "the authorities of etcd's certificates: configure it if the endpoints are by https, and only then";
            return Err(unusable("store.ca", &self.ca, rule));
        }
        if certificate != key || certificate && !is_on {
            let rule = "configure certificate and private_key for endpoints by https, or neither";
            return Err(unusable("store.certificate", &self.certificate, rule));
        }
        if ca {
            check_certificate("store.ca", &self.ca)?;
        }
        if certificate {
            check_certificate("store.certificate", &self.certificate)?;
            let key = PrivateKeyDer::from_pem_file(&self.private_key);
            let rule = "a PEM file with a private key";
            key.map_err(|_| unusable("store.private_key", &self.private_key, rule))?;
        }
        Ok(())
    }
}

fn is_encrypted(url: &str) -> bool {
    url.starts_with("https://")
}

fn is_none(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

fn check_certificate(key: &'static str, path: &Path) -> Result<(), ConfigError> {
    let rule = "a PEM file with a certificate";
    let first = CertificateDer::from_pem_file(path);
    first.map(|_| ()).map_err(|_| unusable(key, path, rule))
}

fn unusable(key: &'static str, path: &Path, rule: &'static str) -> ConfigError {
    quoted(key, &path.display().to_string(), rule)
}
