//! What is remembered of tokens, and how seldom Keystone is asked.

use crate::played::{PERMITS, utc};
use crate::site::{Site, join_all, request};
use axum::http::{Method, StatusCode};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;
use sextant_controller::keystone::KeystoneSettings;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[tokio::test]
async fn what_keystone_said_is_remembered_until_the_token_ends() {
    let site = Site::new().await;
    site.keystone.asked.knows("t", json!({}));
    for _ in 0..3 {
        assert_eq!(site.status("t").await, 200);
        assert_eq!(site.status("wrong").await, 401);
    }
    assert_eq!(site.keystone.asked.count(), 2);
    assert_eq!(site.counted("sextant_token_checks_total{by=\"cache\"}"), 4);
    assert_eq!(site.counted("sextant_token_checks_total{by=\"asked\"}"), 2);
    let requests =
        |labels: &str| site.counted(&format!("sextant_keystone_requests_total{{{labels}}}"));
    assert_eq!(requests("outcome=\"ok\",request=\"login\""), 1);
    assert_eq!(requests("outcome=\"ok\",request=\"validate\""), 1);
    assert_eq!(requests("outcome=\"refused\",request=\"validate\""), 1);
    assert_eq!(
        site.counted("sextant_keystone_request_duration_seconds_count"),
        3
    );
    // The end of a token is seen without a question.
    site.keystone
        .asked
        .knows("short", json!({"expires_at": utc(2)}));
    assert_eq!(site.status("short").await, 200);
    let patience = Instant::now() + Duration::from_secs(20);
    while site.status("short").await == 200 {
        assert!(Instant::now() < patience, "a token holds that has ended");
        tokio::task::yield_now().await;
    }
    assert_eq!(site.status("short").await, 401);
}

#[tokio::test]
async fn an_answer_counts_as_what_it_is_good_for() {
    let site = Site::new().await;
    let keystone = &site.keystone.asked;
    keystone.knows("t", json!({}));
    let requests = |labels: &str| {
        let metric = format!("sextant_keystone_requests_total{{{labels},request=\"validate\"}}");
        site.counted(&metric)
    };
    let all = || ["ok", "refused", "failed"].map(|word| requests(&format!("outcome=\"{word}\"")));
    keystone.answers_instead(Some(StatusCode::OK));
    assert_eq!(site.status("t").await, 503);
    assert_eq!(all(), [0, 0, 1], "an answer without a token is none");
    keystone.answers_instead(Some(StatusCode::BAD_REQUEST));
    assert_eq!(site.status("wrong").await, 401);
    assert_eq!(all(), [0, 1, 1]);
    keystone.answers_instead(None);
    keystone.forgets_sextant();
    assert_eq!(site.status("t").await, 200);
    assert_eq!(all(), [1, 2, 1], "its own token had to be renewed");
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once_where_nothing_is_cached() {
    let site = Site::with(|settings| settings.token_cache_time = Duration::ZERO).await;
    site.keystone.asked.knows("t", json!({}));
    assert_eq!(site.status("t").await, 200);
    site.keystone.asked.revokes("t");
    assert_eq!(site.status("t").await, 401);
    site.keystone.asked.knows("t", json!({}));
    assert_eq!(site.status("t").await, 200);
    assert_eq!(site.keystone.asked.count(), 3);
}

#[tokio::test]
async fn many_callers_with_one_token_are_one_question() {
    let site = Site::new().await;
    site.keystone.asked.knows("t", json!({}));
    let held = site
        .keystone
        .asked
        .gate
        .acquire_many(PERMITS)
        .await
        .unwrap();
    let calls: Vec<_> = (0..100).map(|_| site.status("t")).collect();
    let calls = join_all(calls);
    let opened = async {
        site.keystone.asked.until_asked(1).await;
        drop(held);
    };
    let (statuses, ()) = tokio::join!(calls, opened);
    assert_eq!(statuses, [200; 100]);
    assert_eq!(site.keystone.asked.count(), 1);
    assert_eq!(site.keystone.asked.logins(), 1);
    assert_eq!(
        site.counted("sextant_token_checks_total{by=\"shared\"}"),
        99
    );
}

#[tokio::test]
async fn ten_thousand_wrong_tokens_of_one_address_do_not_hold_up_another() {
    let site = Site::new().await;
    let keystone = &site.keystone.asked;
    keystone.knows("known", json!({}));
    keystone.knows("new", json!({}));
    assert_eq!(site.status("known").await, 200);
    // As many connections as one address may have ask about other tokens without end.
    let flood = async {
        for round in 0..40 {
            let calls = (0..256).map(|n| {
                let token = format!("wrong-{round}-{n}");
                let headers = [("x-auth-token", token.as_str())];
                let request = request(Method::GET, "/v2.0/networks", &headers, None);
                site.from("198.51.100.7:5", request)
            });
            for answer in join_all(calls.collect()).await {
                assert_eq!(answer.status, 401);
            }
        }
    };
    let other = async {
        keystone.until_asked(100).await;
        let before = keystone.count();
        assert_eq!(site.status("new").await, 200);
        let ahead = keystone.count() - before;
        // It waits for those under way, not for the line.
        assert!(ahead <= 64, "{ahead} others were asked about first");
        assert_eq!(site.status("known").await, 200);
    };
    tokio::join!(flood, other);
    assert_eq!(keystone.count(), 10_242);
}

#[tokio::test]
async fn settings_that_say_nothing_of_belief_leave_known_tokens_known() {
    let mut site = Site::new().await;
    site.keystone.asked.knows("t", json!({}));
    assert_eq!(site.status("t").await, 200);
    site.keystone.end().await;
    let mut same = site.keystone.settings();
    same.service_token_roles_required = false;
    same.timeout = Duration::from_secs(5);
    site.is_set(same);
    assert_eq!(site.status("t").await, 200);
}

#[tokio::test]
async fn settings_of_what_is_believed_have_keystone_asked_again() {
    let path = std::env::temp_dir().join(format!("sextant-believed-{}", std::process::id()));
    let authority = Authority::at(path);
    let changes: [(&str, Change<'_>); 3] = [
        ("auth_url", &|settings| {
            "http://[::1]:1".clone_into(&mut settings.auth_url)
        }),
        ("cafile", &|settings| {
            settings.cafile.clone_from(&authority.0)
        }),
        ("token_cache_time", &|settings| {
            settings.token_cache_time = Duration::ZERO
        }),
    ];
    for (name, change) in changes {
        let mut site = Site::new().await;
        site.keystone.asked.knows("t", json!({}));
        assert_eq!(site.status("t").await, 200);
        site.keystone.end().await;
        let mut other = site.keystone.settings();
        change(&mut other);
        site.is_set(other);
        assert_eq!(site.status("t").await, 503, "{name}");
    }
}

/// What is other in the settings.
type Change<'a> = &'a dyn Fn(&mut KeystoneSettings);

/// A file with an authority's certificate, until it is dropped.
struct Authority(PathBuf);

impl Authority {
    fn at(path: PathBuf) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        std::fs::write(&path, certificate.pem()).unwrap();
        Self(path)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
