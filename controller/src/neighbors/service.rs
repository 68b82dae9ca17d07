//! Serves what is known of neighbours, beside the metrics.

use super::{Neighbor, Neighbors, Told};
use crate::http::Peer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use sextant_model::{ChassisId, NetworkId};

/// `GET /neighbors`, and `POST /neighbors/flush` for whoever is on this machine.
pub fn service(neighbors: Neighbors) -> Router {
    Router::new()
        .route("/neighbors", get(list))
        .route("/neighbors/flush", post(flush))
        .with_state(neighbors)
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn list(State(neighbors): State<Neighbors>) -> Json<Vec<Told>> {
    let all = neighbors.all().into_iter();
    Json(all.flat_map(|(of, known)| told(of, known)).collect())
}

fn told(
    (chassis, network_id): (ChassisId, NetworkId),
    known: Vec<Neighbor>,
) -> impl Iterator<Item = Told> {
    known.into_iter().map(move |neighbor| Told {
        chassis: chassis.to_string(),
        network_id,
        address: neighbor.address,
        mac: neighbor.mac,
        state: neighbor.state.to_owned(),
        default_router: neighbor.is_default_router,
    })
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn flush(State(neighbors): State<Neighbors>, peer: Option<Extension<Peer>>) -> Response {
    let is_near = |peer: Extension<Peer>| peer.0.address.ip().to_canonical().is_loopback();
    if !peer.is_some_and(is_near) {
        let refusal = "only clients on this machine may flush neighbors\n";
        return (StatusCode::FORBIDDEN, refusal).into_response();
    }
    tracing::info!("neighbors on external networks are forgotten and asked for anew");
    neighbors.flush();
    StatusCode::NO_CONTENT.into_response()
}
