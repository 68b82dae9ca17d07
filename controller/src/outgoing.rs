//! Connections to other services of the cloud: HTTP/1.1, with or without TLS, kept for a while.

mod any_name;
mod trust;

pub(crate) use any_name::{CertificateOf, for_any_name};
pub use trust::TrustError;
pub(crate) use trust::{authorities, trusting};

use axum::body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::error::Error;
use std::path::Path;
use std::time::Duration;
use tokio_rustls::rustls::ClientConfig;

/// How long a connection without a request is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Sends requests, over connections that are kept.
pub(crate) type HttpsClient = Client<HttpsConnector<HttpConnector>, Body>;

/// A client that believes these authorities, or the system's where no file is named. A request may take `timeout`.
pub(crate) fn https_client(cafile: &Path, timeout: Duration) -> Result<HttpsClient, TrustError> {
    let tls = trusting(cafile)?.with_no_client_auth();
    Ok(https_client_with(tls, timeout))
}

/// A client with its own part in TLS.
pub(crate) fn https_client_with(tls: ClientConfig, timeout: Duration) -> HttpsClient {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    // An address that does not answer leaves time for another.
    connector.set_connect_timeout(Some(timeout / 2));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(connector)
}

/// The last error in the chain, which says most.
pub(crate) fn innermost(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
