//! Who calls, by tokens that a played Keystone describes. The real one is in the lab's tests.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod api;
mod keystone;

use api::{Answer, Cloud};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use keystone::{PERMITS, Played, utc};
use serde_json::{Value, json};
use sextant_controller::api::Identity;
use sextant_controller::http::Peer;
use sextant_controller::keystone::{Credentials, Keystone, KeystoneSettings};
use sextant_controller::metrics::Metrics;
use sextant_controller::store::Password;
use sextant_model::Settings;
use std::time::{Duration, Instant};
use tower::ServiceExt;

/// A cloud whose callers Keystone knows.
struct Site {
    keystone: Played,
    cloud: Cloud,
    metrics: Metrics,
    validator: Keystone,
}

impl Site {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut KeystoneSettings)) -> Self {
        let keystone = Played::start().await;
        let mut settings = keystone.settings();
        change(&mut settings);
        let metrics = Metrics::new().unwrap();
        let validator = Keystone::new(settings, metrics.clone()).unwrap();
        let identity = Identity::Keystone(validator.clone());
        let cloud = Cloud::writing_by(Settings::default(), identity, |store| store);
        Self {
            keystone,
            cloud,
            metrics,
            validator,
        }
    }

    /// A request with these headers, from a peer of its own.
    async fn from(&self, peer: &str, request: Request<Body>) -> Answer {
        let mut request = request;
        request.extensions_mut().insert(Peer {
            address: peer.parse().unwrap(),
            encrypted: false,
        });
        self.cloud.send(request).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        self.from("192.0.2.1:5", request(method, path, headers, body))
            .await
    }

    async fn get(&self, headers: &[(&str, &str)]) -> Answer {
        self.ask(Method::GET, "/v2.0/networks", headers, None).await
    }

    async fn status(&self, token: &str) -> u16 {
        self.get(&[("x-auth-token", token)]).await.status.as_u16()
    }

    async fn makes_network(&self, token: &str, more: Value) -> Answer {
        let mut body = json!({"network": {"name": "n"}});
        let network = body["network"].as_object_mut().unwrap();
        network.extend(more.as_object().unwrap().clone());
        let headers = [("x-auth-token", token)];
        self.ask(Method::POST, "/v2.0/networks", &headers, Some(&body))
            .await
    }

    fn counted(&self, metric: &str) -> u64 {
        let page = self.metrics.render().unwrap();
        let line = page.lines().find(|line| line.starts_with(metric));
        let line = line.unwrap_or_else(|| panic!("no {metric}"));
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }
}

fn request(
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Request<Body> {
    let octets = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let request = Request::builder().method(method).uri(path);
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    request.body(octets).unwrap()
}

#[tokio::test]
async fn a_token_says_who_calls_and_headers_do_not() {
    let site = Site::new().await;
    site.keystone.asked.knows("t", json!({}));
    let forged = [
        ("x-auth-token", " t "),
        ("x-user-id", "root"),
        ("x-project-id", "p2"),
        ("x-project-id", "p3"),
        ("x-roles", "admin"),
        ("x-identity-status", "Confirmed"),
    ];
    let body = json!({"network": {"name": "n"}});
    let made = site
        .ask(Method::POST, "/v2.0/networks", &forged, Some(&body))
        .await
        .ok();
    assert_eq!(made["network"]["project_id"], "p1");
    assert!(made["network"].get("provider:network_type").is_none());
    // With the headers alone nobody calls.
    assert_eq!(site.get(&forged[1..]).await.status, 401);
    assert_eq!(site.keystone.asked.count(), 1);
    let (query, headers) = site.keystone.asked.questions.lock().unwrap()[0].clone();
    assert_eq!(query, "nocatalog");
    assert_eq!(headers["x-subject-token"], "t");
    assert_eq!(headers["openstack-identity-access-rules"], "1");
    let login = site.keystone.asked.bodies.lock().unwrap()[0].clone();
    let user = &login["auth"]["identity"]["password"]["user"];
    assert_eq!(
        (&user["name"], &user["domain"]["name"]),
        (&json!("sextant"), &json!("Default"))
    );
    assert_eq!(login["auth"]["scope"]["project"]["name"], "service");
}

#[tokio::test]
async fn who_has_no_token_that_holds_is_told_where_to_get_one() {
    let site = Site::new().await;
    site.keystone
        .asked
        .knows("old", json!({"expires_at": utc(-5)}));
    site.keystone.asked.knows("t", json!({}));
    let long = "x".repeat(10_000);
    let cases: [&[(&str, &str)]; 6] = [
        &[],
        &[("x-auth-token", "")],
        &[("x-auth-token", "wrong")],
        &[("x-auth-token", "old")],
        &[("x-auth-token", &long)],
        &[("x-auth-token", "t"), ("x-auth-token", "t")],
    ];
    for headers in cases {
        let response = site.cloud.router();
        let request = request(Method::GET, "/v2.0/networks", headers, None);
        let Ok(response) = response.oneshot(request).await;
        assert_eq!(response.status(), 401, "{headers:?}");
        let challenge = &response.headers()["www-authenticate"];
        assert_eq!(challenge, "Keystone uri=\"https://keystone.example\"");
        let body = axum::body::to_bytes(response.into_body(), 1000)
            .await
            .unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["code"], 401);
    }
    let versions = site
        .ask(Method::GET, "/", &[("x-auth-token", "wrong")], None)
        .await;
    assert_eq!(versions.status, 200);
    assert_eq!(site.keystone.asked.count(), 2, "versions are open to all");
    assert_eq!(site.get(&[("x-storage-token", "t")]).await.status, 200);
}

