//! Services that call on a caller's behalf.

use crate::played::utc;
use crate::site::Site;
use serde_json::json;

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
    assert_eq!(site.get(&with("t", "")).await.status, 200, "no service");
}

#[tokio::test]
async fn only_a_service_with_a_role_and_all_rights_lifts_access_rules() {
    for required in [true, false] {
        let site = Site::with(|settings| settings.service_token_roles_required = required).await;
        let keystone = &site.keystone.asked;
        let service = json!([{"id": "9", "name": "service"}]);
        let none = json!({"id": "a", "access_rules": []});
        let only_lists =
            json!([{"id": "1", "service": "network", "method": "GET", "path": "/v2.0/networks"}]);
        let only_lists = json!({"id": "b", "access_rules": only_lists});
        keystone.knows("t", json!({"application_credential": none}));
        keystone.knows("nova", json!({"roles": service}));
        keystone.knows(
            "restricted",
            json!({"roles": service, "application_credential": none}),
        );
        keystone.knows(
            "lists",
            json!({"roles": service, "application_credential": only_lists}),
        );
        keystone.knows("member", json!({}));
        let with = |service| [("x-auth-token", "t"), ("x-service-token", service)];
        assert_eq!(site.get(&with("nova")).await.status, 200);
        for service in ["restricted", "lists", "member"] {
            let status = site.get(&with(service)).await.status;
            assert_eq!(status, 401, "{service} {required}");
        }
    }
}
