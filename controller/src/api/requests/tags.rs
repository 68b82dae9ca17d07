//! Tags of resources: `…/{id}/tags` and `…/{id}/tags/{tag}`.

use crate::api::contract::caller::Caller;
use crate::api::contract::error::ApiError;
use crate::api::contract::resource::Resource;
use crate::api::contract::values;
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

/// The longest tag, in characters.
const LONGEST: usize = 255;
/// The most tags of a resource.
const MOST: usize = 50;

pub(crate) fn routes<R: Resource>(item: &str) -> Router<Api> {
    Router::new()
        .route(
            &format!("{item}/tags"),
            get(list::<R>).put(replace::<R>).delete(clear::<R>),
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
    let resource = caller.find::<R>(&api.snapshots.latest().intent, &id)?;
    Ok(Json(json!({"tags": resource.meta().tags})).into_response())
}

async fn has<R: Resource>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path((id, tag)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let resource = caller.find::<R>(&api.snapshots.latest().intent, &id)?;
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
    let body = incoming::json(&api, body, &id).await?;
    let Some(tags) = body.get("tags").filter(|tags| tags.is_array()) else {
        return Err(ApiError::malformed(
            "Invalid input for tags. Reason: 'tags' is not a list.",
        ));
    };
    let tags = parse(tags)?;
    change::<R>(&api, &caller, &id, |_| Ok(tags.clone())).await?;
    Ok(Json(json!({"tags": tags})).into_response())
}

async fn clear<R: Resource>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    change::<R>(&api, &caller, &id, |_| Ok(BTreeSet::new())).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn add<R: Resource>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path((id, tag)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let tag = parse(&json!([tag]))?;
    change::<R>(&api, &caller, &id, |tags| {
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
    change::<R>(&api, &caller, &id, |tags| {
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
    id: &str,
    tags: impl Fn(&BTreeSet<String>) -> Result<BTreeSet<String>, ApiError>,
) -> Result<(), ApiError> {
    api.write(|draft| {
        let resource = caller.find::<R>(&draft.intent, id)?;
        let action = format!("update_{}:tags", R::NAME);
        caller.may_by(&draft.intent, &*resource, &action)?;
        let before = &resource.meta().tags;
        let tags = tags(before)?;
        if tags.len() > MOST {
            return Err(ApiError::malformed(format!(
                "The number of tags exceed the per-resource limit of {MOST}"
            )));
        }
        if tags != *before {
            let mut changed = R::clone(&resource);
            changed.meta_mut().tags = tags;
            changed.store_revised(draft);
        }
        Ok(())
    })
    .await
    .map(|((), _)| ())
}

fn parse(tags: &Value) -> Result<BTreeSet<String>, ApiError> {
    let tags = values::list(values::text(LONGEST))(tags).map_err(|invalid| invalid.of("tags"))?;
    match tags.iter().find(|tag| tag.is_empty() || tag.contains(',')) {
        Some(tag) => Err(ApiError::malformed(format!(
            "Invalid input for tags. Reason: '{tag}' is not a valid tag."
        ))),
        None => Ok(tags.into_iter().collect()),
    }
}

fn missing(tag: &str) -> ApiError {
    ApiError::not_found("TagNotFound", format!("Tag {tag} could not be found."))
}
