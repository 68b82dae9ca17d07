//! Tags of resources: `…/{id}/tags` and `…/{id}/tags/{tag}`.

use crate::api::contract::caller::Caller;
use crate::api::contract::error::ApiError;
use crate::api::contract::resource::Resource;
use crate::api::contract::tags;
use crate::api::requests::api::Api;
use crate::api::requests::incoming;
use axum::body::Body as Stream;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(crate) fn routes<R: Resource>(item: &str) -> Router<Api> {
    Router::new()
        .route(
            &format!("{item}/tags"),
            get(list::<R>)
                .put(replace::<R>)
                .post(add_all::<R>)
                .delete(clear::<R>),
        )
        .route(
            &format!("{item}/tags/{{tag}}"),
            put(add::<R>).get(has::<R>).delete(remove::<R>),
        )
}

async fn list<R: Resource>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let snapshot = api.snapshots.latest();
    let resource = caller.find::<R>(&snapshot.intent, &id)?;
    caller.may_read_attribute(&snapshot.intent, &*resource, "tags")?;
    Ok(Json(json!({"tags": resource.meta().tags})).into_response())
}

async fn has<R: Resource>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path((id, tag)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let snapshot = api.snapshots.latest();
    let resource = caller.find::<R>(&snapshot.intent, &id)?;
    caller.may_read_attribute(&snapshot.intent, &*resource, "tags")?;
    if resource.meta().tags.contains(&tag) {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(missing(&tag))
    }
}

async fn replace<R: Resource>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Stream,
) -> Result<Response, ApiError> {
    let tags = given(&api, body, &id).await?;
    change::<R>(&api, &caller, ("update", &id), |_| Ok(tags.clone())).await?;
    Ok(Json(json!({"tags": tags})).into_response())
}

/// Adds tags to those that are there (Neutron's `tag-creation`).
async fn add_all<R: Resource>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Stream,
) -> Result<Response, ApiError> {
    let new = given(&api, body, &id).await?;
    let all = change::<R>(&api, &caller, ("create", &id), |tags| {
        Ok(tags.union(&new).cloned().collect())
    })
    .await?;
    Ok((StatusCode::CREATED, Json(json!({"tags": all}))).into_response())
}

/// The tags in a request's body.
async fn given(api: &Api, body: Stream, id: &str) -> Result<BTreeSet<String>, ApiError> {
    let body = incoming::json(api, body, id).await?;
    match body.get("tags").filter(|tags| tags.is_array()) {
        Some(tags) => parse(tags),
        None => Err(ApiError::malformed(
            "Invalid input for tags. Reason: 'tags' is not a list.",
        )),
    }
}

async fn clear<R: Resource>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    change::<R>(&api, &caller, ("delete", &id), |_| Ok(BTreeSet::new())).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn add<R: Resource>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path((id, tag)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let tag = parse(&json!([tag]))?;
    change::<R>(&api, &caller, ("update", &id), |tags| {
        Ok(tags.union(&tag).cloned().collect())
    })
    .await?;
    Ok(StatusCode::CREATED.into_response())
}

async fn remove<R: Resource>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path((id, tag)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    change::<R>(&api, &caller, ("delete", &id), |tags| {
        let mut tags = tags.clone();
        if tags.remove(&tag) {
            Ok(tags)
        } else {
            Err(missing(&tag))
        }
    })
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn change<R: Resource>(
    api: &Api,
    caller: &Caller,
    (verb, id): (&str, &str),
    tags: impl Fn(&BTreeSet<String>) -> Result<BTreeSet<String>, ApiError>,
) -> Result<BTreeSet<String>, ApiError> {
    api.write(|draft| {
        let resource = caller.find::<R>(&draft.intent, id)?;
        let action = format!("{verb}_{}:tags", R::NAME);
        caller.may_by(&draft.intent, &*resource, &action)?;
        let before = &resource.meta().tags;
        let tags = tags(before)?;
        tags::refuse_many(&tags)?;
        if tags != *before {
            resource.check_tags(&draft.intent, &tags)?;
            let mut changed = R::clone(&resource);
            changed.meta_mut().tags.clone_from(&tags);
            changed.store_revised(draft);
        }
        Ok(tags)
    })
    .await
    .map(|(tags, _)| tags)
}

fn parse(tags: &Value) -> Result<BTreeSet<String>, ApiError> {
    tags::tags(tags).map_err(|invalid| invalid.of("tags"))
}

fn missing(tag: &str) -> ApiError {
    ApiError::not_found("TagNotFound", format!("Tag {tag} could not be found."))
}
