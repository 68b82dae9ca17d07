//! The connection over TLS, with certificates on both sides, in both directions.

#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use bytes::BytesMut;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer, KeyPair};
use rust_openflow::{
    Capabilities, Connection, ConnectionError, Features, Framer, Hello, Message, Options, Xid,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const FEATURES: Features = Features {
    datapath_id: 7,
    buffers: 0,
    tables: 254,
    auxiliary_id: 0,
    capabilities: Capabilities(79),
};

type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// Who trusts whom: an authority, and what it signed for either side.
struct Certificates {
    trusted: Arc<RootCertStore>,
    server: Identity,
    client: Identity,
}

impl Certificates {
    fn new() -> Self {
        let mut parameters = CertificateParams::default();
        let name = &mut parameters.distinguished_name;
        name.push(DnType::CommonName, "the switches' authority");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(parameters, key).unwrap();
        let mut trusted = RootCertStore::empty();
        trusted
            .add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap())
            .unwrap();
        Certificates {
            trusted: Arc::new(trusted),
            server: signed(&authority),
            client: signed(&authority),
        }
    }

    /// The listening side, which admits only whom the authority signed.
    fn acceptor(&self) -> TlsAcceptor {
        let verifier = WebPkiClientVerifier::builder(self.trusted.clone())
            .build()
            .unwrap();
        let (certificate, key) = &self.server;
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.clone()], key.clone_key())
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// The calling side, with its certificate or, as a stranger, without.
    fn connector(&self, identity: Option<&Identity>) -> TlsConnector {
        let config = ClientConfig::builder().with_root_certificates(self.trusted.clone());
        TlsConnector::from(Arc::new(match identity {
            Some((certificate, key)) => config
                .with_client_auth_cert(vec![certificate.clone()], key.clone_key())
                .unwrap(),
            None => config.with_no_client_auth(),
        }))
    }
}

fn signed(authority: &Issuer<'_, KeyPair>) -> Identity {
    let key = KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(vec![Ipv6Addr::LOCALHOST.to_string()]).unwrap();
    let certificate = parameters.signed_by(&key, authority).unwrap();
    (
        CertificateDer::from_pem_slice(certificate.pem().as_bytes()).unwrap(),
        PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
    )
}

/// Plays a switch until its controller goes: says what it is, and answers barriers.
async fn play_switch(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut incoming = BytesMut::new();
    say(&mut stream, 1, &Message::Hello(Hello::openflow13())).await;
    loop {
        while let Some(frame) = Framer.next(&mut incoming).unwrap() {
            let (xid, message) = Message::decode(&frame).unwrap();
            if message == Message::FeaturesRequest {
                say(&mut stream, xid, &Message::FeaturesReply(FEATURES)).await;
            } else if message == Message::BarrierRequest {
                say(&mut stream, xid, &Message::BarrierReply).await;
            }
        }
        if !matches!(stream.read_buf(&mut incoming).await, Ok(1..)) {
            return;
        }
    }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), xid: impl Into<Xid>, message: &Message) {
    let mut buffer = BytesMut::new();
    message.encode(xid, &mut buffer).unwrap();
    // A controller that has gone is noticed by reading.
    let _ = stream.write_all(&buffer).await;
    let _ = stream.flush().await;
}

/// Shakes hands with the switch at the other end and passes a barrier: whole messages both ways.
async fn passes_a_barrier(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut connection = Connection::handshake(stream, Options::default())
        .await
        .unwrap();
    assert_eq!(*connection.features(), FEATURES);
    let asked = connection.send(&Message::BarrierRequest).unwrap();
    let heard = connection.recv().await.unwrap();
    assert_eq!(heard, Some((asked, Message::BarrierReply)));
}

fn wire() -> (DuplexStream, DuplexStream) {
    duplex(65_536)
}

fn name() -> tokio_rustls::rustls::pki_types::ServerName<'static> {
    IpAddr::from(Ipv6Addr::LOCALHOST).into()
}

#[tokio::test]
async fn a_switch_that_connects_over_tls_is_controlled() {
    let certificates = Certificates::new();
    let (ours, theirs) = wire();
    let connector = certificates.connector(Some(&certificates.client));
    let switch = async { play_switch(connector.connect(name(), theirs).await.unwrap()).await };
    let controller = async {
        let stream = certificates.acceptor().accept(ours).await.unwrap();
        let (_, tls) = stream.get_ref();
        assert_eq!(
            tls.peer_certificates().unwrap(),
            std::slice::from_ref(&certificates.client.0)
        );
        passes_a_barrier(stream).await;
    };
    tokio::join!(switch, controller);
}

#[tokio::test]
async fn a_switch_that_listens_with_tls_is_controlled() {
    let certificates = Certificates::new();
    let (ours, theirs) = wire();
    let switch = async { play_switch(certificates.acceptor().accept(theirs).await.unwrap()).await };
    let controller = async {
        let connector = certificates.connector(Some(&certificates.client));
        passes_a_barrier(connector.connect(name(), ours).await.unwrap()).await;
    };
    tokio::join!(switch, controller);
}

#[tokio::test]
async fn a_stranger_is_not_admitted() {
    let certificates = Certificates::new();
    let (ours, theirs) = wire();
    let admitted = async { certificates.acceptor().accept(theirs).await.is_ok() };
    let controller = async {
        let connector = certificates.connector(None);
        // The client's side of TLS 1.3 is done before the server has refused it.
        let stream = connector.connect(name(), ours).await.unwrap();
        Connection::handshake(stream, Options::default())
            .await
            .unwrap_err()
    };
    let (admitted, error) = tokio::join!(admitted, controller);
    assert!(!admitted);
    assert!(matches!(error, ConnectionError::Io(_)), "{error}");
}

#[tokio::test]
async fn a_switch_of_another_authority_is_not_trusted() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let (ours, theirs) = wire();
    let switch = others.acceptor();
    let controller = certificates.connector(Some(&certificates.client));
    let (switch, controller) =
        tokio::join!(switch.accept(theirs), controller.connect(name(), ours));
    assert!(switch.is_err());
    let error = controller.unwrap_err().to_string();
    assert!(error.contains("invalid peer certificate"), "{error}");
}
