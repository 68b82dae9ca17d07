//! Who may do what: Neutron's default policies (`neutron/conf/policies/`) as data, and what follows from them.
//!
//! A rule is a set of relations, any one of which allows: being admin, a role in the project that owns the object or that
//! owns what it belongs to (a port's network, a rule's security group), that the object is shared with the caller. A
//! resource has a rule for each operation and one for each protected attribute, on giving it and on reading it.
//!
//! What is out of a caller's scope does not exist for them (404 of the resource); what is within, but may not be read,
//! is not found either; what may be read, but not changed, is forbidden (403), with the rules in the message as Neutron
//! names them. A refused creation is forbidden always.

mod rules;

use crate::api::contract::attributes::Body;
use crate::api::contract::caller::{Caller, Roles};
use crate::api::contract::error::ApiError;
use crate::api::contract::rbac;
use crate::api::contract::resource::Resource;
use crate::api::contract::values;
use axum::http::StatusCode;
pub(crate) use rules::of;
use serde_json::{Map, Value};
use sextant_model::{EVERY_PROJECT, Intent, RbacAction, RbacObject};
use std::sync::Arc;

/// A set of relations between a caller and an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Who(u16);

impl Who {
    const ADMIN: Self = Self(1);
    /// Another service of the cloud.
    const SERVICE: Self = Self(1 << 1);
    const MANAGER: Self = Self(1 << 2);
    const MEMBER: Self = Self(1 << 3);
    const READER: Self = Self(1 << 4);
    /// Of the project that owns what the object belongs to.
    const PARENT_MANAGER: Self = Self(1 << 5);
    const PARENT_MEMBER: Self = Self(1 << 6);
    const PARENT_READER: Self = Self(1 << 7);
    /// The object, or its network, is shared with the caller.
    const SHARED: Self = Self(1 << 8);
    /// The object, or its network, is external for the caller.
    const EXTERNAL: Self = Self(1 << 9);
    /// Whoever gives a value that is no network service's.
    const NO_NETWORK_DEVICE: Self = Self(1 << 10);
    /// Whoever gives a value that is not for every project.
    const ONE_PROJECT: Self = Self(1 << 11);
    /// There is no rule.
    const ANYONE: Self = Self(1 << 12);

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn includes(self, relation: Self) -> bool {
        self.0 & relation.0 != 0
    }
}

/// The rules of a resource.
#[derive(Debug)]
pub(crate) struct Policy {
    resource: &'static str,
    create: Who,
    read: Who,
    update: Who,
    delete: Who,
    attributes: &'static [Protected],
    references: &'static [Reference],
}

/// What is done with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Create,
    Update,
    Delete,
}

/// The rules of an attribute, or of one that is within it.
#[derive(Debug)]
struct Protected {
    name: &'static str,
    within: Option<&'static str>,
    /// It is no or empty unless given, and to say so when a resource is made asks for no permission.
    has_default: bool,
    create: Who,
    read: Who,
    update: Who,
}

/// An attribute that names another object, which the caller must see.
#[derive(Debug)]
struct Reference {
    name: &'static str,
    within: Option<&'static str>,
    object: fn(uuid::Uuid) -> RbacObject,
}

/// On what access to an object rests besides the project that owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ties {
    /// Nothing.
    Nothing,
    /// Access policies for it.
    Object(RbacObject),
    /// The network that it is on, or the security group that it is in.
    Within(RbacObject),
}

/// What relations are about.
struct Target<'a> {
    owner: &'a str,
    ties: Ties,
    intent: &'a Intent,
}

impl Target<'_> {
    fn parent(&self) -> Option<&str> {
        match self.ties {
            Ties::Within(object) => rbac::owner(self.intent, object),
            Ties::Nothing | Ties::Object(_) => None,
        }
    }

    /// What policies may be for.
    fn object(&self) -> Option<RbacObject> {
        match self.ties {
            Ties::Nothing => None,
            Ties::Object(object) | Ties::Within(object) => Some(object),
        }
    }
}

