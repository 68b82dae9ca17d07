//! `[hypervisor_tls]`: TLS of switches and hypervisors' databases, and who a certificate makes them.

use crate::tls::{Names, TlsFiles};
use serde::Deserialize;
use std::path::PathBuf;

/// `[hypervisor_tls]`: PEM files, and what certificates have to do with names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HypervisorTls {
    /// As [`TlsFiles::certificate`].
    pub certificate: PathBuf,
    /// As [`TlsFiles::private_key`].
    pub private_key: PathBuf,
    /// As [`TlsFiles::client_ca`].
    pub client_ca: PathBuf,
    /// Which names a hypervisor may call itself by.
    pub names: NameRule,
}

/// Which names a hypervisor may call itself by, where it shows a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameRule {
    /// Those in its certificate.
    #[default]
    Certificate,
    /// Any that no other has.
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
    /// Whether the holder of a certificate with these names, if it showed one, may go by this one.
    pub fn allows(self, names: Option<&Names>, name: &str) -> bool {
        match self {
            Self::Certificate => names.is_none_or(|names| names.has(name)),
            Self::Any => true,
        }
    }
}
