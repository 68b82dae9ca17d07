//! A port's bindings to hosts (Neutron's `binding-extended`): the active one is the port's own, and others wait on hosts
//! where the guest may come. Nova prepares a live migration by them.

use super::{binding, vif};
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::kind::Kind;
use crate::api::contract::values;
use crate::api::contract::view::ResourceView;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use sextant_model::{InactiveBinding, Port};
use std::borrow::Cow;

/// The most bindings of a port beside the active one. Nova has one at a time.
const MOST: usize = 10;

/// What a request says about a binding.
#[derive(Debug, Default)]
pub(crate) struct BindingPatch {
    host: Option<String>,
    vnic_type: Option<String>,
    profile: Option<String>,
}

impl BindingPatch {
    /// A binding that is to be made: its host is said.
    pub(crate) fn create(given: &Map<String, Value>) -> Result<Self, ApiError> {
        let patch = Self::read(given, &["host", "vnic_type", "profile", "project_id"])?;
        match &patch.host {
            Some(host) if !host.is_empty() => Ok(patch),
            Some(_) | None => Err(ApiError::missing("host")),
        }
    }

    /// A binding that is to be changed.
    pub(crate) fn update(given: &Map<String, Value>) -> Result<Self, ApiError> {
        Self::read(given, &["host", "vnic_type", "profile"])
    }

    fn read(given: &Map<String, Value>, known: &[&str]) -> Result<Self, ApiError> {
        let mut unknown = given.keys().filter(|name| !known.contains(&name.as_str()));
        if let Some(name) = unknown.next() {
            let message = format!("Unrecognized attribute(s) '{name}'");
            return Err(ApiError::malformed(message));
        }
        Ok(Self {
            host: text(given, "host", values::text(255))?,
            vnic_type: text(given, "vnic_type", values::one_of(&vif::VNIC_TYPES))?,
            profile: text(given, "profile", binding::profile)?,
        })
    }
}

fn text(
    given: &Map<String, Value>,
    name: &str,
    parse: impl Fn(&Value) -> Result<String, values::Invalid>,
) -> Result<Option<String>, ApiError> {
    let value = given.get(name).map(parse).transpose();
    value.map_err(|invalid| invalid.of(name))
}

/// The bindings as rows, the active one first.
pub(crate) fn rows(port: &Port, view: ResourceView<'_>) -> Vec<Map<String, Value>> {
    let others = port.inactive_bindings.iter();
    let others = others.map(|other| row(&bound_by(port, other), "INACTIVE", view));
    std::iter::once(row(port, "ACTIVE", view))
        .chain(others)
        .collect()
}

/// The binding to a host as a row.
pub(crate) fn shown(
    port: &Port,
    host: &str,
    view: ResourceView<'_>,
) -> Result<Map<String, Value>, ApiError> {
    let mut rows = rows(port, view).into_iter();
    rows.find(|row| row["host"] == host)
        .ok_or_else(|| missing(port, host))
}

/// Binds the port to one more host. Neutron answers with status 500 if that cannot be.
pub(crate) fn create(
    draft: &mut Draft,
    port: &Port,
    patch: &BindingPatch,
    view: ResourceView<'_>,
) -> Result<(), ApiError> {
    refuse_others(port)?;
    let host = patch.host.clone().unwrap_or_default();
    if is_bound_to(port, &host, view) {
        return Err(exists(port, &host));
    }
    if port.inactive_bindings.len() >= MOST {
        let message = format!("a port has at most {MOST} bindings beside the active one");
        return Err(ApiError::bad_request("port", message));
    }
    let made = InactiveBinding {
        host,
        vnic_type: patch
            .vnic_type
            .clone()
            .unwrap_or_else(|| vif::NORMAL.to_owned()),
        profile: patch.profile.clone().unwrap_or_default(),
    };
    refuse_failed(port, &made, view)?;
    let mut changed = port.clone();
    changed.inactive_bindings.push(made);
    changed.store_revised(draft);
    Ok(())
}

/// Changes a binding. Returns its host.
pub(crate) fn update(
    draft: &mut Draft,
    port: &Port,
    host: &str,
    patch: &BindingPatch,
    view: ResourceView<'_>,
) -> Result<String, ApiError> {
    refuse_others(port)?;
    let before = found(port, host, view)?;
    let after = InactiveBinding {
        host: patch.host.clone().unwrap_or_else(|| before.host.clone()),
        vnic_type: patch
            .vnic_type
            .clone()
            .unwrap_or_else(|| before.vnic_type.clone()),
        profile: patch
            .profile
            .clone()
            .unwrap_or_else(|| before.profile.clone()),
    };
    if after.host != host && is_bound_to(port, &after.host, view) {
        return Err(exists(port, &after.host));
    }
    refuse_failed(port, &after, view)?;
    if after.host.is_empty() && !before.host.is_empty() {
        return Err(ApiError::invalid_input("a binding is to a host"));
    }
    let mut changed = port.clone();
    let mut others = changed.inactive_bindings.iter_mut();
    let now_at = after.host.clone();
    match others.find(|other| other.host == host) {
        Some(other) => *other = after,
        None => activate_in(&mut changed, after),
    }
    changed.store_revised(draft);
    Ok(now_at)
}

