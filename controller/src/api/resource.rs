//! What all resources have in common: the trait that each implements in a file of its own, and the requests on it.

use super::Api;
use super::attributes::{Attribute, Body, STANDARD};
use super::commit::Written;
use super::draft::Draft;
use super::error::ApiError;
use super::query::{Conditions, Query, query};
use super::shown::{Shown, Wanted};
use super::{answer, request, tags, timestamp};
use axum::Router;
use axum::body::Body as Stream;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use imbl::OrdMap;
use serde_json::{Map, Value};
use sextant_model::{Facts, Intent, Meta};
use std::fmt::Display;
use std::sync::Arc;

/// What a resource is rendered from.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) intent: &'a Intent,
    pub(super) facts: &'a Facts,
}

impl Written {
    pub(super) fn view(&self) -> View<'_> {
        View {
            intent: &self.intent,
            facts: &self.facts,
        }
    }
}

/// A kind of resource.
pub(super) trait Resource: Sized + Send + Sync + 'static {
    /// Its name in the API.
    const NAME: &'static str;
    /// The name of many.
    const COLLECTION: &'static str;
    /// Where many are, under `/v2.0/`.
    const PATH: &'static str = Self::COLLECTION;
    /// Its attributes besides the standard ones.
    const ATTRIBUTES: &'static [Attribute];
    /// The standard attributes that it does not have.
    const WITHOUT: &'static [&'static str] = &[];
    /// What lists can be filtered by besides attributes.
    const FILTERS: &'static [&'static str] = &[];
    /// Its id.
    type Id: Copy + Ord + Display + Send + Sync;

    fn id(&self) -> Self::Id;
    fn meta(&self) -> &Meta;
    /// The same with other standard attributes, stored again.
    fn put_with_meta(&self, draft: &mut Draft, meta: Meta);
    /// That there is none of this id.
    fn missing(id: &str) -> ApiError;
    fn find(intent: &Intent, id: &str) -> Option<Arc<Self>>;
    /// Those that can meet the conditions: all, or fewer where an index helps.
    fn candidates(intent: &Intent, conditions: &Conditions) -> Vec<Arc<Self>>;
    /// All of them, where a page of the whole list is read without looking at the rest.
    fn table(_: &Intent) -> Option<&OrdMap<Self::Id, Arc<Self>>> {
        None
    }
    /// Shows all that the API shows besides the standard attributes.
    fn render(&self, view: View<'_>, shown: &mut Shown<'_>);
    fn create(draft: &mut Draft, project: String, body: &Body) -> Result<Self::Id, ApiError>;
    fn update(&self, draft: &mut Draft, body: &Body) -> Result<(), ApiError>;
    fn delete(&self, draft: &mut Draft) -> Result<(), ApiError>;

    /// What must be made before a list is shown to a project, because the project has it without asking for it.
    fn before_list(_intent: &Intent, _project: &str) -> Option<Plan> {
        None
    }

    /// All its attributes.
    fn attributes() -> impl Iterator<Item = &'static Attribute> {
        let standard = STANDARD
            .iter()
            .filter(|attribute| !Self::WITHOUT.contains(&attribute.name));
        standard.chain(Self::ATTRIBUTES)
    }

    fn has_tags() -> bool {
        !Self::WITHOUT.contains(&"tags")
    }

    /// Whether it meets a condition that is none on an attribute's value.
    fn meets(&self, _filter: &str, _values: &[String]) -> bool {
        true
    }

    /// The one of this id.
    fn get(intent: &Intent, id: &str) -> Result<Arc<Self>, ApiError> {
        Self::find(intent, id).ok_or_else(|| Self::missing(id))
    }
}

/// What a write does for a project.
pub(super) type Plan = fn(&mut Draft, &str) -> Result<(), ApiError>;

