//! This machine's clock against those of others, as they say in their answers (`Date`, RFC 9110 §6.6.1).

use crate::clock;
use crate::control::Finding;
use crate::outgoing::{CertificateOf, HttpsClient, https_client_with, trusting};
use axum::body::Body;
use axum::http::Request;
use axum::http::header::DATE;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

const CHECK: &str = "clock";
/// How long a connection may take to be made.
const PATIENCE: Duration = Duration::from_secs(4);
/// Seconds by which clocks may differ.
const CLOSE: i64 = 5;

/// A client that shows this certificate, if one is named.
pub(super) fn client(ca: &Path, certificate: &Path, private_key: &Path) -> Option<HttpsClient> {
    let tls = trusting(ca).ok()?;
    let tls = match certificate.as_os_str().is_empty() {
        true => tls.with_no_client_auth(),
        false => {
            let (chain, key) = CertificateOf {
                certificate,
                private_key,
            }
            .read()
            .ok()?;
            tls.with_client_auth_cert(chain, key).ok()?
        }
    };
    Some(https_client_with(tls, PATIENCE))
}

/// The clock of a server, in seconds since 1970.
pub(super) async fn of(client: &HttpsClient, url: &str, patience: Duration) -> Option<i64> {
    let request = Request::get(url).body(Body::empty()).ok()?;
    let answer = timeout(patience, client.request(request))
        .await
        .ok()?
        .ok()?;
    clock::parse_http_date(answer.headers().get(DATE)?.to_str().ok()?)
}

/// What is to say of two clocks, of which the other was read a moment ago.
pub(super) fn compared(whose: &str, theirs: i64, now: i64) -> Finding {
    let ahead = now - theirs;
    if ahead.abs() <= CLOSE {
        return Finding::good(CHECK, format!("It agrees with that of {whose}."));
    }
    let where_to = if ahead > 0 { "ahead of" } else { "behind" };
    Finding::bad(
        CHECK,
        format!(
            "This machine's clock is {} s {where_to} that of {whose}.",
            ahead.abs()
        ),
        "chronyc tracking, or timedatectl: have both synchronized",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::FindingState;

    #[test]
    fn clocks_may_differ_by_some_seconds() {
        for (theirs, state) in [
            (100, FindingState::Good),
            (95, FindingState::Good),
            (105, FindingState::Good),
            (94, FindingState::Bad),
            (106, FindingState::Bad),
        ] {
            assert_eq!(compared("Keystone", theirs, 100).state, state, "{theirs}");
        }
        let says = compared("Keystone", 40, 100).says;
        assert_eq!(
            says,
            "This machine's clock is 60 s ahead of that of Keystone."
        );
        let says = compared("etcd", 160, 100).says;
        assert_eq!(says, "This machine's clock is 60 s behind that of etcd.");
    }
}
