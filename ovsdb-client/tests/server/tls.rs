//! TLS with certificates on both sides, in both directions.

use std::net::Ipv6Addr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use sextant_ovsdb_client::{Connection, Error, Failover, Options, Remote, Replica, reconnect_with};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::server::{Folder, in_time, synced, text};
use crate::zoo;

/// An authority, and what it signed for the database's server and for its client.
struct Certificates {
    authority: String,
    server: (String, String),
    client: (String, String),
}

impl Certificates {
    fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters
            .distinguished_name
            .push(DnType::CommonName, "the zoo's authority");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
        let signed = || {
            let key = KeyPair::generate().unwrap();
            let parameters = CertificateParams::new(vec![Ipv6Addr::LOCALHOST.to_string()]).unwrap();
            let certificate = parameters.signed_by(&key, &authority).unwrap();
            (certificate.pem(), key.serialize_pem())
        };
        Self {
            authority: authority.pem(),
            server: signed(),
            client: signed(),
        }
    }

    /// What ovsdb-server needs to know, and the folder that it is in.
    fn arguments(&self) -> (Folder, Vec<String>) {
        let folder = Folder::new();
        let files = [
            ("--private-key", &self.server.1),
            ("--certificate", &self.server.0),
            ("--ca-cert", &self.authority),
        ];
        let arguments = files.map(|(option, pem)| {
            let path = folder.join(&option[2..]);
            std::fs::write(&path, pem).unwrap();
            format!("{option}={}", text(&path))
        });
        (folder, arguments.into())
    }

    fn trusted(&self) -> Arc<RootCertStore> {
        let mut store = RootCertStore::empty();
        store
            .add(CertificateDer::from_pem_slice(self.authority.as_bytes()).unwrap())
            .unwrap();
        Arc::new(store)
    }

    fn own(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let (certificate, key) = &self.client;
        (
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
    }
}

async fn replicates<S: AsyncRead + AsyncWrite + Unpin>(stream: S) {
    let mut connection = Connection::new(stream, Options::default());
    connection.monitor_request(zoo::request());
    synced(&mut connection).await;
}

#[tokio::test]
async fn a_server_that_connects_over_tls_is_managed() {
    in_time(async {
        let certificates = Certificates::new();
        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        let (_folder, mut arguments) = certificates.arguments();
        arguments.push(format!("--remote=ssl:{}", listener.local_addr().unwrap()));
        let _server = zoo::open_with(&arguments);
        let verifier = WebPkiClientVerifier::builder(certificates.trusted())
            .build()
            .unwrap();
        let (chain, key) = certificates.own();
        let config = ServerConfig::builder().with_client_cert_verifier(verifier);
        let config = config.with_single_cert(chain, key).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let stream = TlsAcceptor::from(Arc::new(config))
            .accept(stream)
            .await
            .unwrap();
        replicates(stream).await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_listens_with_tls_is_reached_by_those_it_trusts() {
    in_time(async {
        let certificates = Certificates::new();
        let port = TcpListener::bind("[::1]:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let (_folder, mut arguments) = certificates.arguments();
        arguments.push(format!("--remote=pssl:{port}:[::1]"));
        let _server = zoo::open_with(&arguments);
        let connect = async |config| secured(config, port).await.unwrap();
        let config = || ClientConfig::builder().with_root_certificates(certificates.trusted());
        let (chain, key) = certificates.own();
        replicates(connect(config().with_client_auth_cert(chain, key).unwrap()).await).await;

        let stranger = connect(config().with_no_client_auth()).await;
        let mut connection = Connection::new(stranger, Options::default());
        connection.monitor_request(zoo::request());
        let error = connection.next_event().await.unwrap_err();
        assert!(matches!(error, Error::Io(_)), "{error}");

        let remotes = ["ssl:[::1]:1".into(), format!("ssl:[::1]:{port}")];
        let remotes = remotes.map(|text: String| text.parse().unwrap());
        let mut failover = Failover::new(remotes).unwrap();
        let (chain, key) = certificates.own();
        let config = config().with_client_auth_cert(chain, key).unwrap();
        let open = async |remote: &Remote| match remote {
            Remote::Ssl { port, .. } => secured(config.clone(), *port).await,
            Remote::Tcp { .. } | Remote::Unix { .. } => panic!("{remote} is not asked for"),
        };
        let options = Options::default();
        let mut second = reconnect_with(&mut failover, options, Replica::default(), open).await;
        second.monitor_request(zoo::request());
        synced(&mut second).await;
    })
    .await;
}

async fn secured(config: ClientConfig, port: u16) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await?;
    let name = std::net::IpAddr::from(Ipv6Addr::LOCALHOST).into();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}
