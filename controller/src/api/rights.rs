//! Who may do what: Neutron's default policies (`neutron/conf/policies/`) as data, and the checks on them.
//!
//! A rule is a set of relations, and any one of them allows. One relation is to be admin. Another is a role in the project
//! that owns the object or its parent (a port's network, a rule's security group). A third is that the object is shared
//! with the caller.
//!
//! An object outside of a caller's scope does not exist for the caller (404 of the resource). An object inside of it
//! that may not be read is not found either. An object that may be read but not changed is forbidden (403), and the
//! message has the rules by Neutron's names.

mod base;
mod decide;
mod exceptions;
mod policy;
mod relations;
mod table;
mod unset;
mod visible;

use crate::api::contract::body::Body;
use crate::api::contract::caller::{Caller, Roles};
use crate::api::contract::error::ApiError;
use crate::api::contract::policy::Policy;
use crate::api::contract::rbac;
use crate::api::contract::resource::Resource;
use crate::api::contract::ties::Ties;
use axum::http::StatusCode;
pub(crate) use exceptions::{ActionExceptions, Exceptions};
pub use policy::{PolicyError, PolicyFile};
use relations::{AskedAttributes, AttributesOf, NoAttributes, Target, TargetAttributes};
use serde_json::{Map, Value};
use sextant_model::{Intent, RbacAction, RbacObject};
use std::fmt::Display;
use std::sync::{Arc, LazyLock};
use table::{Operation, Rule, rule_named, rule_of, rules_of};
use unset::unset_rules;

impl Caller {
    /// Whether the caller may see it in lists.
    pub(crate) fn may_read<R: Resource>(&self, intent: &Intent, resource: &R) -> bool {
        let rule = const { rule_of(R::NAME, Operation::Get) };
        let attributes = AttributesOf(resource);
        self.may_everything()
            || rule.allows(self, &target(intent, resource, &attributes), &Value::Null)
    }

    /// The resource of this id, if the caller may read it.
    pub(crate) fn find<R: Resource>(
        &self,
        intent: &Intent,
        id: impl Display,
    ) -> Result<Arc<R>, ApiError> {
        let id = id.to_string();
        let resource = R::get(intent, &id)?;
        if self.may_read(intent, &*resource) {
            return Ok(resource);
        }
        // An object of another project is not found, whatever role the caller lacks.
        let in_scope = Self::new(self.project.clone(), Roles::OF_PROJECT);
        if in_scope.may_read(intent, &*resource) {
            Err(ApiError::not_found(
                "HTTPNotFound",
                "The resource could not be found.",
            ))
        } else {
            Err(R::missing(&id))
        }
    }

    /// Whether this may be made for a project.
    pub(crate) fn may_create<R: Exceptions>(
        &self,
        intent: &Intent,
        project: &str,
        body: &Body<R>,
    ) -> Result<(), ApiError> {
        if self.may_everything() {
            return R::may_create(self, intent, &body.patch);
        }
        let asked = AskedAttributes {
            given: &body.given,
            before: &NoAttributes,
        };
        let target = Target {
            owner: project,
            ties: R::ties_asked(&body.patch)?,
            intent,
            attributes: &asked,
        };
        if target
            .object()
            .is_some_and(|object| rbac::owner(intent, object).is_none())
        {
            // The resource itself reports a network that does not exist.
            return Ok(());
        }
        self.may::<R>(Operation::Create, &target, &body.given)
            .map_err(|forbidden| self.unseen_parent(&target).unwrap_or(forbidden))?;
        self.sees_references(intent, body)?;
        R::may_create(self, intent, &body.patch)
    }

    /// A network that the caller does not see does not exist for them. So the answer is "not found", not "forbidden".
    fn unseen_parent(&self, target: &Target<'_>) -> Option<ApiError> {
        let network = match target.object()? {
            object @ RbacObject::Network(_) => object,
            RbacObject::SecurityGroup(_)
            | RbacObject::SubnetPool(_)
            | RbacObject::AddressScope(_) => return None,
        };
        let owner = rbac::owner(target.intent, network)?;
        let seen = self.is_admin()
            || self.is_of(owner)
            || self.is_granted(target.intent, network, RbacAction::AccessAsShared)
            || self.is_granted(target.intent, network, RbacAction::AccessAsExternal);
        (!seen).then(|| rbac::missing(network))
    }

