//! Who may ask, and what browsers are told to refuse.

use super::Web;
use axum::extract::{Request, State};
use axum::http::header::{
    CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;

/// The page's own files and answers, and nothing of anybody else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Lets administrators pass, from the page itself.
pub(super) async fn admit(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    if let Err(why) = comes_from_the_page(request.headers()) {
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    // Where everyone is admin, any page that a browser shows could ask by way of a name of its own that leads here.
    if web.api.admits_everyone() && !names_no_other(request.headers()) {
        let why =
            "without authentication, this page is reached by its address or as localhost only\n";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    match web.api.admit_operator(&mut request).await {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal,
    }
}

/// Browsers say whose script asks (Fetch Metadata). Other programs say nothing.
fn comes_from_the_page(headers: &HeaderMap) -> Result<(), &'static str> {
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err("this is for Sextant's own page only\n"),
    }
}

/// Whether the request names an address or localhost: another name may be somebody else's, made to lead here.
fn names_no_other(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let Some(authority) = host.and_then(|host| host.parse::<Authority>().ok()) else {
        return false;
    };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

/// Adds what browsers are told to refuse.
pub(super) async fn guard_answer(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let told = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in told {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))])
    }

    #[test]
    fn only_addresses_and_localhost_are_nobody_elses_names() {
        for own in [
            "[::1]:9699",
            "127.0.0.1:9699",
            "localhost:9699",
            "LOCALHOST",
            "192.0.2.1",
        ] {
            assert!(names_no_other(&with("host", own)), "{own}");
        }
        for other in [
            "evil.example:9699",
            "localhost.evil.example",
            "1.example",
            "",
            "a b",
        ] {
            assert!(!names_no_other(&with("host", other)), "{other}");
        }
        assert!(!names_no_other(&HeaderMap::new()));
    }

    #[test]
    fn scripts_of_other_pages_are_refused() {
        for own in ["same-origin", "none"] {
            assert!(comes_from_the_page(&with("sec-fetch-site", own)).is_ok());
        }
        for other in ["cross-site", "same-site", ""] {
            assert!(comes_from_the_page(&with("sec-fetch-site", other)).is_err());
        }
        assert!(comes_from_the_page(&HeaderMap::new()).is_ok());
    }
}
