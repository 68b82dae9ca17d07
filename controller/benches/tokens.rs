//! What it costs to know who calls, once a token is known: by itself, and as a part of a short call of the API.
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

#[path = "../tests/api/mod.rs"]
mod api;
#[path = "../tests/api_keystone/played.rs"]
mod played;

use api::Cloud;
use axum::body::Body;
use axum::http::{HeaderValue, Request};
use divan::{Bencher, black_box};
use played::Played;
use serde_json::json;
use sextant_controller::api::{Identity, loopback};
use sextant_controller::http::Peer;
use sextant_controller::keystone::{AskedRequest, Keystone, Presented};
use sextant_controller::metrics::Metrics;
use sextant_model::Settings;
use tokio::runtime::Runtime;
use tower::ServiceExt;

/// As long as one of Keystone's Fernet tokens.
const LENGTH: usize = 183;

fn main() {
    divan::main();
}

fn keystone(runtime: &Runtime) -> (Played, Keystone, String) {
    let token = "g".repeat(LENGTH);
    let played = runtime.block_on(Played::start());
    played.asked.knows(&token, json!({}));
    let keystone = Keystone::new(played.settings(), Metrics::new().unwrap()).unwrap();
    (played, keystone, token)
}

#[divan::bench]
fn a_known_token(bencher: Bencher<'_, '_>) {
    let runtime = Runtime::new().unwrap();
    let (_played, keystone, token) = keystone(&runtime);
    let token = HeaderValue::from_str(&token).unwrap();
    let presented = Presented {
        user: Some(&token),
        service: None,
        from: None,
    };
    let asked = AskedRequest {
        method: "GET",
        path: "/v2.0/networks",
    };
    bencher.bench(|| {
        let token = runtime.block_on(keystone.identify(black_box(presented), asked));
        token.unwrap()
    });
}

#[divan::bench(args = ["headers", "keystone"])]
fn a_call(bencher: Bencher<'_, '_>, by: &str) {
    let runtime = Runtime::new().unwrap();
    let (_played, keystone, token) = keystone(&runtime);
    let identity = match by {
        "headers" => Identity::Headers {
            trusted_proxies: loopback(),
        },
        _ => Identity::Keystone(keystone),
    };
    let cloud =
        runtime.block_on(async { Cloud::writing_by(Settings::default(), identity, |store| store) });
    let service = cloud.router();
    bencher.bench(|| {
        let request = request(&token);
        let response = runtime.block_on(service.clone().oneshot(request)).unwrap();
        assert_eq!(response.status(), 200);
    });
}

/// A list of nothing, with what names the caller either way.
fn request(token: &str) -> Request<Body> {
    let peer = Peer {
        address: "[::1]:40000".parse().unwrap(),
        encrypted: false,
    };
    Request::get("/v2.0/networks")
        .header("x-auth-token", token)
        .header("x-user-id", "u1")
        .header("x-project-id", "p1")
        .header("x-roles", "member,reader")
        .extension(peer)
        .body(Body::empty())
        .unwrap()
}
