//! TLS of listeners: certificate, private key and, if clients need a certificate, their authorities.
//!
//! The files can be read again. Present connections keep what they started with.

mod certificate;
mod expiry;

pub use certificate::{Certificate, Names};
pub use expiry::{Expiries, NotedExpiry};

use arc_swap::ArcSwap;
use serde::Deserialize;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoClientAuth, VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

/// `[tls]` or `[hypervisor_tls]`: PEM files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate that clients see, with those between it and its authority. Empty: no TLS.
    pub certificate: PathBuf,
    /// Its private key.
    pub private_key: PathBuf,
    /// The authorities of clients' certificates. Empty: clients need no certificate.
    pub client_ca: PathBuf,
}

/// What is wrong with the files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing, unreadable, or not PEM of the right kind.
    #[error("{key} = {path}: {error}")]
    File {
        /// The configuration's key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        error: pem::Error,
    },
    /// A file is empty.
    #[error("{key} = {path}: no certificate in this file")]
    Empty {
        /// The configuration's key.
        key: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// One of the two is missing.
    #[error("certificate and private_key: configure both or neither")]
    Half,
    /// Certificate and key do not match, or are not usable.
    #[error("certificate = {0}: {1}")]
    Pair(PathBuf, rustls::Error),
    /// The authorities are not usable.
    #[error("client_ca = {0}: {1}")]
    Authority(PathBuf, VerifierBuilderError),
    /// An authority is not usable.
    #[error("client_ca = {0}: {1}")]
    Root(PathBuf, rustls::Error),
}

impl TlsFiles {
    /// Whether there is TLS.
    pub fn is_on(&self) -> bool {
        !self.certificate.as_os_str().is_empty()
    }

    /// Whether clients must have a certificate.
    pub fn asks_clients(&self) -> bool {
        self.is_on() && !self.client_ca.as_os_str().is_empty()
    }

    /// Reads the files. `None` if TLS is not configured.
    ///
    /// # Errors
    /// [`TlsError`] says which file is wrong.
    pub fn open(&self) -> Result<Option<Tls>, TlsError> {
        if self.is_on() == self.private_key.as_os_str().is_empty() {
            return Err(TlsError::Half);
        }
        if !self.is_on() {
            return Ok(None);
        }
        let loaded = ArcSwap::from_pointee(self.load()?);
        Ok(Some(Tls(Arc::new(SharedTls { loaded }))))
    }

    fn load(&self) -> Result<Loaded, TlsError> {
        let mut expiries = vec![("certificate", self.certificate.as_path())];
        if self.asks_clients() {
            expiries.push(("client_ca", self.client_ca.as_path()));
        }
        let expiries = expiries.into_iter().filter_map(|(key, path)| {
            let ends = certificates(key, path).map(|all| earliest(&all));
            ends.map(|ends| ends.map(|ends| (key, ends))).transpose()
        });
        Ok(Loaded {
            expiries: expiries.collect::<Result<_, _>>()?,
            config: self.config()?,
        })
    }

    fn config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let chain = certificates("certificate", &self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.private_key)
            .map_err(unusable("private_key", &self.private_key))?;
        let verifier = self.verifier()?;
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_client_cert_verifier(verifier))
            .and_then(|builder| builder.with_single_cert(chain, key))
            .map(Arc::new)
            .map_err(|error| TlsError::Pair(self.certificate.clone(), error))
    }

    fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        if !self.asks_clients() {
            return Ok(Arc::new(NoClientAuth));
        }
        let mut roots = RootCertStore::empty();
        for certificate in certificates("client_ca", &self.client_ca)? {
            let added = roots.add(certificate);
            added.map_err(|error| TlsError::Root(self.client_ca.clone(), error))?;
        }
        let provider = Arc::new(ring::default_provider());
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| TlsError::Authority(self.client_ca.clone(), error))
    }
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).map_err(unusable(key, path))?;
    let found: Vec<_> = read
        .collect::<Result<_, _>>()
        .map_err(unusable(key, path))?;
    match found.is_empty() {
        false => Ok(found),
        true => Err(TlsError::Empty {
            key,
            path: path.to_owned(),
        }),
    }
}

/// The first expiry among the certificates in a file, in seconds since 1970. None where none can be read.
pub(crate) fn first_expiry(path: &Path) -> Option<i64> {
    earliest(&certificates("certificate", path).ok()?)
}

fn unusable(key: &'static str, path: &Path) -> impl Fn(pem::Error) -> TlsError {
    move |error| TlsError::File {
        key,
        path: path.to_owned(),
        error,
    }
}

/// TLS of a listener.
#[derive(Clone)]
pub struct Tls(Arc<SharedTls>);

struct SharedTls {
    loaded: ArcSwap<Loaded>,
}

struct Loaded {
    config: Arc<ServerConfig>,
    /// The files with certificates by their keys, with the first expiry in each, in seconds since 1970.
    expiries: Vec<(&'static str, i64)>,
}

/// The first expiry among these certificates.
fn earliest(certificates: &[CertificateDer<'_>]) -> Option<i64> {
    let read = certificates.iter().filter_map(Certificate::read);
    read.map(|certificate| certificate.not_after).min()
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// Does the handshake with a client.
    ///
    /// # Errors
    /// The client goes away, does not speak TLS, or lacks a certificate that it needs.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.0.loaded.load().config.clone())
            .accept(stream)
            .await
    }

    /// Reads files again, the same or others, for later connections.
    ///
    /// # Errors
    /// [`TlsError`] says which file is wrong; all stays as it was.
    pub fn reload(&self, files: &TlsFiles) -> Result<(), TlsError> {
        self.0.loaded.store(Arc::new(files.load()?));
        Ok(())
    }

    /// The files with certificates in use by their keys, with the first expiry in each, in seconds since 1970.
    pub fn expiries(&self) -> Vec<(&'static str, i64)> {
        self.0.loaded.load().expiries.clone()
    }
}
