//! Rules of security groups.

mod checks;
mod parse;

use crate::api::contract::attributes::{Attribute, Body, fixed, required, shown};
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::resource::{Plan, Resource, View, show_all};
use crate::api::contract::shown::{Shown, Wanted};
use crate::api::contract::values;
use crate::api::requests::query::Conditions;
use crate::api::rights::Ties;
use imbl::OrdMap;
use serde_json::{Value, json};
use sextant_model::{
    Ethertype, Intent, Key, Meta, Object, RbacObject, RemoteEnd, SecurityGroup, SecurityGroupId,
    SecurityGroupRule, SecurityGroupRuleId,
};
use std::sync::Arc;

impl Resource for SecurityGroupRule {
    const NAME: &'static str = "security_group_rule";
    const COLLECTION: &'static str = "security_group_rules";
    const PATH: &'static str = "security-group-rules";
    const ATTRIBUTES: &'static [Attribute] = &[
        required("security_group_id"),
        required("direction"),
        fixed("ethertype"),
        fixed("protocol"),
        fixed("port_range_min"),
        fixed("port_range_max"),
        fixed("remote_ip_prefix"),
        fixed("remote_group_id"),
        fixed("remote_address_group_id"),
        shown("normalized_cidr"),
    ];
    const WITHOUT: &'static [&'static str] = &["name", "tags"];
    type Id = SecurityGroupRuleId;

    fn id(&self) -> SecurityGroupRuleId {
        self.id
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn put_with_meta(&self, draft: &mut Draft, meta: Meta) {
        draft.put(Object::SecurityGroupRule(Arc::new(Self {
            meta,
            ..self.clone()
        })));
    }

    fn missing(id: &str) -> ApiError {
        ApiError::not_found(
            "SecurityGroupRuleNotFound",
            format!("Security group rule {id} does not exist"),
        )
    }

    fn table(intent: &Intent) -> &OrdMap<Self::Id, Arc<Self>> {
        &intent.security_group_rules
    }

    fn indexed(intent: &Intent, conditions: &Conditions) -> Option<Vec<Arc<Self>>> {
        let groups = conditions.get("security_group_id")?.iter();
        let groups = groups.filter_map(|id| id.parse().ok());
        let rules = groups.flat_map(|group| intent.rules_of(group).cloned());
        Some(rules.collect())
    }

    fn before_list(intent: &Intent, project: &str) -> Option<Plan> {
        super::provided::missing_default(intent, project)
    }

    fn ties(&self) -> Ties {
        Ties::Within(RbacObject::SecurityGroup(self.security_group_id))
    }

    /// What names no group is for the resource to refuse.
    fn ties_asked(body: &Body) -> Result<Ties, ApiError> {
        let group = body.require("security_group_id", values::uuid);
        let group = SecurityGroupId(group.unwrap_or_default());
        Ok(Ties::Within(RbacObject::SecurityGroup(group)))
    }

    fn render(&self, _: View<'_>, shown: &mut Shown<'_>) {
        let (prefix, group) = match self.remote {
            RemoteEnd::Anybody => (None, None),
            RemoteEnd::Prefix(prefix) => (Some(prefix), None),
            RemoteEnd::Group(group) => (None, Some(group.to_string())),
        };
        shown.all(json!({
            "security_group_id": self.security_group_id.to_string(),
            "direction": self.direction,
            "ethertype": self.ethertype,
            "protocol": self.protocol.as_ref().map(|protocol| &protocol.name),
            "port_range_min": self.port_range_min,
            "port_range_max": self.port_range_max,
            "remote_ip_prefix": prefix.map(|prefix| prefix.to_string()),
            "normalized_cidr": prefix.map(|prefix| prefix.trunc().to_string()),
            "remote_group_id": group,
            "remote_address_group_id": null,
        }));
    }

    fn create(
        draft: &mut Draft,
        project: String,
        body: &Body,
    ) -> Result<SecurityGroupRuleId, ApiError> {
        let description = body
            .read("description", values::text(values::LONG))?
            .unwrap_or_default();
        let asked = parse::Asked::read(body)?;
        let remote = checks::consistent(&asked)?;
        if let Some(remote) = &asked.remote_group {
            draft.use_group(SecurityGroup::get(&draft.intent, remote)?.id);
        }
        let group = SecurityGroup::get(&draft.intent, &asked.security_group)?;
        let rule = Self {
            id: SecurityGroupRuleId(draft.uuid()),
            security_group_id: group.id,
            meta: draft.meta(String::new(), description, project, 0),
            direction: asked.direction,
            ethertype: asked.ethertype,
            protocol: asked.protocol,
            port_range_min: asked.first,
            port_range_max: asked.last,
            remote,
        };
        checks::refuse_twin(&draft.intent, &rule)?;
        let id = rule.id;
        draft.put(Object::SecurityGroupRule(Arc::new(rule)));
        super::revise(draft, &group);
        Ok(id)
    }

    fn update(&self, draft: &mut Draft, body: &Body) -> Result<(), ApiError> {
        let mut rule = self.clone();
        crate::api::contract::attributes::change_names(&mut rule.meta, body)?;
        draft.revise(&mut rule.meta);
        draft.put(Object::SecurityGroupRule(Arc::new(rule)));
        revise_group(draft, self.security_group_id);
        Ok(())
    }

    fn delete(&self, draft: &mut Draft) -> Result<(), ApiError> {
        draft.delete(Key::SecurityGroupRule(self.id));
        revise_group(draft, self.security_group_id);
        Ok(())
    }
}

fn revise_group(draft: &mut Draft, group: SecurityGroupId) {
    if let Some(group) = draft.intent.security_groups.get(&group).cloned() {
        super::revise(draft, &group);
    }
}

/// A rule as it is shown within its group, where Neutron shows tags, though a rule cannot have any.
pub(super) fn within_group(rule: &SecurityGroupRule, view: View<'_>) -> Value {
    let show = |shown: &mut Shown<'_>| {
        show_all(rule, view, shown);
        shown.put("tags", [(); 0]);
    };
    Shown::values(Wanted::All, show).into()
}

/// A family in the API's words.
fn family(ethertype: Ethertype) -> &'static str {
    match ethertype {
        Ethertype::Ipv4 => "IPv4",
        Ethertype::Ipv6 => "IPv6",
    }
}
