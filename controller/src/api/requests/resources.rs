//! Requests on resources of every kind.

use crate::api::contract::attributes::Patch;
use crate::api::contract::body::Body;
use crate::api::contract::caller::Caller;
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::quota;
use crate::api::contract::rbac;
use crate::api::contract::resource::Resource;
use crate::api::contract::shown::Fields;
use crate::api::contract::ties::Ties;
use crate::api::contract::values;
use crate::api::contract::view::{Lengths, ResourceView};
use crate::api::requests::answer;
use crate::api::requests::api::Api;
use crate::api::requests::asked;
use crate::api::requests::commit::Written;
use crate::api::requests::incoming;
use crate::api::requests::listing::Listing;
use crate::api::requests::query::{Query, query};
use crate::api::requests::tags;
use crate::api::rights::Exceptions;
use crate::snapshot::Snapshot;
use axum::Router;
use axum::body::Body as Stream;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

impl Snapshot {
    pub(crate) fn view<'a>(&'a self, caller: &'a Caller) -> ResourceView<'a> {
        ResourceView {
            intent: &self.intent,
            facts: &self.facts,
            caller,
            lengths: Lengths::Text,
        }
    }
}

impl Written {
    pub(crate) fn view<'a>(&'a self, caller: &'a Caller) -> ResourceView<'a> {
        ResourceView {
            intent: &self.intent,
            facts: &self.facts,
            caller,
            lengths: Lengths::Text,
        }
    }
}

/// The routes of a resource.
pub(crate) fn routes<R: Exceptions>() -> Router<Api> {
    let collection = format!("/v2.0/{}", R::PATH);
    let item = format!("{collection}/{{id}}");
    let routes = Router::new()
        .route(&collection, get(list::<R>).post(create::<R>))
        .route(&item, get(show::<R>).put(update::<R>).delete(delete::<R>));
    if R::has_tags() {
        routes.merge(tags::routes::<R>(&item))
    } else {
        routes
    }
}

async fn list<R: Exceptions>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let query = Query::<R>::of(query(&uri)?)?;
    complete(&api, &caller, &query).await?;
    let snapshot = api.snapshots.latest();
    let link = format!("{}{}", incoming::origin(&headers), uri.path());
    let listing = Listing::begin(snapshot, caller, query, link)?;
    Ok(listing.answer(&api.lists).await)
}

/// Makes what a project has without asking, for the project that a list is about, or else the caller's. For another
/// project only admins make it.
async fn complete<R: Exceptions>(
    api: &Api,
    caller: &Caller,
    query: &Query<R>,
) -> Result<(), ApiError> {
    let project = match query.project() {
        Some(project) => Some(project).filter(|name| caller.is_admin() || caller.is_of(name)),
        None => caller.project.as_deref(),
    };
    let Some(project) = project else {
        return Ok(());
    };
    match R::before_list(&api.snapshots.latest().intent, project) {
        Some(plan) => api.write(|draft| plan(draft, project)).await.map(drop),
        None => Ok(()),
    }
}

async fn show<R: Exceptions>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let query = Query::<R>::of(query(&uri)?)?;
    let snapshot = api.snapshots.latest();
    let view = snapshot.view(&caller);
    let resource = caller.find::<R>(view.intent, &id)?;
    Ok(answer::one(
        StatusCode::OK,
        &*resource,
        view,
        query.fields(),
    ))
}

async fn create<R: Exceptions>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    body: Stream,
) -> Result<Response, ApiError> {
    let about = format!("new {}", R::NAME);
    let mut body = incoming::json(&api, body, &about).await?;
    match body.remove(R::COLLECTION) {
        Some(Value::Array(items)) => create_many::<R>(&api, &caller, items).await,
        Some(_) => Err(ApiError::malformed("Resources required")),
        None => {
            let given = values::within(body, R::NAME)?;
            create_one::<R>(&api, &caller, given).await
        }
    }
}

async fn create_one<R: Exceptions>(
    api: &Api,
    caller: &Caller,
    given: Map<String, Value>,
) -> Result<Response, ApiError> {
    let asked = [CreateRequest::<R>::read(caller, given)?];
    let (id, written) = api
        .write(|draft| {
            permit(draft, caller, &asked)?;
            asked[0].create(draft)
        })
        .await?;
    let made = R::get(&written.intent, id)?;
    asked::note_resource(&made.id(), &made.meta().name);
    let view = written.view(caller);
    Ok(answer::one(StatusCode::CREATED, &*made, view, Fields::All))
}

