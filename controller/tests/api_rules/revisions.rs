//! `X-Sextant-Revision`: which state of the store an answer shows, and requests that wait for one. What it does between several controllers
//! is told beside the store in etcd (`tests/store/etcd/revisions.rs`).

use crate::api::{Answer, Cloud};
use crate::{id, made};
use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

/// Lists networks for a caller who says that it has seen this.
async fn networks(cloud: &Cloud, seen: &[&str]) -> Answer {
    let request = Request::builder().uri("/v2.0/networks");
    let request = seen.iter().fold(request, |request, seen| {
        request.header("X-Sextant-Revision", *seen)
    });
    cloud.send(request.body(Body::empty()).unwrap()).await
}

fn waits(cloud: &Cloud, outcome: &str) -> u64 {
    let waits = &cloud.metrics.api_revision_waits;
    waits.with_label_values(&[outcome]).get()
}

#[tokio::test]
async fn every_answer_says_which_revision_it_shows_and_a_write_shows_its_own() {
    let cloud = Cloud::new();
    let mut last = cloud.get("networks").await.revision;
    let network = made(&cloud, "network", json!({})).await;
    let path = format!("/v2.0/networks/{}", id(&network));
    let renamed = json!({"network": {"name": "n"}});
    for (method, body) in [(Method::PUT, Some(&renamed)), (Method::DELETE, None)] {
        let answer = cloud.request(method, &path, body).await;
        assert!(answer.status.is_success(), "{answer:?}");
        assert!(answer.revision > last, "{answer:?} after {last}");
        assert_eq!(answer.revision, cloud.snapshots.latest().revision.0);
        last = answer.revision;
    }
    for (status, answer) in [
        (200, cloud.get("networks").await),
        (404, cloud.request(Method::GET, &path, None).await),
        (400, cloud.post("networks", Value::Null).await),
        (
            405,
            cloud.request(Method::PATCH, "/v2.0/networks", None).await,
        ),
        (200, cloud.request(Method::GET, "/", None).await),
    ] {
        assert_eq!((answer.status.as_u16(), answer.revision), (status, last));
    }
}

#[tokio::test]
async fn a_request_waits_for_the_revision_that_its_caller_has_seen() {
    let cloud = Cloud::new();
    let first = cloud.post("networks", json!({"network": {"name": "a"}}));
    let first = first.await.revision;
    let [first, next] = [first, first + 1].map(|revision| revision.to_string());
    assert_eq!(networks(&cloud, &[&first]).await.status, 200);
    assert_eq!(waits(&cloud, "reached"), 0, "it is there");
    let seen = ["0", &next, &first];
    let waiting = networks(&cloud, &seen);
    let write = cloud.post("networks", json!({"network": {"name": "b"}}));
    let (listed, written) = tokio::join!(waiting, write);
    assert_eq!(written.status, 201);
    let listed = listed.ok();
    assert_eq!(listed["networks"].as_array().unwrap().len(), 2);
    assert_eq!(waits(&cloud, "reached"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_does_not_come_is_answered_with_the_one_that_is_there() {
    let cloud = Cloud::new();
    let has = cloud.get("networks").await.revision;
    let (status, kind, message) = networks(&cloud, &["18446744073709551615"]).await.error();
    assert_eq!((status, kind.as_str()), (503, "ServiceUnavailable"));
    assert!(
        message.contains(&format!("has revision {has} ")) && message.contains("5 seconds"),
        "{message}"
    );
    assert_eq!(waits(&cloud, "too_late"), 1);
}

#[tokio::test]
async fn a_revision_that_is_no_number_is_refused() {
    let cloud = Cloud::new();
    for wrong in ["", "new", "-1", "1, 2", "99999999999999999999"] {
        let (status, kind, message) = networks(&cloud, &["0", wrong]).await.error();
        assert_eq!((status, kind.as_str()), (400, "HTTPBadRequest"));
        assert!(message.contains(wrong), "{message}");
    }
}
