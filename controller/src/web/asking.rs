//! Asks a verb. Request and answer are those of the control socket: one JSON value, and lines of JSON.

use super::Web;
use super::streamed::Streamed;
use crate::control::{Request, STALL, answer_lines};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How many rows may wait to be sent.
const ROWS: usize = 256;
/// How long a request waits for its turn.
const TURN: Duration = Duration::from_secs(15);

/// Answers what only reads.
pub(super) async fn ask(
    State(web): State<Web>,
    request: Result<Json<Request>, JsonRejection>,
) -> Response {
    let request = match request {
        Ok(Json(request)) => request,
        Err(error) => return (error.status(), format!("{error}\n")).into_response(),
    };
    if !request.only_reads() {
        let why = "this page only reads: use the command on the controller\n";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    let turn = timeout(TURN, web.answers.clone().acquire_owned());
    let Ok(Ok(turn)) = turn.await else {
        let why = "too many requests are being answered: try again\n";
        return (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    };
    let (give, rows) = mpsc::channel(ROWS);
    let known = web.known;
    tokio::task::spawn_blocking(move || {
        answer_lines(&request, &known, &give, STALL);
        drop(turn);
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (kind, Body::from(Streamed(rows))).into_response()
}