/// Makes all of them, or none.
async fn create_many<R: Exceptions>(
    api: &Api,
    caller: &Caller,
    items: Vec<Value>,
) -> Result<Response, ApiError> {
    if items.is_empty() {
        return Err(ApiError::malformed("Resources required"));
    }
    let asked = items
        .into_iter()
        .map(|item| CreateRequest::<R>::read(caller, unwrapped::<R>(item)?))
        .collect::<Result<Vec<_>, _>>()?;
    let (ids, written) = api
        .write(|draft| -> Result<Vec<R::Id>, ApiError> {
            permit(draft, caller, &asked)?;
            asked.iter().map(|asked| asked.create(draft)).collect()
        })
        .await?;
    let made = ids
        .iter()
        .map(|id| R::get(&written.intent, id))
        .collect::<Result<Vec<_>, _>>()?;
    for made in &made {
        asked::note_resource(&made.id(), &made.meta().name);
    }
    let view = written.view(caller);
    Ok(answer::many(StatusCode::CREATED, &made, view, Fields::All))
}

/// An item of many may have its own envelope, or none.
fn unwrapped<R: Exceptions>(item: Value) -> Result<Map<String, Value>, ApiError> {
    let Value::Object(fields) = item else {
        return Err(ApiError::malformed(format!(
            "Unable to find '{}' in request body",
            R::NAME
        )));
    };
    if fields.get(R::NAME).is_some_and(Value::is_object) {
        return values::within(fields, R::NAME);
    }
    Ok(fields)
}

/// A requested resource.
struct CreateRequest<R: Resource> {
    project: String,
    body: Body<R>,
}

impl<R: Exceptions> CreateRequest<R> {
    fn read(caller: &Caller, given: Map<String, Value>) -> Result<Self, ApiError> {
        let body = Body::<R>::create(given)?;
        let project = incoming::project(caller, body.patch.meta())?;
        Ok(Self { project, body })
    }

    fn create(&self, draft: &mut Draft) -> Result<R::Id, ApiError> {
        let patch = &self.body.patch;
        let meta = patch.meta();
        let meta = draft.meta(
            meta.name.clone().unwrap_or_default(),
            meta.description.clone().unwrap_or_default(),
            self.project.clone(),
            R::FIRST_REVISION,
        );
        R::create(draft, meta, patch)
    }
}

/// Whether the caller may make all of these, and their projects' quotas allow them.
fn permit<R: Exceptions>(
    draft: &mut Draft,
    caller: &Caller,
    asked: &[CreateRequest<R>],
) -> Result<(), ApiError> {
    let mut more: BTreeMap<&str, u64> = BTreeMap::new();
    for CreateRequest { project, body } in asked {
        caller.may_create(&draft.intent, project, body)?;
        *more.entry(project).or_default() += 1;
    }
    if let Some(kind) = quota::counted(R::NAME) {
        for (project, more) in more {
            quota::reserve(draft, project, kind, more)?;
        }
    }
    Ok(())
}

async fn update<R: Exceptions>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Stream,
) -> Result<Response, ApiError> {
    let given = values::within(incoming::json(&api, body, &id).await?, R::NAME)?;
    let body = Body::<R>::update(given)?;
    let expected = incoming::expected_revision(&headers)?;
    let ((), written) = api
        .write(|draft| {
            let resource = caller.find::<R>(&draft.intent, &id)?;
            caller.may_update(&draft.intent, &*resource, &body)?;
            expect(&*resource, expected)?;
            changed(&*resource, draft, &body)
        })
        .await?;
    let updated = R::get(&written.intent, &id)?;
    asked::note_resource(&id, &updated.meta().name);
    let view = written.view(&caller).with_numbers();
    Ok(answer::one(StatusCode::OK, &*updated, view, Fields::All))
}

fn changed<R: Resource>(resource: &R, draft: &mut Draft, body: &Body<R>) -> Result<(), ApiError> {
    let mut changed = resource.clone();
    body.patch.meta().store(changed.meta_mut());
    body.patch.store(&mut changed);
    draft.revise(changed.meta_mut());
    resource.update(changed, draft, &body.patch)
}

async fn delete<R: Exceptions>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let expected = incoming::expected_revision(&headers)?;
    let (name, _) = api
        .write(|draft| {
            let resource = caller.find::<R>(&draft.intent, &id)?;
            caller.may_delete(&draft.intent, &*resource)?;
            expect(&*resource, expected)?;
            resource.delete(draft)?;
            if let Ties::Object(object) = resource.ties() {
                rbac::forget(draft, object);
            }
            Ok(resource.meta().name.clone())
        })
        .await?;
    asked::note_resource(&id, &name);
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Checks that a resource has the revision that the caller expects.
fn expect<R: Exceptions>(resource: &R, expected: Option<u64>) -> Result<(), ApiError> {
    let current = resource.meta().revision_number;
    match expected {
        Some(expected) if expected != current => Err(ApiError::new(
            StatusCode::PRECONDITION_FAILED,
            "RevisionNumberConstraintFailed",
            format!("Constrained to {expected}, but current revision is {current}"),
        )),
        _ => Ok(()),
    }
}
