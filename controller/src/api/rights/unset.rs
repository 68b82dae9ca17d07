//! Rules for single attributes that Neutron has none for by default, but that operators may set.

use super::table::{Operation, Rule, rule_named, unset};
use crate::api::contract::attributes::OnCreate;
use crate::api::contract::resource::{AttributeOf, Resource};
use sextant_model::{
    AddressScope, Network, Port, RbacPolicy, Router, SecurityGroup, SecurityGroupRule, Subnet,
    SubnetPool,
};
use std::sync::LazyLock;

static UNSET: LazyLock<Vec<(&str, Vec<Rule>)>> = LazyLock::new(|| {
    vec![
        of::<Network>(),
        of::<Subnet>(),
        of::<Port>(),
        of::<Router>(),
        of::<SubnetPool>(),
        of::<AddressScope>(),
        of::<SecurityGroup>(),
        of::<SecurityGroupRule>(),
        of::<RbacPolicy>(),
    ]
});

/// The rules for attributes of a resource that the table has none for.
pub(super) fn unset_rules(resource: &str) -> &'static [Rule] {
    let found = UNSET.iter().find(|(name, _)| *name == resource);
    found.map_or(&[], |(_, rules)| rules)
}

/// Whether there is such a rule of this name.
pub(super) fn is_unset(name: &str) -> bool {
    let mut rules = UNSET.iter().flat_map(|(_, rules)| rules);
    rules.any(|rule| rule.name == name)
}

fn of<R: Resource>() -> (&'static str, Vec<Rule>) {
    let rules = R::attributes().flat_map(of_attribute::<R>);
    (R::NAME, rules.collect())
}

fn of_attribute<R: Resource>(attribute: &'static AttributeOf<R>) -> Vec<Rule> {
    let is_given = match attribute.on_create {
        OnCreate::Required | OnCreate::Allowed => true,
        OnCreate::Refused | OnCreate::Unknown => false,
    };
    let operations = [
        ("create", Operation::Create, is_given),
        ("get", Operation::Get, attribute.show.is_some()),
        ("update", Operation::Update, attribute.on_update),
    ];
    let possible = operations.into_iter().filter(|(.., possible)| *possible);
    possible
        .map(|(verb, operation, _)| (format!("{verb}_{}:{}", R::NAME, attribute.name), operation))
        .filter(|(name, _)| rule_named(name).is_none())
        // Their number is fixed, and they live as long as the process.
        .map(|(name, operation)| unset(name.leak(), operation, attribute.name))
        .collect()
}
