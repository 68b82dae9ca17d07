//! What Nova gets to see, and whom the service takes for Nova.

#[path = "../../../tests/api_keystone/authorities.rs"]
mod authorities;

use super::*;
use crate::http::{HttpLimits, serve};
use crate::metrics::Metrics;
use crate::store::Password;
use crate::stream::Listener;
use crate::tls::TlsFiles;
use authorities::Authorities;
use axum::Router;
use axum::http::StatusCode;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

fn nova() -> MetadataApi {
    MetadataApi::new(&MetadataConfig {
        shared_secret: Password("key".to_owned()),
        nova_url: "http://nova:8775/".to_owned(),
        ..MetadataConfig::default()
    })
    .unwrap()
}

fn asker() -> RequestingGuest {
    RequestingGuest {
        device: HeaderValue::from_static("The quick brown fox jumps over the lazy dog"),
        project: HeaderValue::from_static("p"),
        address: "192.0.2.1".parse().unwrap(),
    }
}

#[test]
fn the_instance_is_signed() {
    // A known pair of HMAC-SHA256 with the key "key".
    let expected = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
    assert_eq!(nova().signature(&asker().device), expected);
}

#[test]
fn what_a_guest_says_of_itself_does_not_get_through() {
    let mut headers = HeaderMap::new();
    for name in [
        "x-instance-id",
        "x-tenant-id",
        "x-instance-id-signature",
        "x-forwarded-for",
        "x-metadata-provider",
        "connection",
        "host",
        "accept",
    ] {
        headers.append(name, HeaderValue::from_static("forged"));
    }
    let asked = GuestRequest {
        method: Method::GET,
        path: "/openstack?a=b".to_owned(),
        headers,
        body: Bytes::new(),
    };
    let request = nova().request(&asker(), &asked).unwrap();
    assert_eq!(request.uri(), "http://nova:8775/openstack?a=b");
    let forged = request.headers().iter();
    let forged = forged.filter(|(_, value)| *value == "forged");
    let names: Vec<&str> = forged.map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["accept"]);
    assert_eq!(request.headers()["x-forwarded-for"], "192.0.2.1");
    assert_eq!(request.headers()["x-tenant-id"], "p");
}

fn asked() -> GuestRequest {
    GuestRequest {
        method: Method::GET,
        path: "/openstack".to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    }
}

/// A Nova behind TLS that asks for certificates of the authority `ca`. It ends with the test's runtime.
async fn played(folder: &Authorities) -> (SocketAddr, JoinHandle<()>) {
    let files = TlsFiles {
        certificate: folder.path("ca-server.pem"),
        private_key: folder.path("ca-server.key"),
        client_ca: folder.path("ca.pem"),
    };
    let tcp = TcpListener::bind("[::1]:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let listener = Listener::new(tcp, files.open().unwrap());
    let router = Router::new().fallback(|| std::future::ready("it is Nova"));
    let metrics = Metrics::new().unwrap();
    let forever = std::future::pending();
    let serving = serve(
        "nova",
        listener,
        router,
        HttpLimits::default(),
        metrics,
        forever,
    );
    (address, tokio::spawn(serving))
}

#[tokio::test]
async fn nova_is_believed_by_its_authority_and_shown_a_certificate() {
    let folder = Authorities::new("metadata-tls");
    let (address, server) = played(&folder).await;
    for (cafile, own, is_answered) in [
        ("ca.pem", "ca-server", true),
        ("other.pem", "ca-server", false),
        ("ca.pem", "other-server", false),
        ("ca.pem", "", false),
    ] {
        let file = |suffix: &str| match own {
            "" => PathBuf::new(),
            own => folder.path(&format!("{own}.{suffix}")),
        };
        let nova = MetadataApi::new(&MetadataConfig {
            nova_url: format!("https://{address}"),
            cafile: folder.path(cafile),
            certificate: file("pem"),
            private_key: file("key"),
            timeout: 10,
            ..MetadataConfig::default()
        });
        let answer = nova.unwrap().ask(&asker(), &asked()).await;
        let status = answer.map(|answer| answer.status());
        assert_eq!(
            matches!(status, Ok(StatusCode::OK)),
            is_answered,
            "{cafile} {own}: {status:?}"
        );
    }
    server.abort();
}

#[tokio::test(start_paused = true)]
async fn a_nova_that_says_nothing_is_waited_for_so_long() {
    let silent = TcpListener::bind("[::1]:0").await.unwrap();
    let nova = MetadataApi::new(&MetadataConfig {
        nova_url: format!("http://{}", silent.local_addr().unwrap()),
        timeout: 7,
        ..MetadataConfig::default()
    });
    let answer = nova.unwrap().ask(&asker(), &asked()).await;
    let late = Duration::from_secs(7);
    assert!(matches!(answer, Err(NoAnswer::Late(after)) if after == late));
}

#[tokio::test]
async fn a_nova_that_is_not_there_is_said_to_be_away() {
    let gone = TcpListener::bind("[::1]:0").await.unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let nova = MetadataApi::new(&MetadataConfig {
        nova_url: url,
        ..MetadataConfig::default()
    });
    let answer = nova.unwrap().ask(&asker(), &asked()).await;
    assert!(matches!(answer, Err(NoAnswer::Broken(_))));
}
