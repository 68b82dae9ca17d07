//! Neutron's rules that other rules are made of (`neutron/conf/policies/base.py` and beside it), by their names.

use super::relations::{ADMIN, EXTERNAL, SERVICE, SHARED, Who};
use crate::api::contract::policy::RuleCheck;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What such a rule is.
#[derive(Clone, Debug)]
pub(super) enum BaseRule {
    /// What Sextant's own rules ask for.
    Relation(Who),
    /// A check string.
    Check(RuleCheck),
}

const RELATIONS: &[(&str, Who)] = &[
    ("context_is_admin", ADMIN),
    ("service_api", SERVICE),
    ("shared", SHARED),
    ("shared_subnetpools", SHARED),
    ("shared_address_scopes", SHARED),
    ("shared_security_group", SHARED),
    ("external", EXTERNAL),
    ("external_network", EXTERNAL),
];

const CHECKS: &[(&str, &str)] = &[
    ("admin_only", "rule:context_is_admin"),
    ("owner", "project_id:%(project_id)s"),
    ("regular_user", ""),
    ("default", "rule:admin_or_owner"),
    ("admin_or_owner", "rule:context_is_admin or rule:owner"),
    ("network_owner", "project_id:%(network:project_id)s"),
    (
        "admin_or_network_owner",
        "rule:context_is_admin or project_id:%(network:project_id)s",
    ),
    (
        "admin_owner_or_network_owner",
        "rule:owner or rule:admin_or_network_owner",
    ),
    ("ext_parent_owner", "project_id:%(ext_parent:project_id)s"),
    (
        "admin_or_ext_parent_owner",
        "rule:context_is_admin or project_id:%(ext_parent:project_id)s",
    ),
    ("sg_owner", "project_id:%(security_group:project_id)s"),
    (
        "admin_or_sg_owner",
        "rule:context_is_admin or rule:sg_owner",
    ),
    (
        "admin_owner_or_sg_owner",
        "rule:owner or rule:admin_or_sg_owner",
    ),
    ("network_device", "field:port:device_owner=~^network:"),
    ("context_is_advsvc", "role:advsvc"),
    ("context_with_global_access", "!"),
    ("context_can_set_project_id", "!"),
    (
        "admin_or_data_plane_int",
        "rule:context_is_admin or role:data_plane_integrator",
    ),
    (
        "restrict_wildcard",
        "rule:admin_only or (not field:rbac_policy:target_tenant=* and not field:rbac_policy:target_project=*)",
    ),
];

static BASE: LazyLock<BTreeMap<&'static str, BaseRule>> = LazyLock::new(|| {
    let relations = RELATIONS
        .iter()
        .map(|(name, who)| (*name, BaseRule::Relation(*who)));
    // A test reads all of them.
    let checks = CHECKS.iter().filter_map(|(name, text)| {
        let check = RuleCheck::parse(text).ok()?;
        Some((*name, BaseRule::Check(check)))
    });
    relations.chain(checks).collect()
});

/// The base rule of this name.
pub(super) fn base_rule(name: &str) -> Option<&'static BaseRule> {
    BASE.get(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_base_rule_can_be_read() {
        assert_eq!(BASE.len(), RELATIONS.len() + CHECKS.len());
    }
}
