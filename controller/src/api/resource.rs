//! What all resources have in common: the trait that each implements in a file of its own, and the requests on it.

use super::Api;
use super::attributes::{Attribute, Body, STANDARD};
use super::commit::Written;
use super::draft::Draft;
use super::error::ApiError;
use super::identity::Caller;
use super::policy::{self, Policy, Ties};
use super::query::{Conditions, Query, query};
use super::shown::{Shown, Wanted};
use super::{answer, quota, rbac, request, tags, timestamp};
use crate::snapshot::Snapshot;
use axum::Router;
use axum::body::Body as Stream;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use imbl::OrdMap;
use serde_json::{Map, Value};
use sextant_model::{Facts, Intent, Meta};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

/// What a resource is rendered from.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) intent: &'a Intent,
    pub(super) facts: &'a Facts,
    /// For whom.
    pub(super) caller: &'a Caller,
    /// How prefix lengths of subnet pools are shown.
    pub(super) lengths: Lengths,
}

/// How Neutron shows prefix lengths of subnet pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lengths {
    /// As text, wherever a pool is shown as it is.
    Text,
    /// As numbers, in the answer to a change of the pool; and wherever pools are put in order.
    Numbers,
}

impl View<'_> {
    /// The same with prefix lengths as numbers.
    pub(super) fn with_numbers(self) -> Self {
        Self {
            lengths: Lengths::Numbers,
            ..self
        }
    }
}

impl Snapshot {
    fn view<'a>(&'a self, caller: &'a Caller) -> View<'a> {
        View {
            intent: &self.intent,
            facts: &self.facts,
            caller,
            lengths: Lengths::Text,
        }
    }
}