/// The routes of a resource.
pub(super) fn routes<R: Resource>() -> Router<Api> {
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

/// Shows all that the API shows of a resource.
pub(super) fn show_all<R: Resource>(resource: &R, view: View<'_>, shown: &mut Shown<'_>) {
    let meta = resource.meta();
    shown.put_with("id", || resource.id().to_string());
    if !R::WITHOUT.contains(&"name") {
        shown.put("name", &meta.name);
    }
    shown.put("description", &meta.description);
    shown.put("project_id", &meta.project_id);
    shown.put("tenant_id", &meta.project_id);
    shown.put_with("created_at", || timestamp::rfc3339(meta.created_at));
    shown.put_with("updated_at", || timestamp::rfc3339(meta.updated_at));
    shown.put("revision_number", meta.revision_number);
    if R::has_tags() {
        shown.put("tags", &meta.tags);
    }
    resource.render(view, shown);
}

async fn list<R: Resource>(
    State(api): State<Api>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let query = Query::of::<R>(query(&uri)?)?;
    complete::<R>(&api, &headers, &query).await?;
    let snapshot = api.snapshots.latest();
    let view = View {
        intent: &snapshot.intent,
        facts: &snapshot.facts,
    };
    let link = format!("{}{}", request::origin(&headers), uri.path());
    let page = query.page::<R>(view)?;
    let links = query.links(&page, &link);
    Ok(answer::many(
        StatusCode::OK,
        &page,
        view,
        query.fields(),
        &links,
    ))
}

/// Makes what the project that a list is about, or else the caller's, should find in it.
async fn complete<R: Resource>(
    api: &Api,
    headers: &HeaderMap,
    query: &Query,
) -> Result<(), ApiError> {
    let project = match query.project() {
        Some(project) => project.to_owned(),
        None => request::project(headers, &Map::new())?,
    };
    match R::before_list(&api.snapshots.latest().intent, &project) {
        Some(plan) => api.write(|draft| plan(draft, &project)).await.map(drop),
        None => Ok(()),
    }
}

async fn show<R: Resource>(
    State(api): State<Api>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let query = Query::of::<R>(query(&uri)?)?;
    let snapshot = api.snapshots.latest();
    let view = View {
        intent: &snapshot.intent,
        facts: &snapshot.facts,
    };
    let resource = R::get(view.intent, &id)?;
    Ok(answer::one(
        StatusCode::OK,
        &*resource,
        view,
        query.fields(),
    ))
}

async fn create<R: Resource>(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Stream,
) -> Result<Response, ApiError> {
    let mut body = request::json(body).await?;
    match body.remove(R::COLLECTION) {
        Some(Value::Array(items)) => create_many::<R>(&api, &headers, items).await,
        Some(_) => Err(ApiError::malformed("Resources required")),
        None => {
            let given = request::within(body, R::NAME)?;
            create_one::<R>(&api, &headers, given).await
        }
    }
}

async fn create_one<R: Resource>(
    api: &Api,
    headers: &HeaderMap,
    given: Map<String, Value>,
) -> Result<Response, ApiError> {
    let asked = Asked::new::<R>(headers, given)?;
    let (id, written) = api.write(|draft| asked.create::<R>(draft)).await?;
    let made = R::get(&written.intent, &id.to_string())?;
    let view = written.view();
    Ok(answer::one(StatusCode::CREATED, &*made, view, Wanted::All))
}

/// Makes all of them, or none.
async fn create_many<R: Resource>(
    api: &Api,
    headers: &HeaderMap,
    items: Vec<Value>,
) -> Result<Response, ApiError> {
    if items.is_empty() {
        return Err(ApiError::malformed("Resources required"));
    }
    let asked = items
        .into_iter()
        .map(|item| Asked::new::<R>(headers, unwrapped::<R>(item)?))
        .collect::<Result<Vec<_>, _>>()?;
    let plan = |draft: &mut Draft| -> Result<Vec<R::Id>, ApiError> {
        asked.iter().map(|asked| asked.create::<R>(draft)).collect()
    };
    let (ids, written) = api.write(plan).await?;
    let made = ids
        .iter()
        .map(|id| R::get(&written.intent, &id.to_string()))
        .collect::<Result<Vec<_>, _>>()?;
    let (view, links) = (written.view(), &[]);
    Ok(answer::many(
        StatusCode::CREATED,
        &made,
        view,
        Wanted::All,
        links,
    ))
}

/// One of many may be in the envelope of a single one, or not.
fn unwrapped<R: Resource>(item: Value) -> Result<Map<String, Value>, ApiError> {
    let Value::Object(fields) = item else {
        return Err(ApiError::malformed(format!(
            "Unable to find '{}' in request body",
            R::NAME
        )));
    };
    if fields.get(R::NAME).is_some_and(Value::is_object) {
        return request::within(fields, R::NAME);
    }
    Ok(fields)
}

/// A resource that is asked for.
struct Asked {
    project: String,
    body: Body,
}

impl Asked {
    fn new<R: Resource>(headers: &HeaderMap, given: Map<String, Value>) -> Result<Self, ApiError> {
        Ok(Self {
            project: request::project(headers, &given)?,
            body: Body::post::<R>(given)?,
        })
    }

    fn create<R: Resource>(&self, draft: &mut Draft) -> Result<R::Id, ApiError> {
        R::create(draft, self.project.clone(), &self.body)
    }
}

async fn update<R: Resource>(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Stream,
) -> Result<Response, ApiError> {
    let given = request::within(request::json(body).await?, R::NAME)?;
    let body = Body::put::<R>(given)?;
    let expected = request::expected_revision(&headers)?;
    let ((), written) = api
        .write(|draft| expect::<R>(draft, &id, expected)?.update(draft, &body))
        .await?;
    let updated = R::get(&written.intent, &id)?;
    let view = written.view();
    Ok(answer::one(StatusCode::OK, &*updated, view, Wanted::All))
}

async fn delete<R: Resource>(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let expected = request::expected_revision(&headers)?;
    api.write(|draft| expect::<R>(draft, &id, expected)?.delete(draft))
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The resource, if it has the revision that the caller expects.
fn expect<R: Resource>(draft: &Draft, id: &str, expected: Option<u64>) -> Result<Arc<R>, ApiError> {
    let resource = R::get(&draft.intent, id)?;
    let current = resource.meta().revision_number;
    match expected {
        Some(expected) if expected != current => Err(ApiError::new(
            StatusCode::PRECONDITION_FAILED,
            "RevisionNumberConstraintFailed",
            format!("Constrained to {expected}, but current revision is {current}"),
        )),
        _ => Ok(resource),
    }
}
