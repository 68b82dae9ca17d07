//! `sextant neighbors` asks a listener that serves what sessions know.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use axum::body::Body;
use axum::http::{Request, StatusCode};
use sextant_controller::http::{Limits, Peer, serve};
use sextant_controller::metrics::Metrics;
use sextant_controller::neighbors::{Neighbor, Neighbors, service};
use sextant_model::{ChassisId, MacAddr, NetworkId};
use std::future::pending;
use std::net::SocketAddr;
use std::process::Command;
use tokio::net::TcpListener;
use tower::ServiceExt;

/// What a command said, and whether it was content.
struct Said {
    success: bool,
    out: String,
    err: String,
}

async fn sextant(arguments: &[&str], address: &str) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sextant"));
    command
        .arg("neighbors")
        .args(arguments)
        .args(["--metrics", address]);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap();
    Said {
        success: output.status.success(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn known() -> Neighbors {
    let neighbors = Neighbors::default();
    let neighbor = Neighbor {
        address: "fe80::1".parse().unwrap(),
        mac: Some(MacAddr([2, 0, 0, 0, 0, 1])),
        state: "reachable",
        is_default_router: true,
    };
    let unknown = Neighbor {
        address: "192.0.2.1".parse().unwrap(),
        mac: None,
        state: "incomplete",
        is_default_router: false,
    };
    neighbors.set(
        &ChassisId::new("h1"),
        NetworkId::MIN,
        vec![neighbor, unknown],
    );
    neighbors
}

async fn served(neighbors: Neighbors) -> String {
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(serve(
        "metrics",
        listener,
        service(neighbors),
        Limits::default(),
        Metrics::new().unwrap(),
        pending(),
    ));
    address
}

#[tokio::test]
async fn neighbors_are_shown_to_people_and_to_programs() {
    let address = served(known()).await;
    let said = sextant(&[], &address).await;
    assert!(said.success, "{}", said.err);
    let rows: Vec<Vec<&str>> = said
        .out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let nil = NetworkId::MIN.to_string();
    assert_eq!(
        rows[1..],
        [
            vec![
                "h1",
                &nil,
                "fe80::1",
                "02:00:00:00:00:01",
                "reachable",
                "default"
            ],
            vec!["h1", &nil, "192.0.2.1", "-", "incomplete", "-"],
        ]
    );
    let said = sextant(&["--json"], &address).await;
    let first: serde_json::Value = serde_json::from_str(said.out.lines().next().unwrap()).unwrap();
    let expected = serde_json::json!({
        "chassis": "h1", "network_id": nil, "address": "fe80::1", "mac": "02:00:00:00:00:01",
        "state": "reachable", "default_router": true,
    });
    assert_eq!(first, expected);
    assert_eq!(said.out.lines().count(), 2);
}

#[tokio::test]
async fn a_flush_reaches_the_sessions() {
    let neighbors = known();
    let mut flushes = neighbors.flushes();
    let address = served(neighbors).await;
    let said = sextant(&["flush"], &address).await;
    assert!(said.success && said.out.is_empty(), "{}", said.err);
    assert!(flushes.has_changed().unwrap());
    assert_eq!(*flushes.borrow_and_update(), 1);
}

#[tokio::test]
async fn only_clients_on_this_machine_may_flush() {
    let neighbors = known();
    let flushes = neighbors.flushes();
    let service = service(neighbors);
    for (peer, expected) in [
        (Some("[2001:db8::1]:5"), StatusCode::FORBIDDEN),
        (Some("[::ffff:192.0.2.1]:5"), StatusCode::FORBIDDEN),
        (None, StatusCode::FORBIDDEN),
        (Some("[::ffff:127.0.0.1]:5"), StatusCode::NO_CONTENT),
    ] {
        let mut request = Request::post("/neighbors/flush")
            .body(Body::empty())
            .unwrap();
        if let Some(peer) = peer {
            let address: SocketAddr = peer.parse().unwrap();
            let encrypted = false;
            request.extensions_mut().insert(Peer { address, encrypted });
        }
        let answer = service.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), expected, "{peer:?}");
        let flushed = expected == StatusCode::NO_CONTENT;
        assert_eq!(flushes.has_changed().unwrap(), flushed);
    }
    let get = Request::get("/neighbors/flush")
        .body(Body::empty())
        .unwrap();
    let answer = service.oneshot(get).await.unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn what_goes_wrong_is_said() {
    let closed = TcpListener::bind("[::1]:0").await.unwrap();
    let address = closed.local_addr().unwrap().to_string();
    drop(closed);
    let said = sextant(&[], &address).await;
    let expected = format!("sextant: cannot ask Sextant at {address}: ");
    assert!(
        !said.success && said.err.starts_with(&expected),
        "{}",
        said.err
    );

    let another = axum::Router::new();
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(serve(
        "metrics",
        listener,
        another,
        Limits::default(),
        Metrics::new().unwrap(),
        pending(),
    ));
    let said = sextant(&["flush"], &address).await;
    assert!(
        !said.success && said.err.contains("refuses: HTTP/1.0 404"),
        "{}",
        said.err
    );

    let said = sextant(&["--certificate", "client.pem"], &address).await;
    assert!(
        !said.success && said.err.contains("of no use"),
        "{}",
        said.err
    );
}
