//! Rules of security groups.

mod checks;
mod parse;

use crate::api::contract::attributes::{attributes, fixed, read_only, required};
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::index::{self, Ids};
use crate::api::contract::kind::Kind;
use crate::api::contract::resource::{Resource, WritePlan, show};
use crate::api::contract::security_group::provided;
use crate::api::contract::shown::{Fields, Shown};
use crate::api::contract::ties::Ties;
use crate::api::contract::values;
use crate::api::contract::view::ResourceView;
use ipnet::IpNet;
use serde_json::Value;
use sextant_model::{
    Direction, Intent, IpVersion, Meta, Object, ObjectKey, RbacObject, RemoteEnd, RuleProtocol,
    SecurityGroup, SecurityGroupId, SecurityGroupRule, SecurityGroupRuleId, Span,
};
use std::sync::Arc;

#[rustfmt::skip]
attributes! {
    /// What a request says about a rule of a security group.
    SecurityGroupRulePatch of SecurityGroupRule:
    required("security_group_id").index(of_group) => required security_group_id: String = values::text(36), |rule| rule.security_group_id;
    required("direction") => required direction: Direction = parse::direction, |rule| rule.direction;
    fixed("ethertype") => given ethertype: IpVersion = parse::ethertype, |rule| rule.ethertype.as_str();
    fixed("protocol") => given protocol: Option<RuleProtocol> = parse::protocol, |rule| rule.protocol.as_ref().map(|protocol| &protocol.name);
    fixed("port_range_min") => given port_range_min: Option<u16> = values::or_null(parse::port), |rule| rule.port_range_min;
    fixed("port_range_max") => given port_range_max: Option<u16> = values::or_null(parse::port), |rule| rule.port_range_max;
    fixed("remote_ip_prefix") => given remote_ip_prefix: Option<IpNet> = parse::prefix, |rule| remote_prefix(rule);
    fixed("remote_group_id").index(about_group).refers_to(named_group) => given remote_group_id: String = values::text_or_null, |rule| remote_group(rule);
    fixed("remote_address_group_id") => given remote_address_group_id: () = values::nothing, |_rule| ();
    read_only("normalized_cidr"), |rule| remote_prefix(rule).map(|prefix| prefix.trunc());
}

impl Resource for SecurityGroupRule {
    type Patch = SecurityGroupRulePatch;
    const WITHOUT: &'static [&'static str] = &["name", "tags"];

    fn before_list(intent: &Intent, project: &str) -> Option<WritePlan> {
        provided::missing_default(intent, project)
    }

    fn ties(&self) -> Ties {
        Ties::Within(RbacObject::SecurityGroup(self.security_group_id))
    }

    fn tied_to<'a>(
        intent: &'a Intent,
        object: RbacObject,
        span: Span<SecurityGroupRuleId>,
    ) -> Option<Ids<'a, SecurityGroupRuleId>> {
        match object {
            RbacObject::SecurityGroup(id) => Some(Box::new(intent.rule_ids_of(id, span))),
            RbacObject::Network(_) | RbacObject::SubnetPool(_) | RbacObject::AddressScope(_) => {
                None
            }
        }
    }

    /// A rule without a group is refused later, by the resource itself.
    fn ties_asked(patch: &SecurityGroupRulePatch) -> Result<Ties, ApiError> {
        let group = patch.security_group_id()?.parse();
        let group = SecurityGroupId(group.unwrap_or_default());
        Ok(Ties::Within(RbacObject::SecurityGroup(group)))
    }

    fn create(
        draft: &mut Draft,
        meta: Meta,
        patch: &SecurityGroupRulePatch,
    ) -> Result<SecurityGroupRuleId, ApiError> {
        let asked = parse::RuleRequest::of(patch);
        let remote = checks::consistent(&asked)?;
        if let Some(remote) = &asked.remote_group {
            draft.use_group(SecurityGroup::get(&draft.intent, remote)?.id);
        }
        let group = SecurityGroup::get(&draft.intent, patch.security_group_id()?)?;
        let rule = Self {
            id: SecurityGroupRuleId(draft.uuid()),
            security_group_id: group.id,
            meta,
            direction: patch.direction()?,
            ethertype: asked.ethertype,
            protocol: asked.protocol,
            port_range_min: asked.first,
            port_range_max: asked.last,
            remote,
        };
        checks::refuse_twin(&draft.intent, &rule)?;
        let id = rule.id;
        draft.put(Object::SecurityGroupRule(Arc::new(rule)));
        group.store_revised(draft);
        Ok(id)
    }

    fn update(
        &self,
        changed: Self,
        draft: &mut Draft,
        _: &SecurityGroupRulePatch,
    ) -> Result<(), ApiError> {
        draft.put(Object::SecurityGroupRule(Arc::new(changed)));
        revise_group(draft, self.security_group_id);
        Ok(())
    }

    fn delete(&self, draft: &mut Draft) -> Result<(), ApiError> {
        draft.delete(ObjectKey::SecurityGroupRule(self.id));
        revise_group(draft, self.security_group_id);
        Ok(())
    }
}

fn named_group(patch: &SecurityGroupRulePatch) -> Vec<RbacObject> {
    let group = patch.remote_group_id.as_ref();
    let group = group.and_then(|group| group.parse().ok());
    group.map(RbacObject::SecurityGroup).into_iter().collect()
}

fn of_group<'a>(
    view: ResourceView<'a>,
    groups: &[String],
    span: Span<SecurityGroupRuleId>,
) -> Option<Vec<Ids<'a, SecurityGroupRuleId>>> {
    index::parsed(groups, |group| view.intent.rule_ids_of(group, span))
}

fn about_group<'a>(
    view: ResourceView<'a>,
    groups: &[String],
    span: Span<SecurityGroupRuleId>,
) -> Option<Vec<Ids<'a, SecurityGroupRuleId>>> {
    index::parsed(groups, |group| view.intent.rule_ids_about(group, span))
}

fn remote_prefix(rule: &SecurityGroupRule) -> Option<IpNet> {
    match rule.remote {
        RemoteEnd::Prefix(prefix) => Some(prefix),
        RemoteEnd::Anybody | RemoteEnd::Group(_) => None,
    }
}

fn remote_group(rule: &SecurityGroupRule) -> Option<SecurityGroupId> {
    match rule.remote {
        RemoteEnd::Group(group) => Some(group),
        RemoteEnd::Anybody | RemoteEnd::Prefix(_) => None,
    }
}

fn revise_group(draft: &mut Draft, group: SecurityGroupId) {
    if let Some(group) = draft.intent.security_groups.get(&group).cloned() {
        group.store_revised(draft);
    }
}

/// A rule as shown within its group. Neutron shows tags there, though a rule cannot have any.
pub(super) fn within_group(rule: &SecurityGroupRule, view: ResourceView<'_>) -> Value {
    let values = Shown::values(Fields::All, |shown| {
        show(rule, view, shown);
        shown.put("tags", [(); 0]);
    });
    values.into()
}
