//! `[hypervisor_tls]`: TLS of switches and hypervisors' databases, and which names a certificate allows.

use crate::tls::{Names, TlsFiles};
use serde::Deserialize;
use std::path::PathBuf;

/// `[hypervisor_tls]`: PEM files, and the rule about names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HypervisorTls {
    /// As [`TlsFiles::certificate`].
    pub certificate: PathBuf,
    /// As [`TlsFiles::private_key`].
    pub private_key: PathBuf,
    /// As [`TlsFiles::client_ca`].
    pub client_ca: PathBuf,
    /// Which names a hypervisor may use.
    pub names: NameRule,
}

/// Which names a hypervisor with a certificate may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameRule {
    /// Those in its certificate.
    #[default]
    Certificate,
    /// Any name that no other hypervisor has.
    Any,
}

impl HypervisorTls {
    /// The files alone.
    pub fn files(&self) -> TlsFiles {
        TlsFiles {
            certificate: self.certificate.clone(),
            private_key: self.private_key.clone(),
            client_ca: self.client_ca.clone(),
        }
    }
}

impl NameRule {
    /// Whether the holder of a certificate with these names may use this one. `None`: it showed no certificate.
    pub fn allows(self, names: Option<&Names>, name: &str) -> bool {
        match self {
            Self::Certificate => names.is_none_or(|names| names.has(name)),
            Self::Any => true,
        }
    }
}
