//! The client's side, for commands that ask a listener.

use super::{TlsError, certificates, unusable};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// PEM files of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFiles {
    /// The authorities of the listener's certificate.
    pub authority: PathBuf,
    /// The client's certificate and its private key, for a listener that asks for one.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// TLS of a client.
pub struct Client(TlsConnector);

impl ClientFiles {
    /// What the files say.
    ///
    /// # Errors
    /// [`TlsError`] says which file is wrong.
    pub fn open(&self) -> Result<Client, TlsError> {
        let failed = |error| TlsError::Root(self.authority.clone(), error);
        let mut roots = RootCertStore::empty();
        for certificate in certificates("ca", &self.authority)? {
            roots.add(certificate).map_err(failed)?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_root_certificates(roots);
        let config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates("certificate", certificate)?;
                let pair = |error| TlsError::Pair(certificate.clone(), error);
                let key =
                    PrivateKeyDer::from_pem_file(key).map_err(unusable("private-key", key))?;
                builder.with_client_auth_cert(chain, key).map_err(pair)?
            }
        };
        Ok(Client(TlsConnector::from(Arc::new(config))))
    }
}

impl Client {
    /// Shakes hands with a listener of this name or address.
    ///
    /// # Errors
    /// The listener goes away, does not speak TLS or has no certificate for the name of one of the authorities.
    pub async fn connect(self, name: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(name.to_owned());
        let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        self.0.connect(name, stream).await
    }
}
