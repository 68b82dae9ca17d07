//! What all resources have in common: the trait that each implements in a file of its own, and the requests on it.

use crate::api::contract::attributes::{Attribute, Body, STANDARD};
use crate::api::contract::caller::Caller;
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::shown::Shown;
use crate::api::contract::timestamp;
use crate::api::requests::query::Conditions;
use crate::api::rights::{self, Policy, Ties};
use imbl::OrdMap;
use sextant_model::{Facts, Intent, Meta};
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

/// What a resource is rendered from.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) intent: &'a Intent,
    pub(crate) facts: &'a Facts,
    /// For whom.
    pub(crate) caller: &'a Caller,
    /// How prefix lengths of subnet pools are shown.
    pub(crate) lengths: Lengths,
}

/// How Neutron shows prefix lengths of subnet pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lengths {
    /// As text, wherever a pool is shown as it is.
    Text,
    /// As numbers, in the answer to a change of the pool; and wherever pools are put in order.
    Numbers,
}

impl View<'_> {
    /// The same with prefix lengths as numbers.
    pub(crate) fn with_numbers(self) -> Self {
        Self {
            lengths: Lengths::Numbers,
            ..self
        }
    }
}

/// A kind of resource.
pub(crate) trait Resource: Sized + Send + Sync + 'static {
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
    const POLICY: &'static Policy = rights::of(Self::NAME);
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
pub(crate) type Plan = fn(&mut Draft, &str) -> Result<(), ApiError>;

/// Shows all that the API shows of a resource to the caller.
pub(crate) fn show_all<R: Resource>(resource: &R, view: View<'_>, shown: &mut Shown<'_>) {
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
