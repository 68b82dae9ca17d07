//! Keystone that answers nonsense, nothing, or not at all.

use crate::played::PERMITS;
use crate::site::{Site, join_all, request};
use axum::http::{Method, StatusCode};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tower::ServiceExt;

/// How many questions Sextant asks at once.
const AT_ONCE: usize = 16;

#[tokio::test]
async fn what_keystone_cannot_say_is_503_and_asked_again() {
    let site = Site::new().await;
    let keystone = &site.keystone.asked;
    keystone.knows("t", json!({}));
    for status in [
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::FORBIDDEN,
        StatusCode::UNAUTHORIZED,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::OK,
    ] {
        keystone.answers_instead(Some(status));
        let (got, kind, message) = site.get(&[("x-auth-token", "t")]).await.error();
        assert_eq!(
            (got, kind.as_str()),
            (503, "ServiceUnavailable"),
            "{status}"
        );
        assert_eq!(message, "The Keystone service is temporarily unavailable.");
    }
    keystone.answers_instead(None);
    assert_eq!(site.status("t").await, 200);
}

#[tokio::test]
async fn a_token_that_a_server_before_keystone_refuses_is_unknown() {
    let site = Site::new().await;
    let keystone = &site.keystone.asked;
    for status in [400, 404, 413, 414, 431] {
        keystone.answers_instead(Some(StatusCode::from_u16(status).unwrap()));
        let token = format!("wrong-{status}");
        assert_eq!(site.status(&token).await, 401, "{status}");
        assert_eq!(site.status(&token).await, 401, "{status}");
    }
    assert_eq!(keystone.count(), 5, "it is remembered");
}

#[tokio::test]
async fn while_keystone_is_away_known_tokens_go_on() {
    let mut site = Site::new().await;
    site.keystone.asked.knows("known", json!({}));
    site.keystone.asked.knows("new", json!({}));
    assert_eq!(site.status("known").await, 200);
    site.keystone.end().await;
    assert_eq!(site.status("known").await, 200);
    assert_eq!(site.status("new").await, 503);
    site.keystone.come_back().await;
    assert_eq!(site.status("new").await, 200);
}

#[tokio::test]
async fn nobody_asks_for_callers_who_have_left() {
    let site = Site::new().await;
    let keystone = &site.keystone.asked;
    keystone.knows("t", json!({}));
    let held = keystone.gate.acquire_many(PERMITS).await.unwrap();
    let mut calls = JoinSet::new();
    for n in 0..200 {
        let token = format!("wrong-{n}");
        let headers = [("x-auth-token", token.as_str())];
        let request = request(Method::GET, "/v2.0/networks", &headers, None);
        calls.spawn(site.cloud.router().oneshot(request));
    }
    keystone.until_asked(AT_ONCE).await;
    calls.shutdown().await;
    let opened = async { drop(held) };
    let (status, ()) = tokio::join!(site.status("t"), opened);
    assert_eq!(status, 200);
    assert_eq!(keystone.count(), AT_ONCE + 1);
}

#[tokio::test]
async fn a_keystone_that_does_not_answer_holds_nobody_longer_than_the_limit() {
    let limit = Duration::from_secs(2);
    let site = Site::with(|settings| settings.timeout = limit).await;
    let keystone = &site.keystone.asked;
    keystone.knows("known", json!({}));
    keystone.knows("new", json!({}));
    assert_eq!(site.status("known").await, 200);
    let held = keystone.gate.acquire_many(PERMITS).await.unwrap();
    let started = Instant::now();
    let calls: Vec<_> = (0..50)
        .map(|n| async move { format!("new-{n}") })
        .map(|token| async { site.status(&token.await).await })
        .collect();
    let known = async {
        keystone.until_asked(10).await;
        let status = site.status("known").await;
        (status, started.elapsed())
    };
    let (statuses, (status, took)) = tokio::join!(join_all(calls), known);
    assert_eq!(statuses, [503; 50]);
    assert!(status == 200 && took < limit, "{status} {took:?}");
    assert!(
        started.elapsed() < limit + Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
    drop(held);
    assert_eq!(site.status("new").await, 200);
}
