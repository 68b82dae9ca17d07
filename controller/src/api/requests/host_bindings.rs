//! Requests about a port's bindings to hosts: `/v2.0/ports/{id}/bindings` (Neutron's `binding-extended`).

use crate::api::contract::caller::Caller;
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::port::host_binding::{self, BindingPatch};
use crate::api::contract::values;
use crate::api::contract::view::ResourceView;
use crate::api::requests::api::Api;
use crate::api::requests::commit::Written;
use crate::api::requests::incoming;
use crate::api::requests::query::rows::RowQuery;
use axum::body::Body as Stream;
use axum::extract::{Extension, Path, State};
use axum::http::{StatusCode, Uri};
use axum::routing::{get, put};
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use sextant_model::Port;

const FILTERS: [&str; 4] = ["host", "vif_type", "vnic_type", "status"];

pub(crate) fn routes() -> Router<Api> {
    let item = "/v2.0/ports/{id}/bindings/{host}";
    Router::new()
        .route("/v2.0/ports/{id}/bindings", get(list).post(create))
        .route(item, get(show).put(update).delete(delete))
        .route(&format!("{item}/activate"), put(activate))
}

async fn list(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<Value>, ApiError> {
    let query = RowQuery::of(&uri, &FILTERS)?;
    let snapshot = api.snapshots.latest();
    let view = snapshot.view(&caller);
    let port = caller.find::<Port>(view.intent, &id)?;
    caller.may_by(view.intent, &*port, "get_port_binding")?;
    host_binding::refuse_others(&port)?;
    let rows = host_binding::rows(&port, view).into_iter();
    Ok(Json(json!({"bindings": query.select(rows)})))
}

async fn show(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path((id, host)): Path<(String, String)>,
    uri: Uri,
) -> Result<Json<Value>, ApiError> {
    let query = RowQuery::of(&uri, &[])?;
    let snapshot = api.snapshots.latest();
    let view = snapshot.view(&caller);
    let port = caller.find::<Port>(view.intent, &id)?;
    caller.may_by(view.intent, &*port, "get_port_binding")?;
    host_binding::refuse_others(&port)?;
    let row = host_binding::shown(&port, &host, view)?;
    let shown = query.select(std::iter::once(row)).pop();
    Ok(Json(json!({"binding": shown})))
}

async fn create(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Stream,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let given = values::within(incoming::json(&api, body, &id).await?, "binding")?;
    let patch = BindingPatch::create(&given)?;
    let host = given
        .get("host")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let ((), written) = write(
        &api,
        &caller,
        &id,
        "create_port_binding",
        |draft, port, view| host_binding::create(draft, port, &patch, view),
    )
    .await?;
    let row = read_back(&written, &caller, &id, host)?;
    Ok((StatusCode::CREATED, Json(json!({"binding": row}))))
}

async fn update(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path((id, host)): Path<(String, String)>,
    body: Stream,
) -> Result<Json<Value>, ApiError> {
    let given = values::within(incoming::json(&api, body, &id).await?, "binding")?;
    let patch = BindingPatch::update(&given)?;
    let (host, written) = write(
        &api,
        &caller,
        &id,
        "update_port_binding",
        |draft, port, view| host_binding::update(draft, port, &host, &patch, view),
    )
    .await?;
    let row = read_back(&written, &caller, &id, &host)?;
    Ok(Json(json!({"binding": row})))
}

/// The answer has no envelope, as Neutron's has none. The body of the request says nothing.
async fn activate(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path((id, host)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let ((), written) = write(&api, &caller, &id, "activate", |draft, port, view| {
        host_binding::activate(draft, port, &host, view)
    })
    .await?;
    Ok(Json(read_back(&written, &caller, &id, &host)?.into()))
}

async fn delete(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path((id, host)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    write(
        &api,
        &caller,
        &id,
        "delete_port_binding",
        |draft, port, view| host_binding::delete(draft, port, &host, view),
    )
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Plans a change of the port's bindings for a caller whom the rule of this name allows it.
async fn write<T>(
    api: &Api,
    caller: &Caller,
    id: &str,
    rule: &str,
    plan: impl Fn(&mut Draft, &Port, ResourceView<'_>) -> Result<T, ApiError>,
) -> Result<(T, Written), ApiError> {
    api.write(|draft| {
        let port = caller.find::<Port>(&draft.intent, id)?;
        caller.may_by(&draft.intent, &*port, rule)?;
        let base = draft.base.clone();
        plan(draft, &port, base.view(caller))
    })
    .await
}

fn read_back(
    written: &Written,
    caller: &Caller,
    id: &str,
    host: &str,
) -> Result<Map<String, Value>, ApiError> {
    let port = caller.find::<Port>(&written.intent, id)?;
    host_binding::shown(&port, host, written.view(caller))
}