#[tokio::test]
async fn each_scope_has_the_rights_that_it_gives() {
    let site = Site::new().await;
    let admin = json!([{"id": "1", "name": "Admin"}]);
    let keystone = &site.keystone.asked;
    keystone.knows("admin", json!({"roles": admin}));
    keystone.knows("reader", json!({"roles": [{"id": "2", "name": "reader"}]}));
    keystone.knows(
        "elsewhere",
        json!({"roles": admin, "is_admin_project": false}),
    );
    keystone.knows(
        "system",
        json!({"project": null, "system": {"all": true}, "roles": admin}),
    );
    keystone.knows(
        "domain",
        json!({"project": null, "domain": {"id": "d"}, "roles": admin}),
    );
    keystone.knows("unscoped", json!({"project": null, "roles": null}));
    keystone.knows("comma", json!({"roles": [{"id": "3", "name": "x,admin"}]}));
    let for_other = json!({"project_id": "p2"});
    let made = site.makes_network("admin", for_other.clone()).await.ok();
    assert_eq!(made["network"]["project_id"], "p2");
    assert_eq!(site.makes_network("reader", json!({})).await.status, 403);
    assert_eq!(
        site.makes_network("elsewhere", for_other.clone())
            .await
            .status,
        400
    );
    assert_eq!(site.makes_network("elsewhere", json!({})).await.status, 201);
    // The whole cloud's admin has no project: it is to be named.
    assert_eq!(site.makes_network("system", json!({})).await.status, 400);
    assert_eq!(
        site.makes_network("system", for_other.clone()).await.status,
        201
    );
    for token in ["domain", "unscoped", "comma"] {
        let made = site.makes_network(token, for_other.clone()).await;
        assert!(
            matches!(made.status.as_u16(), 400 | 403),
            "{token}: {made:?}"
        );
        let seen = site.get(&[("x-auth-token", token)]).await.ok();
        assert_eq!(seen["networks"], json!([]), "{token}");
    }
}

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

async fn join_all<T>(all: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut pinned: Vec<_> = all.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<T>> = pinned.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in pinned.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        match done.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
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
    *keystone.own_life.lock().unwrap() = 1;
    keystone.knows("a", json!({}));
    keystone.knows("b", json!({}));
    assert_eq!(site.status("a").await, 200);
    let patience = Instant::now() + Duration::from_secs(20);
    let mut n = 0;
    while keystone.logins() < 3 {
        assert!(Instant::now() < patience, "the token is not renewed");
        n += 1;
        assert_eq!(site.status(&format!("wrong-{n}")).await, 401);
    }
    let refused = "sextant_keystone_requests_total{outcome=\"failed\",request=\"validate\"}";
    assert_eq!(site.counted(refused), 0);
}

