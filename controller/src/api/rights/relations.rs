//! The relations between a caller and an object.

use crate::api::contract::caller::{Caller, Roles};
use crate::api::contract::rbac;
use crate::api::contract::ties::Ties;
use serde_json::Value;
use sextant_model::{EVERY_PROJECT, Intent, RbacAction, RbacObject};

/// A set of relations. Any one of them allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Who(u16);

/// Checks a relation. The value is the one given for an attribute.
type Holds = fn(&Caller, &Target<'_>, &Value) -> bool;

/// The relations.
#[rustfmt::skip]
const RELATIONS: [(Who, Holds); 13] = [
    (ADMIN,             |caller, _, _| caller.is_admin()),
    (SERVICE,           |caller, _, _| caller.roles.has(Roles::SERVICE)),
    (READER,            |caller, target, _| caller.has_role_of(Roles::READER, Some(target.owner))),
    (MEMBER,            |caller, target, _| caller.has_role_of(Roles::MEMBER, Some(target.owner))),
    (MANAGER,           |caller, target, _| caller.has_role_of(Roles::MANAGER, Some(target.owner))),
    (PROJECT,           |caller, target, _| caller.is_of(target.owner)),
    (PARENT_READER,     |caller, target, _| caller.has_role_of(Roles::READER, target.parent())),
    (PARENT_MEMBER,     |caller, target, _| caller.has_role_of(Roles::MEMBER, target.parent())),
    (PARENT_MANAGER,    |caller, target, _| caller.has_role_of(Roles::MANAGER, target.parent())),
    (SHARED,            |caller, target, _| target.is_granted(caller, RbacAction::AccessAsShared)),
    (EXTERNAL,          |caller, target, _| target.is_granted(caller, RbacAction::AccessAsExternal)),
    (NO_NETWORK_DEVICE, |_, _, value| !text(value).starts_with("network:")),
    (ONE_PROJECT,       |_, _, value| text(value) != EVERY_PROJECT),
];

pub(super) const ADMIN: Who = Who(1);
/// Another service of the cloud.
pub(super) const SERVICE: Who = Who(1 << 1);
/// These roles in the project that owns the object.
pub(super) const READER: Who = Who(1 << 2);
pub(super) const MEMBER: Who = Who(1 << 3);
pub(super) const MANAGER: Who = Who(1 << 4);
/// Any role in the project that owns the object.
pub(super) const PROJECT: Who = Who(1 << 12);
/// These roles in the project that owns the object's parent: a port's network, a rule's group.
pub(super) const PARENT_READER: Who = Who(1 << 5);
pub(super) const PARENT_MEMBER: Who = Who(1 << 6);
pub(super) const PARENT_MANAGER: Who = Who(1 << 7);
/// An access policy shares the object or its parent with the caller.
pub(super) const SHARED: Who = Who(1 << 8);
/// An access policy makes the object or its parent external for the caller.
pub(super) const EXTERNAL: Who = Who(1 << 9);
/// Everybody who gives a value that is not a network service's.
pub(super) const NO_NETWORK_DEVICE: Who = Who(1 << 10);
/// Everybody who gives a value other than every project.
pub(super) const ONE_PROJECT: Who = Who(1 << 11);

impl Who {
    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it has one of these relations.
    pub(super) const fn includes(self, relations: Self) -> bool {
        self.0 & relations.0 != 0
    }

    /// Whether it has no others than these relations.
    pub(super) const fn is_within(self, relations: Self) -> bool {
        self.0 & !relations.0 == 0
    }

    /// Whether a caller has one of these relations to an object. `value` is the one given for an attribute.
    pub(super) fn allows(self, caller: &Caller, target: &Target<'_>, value: &Value) -> bool {
        RELATIONS
            .iter()
            .any(|(relation, holds)| self.includes(*relation) && holds(caller, target, value))
    }
}

/// The object of relations.
pub(super) struct Target<'a> {
    /// The project that owns it.
    pub(super) owner: &'a str,
    pub(super) ties: Ties,
    pub(super) intent: &'a Intent,
}

impl Target<'_> {
    /// The project that owns the object's parent.
    fn parent(&self) -> Option<&str> {
        match self.ties {
            Ties::Within(object) => rbac::owner(self.intent, object),
            Ties::Nothing | Ties::Object(_) => None,
        }
    }

    /// What access policies may be for.
    pub(super) fn object(&self) -> Option<RbacObject> {
        match self.ties {
            Ties::Nothing => None,
            Ties::Object(object) | Ties::Within(object) => Some(object),
        }
    }

    fn is_granted(&self, caller: &Caller, action: RbacAction) -> bool {
        let object = self.object();
        object.is_some_and(|object| caller.is_granted(self.intent, object, action))
    }
}

impl Caller {
    fn has_role_of(&self, role: Roles, project: Option<&str>) -> bool {
        self.roles.has(role) && project.is_some_and(|project| self.is_of(project))
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
