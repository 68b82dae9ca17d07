//! How Sextant itself shows who it is.

use crate::played::PERMITS;
use crate::site::Site;
use axum::http::StatusCode;
use serde_json::json;
use sextant_controller::keystone::Credentials;
use sextant_controller::store::Password;
use std::time::{Duration, Instant};

#[tokio::test]
async fn sextant_gets_another_token_when_keystone_takes_its_own_no_more() {
    let site = Site::new().await;
    let keystone = &site.keystone.asked;
    for token in ["a", "b", "c"] {
        keystone.knows(token, json!({}));
    }
    assert_eq!(site.status("a").await, 200);
    keystone.forgets_sextant();
    assert_eq!(site.status("b").await, 200);
    assert_eq!((keystone.logins(), keystone.count()), (2, 3));
    assert_eq!(site.status("c").await, 200);
    assert_eq!(keystone.logins(), 2);
}

#[tokio::test]
async fn sextant_renews_its_token_before_it_ends() {
    let site = Site::new().await;
    let keystone = &site.keystone.asked;
    *keystone.own_life.lock().unwrap() = 2;
    keystone.knows("a", json!({}));
    assert_eq!(site.status("a").await, 200);
    let patience = Instant::now() + Duration::from_secs(20);
    let mut n = 0;
    while keystone.logins() < 3 {
        assert!(Instant::now() < patience, "the token is not renewed");
        n += 1;
        assert_eq!(site.status(&format!("wrong-{n}")).await, 401);
    }
    let answers = |outcome: &str| {
        let labels = format!("outcome=\"{outcome}\",request=\"validate\"");
        site.counted(&format!("sextant_keystone_requests_total{{{labels}}}"))
    };
    // Keystone refused the callers' tokens, and never Sextant's own.
    assert_eq!((answers("refused"), answers("failed")), (n, 0));
}

#[tokio::test]
async fn a_token_that_keystone_may_not_describe_is_unknown_once_sextant_may_validate() {
    let site = Site::new().await;
    let keystone = &site.keystone.asked;
    keystone.knows("t", json!({}));
    keystone.knows("u", json!({}));
    keystone.answers_instead(Some(StatusCode::FORBIDDEN));
    assert_eq!(site.status("t").await, 503, "the role may be missing");
    keystone.answers_instead(None);
    assert_eq!(site.status("t").await, 200);
    keystone.answers_instead(Some(StatusCode::FORBIDDEN));
    let asked = keystone.count();
    assert_eq!(site.status("of-a-trust").await, 401);
    assert_eq!(site.status("of-a-trust").await, 401);
    assert_eq!(keystone.count(), asked + 1, "it is remembered");
    // Another token of Sextant's may lack the role.
    keystone.answers_instead(None);
    keystone.forgets_sextant();
    assert_eq!(site.status("wrong").await, 401);
    keystone.answers_instead(Some(StatusCode::FORBIDDEN));
    assert_eq!(site.status("u").await, 503);
}

#[tokio::test]
async fn an_application_credential_asks_as_well() {
    let site = with_application_credential("right").await;
    site.keystone.asked.knows("t", json!({}));
    assert_eq!(site.status("t").await, 200);
    let login = site.keystone.asked.bodies.lock().unwrap()[0].clone();
    assert_eq!(
        login["auth"]["identity"]["application_credential"]["id"],
        "ac"
    );
    assert!(login["auth"].get("scope").is_none());
}

#[tokio::test]
async fn with_wrong_credentials_keystone_is_not_asked_without_end() {
    let site = with_application_credential("wrong").await;
    let started = Instant::now();
    for n in 0..50 {
        assert_eq!(site.status(&format!("t{n}")).await, 503);
    }
    assert!(started.elapsed() < Duration::from_secs(60));
    assert_eq!(site.keystone.asked.logins(), 1);
    assert_eq!(site.keystone.asked.count(), 0);
    // The right ones are tried at once.
    site.keystone.asked.knows("t", json!({}));
    site.is_set(site.keystone.settings());
    assert_eq!(site.status("t").await, 200);
}

#[tokio::test]
async fn while_keystone_issues_no_token_the_old_one_goes_on() {
    let site = Site::with(|settings| settings.timeout = Duration::from_secs(3)).await;
    let keystone = &site.keystone.asked;
    *keystone.own_life.lock().unwrap() = 8;
    assert_eq!(site.status("wrong").await, 401);
    let held = keystone.issuing.acquire_many(PERMITS).await.unwrap();
    let patience = Instant::now() + Duration::from_secs(20);
    let mut n = 0;
    while keystone.logins() < 2 {
        assert!(Instant::now() < patience, "the token is not renewed");
        n += 1;
        assert_eq!(site.status(&format!("wrong-{n}")).await, 401);
    }
    assert_eq!(site.status("another").await, 401);
    drop(held);
}

#[tokio::test]
async fn a_token_that_has_ended_when_it_is_issued_is_not_asked_with() {
    let site = Site::new().await;
    let keystone = &site.keystone.asked;
    *keystone.own_life.lock().unwrap() = -5;
    assert_eq!(site.status("t").await, 503);
    assert_eq!((keystone.logins(), keystone.count()), (1, 0));
}

async fn with_application_credential(secret: &str) -> Site {
    Site::with(|settings| {
        settings.credentials = Credentials::Application {
            id: "ac".to_owned(),
            secret: Password(secret.to_owned()),
        };
    })
    .await
}
