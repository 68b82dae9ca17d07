//! Whether what an operator's rule asks for holds.

use super::base::{BaseRule, base_rule};
use super::relations::{NO_NETWORK_DEVICE, Target, Who};
use super::table::{Rule, rule_named};
use crate::api::contract::caller::Caller;
use crate::api::contract::policy::{
    CallerFact, FieldCheck, Part, RuleCheck, Subject, Template, Wanted,
};
use crate::api::contract::python;
use crate::api::contract::values;
use serde_json::Value;
use sextant_model::{RbacAction, RbacObject};

impl Rule {
    /// Whether the rule allows it. `value` is the one given for its attribute.
    pub(super) fn allows(&self, caller: &Caller, target: &Target<'_>, value: &Value) -> bool {
        match caller.policy.check(self.name) {
            Some(check) => holds(check, caller, target),
            None => self.who.allows(caller, target, value),
        }
    }
}

impl Who {
    /// Whether a caller has one of these relations to an object. `value` is the one given for an attribute. What an
    /// operator has set for a relation takes its place.
    pub(super) fn allows(self, caller: &Caller, target: &Target<'_>, value: &Value) -> bool {
        self.relations().any(|(relation, holds)| {
            relation
                .set_by_operator(caller, target)
                .unwrap_or_else(|| holds(caller, target, value))
        })
    }

    /// Whether the relation is there by an operator's rule. `None`: there is no rule for it.
    fn set_by_operator(self, caller: &Caller, target: &Target<'_>) -> Option<bool> {
        if caller.policy.is_empty() {
            return None;
        }
        let mut names = self.names().iter();
        let name =
            names.find(|name| caller.policy.rule(name).is_some() && target.is_meant_by(name))?;
        let found = rule_holds(name, caller, target)?;
        Some(match self {
            NO_NETWORK_DEVICE => !found,
            _ => found,
        })
    }
}

/// Whether a rule of this name holds, be it an operator's, a base rule or one of the table. `None`: there is none.
pub(super) fn rule_holds(name: &str, caller: &Caller, target: &Target<'_>) -> Option<bool> {
    if let Some(check) = caller.policy.check(name) {
        // Whether the caller is admin was found by this rule before.
        return Some(match name {
            "context_is_admin" => caller.is_admin(),
            _ => holds(check, caller, target),
        });
    }
    match base_rule(name) {
        Some(BaseRule::Check(check)) => return Some(holds(check, caller, target)),
        Some(BaseRule::Relation(who)) => {
            return Some(who.allows(caller, target, &Value::Null));
        }
        None => {}
    }
    Some(rule_named(name)?.allows(caller, target, &Value::Null))
}

/// Whether a check holds.
pub(super) fn holds(check: &RuleCheck, caller: &Caller, target: &Target<'_>) -> bool {
    match check {
        RuleCheck::Always(allows) => *allows,
        RuleCheck::All(checks) => checks.iter().all(|check| holds(check, caller, target)),
        RuleCheck::Any(checks) => checks.iter().any(|check| holds(check, caller, target)),
        RuleCheck::Not(check) => !holds(check, caller, target),
        RuleCheck::Rule(name) => rule_holds(name, caller, target).unwrap_or(false),
        RuleCheck::Role(name) => {
            let name = filled(name, caller, target);
            name.is_some_and(|name| caller.credentials.has_role(&name))
        }
        RuleCheck::Field(field) => has_value(field, caller, target),
        RuleCheck::Same(subject, template) => {
            let wanted = filled(template, caller, target);
            wanted.is_some_and(|wanted| subject_of(subject, caller).as_ref() == Some(&wanted))
        }
    }
}

fn subject_of(subject: &Subject, caller: &Caller) -> Option<String> {
    let credentials = &caller.credentials;
    match subject {
        Subject::Literal(text) => Some(text.clone()),
        Subject::Fact(CallerFact::User) => credentials.user.clone(),
        Subject::Fact(CallerFact::Project) => caller.project.clone(),
        Subject::Fact(CallerFact::SystemScope) => {
            credentials.is_of_system.then(|| "all".to_owned())
        }
        Subject::Fact(CallerFact::IsAdmin) => Some(truth(caller.is_admin())),
        Subject::Fact(CallerFact::IsAdminProject) => Some(truth(credentials.is_admin_project)),
    }
}

fn truth(holds: bool) -> String {
    python::text(&Value::Bool(holds))
}

/// A text with the object's attributes. `None` if it lacks one of them.
fn filled(template: &Template, caller: &Caller, target: &Target<'_>) -> Option<String> {
    let mut text = String::new();
    for part in &template.0 {
        match part {
            Part::Text(plain) => text.push_str(plain),
            Part::Attribute(name) => {
                text.push_str(&python::text(&attribute(name, caller, target)?))
            }
        }
    }
    Some(text)
}

/// An attribute of the object, of its parent or of both. Null is none.
fn attribute(name: &str, caller: &Caller, target: &Target<'_>) -> Option<Value> {
    let owner = match name {
        "project_id" | "tenant_id" => Some(target.owner).filter(|owner| !owner.is_empty()),
        "network:project_id"
        | "network:tenant_id"
        | "network_tenant_id"
        | "security_group:project_id"
        | "security_group:tenant_id"
        | "ext_parent:project_id"
        | "ext_parent:tenant_id" => target.parent(),
        _ => {
            let value = target.attributes.value(name, caller, target.intent);
            return value.filter(|value| !value.is_null());
        }
    };
    owner.map(Value::from)
}

fn has_value(field: &FieldCheck, caller: &Caller, target: &Target<'_>) -> bool {
    let Some(value) =
        attribute(&field.name, caller, target).or_else(|| of_network(field, caller, target))
    else {
        return false;
    };
    match &field.wanted {
        Wanted::Pattern(pattern) => pattern.is_match(&python::text(&value)),
        Wanted::Text(text) => match value.as_bool() {
            Some(truth) => values::boolean(&Value::from(text.as_str())) == Ok(truth),
            None => python::text(&value) == *text,
        },
    }
}

/// Whether the network of a port or a subnet is shared with the caller, or external for them.
fn of_network(field: &FieldCheck, caller: &Caller, target: &Target<'_>) -> Option<Value> {
    let action = match (field.resource.as_str(), field.name.as_str()) {
        ("networks", "shared") => RbacAction::AccessAsShared,
        ("networks", "router:external") => RbacAction::AccessAsExternal,
        _ => return None,
    };
    match target.object()? {
        network @ RbacObject::Network(_) => Some(Value::Bool(caller.is_granted(
            target.intent,
            network,
            action,
        ))),
        RbacObject::SecurityGroup(_) | RbacObject::SubnetPool(_) | RbacObject::AddressScope(_) => {
            None
        }
    }
}