impl Caller {
    fn holds(&self, who: Who, target: &Target<'_>, value: &Value) -> bool {
        let role = |relation, role, project: Option<&str>| {
            who.includes(relation)
                && self.roles.has(role)
                && project.is_some_and(|project| self.is_of(project))
        };
        let granted = |relation, action| {
            who.includes(relation)
                && target
                    .object()
                    .is_some_and(|object| self.is_granted(target.intent, object, action))
        };
        let text = value.as_str().unwrap_or_default();
        let (owner, parent) = (Some(target.owner), || target.parent());
        who.includes(Who::ANYONE)
            || who.includes(Who::ADMIN) && self.is_admin()
            || who.includes(Who::SERVICE) && self.roles.has(Roles::SERVICE)
            || who.includes(Who::NO_NETWORK_DEVICE) && !text.starts_with("network:")
            || who.includes(Who::ONE_PROJECT) && text != EVERY_PROJECT
            || role(Who::READER, Roles::READER, owner)
            || role(Who::MEMBER, Roles::MEMBER, owner)
            || role(Who::MANAGER, Roles::MANAGER, owner)
            || role(Who::PARENT_READER, Roles::READER, parent())
            || role(Who::PARENT_MEMBER, Roles::MEMBER, parent())
            || role(Who::PARENT_MANAGER, Roles::MANAGER, parent())
            || granted(Who::SHARED, RbacAction::AccessAsShared)
            || granted(Who::EXTERNAL, RbacAction::AccessAsExternal)
    }

    /// Whether it is shown in lists.
    pub(crate) fn may_read<R: Resource>(&self, intent: &Intent, resource: &R) -> bool {
        self.is_admin() || self.holds(R::POLICY.read, &target(intent, resource), &Value::Null)
    }

    /// The resource of this id, if the caller may read it.
    pub(crate) fn find<R: Resource>(&self, intent: &Intent, id: &str) -> Result<Arc<R>, ApiError> {
        let resource = R::get(intent, id)?;
        if self.may_read(intent, &*resource) {
            return Ok(resource);
        }
        // Whatever role the caller lacked, in another project it is not even looked for.
        let in_scope = Self {
            project: self.project.clone(),
            roles: Roles::OF_PROJECT,
        };
        if in_scope.may_read(intent, &*resource) {
            Err(ApiError::not_found(
                "HTTPNotFound",
                "The resource could not be found.",
            ))
        } else {
            Err(R::missing(id))
        }
    }

    /// Whether this may be made for a project.
    pub(crate) fn may_create<R: Resource>(
        &self,
        intent: &Intent,
        project: &str,
        body: &Body,
    ) -> Result<(), ApiError> {
        if self.is_admin() {
            return R::permits(self, intent, body, None);
        }
        let target = Target {
            owner: project,
            ties: R::ties_asked(body)?,
            intent,
        };
        if target
            .object()
            .is_some_and(|object| rbac::owner(intent, object).is_none())
        {
            // That there is no such network is for the resource to say.
            return Ok(());
        }
        self.may(Operation::Create, R::POLICY, &target, body.given())
            .map_err(|forbidden| self.unseen_parent(&target).unwrap_or(forbidden))?;
        self.sees_references(R::POLICY, intent, body)?;
        R::permits(self, intent, body, None)
    }

    /// A network that the caller does not see is none, so nothing of it is forbidden.
    fn unseen_parent(&self, target: &Target<'_>) -> Option<ApiError> {
        let network = match target.object()? {
            object @ RbacObject::Network(_) => object,
            RbacObject::SecurityGroup(_)
            | RbacObject::SubnetPool(_)
            | RbacObject::AddressScope(_) => return None,
        };
        let owner = rbac::owner(target.intent, network)?;
        let seen = self.is_of(owner)
            || self.is_granted(target.intent, network, RbacAction::AccessAsShared)
            || self.is_granted(target.intent, network, RbacAction::AccessAsExternal);
        (!seen).then(|| rbac::missing(network))
    }

    /// Whether all that is asked of a resource may be changed.
    pub(crate) fn may_update<R: Resource>(
        &self,
        intent: &Intent,
        resource: &R,
        body: &Body,
    ) -> Result<(), ApiError> {
        if !self.is_admin() {
            let (policy, target) = (R::POLICY, target(intent, resource));
            self.may(Operation::Update, policy, &target, body.given())?;
        }
        self.sees_references(R::POLICY, intent, body)?;
        R::permits(self, intent, body, Some(resource))
    }

    /// Whether it may be removed.
    pub(crate) fn may_delete<R: Resource>(
        &self,
        intent: &Intent,
        resource: &R,
    ) -> Result<(), ApiError> {
        let target = target(intent, resource);
        self.may(Operation::Delete, R::POLICY, &target, &Map::new())
    }

    /// Whether something may be done with it that whoever may change it may do, such as `add_router_interface`.
    pub(crate) fn may_act<R: Resource>(
        &self,
        intent: &Intent,
        resource: &R,
        action: &str,
    ) -> Result<(), ApiError> {
        match self.holds(R::POLICY.update, &target(intent, resource), &Value::Null) {
            true => Ok(()),
            false => Err(forbidden(&format!("rule:{action}"))),
        }
    }

