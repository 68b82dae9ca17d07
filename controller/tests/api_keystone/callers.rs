//! Who calls, and what a token is good for.

use crate::played::utc;
use crate::site::{Site, request};
use axum::http::Method;
use serde_json::{Value, json};
use tower::ServiceExt;

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
    let long = "x".repeat(2_049);
    let cases: [&[(&str, &str)]; 8] = [
        &[],
        &[("x-auth-token", "")],
        &[("x-auth-token", "wrong")],
        &[("x-auth-token", "old")],
        &[("x-auth-token", &long)],
        &[("x-auth-token", "t t")],
        &[("x-auth-token", "tä")],
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