/// Makes a binding that waits the active one; the one that was active waits.
pub(crate) fn activate(
    draft: &mut Draft,
    port: &Port,
    host: &str,
    view: ResourceView<'_>,
) -> Result<(), ApiError> {
    refuse_others(port)?;
    if binding::host(port, view) == host {
        let message = format!(
            "Binding for port {} on host {host} is already active.",
            port.id
        );
        return Err(ApiError::conflict("PortBindingAlreadyActive", message));
    }
    let mut changed = port.clone();
    let mut others = changed.inactive_bindings.iter();
    let at = others.position(|other| other.host == host);
    let chosen = changed
        .inactive_bindings
        .remove(at.ok_or_else(|| missing(port, host))?);
    let before = active(port, view);
    activate_in(&mut changed, chosen);
    if !before.host.is_empty() {
        changed.inactive_bindings.push(before);
    }
    changed.store_revised(draft);
    Ok(())
}

/// Removes a binding. Without the active one the port is bound nowhere.
pub(crate) fn delete(
    draft: &mut Draft,
    port: &Port,
    host: &str,
    view: ResourceView<'_>,
) -> Result<(), ApiError> {
    refuse_others(port)?;
    found(port, host, view)?;
    let mut changed = port.clone();
    let known = changed.inactive_bindings.len();
    changed.inactive_bindings.retain(|other| other.host != host);
    if changed.inactive_bindings.len() == known {
        let nowhere = InactiveBinding {
            host: String::new(),
            vnic_type: vif::NORMAL.to_owned(),
            profile: String::new(),
        };
        activate_in(&mut changed, nowhere);
    }
    changed.store_revised(draft);
    Ok(())
}

/// Only guests of Nova and shared file systems have several bindings.
pub(crate) fn refuse_others(port: &Port) -> Result<(), ApiError> {
    let owner = port.device_owner.as_str();
    if ["compute:", "manila:"]
        .iter()
        .any(|prefix| owner.starts_with(prefix))
    {
        return Ok(());
    }
    let id = port.id;
    let message =
        format!("Invalid port {id}. Operation only valid on compute and shared filesystem ports");
    Err(ApiError::bad_request("port", message))
}

fn activate_in(port: &mut Port, binding: InactiveBinding) {
    port.host_id = binding.host;
    port.vnic_type = binding.vnic_type;
    port.binding_profile = binding.profile;
}

fn active(port: &Port, view: ResourceView<'_>) -> InactiveBinding {
    InactiveBinding {
        host: binding::host(port, view).to_owned(),
        vnic_type: port.vnic_type.clone(),
        profile: port.binding_profile.clone(),
    }
}

fn found<'a>(
    port: &'a Port,
    host: &str,
    view: ResourceView<'_>,
) -> Result<Cow<'a, InactiveBinding>, ApiError> {
    let mut others = port.inactive_bindings.iter();
    if let Some(other) = others.find(|other| other.host == host) {
        return Ok(Cow::Borrowed(other));
    }
    match binding::host(port, view) == host {
        true => Ok(Cow::Owned(active(port, view))),
        false => Err(missing(port, host)),
    }
}

fn is_bound_to(port: &Port, host: &str, view: ResourceView<'_>) -> bool {
    found(port, host, view).is_ok()
}

/// The port as it would be with this binding active.
fn bound_by(port: &Port, binding: &InactiveBinding) -> Port {
    let mut bound = port.clone();
    activate_in(&mut bound, binding.clone());
    bound
}

fn refuse_failed(
    port: &Port,
    binding: &InactiveBinding,
    view: ResourceView<'_>,
) -> Result<(), ApiError> {
    if vif::vif_type(&bound_by(port, binding), view) != vif::FAILED {
        return Ok(());
    }
    let (id, host) = (port.id, &binding.host);
    let message = format!("Binding for port {id} on host {host} could not be created or updated.");
    Err(ApiError::conflict("PortBindingError", message))
}

fn exists(port: &Port, host: &str) -> ApiError {
    let message = format!(
        "Binding for port {} on host {host} already exists.",
        port.id
    );
    ApiError::conflict("PortBindingAlreadyExists", message)
}

fn missing(port: &Port, host: &str) -> ApiError {
    let message = format!(
        "Binding for port {} for host {host} could not be found.",
        port.id
    );
    ApiError::new(StatusCode::NOT_FOUND, "PortBindingNotFound", message)
}

fn row(port: &Port, status: &str, view: ResourceView<'_>) -> Map<String, Value> {
    let row = [
        ("host", json!(binding::host(port, view))),
        ("vif_type", json!(vif::vif_type(port, view))),
        ("vif_details", json!(vif::vif_details(port, view))),
        ("vnic_type", json!(port.vnic_type)),
        ("profile", binding::shown_profile(port)),
        ("status", json!(status)),
    ];
    row.map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}