    /// The attributes of a resource that the caller may not read.
    pub(crate) fn hidden<R: Resource>(&self, intent: &Intent, resource: &R) -> Vec<&'static str> {
        if self.is_admin() {
            return Vec::new();
        }
        let target = target(intent, resource);
        let may_not = |attribute: &&Protected| {
            attribute.within.is_none() && !self.holds(attribute.read, &target, &Value::Null)
        };
        let attributes = R::POLICY.attributes.iter().filter(may_not);
        attributes.map(|attribute| attribute.name).collect()
    }

    /// Whether an operation is allowed with all that is given; if not, says by which rules.
    fn may(
        &self,
        operation: Operation,
        policy: &Policy,
        target: &Target<'_>,
        given: &Map<String, Value>,
    ) -> Result<(), ApiError> {
        let name = format!("rule:{}_{}", operation.as_str(), policy.resource);
        let mut allowed = self.holds(operation.rule(policy), target, &Value::Null);
        let mut rules = name.clone();
        let asked = |attribute: &&Protected| attribute.asked(operation, given).is_some();
        let asked: Vec<&Protected> = policy.attributes.iter().filter(asked).collect();
        for attribute in &asked {
            let value = attribute.asked(operation, given).unwrap_or(&Value::Null);
            allowed &= self.holds(operation.rule_on(attribute), target, value);
        }
        for attribute in asked.iter().filter(|attribute| attribute.within.is_none()) {
            let rule = format!("{name}:{}", attribute.name);
            let inner = asked.iter().filter(|inner| inner.name == attribute.name);
            let inner: Vec<String> = inner
                .filter_map(|inner| Some(format!("{rule}:{}", inner.within?)))
                .collect();
            rules = match inner.is_empty() {
                true => format!("({rules} and {rule})"),
                false => format!("({rules} and ({rule} and ({})))", inner.join(" and ")),
            };
        }
        match allowed {
            true => Ok(()),
            false => Err(forbidden(&rules)),
        }
    }

    /// Whether the caller may use all that a body names. What does not exist is for the resource to say.
    fn sees_references(
        &self,
        policy: &Policy,
        intent: &Intent,
        body: &Body,
    ) -> Result<(), ApiError> {
        if self.is_admin() || self.roles.has(Roles::SERVICE) {
            return Ok(());
        }
        let named = policy
            .references
            .iter()
            .flat_map(|reference| reference.named(body));
        let usable = |object| {
            rbac::owner(intent, object).is_none_or(|owner| self.is_of(owner))
                || self.is_granted(intent, object, RbacAction::AccessAsShared)
                || self.is_granted(intent, object, RbacAction::AccessAsExternal)
        };
        match named.into_iter().find(|object| !usable(*object)) {
            Some(object) => Err(rbac::missing(object)),
            None => Ok(()),
        }
    }
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    fn rule(self, policy: &Policy) -> Who {
        match self {
            Self::Create => policy.create,
            Self::Update => policy.update,
            Self::Delete => policy.delete,
        }
    }

    fn rule_on(self, attribute: &Protected) -> Who {
        match self {
            Self::Create => attribute.create,
            Self::Update => attribute.update,
            Self::Delete => Who::ANYONE,
        }
    }
}

impl Protected {
    /// What is given for it that asks for permission.
    fn asked<'a>(&self, operation: Operation, given: &'a Map<String, Value>) -> Option<&'a Value> {
        let value = given.get(self.name)?;
        let goes_without_saying =
            operation == Operation::Create && self.has_default && is_default(value);
        if goes_without_saying || operation.rule_on(self) == Who::ANYONE {
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

impl Reference {
    fn named(&self, body: &Body) -> Vec<RbacObject> {
        let value = body.given().get(self.name);
        let value = match self.within {
            Some(within) => value.and_then(|value| value.get(within)),
            None => value,
        };
        let ids: Vec<&Value> = match value {
            Some(Value::Array(items)) => items.iter().collect(),
            Some(value) => vec![value],
            None => Vec::new(),
        };
        let parsed = ids.into_iter().filter_map(|id| values::uuid(id).ok());
        parsed.map(self.object).collect()
    }
}

fn target<'a, R: Resource>(intent: &'a Intent, resource: &'a R) -> Target<'a> {
    Target {
        owner: &resource.meta().project_id,
        ties: resource.ties(),
        intent,
    }
}

/// Whether a value is what an attribute has that is not given.
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
