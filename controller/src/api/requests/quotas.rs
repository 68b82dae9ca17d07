//! Requests on quotas: how many objects of a kind a project may have.

use crate::api::contract::caller::Caller;
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::quota::counted;
use crate::api::contract::values;
use crate::api::requests::api::Api;
use crate::api::requests::incoming;
use crate::api::rights::forbidden;
use axum::body::Body as Stream;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use sextant_model::{Counted, Intent, Object, ObjectKey, ProjectQuota};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The largest limit.
const MOST: i64 = i32::MAX as i64;

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/v2.0/quotas", get(list))
        .route(
            "/v2.0/quotas/{project}",
            get(show).put(update).delete(delete),
        )
        .route("/v2.0/quotas/{project}/default", get(default))
        .route("/v2.0/quotas/{project}/details", get(details))
}

async fn list(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, ApiError> {
    if !caller.may_do("get_quota", None) {
        return Err(forbidden("rule:get_quota"));
    }
    let snapshot = api.snapshots.latest();
    let quotas = snapshot.intent.quotas.keys().map(|project| {
        let mut quota = limits(&snapshot.intent, project);
        for name in ["project_id", "tenant_id"] {
            quota.insert(name.to_owned(), project.as_str().into());
        }
        Value::Object(quota)
    });
    Ok(Json(json!({"quotas": quotas.collect::<Vec<_>>()})))
}

async fn show(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(project): Path<String>,
) -> Result<Json<Value>, ApiError> {
    if ["project", "tenant"].contains(&project.as_str()) {
        return own_project(&caller, &project);
    }
    may_read(&caller, &project)?;
    let snapshot = api.snapshots.latest();
    Ok(Json(json!({"quota": limits(&snapshot.intent, &project)})))
}

/// The caller's project, which clients ask for.
fn own_project(caller: &Caller, word: &str) -> Result<Json<Value>, ApiError> {
    let Some(project) = &caller.project else {
        return Err(ApiError::bad(
            "QuotaMissingTenant",
            "Tenant-id was missing from quota request.",
        ));
    };
    let named = Map::from_iter([(format!("{word}_id"), project.as_str().into())]);
    Ok(Json(
        Map::from_iter([(word.to_owned(), named.into())]).into(),
    ))
}

async fn default(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(project): Path<String>,
) -> Result<Json<Value>, ApiError> {
    may_read(&caller, &project)?;
    let snapshot = api.snapshots.latest();
    let defaults = &snapshot.intent.settings.quotas;
    let quota = of_each(|kind| limit(defaults.limit(kind)));
    Ok(Json(json!({"quota": quota})))
}

async fn details(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(project): Path<String>,
) -> Result<Json<Value>, ApiError> {
    if !caller.may_do("get_quota", Some(&project)) {
        let reason = "Only admin is authorized to access quotas for another project";
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "AdminRequired",
            format!("User does not have admin privileges: {reason}."),
        ));
    }
    let snapshot = api.snapshots.latest();
    let intent = &snapshot.intent;
    let quota = of_each(|kind| {
        let used = intent.count_of(&project, kind);
        json!({"limit": limit(intent.quota_of(&project, kind)), "used": used, "reserved": 0})
    });
    Ok(Json(json!({"quota": quota})))
}

/// Whether the caller may see a project's quotas.
fn may_read(caller: &Caller, project: &str) -> Result<(), ApiError> {
    match caller.may_do("get_quota", Some(project)) {
        true => Ok(()),
        false => Err(forbidden("rule:get_quota")),
    }
}

async fn update(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(project): Path<String>,
    body: Stream,
) -> Result<Json<Value>, ApiError> {
    if !caller.may_do("update_quota", Some(&project)) {
        return Err(forbidden("rule:update_quota"));
    }
    let asked = QuotaRequest::read(values::within(
        incoming::json(&api, body, &project).await?,
        "quota",
    )?)?;
    let ((), written) = api.write(|draft| asked.store(draft, &project)).await?;
    Ok(Json(json!({"quota": limits(&written.intent, &project)})))
}

async fn delete(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(project): Path<String>,
) -> Result<StatusCode, ApiError> {
    if !caller.may_do("delete_quota", Some(&project)) {
        return Err(forbidden("rule:delete_quota"));
    }
    api.write(|draft| {
        if !draft.intent.quotas.contains_key(&project) {
            return Err(ApiError::not_found(
                "TenantQuotaNotFound",
                format!("Quota for project {project} could not be found."),
            ));
        }
        draft.delete(ObjectKey::Quota(project.clone()));
        Ok(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn take_flag(given: &mut Map<String, Value>, name: &str) -> Result<bool, ApiError> {
    let Some(value) = given.remove(name) else {
        return Ok(false);
    };
    values::boolean(&value).map_err(|invalid| invalid.of(name))
}

/// A requested quota.
struct QuotaRequest {
    limits: BTreeMap<Counted, Option<u64>>,
    /// Whether no limit may be below the present number.
    check_limit: bool,
}

impl QuotaRequest {
    fn read(mut given: Map<String, Value>) -> Result<Self, ApiError> {
        let force = take_flag(&mut given, "force")?;
        let check_limit = take_flag(&mut given, "check_limit")?;
        let unknown: Vec<&str> = given
            .keys()
            .map(String::as_str)
            .filter(|name| counted(name).is_none())
            .collect();
        if !unknown.is_empty() {
            let names = unknown.join(", ");
            return Err(ApiError::malformed(format!(
                "Unrecognized attribute(s) '{names}'"
            )));
        }
        let limits = given.iter().filter_map(|(name, value)| {
            let kind = counted(name)?;
            let limit = values::between(-1, MOST)(value).map_err(|invalid| invalid.of(name));
            Some(limit.map(|limit| (kind, u64::try_from(limit).ok())))
        });
        Ok(Self {
            limits: limits.collect::<Result<_, _>>()?,
            check_limit: check_limit && !force,
        })
    }

    fn store(&self, draft: &mut Draft, project: &str) -> Result<(), ApiError> {
        if self.check_limit {
            self.refuse_less_than_used(&draft.intent, project)?;
        }
        let mut quota = match draft.intent.quotas.get(project) {
            Some(quota) => ProjectQuota::clone(quota),
            None => ProjectQuota {
                project_id: project.to_owned(),
                limits: BTreeMap::new(),
            },
        };
        quota.limits.extend(&self.limits);
        draft.put(Object::Quota(Arc::new(quota)));
        Ok(())
    }

    fn refuse_less_than_used(&self, intent: &Intent, project: &str) -> Result<(), ApiError> {
        for (kind, limit) in &self.limits {
            let used = intent.count_of(project, *kind);
            if let Some(limit) = limit.filter(|limit| *limit < used) {
                let kind = kind.as_str();
                return Err(ApiError::malformed(format!(
                    "Quota limit {limit} for {kind} must be greater than or equal to already used {used}"
                )));
            }
        }
        Ok(())
    }
}

fn limits(intent: &Intent, project: &str) -> Map<String, Value> {
    of_each(|kind| limit(intent.quota_of(project, kind)))
}

fn of_each(value: impl Fn(Counted) -> Value) -> Map<String, Value> {
    Counted::ALL
        .into_iter()
        .map(|kind| (kind.as_str().to_owned(), value(kind)))
        .collect()
}

/// -1 means no limit.
fn limit(limit: Option<u64>) -> Value {
    limit.map_or_else(|| (-1).into(), Value::from)
}