    /// Whether all requested changes are allowed.
    pub(crate) fn may_update<R: Exceptions>(
        &self,
        intent: &Intent,
        resource: &R,
        body: &Body<R>,
    ) -> Result<(), ApiError> {
        if !self.may_everything() {
            let asked = AskedAttributes {
                given: &body.given,
                before: &AttributesOf(resource),
            };
            let target = target(intent, resource, &asked);
            self.may::<R>(Operation::Update, &target, &body.given)?;
        }
        self.sees_references(intent, body)?;
        resource.may_update(self, intent, &body.patch)
    }

    /// Whether it may be removed.
    pub(crate) fn may_delete<R: Exceptions>(
        &self,
        intent: &Intent,
        resource: &R,
    ) -> Result<(), ApiError> {
        let attributes = AttributesOf(resource);
        let target = target(intent, resource, &attributes);
        self.may::<R>(Operation::Delete, &target, &Map::new())?;
        resource.may_delete(self, intent)
    }

    /// Whether an action may be done with it.
    pub(crate) fn may_act<A: ActionExceptions>(
        &self,
        intent: &Intent,
        with: &A::Of,
        action: &A,
    ) -> Result<(), ApiError> {
        self.may_by(intent, with, A::NAME)?;
        action.may_act(self, intent, with)
    }

    /// Whether the rule of this name allows it. A missing rule allows nothing.
    pub(crate) fn may_by<R: Resource>(
        &self,
        intent: &Intent,
        resource: &R,
        name: &str,
    ) -> Result<(), ApiError> {
        let rule = rule_named(name);
        let attributes = AttributesOf(resource);
        let target = target(intent, resource, &attributes);
        match rule.is_some_and(|rule| rule.allows(self, &target, &Value::Null)) {
            true => Ok(()),
            false => Err(forbidden(&format!("rule:{name}"))),
        }
    }

    /// Whether the rule of this name lets the caller act for a project, or for all if none is named.
    pub(crate) fn may_do(&self, name: &str, project: Option<&str>) -> bool {
        let target = Target {
            owner: project.unwrap_or_default(),
            ties: Ties::Nothing,
            intent: &Intent::default(),
            attributes: &NoAttributes,
        };
        rule_named(name).is_some_and(|rule| rule.allows(self, &target, &Value::Null))
    }

    /// Whether the caller may make something for a project.
    pub(crate) fn may_make_for(&self, project: &str) -> bool {
        self.is_admin()
            || self.roles.has(Roles::SERVICE)
            || self.is_of(project)
            || self.is_by_operator("context_can_set_project_id")
    }

    /// The same caller under an operator's rules, which may say who is admin.
    pub(crate) fn under(mut self, policy: &Arc<Policy>) -> Self {
        if policy.is_empty() {
            return self;
        }
        self.policy = policy.clone();
        if let Some(check) = policy.check("context_is_admin") {
            // The check cannot ask whether the caller is admin by this rule: that would be a circle.
            self.roles = match decide::holds(check, &self, &own_target(&self)) {
                true => self.roles.with_admin(),
                false => self.roles.without(Roles::ADMIN),
            };
        }
        self
    }

    /// Whether a base rule that an operator has set says so of the caller alone.
    fn is_by_operator(&self, name: &str) -> bool {
        let check = self.policy.check(name);
        check.is_some_and(|check| decide::holds(check, self, &own_target(self)))
    }

