//! Requests to Nova's metadata API, which believes what is signed with the secret that it shares.

use super::guests::RequestingGuest;
use crate::config::MetadataConfig;
use crate::outgoing::{HttpsClient, TrustError, https_client_with, innermost, trusting};
use axum::body::{Body, to_bytes};
use axum::http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use bytes::Bytes;
use ring::hmac;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// How many requests Nova gets at once from one hypervisor. Others wait.
const AT_ONCE: usize = 32;
/// The longest answer in octets. A guest's user data has 64 KiB at most.
const LONGEST: usize = 4 << 20;
/// What Nova gets to know of a guest's request besides method, path and body. Of all else that a guest may send, nothing gets
/// through: neither who it says it is, nor what is for one connection only.
const PASSED: [HeaderName; 3] = [ACCEPT, CONTENT_TYPE, USER_AGENT];
/// What a guest gets of Nova's answer.
const RETURNED: [HeaderName; 1] = [CONTENT_TYPE];

const INSTANCE: HeaderName = HeaderName::from_static("x-instance-id");
const PROJECT: HeaderName = HeaderName::from_static("x-tenant-id");
const SIGNATURE: HeaderName = HeaderName::from_static("x-instance-id-signature");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Why TLS towards Nova cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum MetadataApiError {
    /// The authorities cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The certificate or its key cannot be used.
    #[error("{path}: {reason}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Why there is no answer of Nova's.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// Too many others ask.
    #[error("too many requests are under way")]
    Busy,
    /// It said nothing in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// It cannot be reached, or says something else than HTTP.
    #[error("{0}")]
    Broken(String),
}

/// Nova's metadata API.
pub(super) struct MetadataApi {
    http: HttpsClient,
    /// Scheme and authority.
    base: String,
    secret: hmac::Key,
    patience: Duration,
    places: Semaphore,
}

impl MetadataApi {
    pub(super) fn new(config: &MetadataConfig) -> Result<Self, MetadataApiError> {
        let patience = Duration::from_secs(config.timeout.into());
        Ok(Self {
            http: https_client_with(tls(config)?, patience),
            base: config.nova_url.trim_end_matches('/').to_owned(),
            secret: hmac::Key::new(hmac::HMAC_SHA256, config.shared_secret.0.as_bytes()),
            patience,
            places: Semaphore::new(AT_ONCE),
        })
    }

    /// Asks in a guest's name.
    pub(super) async fn ask(
        &self,
        asker: &RequestingGuest,
        asked: &GuestRequest,
    ) -> Result<Response<Body>, NoAnswer> {
        let Ok(place) = timeout(self.patience, self.places.acquire()).await else {
            return Err(NoAnswer::Busy);
        };
        let answered = timeout(self.patience, self.send(asker, asked)).await;
        drop(place);
        answered.map_err(|_| NoAnswer::Late(self.patience))?
    }

    async fn send(
        &self,
        asker: &RequestingGuest,
        asked: &GuestRequest,
    ) -> Result<Response<Body>, NoAnswer> {
        let request = self.request(asker, asked);
        let request = request.map_err(|error| NoAnswer::Broken(error.to_string()))?;
        let answer = self.http.request(request).await;
        let answer = answer.map_err(|error| NoAnswer::Broken(innermost(&error)))?;
        let (parts, body) = answer.into_parts();
        let body = to_bytes(Body::new(body), LONGEST).await;
        let body = body.map_err(|error| NoAnswer::Broken(innermost(&error)))?;
        let mut answer = Response::new(Body::from(body));
        *answer.status_mut() = parts.status;
        copy(&RETURNED, &parts.headers, answer.headers_mut());
        Ok(answer)
    }

    fn request(
        &self,
        asker: &RequestingGuest,
        asked: &GuestRequest,
    ) -> axum::http::Result<Request<Body>> {
        let mut request = Request::builder()
            .method(asked.method.clone())
            .uri(format!("{}{}", self.base, asked.path))
            .body(Body::from(asked.body.clone()))?;
        let headers = request.headers_mut();
        copy(&PASSED, &asked.headers, headers);
        headers.insert(INSTANCE, asker.device.clone());
        headers.insert(PROJECT, asker.project.clone());
        let address = HeaderValue::from_str(&asker.address.to_string())?;
        headers.insert(FORWARDED_FOR, address);
        let signature = HeaderValue::from_str(&self.signature(&asker.device))?;
        headers.insert(SIGNATURE, signature);
        Ok(request)
    }

    /// HMAC-SHA256 of the instance's id, in hexadecimal digits.
    fn signature(&self, device: &HeaderValue) -> String {
        let tag = hmac::sign(&self.secret, device.as_bytes());
        let octets = tag.as_ref().iter();
        octets.map(|octet| format!("{octet:02x}")).collect()
    }
}

/// What a guest asks.
pub(super) struct GuestRequest {
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

fn copy(names: &[HeaderName], from: &HeaderMap, to: &mut HeaderMap) {
    for name in names {
        if let Some(value) = from.get(name) {
            to.insert(name.clone(), value.clone());
        }
    }
}

fn tls(config: &MetadataConfig) -> Result<ClientConfig, MetadataApiError> {
    let builder = trusting(&config.cafile)?;
    if config.certificate.as_os_str().is_empty() {
        return Ok(builder.with_no_client_auth());
    }
    let chain = CertificateDer::pem_file_iter(&config.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| unusable(&config.certificate, &error))?;
    let key = PrivateKeyDer::from_pem_file(&config.private_key);
    let key = key.map_err(|error| unusable(&config.private_key, &error))?;
    let tls = builder.with_client_auth_cert(chain, key);
    tls.map_err(|error| unusable(&config.certificate, &error))
}

fn unusable(path: &Path, reason: &dyn std::error::Error) -> MetadataApiError {
    MetadataApiError::Certificate {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests;