impl Written {
    pub(super) fn view<'a>(&'a self, caller: &'a Caller) -> View<'a> {
        View {
            intent: &self.intent,
            facts: &self.facts,
            caller,
            lengths: Lengths::Text,
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
    /// Who may do what with it.
    const POLICY: &'static Policy = policy::of(Self::NAME);
    /// Its id.
    type Id: Copy + Ord + Display + FromStr + Send + Sync;

    fn id(&self) -> Self::Id;
    fn meta(&self) -> &Meta;
    /// The same with other standard attributes, stored again.
    fn put_with_meta(&self, draft: &mut Draft, meta: Meta);
    /// That there is none of this id.
    fn missing(id: &str) -> ApiError;
    /// All of them.
    fn table(intent: &Intent) -> &OrdMap<Self::Id, Arc<Self>>;
    /// Shows all that the API shows besides the standard attributes.
    fn render(&self, view: View<'_>, shown: &mut Shown<'_>);
    fn create(draft: &mut Draft, project: String, body: &Body) -> Result<Self::Id, ApiError>;
    fn update(&self, draft: &mut Draft, body: &Body) -> Result<(), ApiError>;
    fn delete(&self, draft: &mut Draft) -> Result<(), ApiError>;

    /// Those that can meet conditions other than on ids, where an index knows.
    fn indexed(_: &Intent, _: &Conditions) -> Option<Vec<Arc<Self>>> {
        None
    }

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

    /// On what access to it rests besides its project.
    fn ties(&self) -> Ties {
        Ties::Nothing
    }

    /// The same of one that is asked for.
    fn ties_asked(_body: &Body) -> Result<Ties, ApiError> {
        Ok(Ties::Nothing)
    }

    /// Whether this caller may make it, or change what it was, where that is more than policy.
    fn permits(
        _caller: &Caller,
        _intent: &Intent,
        _body: &Body,
        _was: Option<&Self>,
    ) -> Result<(), ApiError> {
        Ok(())
    }

    /// Whether this caller may remove it, where that is more than policy.
    fn permits_removal(&self, _caller: &Caller, _intent: &Intent) -> Result<(), ApiError> {
        Ok(())
    }

    /// Whether it meets a condition that is none on an attribute's value.
    fn meets(&self, _filter: &str, _values: &[String], _view: View<'_>) -> bool {
        true
    }

    /// The one of this id, if there is one.
    fn find(intent: &Intent, id: &str) -> Option<Arc<Self>> {
        let id: Self::Id = id.parse().ok()?;
        Self::table(intent).get(&id).cloned()
    }

    /// Those that can meet the conditions: all, or fewer where an index helps.
    fn candidates(intent: &Intent, conditions: &Conditions) -> Vec<Arc<Self>> {
        if let Some(ids) = conditions.get("id") {
            return ids.iter().filter_map(|id| Self::find(intent, id)).collect();
        }
        let all = || Self::table(intent).values().cloned().collect();
        Self::indexed(intent, conditions).unwrap_or_else(all)
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

/// Shows all that the API shows of a resource to the caller.
pub(super) fn show_all<R: Resource>(resource: &R, view: View<'_>, shown: &mut Shown<'_>) {
    let meta = resource.meta();
    shown.hide(view.caller.hidden(view.intent, resource));
    shown.put_with("id", || resource.id().to_string());
    shown.put("project_id", &meta.project_id);
    shown.put("tenant_id", &meta.project_id);
    let has = |name| !R::WITHOUT.contains(&name);
    if has("name") {
        shown.put("name", &meta.name);
    }
    if has("description") {
        shown.put("description", &meta.description);
    }
    if has("created_at") {
        shown.put_with("created_at", || timestamp::rfc3339(meta.created_at));
        shown.put_with("updated_at", || timestamp::rfc3339(meta.updated_at));
    }
    if has("revision_number") {
        shown.put("revision_number", meta.revision_number);
    }
    if has("tags") {
        shown.put("tags", &meta.tags);
    }
    resource.render(view, shown);
}

async fn list<R: Resource>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let query = Query::of::<R>(query(&uri)?)?;
    complete::<R>(&api, &caller, &query).await?;
    let snapshot = api.snapshots.latest();
    let link = format!("{}{}", request::origin(&headers), uri.path());
    let answer = || listed::<R>(&query, snapshot.view(&caller), &link);
    match R::table(&snapshot.intent).len() <= FEW {
        true => answer(),
        false => api.lists.pass(answer).await,
    }
}

/// So many resources are looked through in no time.
const FEW: usize = 256;

fn listed<R: Resource>(query: &Query, view: View<'_>, link: &str) -> Result<Response, ApiError> {
    let page = query.page::<R>(view)?;
    let links = query.links(&page, link);
    let (status, fields) = (StatusCode::OK, query.fields());
    Ok(answer::many(status, &page, view, fields, &links))
}

/// Makes what the project that a list is about, or else the caller's, should find in it. What is another project's is
/// for admins to make.
async fn complete<R: Resource>(api: &Api, caller: &Caller, query: &Query) -> Result<(), ApiError> {
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

async fn show<R: Resource>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let query = Query::of::<R>(query(&uri)?)?;
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

async fn create<R: Resource>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    body: Stream,
) -> Result<Response, ApiError> {
    let about = format!("new {}", R::NAME);
    let mut body = request::json(&api, body, &about).await?;
    match body.remove(R::COLLECTION) {
        Some(Value::Array(items)) => create_many::<R>(&api, &caller, items).await,
        Some(_) => Err(ApiError::malformed("Resources required")),
        None => {
            let given = request::within(body, R::NAME)?;
            create_one::<R>(&api, &caller, given).await
        }
    }
}

async fn create_one<R: Resource>(
    api: &Api,
    caller: &Caller,
    given: Map<String, Value>,
) -> Result<Response, ApiError> {
    let asked = [Asked::new::<R>(caller, given)?];
    let plan = |draft: &mut Draft| {
        permit::<R>(draft, caller, &asked)?;
        asked[0].create::<R>(draft)
    };
    let (id, written) = api.write(plan).await?;
    let made = R::get(&written.intent, &id.to_string())?;
    let view = written.view(caller);
    Ok(answer::one(StatusCode::CREATED, &*made, view, Wanted::All))
}

/// Makes all of them, or none.
async fn create_many<R: Resource>(
    api: &Api,
    caller: &Caller,
    items: Vec<Value>,
) -> Result<Response, ApiError> {
    if items.is_empty() {
        return Err(ApiError::malformed("Resources required"));
    }
    let asked = items
        .into_iter()
        .map(|item| Asked::new::<R>(caller, unwrapped::<R>(item)?))
        .collect::<Result<Vec<_>, _>>()?;
    let plan = |draft: &mut Draft| -> Result<Vec<R::Id>, ApiError> {
        permit::<R>(draft, caller, &asked)?;
        asked.iter().map(|asked| asked.create::<R>(draft)).collect()
    };
    let (ids, written) = api.write(plan).await?;
    let made = ids
        .iter()
        .map(|id| R::get(&written.intent, &id.to_string()))
        .collect::<Result<Vec<_>, _>>()?;
    let (view, links) = (written.view(caller), &[]);
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
    fn new<R: Resource>(caller: &Caller, given: Map<String, Value>) -> Result<Self, ApiError> {
        Ok(Self {
            project: request::project(caller, &given)?,
            body: Body::post::<R>(given)?,
        })
    }

    fn create<R: Resource>(&self, draft: &mut Draft) -> Result<R::Id, ApiError> {
        R::create(draft, self.project.clone(), &self.body)
    }
}

/// Whether the caller may have all of these, and their projects as many.
fn permit<R: Resource>(
    draft: &mut Draft,
    caller: &Caller,
    asked: &[Asked],
) -> Result<(), ApiError> {
    let mut more: BTreeMap<&str, u64> = BTreeMap::new();
    for Asked { project, body } in asked {
        caller.may_create::<R>(&draft.intent, project, body)?;
        *more.entry(project).or_default() += 1;
    }
    if let Some(kind) = quota::counted(R::NAME) {
        for (project, more) in more {
            quota::reserve(draft, project, kind, more)?;
        }
    }
    Ok(())
}

async fn update<R: Resource>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Stream,
) -> Result<Response, ApiError> {
    let given = request::within(request::json(&api, body, &id).await?, R::NAME)?;
    let body = Body::put::<R>(given)?;
    let expected = request::expected_revision(&headers)?;
    let plan = |draft: &mut Draft| {
        let resource = caller.find::<R>(&draft.intent, &id)?;
        caller.may_update(&draft.intent, &*resource, &body)?;
        expect(&*resource, expected)?;
        resource.update(draft, &body)
    };
    let ((), written) = api.write(plan).await?;
    let updated = R::get(&written.intent, &id)?;
    let view = written.view(&caller).with_numbers();
    Ok(answer::one(StatusCode::OK, &*updated, view, Wanted::All))
}

async fn delete<R: Resource>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let expected = request::expected_revision(&headers)?;
    let plan = |draft: &mut Draft| {
        let resource = caller.find::<R>(&draft.intent, &id)?;
        caller.may_delete(&draft.intent, &*resource)?;
        resource.permits_removal(&caller, &draft.intent)?;
        expect(&*resource, expected)?;
        resource.delete(draft)?;
        if let Ties::Object(object) = resource.ties() {
            rbac::forget(draft, object);
        }
        Ok(())
    };
    api.write(plan).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Whether a resource has the revision that the caller expects.
fn expect<R: Resource>(resource: &R, expected: Option<u64>) -> Result<(), ApiError> {
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