    /// The attributes of a resource that the caller may not read.
    pub(crate) fn hidden<R: Resource>(&self, intent: &Intent, resource: &R) -> Vec<&'static str> {
        if self.may_everything() {
            return Vec::new();
        }
        let attributes = AttributesOf(resource);
        let target = target(intent, resource, &attributes);
        let of_reading = self
            .rules::<R>()
            .filter(|rule| rule.operation == Operation::Get && rule.attribute.is_some());
        of_reading
            .filter(|rule| !rule.allows(self, &target, &Value::Null))
            .filter_map(|rule| rule.attribute)
            .collect()
    }

    /// Whether the caller may read this attribute, where it is asked for by itself.
    pub(crate) fn may_read_attribute<R: Resource>(
        &self,
        intent: &Intent,
        resource: &R,
        attribute: &str,
    ) -> Result<(), ApiError> {
        match self.hidden(intent, resource).contains(&attribute) {
            true => Err(forbidden(&format!("rule:get_{}:{attribute}", R::NAME))),
            false => Ok(()),
        }
    }

    /// The rules of a resource: those of the table, and those that an operator has set beside them.
    fn rules<R: Resource>(&self) -> impl Iterator<Item = &'static Rule> {
        let others = match self.policy.is_empty() {
            true => &[],
            false => unset_rules(R::NAME),
        };
        let set = others
            .iter()
            .filter(|rule| self.policy.rule(rule.name).is_some());
        const { rules_of(R::NAME) }.iter().chain(set)
    }

    /// Whether an operation is allowed with all its attributes. If not, returns the rules that forbid it.
    fn may<R: Resource>(
        &self,
        operation: Operation,
        target: &Target<'_>,
        given: &Map<String, Value>,
    ) -> Result<(), ApiError> {
        let of_resource = self
            .rules::<R>()
            .filter(|rule| rule.operation == operation && rule.attribute.is_none());
        let protected = self
            .rules::<R>()
            .filter_map(|rule| Some((rule, rule.asked(operation, given)?)));
        let asked: Vec<(&Rule, &Value)> = of_resource
            .map(|rule| (rule, &Value::Null))
            .chain(protected)
            .collect();
        let mut rules = asked.iter();
        match rules.all(|(rule, value)| rule.allows(self, target, value)) {
            true => Ok(()),
            false => Err(forbidden(&together(&asked))),
        }
    }

    /// Whether the caller may use all objects that a body names. The resource itself reports those that do not exist.
    fn sees_references<R: Resource>(
        &self,
        intent: &Intent,
        body: &Body<R>,
    ) -> Result<(), ApiError> {
        if self.is_admin() || self.roles.has(Roles::SERVICE) {
            return Ok(());
        }
        let references = R::attributes().filter_map(|attribute| attribute.refers_to);
        let mut named = references.flat_map(|refers_to| refers_to(&body.patch));
        match named.find(|object| !self.may_refer_to(intent, *object)) {
            Some(object) => Err(rbac::missing(object)),
            None => Ok(()),
        }
    }

    fn may_refer_to(&self, intent: &Intent, object: RbacObject) -> bool {
        rbac::owner(intent, object).is_none_or(|owner| self.is_of(owner))
            || self.is_granted(intent, object, RbacAction::AccessAsShared)
            || self.is_granted(intent, object, RbacAction::AccessAsExternal)
    }
}

impl Rule {
    /// The given values that this rule protects.
    fn asked<'a>(&self, operation: Operation, given: &'a Map<String, Value>) -> Option<&'a Value> {
        if self.operation != operation {
            return None;
        }
        let value = given.get(self.attribute?)?;
        if operation == Operation::Create && self.has_default && is_default(value) {
            return None;
        }
        let Some(within) = self.within else {
            return Some(value);
        };
        match value.as_array() {
            Some(items) => items.iter().find_map(|item| item.get(within)),
            None => value.get(within),
        }
    }
}

fn target<'a, R: Resource>(
    intent: &'a Intent,
    resource: &'a R,
    attributes: &'a dyn TargetAttributes,
) -> Target<'a> {
    Target {
        owner: &resource.meta().project_id,
        ties: resource.ties(),
        intent,
        attributes,
    }
}

/// The caller's own project, which base rules about callers are asked about.
fn own_target(caller: &Caller) -> Target<'_> {
    static NOTHING: LazyLock<Intent> = LazyLock::new(Intent::default);
    Target {
        owner: caller.project.as_deref().unwrap_or_default(),
        ties: Ties::Nothing,
        intent: &NOTHING,
        attributes: &NoAttributes,
    }
}

/// The names of rules that all have to allow, in Neutron's words.
fn together(asked: &[(&Rule, &Value)]) -> String {
    let mut rules = String::new();
    for (rule, _) in asked.iter().filter(|(rule, _)| rule.within.is_none()) {
        let name = format!("rule:{}", rule.name);
        let inner: Vec<String> = asked
            .iter()
            .filter(|(inner, _)| inner.within.is_some() && inner.attribute == rule.attribute)
            .map(|(inner, _)| format!("rule:{}", inner.name))
            .collect();
        rules = match (rules.is_empty(), inner.is_empty()) {
            (true, _) => name,
            (false, true) => format!("({rules} and {name})"),
            (false, false) => format!("({rules} and ({name} and ({})))", inner.join(" and ")),
        };
    }
    rules
}

/// Whether a value is the attribute's default.
fn is_default(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// 403, in the words of oslo.policy.
pub(crate) fn forbidden(rules: &str) -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "PolicyNotAuthorized",
        format!("{rules} is disallowed by policy"),
    )
}