#[tokio::test]
async fn an_application_credential_asks_as_well() {
    let site = Site::with(|settings| {
        settings.credentials = Credentials::Application {
            id: "ac".to_owned(),
            secret: Password("right".to_owned()),
        };
    })
    .await;
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
async fn with_wrong_credentials_keystone_is_not_asked_without_end() {
    let site = Site::with(|settings| {
        settings.credentials = Credentials::Application {
            id: "ac".to_owned(),
            secret: Password("wrong".to_owned()),
        };
    })
    .await;
    let started = Instant::now();
    for n in 0..50 {
        assert_eq!(site.status(&format!("t{n}")).await, 503);
    }
    let most = started.elapsed().as_secs() + 1;
    assert!(site.keystone.asked.logins() as u64 <= most);
    assert_eq!(site.keystone.asked.count(), 0);
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
async fn a_keystone_that_does_not_answer_holds_nobody_longer_than_the_limit() {
    let limit = Duration::from_secs(1);
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
    assert!(started.elapsed() < limit * 3, "{:?}", started.elapsed());
    drop(held);
    assert_eq!(site.status("new").await, 200);
}

#[tokio::test]
async fn a_service_goes_on_with_a_token_that_has_expired() {
    let site = Site::new().await;
    let keystone = &site.keystone.asked;
    keystone.knows("old", json!({"expires_at": utc(-60)}));
    keystone.knows(
        "nova",
        json!({"user": {"id": "nova"}, "roles": [{"id": "9", "name": "service"}]}),
    );
    keystone.knows("other", json!({}));
    keystone.knows(
        "past",
        json!({"expires_at": utc(-60), "roles": [{"id": "9", "name": "service"}]}),
    );
    let with = |service| [("x-auth-token", "old"), ("x-service-token", service)];
    assert_eq!(site.get(&with("nova")).await.status, 200);
    assert_eq!(site.get(&with("nova")).await.status, 200);
    assert_eq!(keystone.count(), 2, "both are remembered");
    let (query, _) = keystone.questions.lock().unwrap()[1].clone();
    assert_eq!(query, "allow_expired&nocatalog");
    for service in ["other", "past", "wrong"] {
        assert_eq!(site.get(&with(service)).await.status, 401, "{service}");
    }
    assert_eq!(
        site.status("old").await,
        401,
        "without the service it has expired"
    );
    let alone = [("x-service-token", "nova")];
    assert_eq!(
        site.get(&alone).await.status,
        401,
        "a service alone is nobody"
    );
}

#[tokio::test]
async fn any_token_may_be_a_services_where_no_role_is_required() {
    let site = Site::with(|settings| settings.service_token_roles_required = false).await;
    let keystone = &site.keystone.asked;
    keystone.knows("t", json!({}));
    keystone.knows("old", json!({"expires_at": utc(-60)}));
    keystone.knows("other", json!({}));
    let with = |user, service| [("x-auth-token", user), ("x-service-token", service)];
    assert_eq!(site.get(&with("t", "other")).await.status, 200);
    assert_eq!(
        site.get(&with("old", "other")).await.status,
        401,
        "it needs the role for that"
    );
    assert_eq!(site.get(&with("t", "wrong")).await.status, 401);
}

#[tokio::test]
async fn an_application_credential_is_good_for_what_its_rules_say() {
    let site = Site::new().await;
    let keystone = &site.keystone.asked;
    let rules =
        json!([{"id": "1", "service": "network", "method": "GET", "path": "/v2.0/networks"}]);
    keystone.knows(
        "some",
        json!({"application_credential": {"id": "a", "access_rules": rules}}),
    );
    keystone.knows(
        "none",
        json!({"application_credential": {"id": "b", "access_rules": []}}),
    );
    keystone.knows(
        "all",
        json!({"application_credential": {"id": "c", "restricted": true}}),
    );
    keystone.knows("nova", json!({"roles": [{"id": "9", "name": "service"}]}));
    assert_eq!(site.status("some").await, 200);
    assert_eq!(site.status("none").await, 401);
    assert_eq!(site.status("all").await, 200);
    assert_eq!(site.makes_network("some", json!({})).await.status, 401);
    assert_eq!(site.makes_network("all", json!({})).await.status, 201);
    let by_service = [("x-auth-token", "none"), ("x-service-token", "nova")];
    assert_eq!(site.get(&by_service).await.status, 200);
}

#[tokio::test]
async fn other_settings_leave_known_tokens_known() {
    let mut site = Site::new().await;
    site.keystone.asked.knows("t", json!({}));
    assert_eq!(site.status("t").await, 200);
    let again = site.validator.again(site.keystone.settings()).unwrap();
    site.cloud.identify_by(Identity::Keystone(again));
    site.keystone.end().await;
    assert_eq!(site.status("t").await, 200);
    let mut elsewhere = site.keystone.settings();
    elsewhere.auth_url = "http://[::1]:1".to_owned();
    let again = site.validator.again(elsewhere).unwrap();
    site.cloud.identify_by(Identity::Keystone(again));
    assert_eq!(site.status("t").await, 503);
}
