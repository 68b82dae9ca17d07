//! Whose certificates other services may have.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::rustls::client::WantsClientCert;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, ConfigBuilder, RootCertStore};

/// Where systems keep the authorities that they trust: Debian, Fedora, SUSE.
const OF_THE_SYSTEM: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// Why authorities cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct TrustError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// What is trusted: the authorities in a file or, without one, the system's.
pub(crate) fn authorities(cafile: &Path) -> Result<RootCertStore, TrustError> {
    if cafile.as_os_str().is_empty() {
        return Ok(of_the_system());
    }
    let read = CertificateDer::pem_file_iter(cafile);
    let read = read.and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| TrustError::new(cafile, error))?;
    if certificates.is_empty() {
        return Err(TrustError::new(cafile, "no certificate in this file"));
    }
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let added = roots.add(certificate);
        added.map_err(|error| TrustError::new(cafile, error))?;
    }
    Ok(roots)
}

impl TrustError {
    /// This file cannot be used for this reason.
    pub(super) fn new(path: &Path, reason: impl ToString) -> Self {
        Self {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// The system's authorities. What cannot be used of them is left out, as others do.
fn of_the_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = OF_THE_SYSTEM
        .iter()
        .find_map(|path| CertificateDer::pem_file_iter(path).ok());
    for certificate in found.into_iter().flatten().flatten() {
        roots.add_parsable_certificates([certificate]);
    }
    roots
}

/// TLS that believes these authorities, or the system's where no file is named. What it shows of itself is yet to be said.
pub(crate) fn trusting(
    cafile: &Path,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TrustError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TrustError {
            path: cafile.to_owned(),
            reason: error.to_string(),
        })?;
    Ok(builder.with_root_certificates(authorities(cafile)?))
}
