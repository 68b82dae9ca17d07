//! The relations between a caller and an object.

use crate::api::contract::caller::{Caller, Roles};
use crate::api::contract::rbac;
use crate::api::contract::resource::{AttributeOf, Resource};
use crate::api::contract::shown::Shown;
use crate::api::contract::ties::Ties;
use crate::api::contract::view::{Lengths, ResourceView};
use serde_json::{Map, Value};
use sextant_model::{EVERY_PROJECT, Facts, Intent, RbacAction, RbacObject};
use std::sync::LazyLock;

/// A set of relations. Any one of them allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Who(u16);

/// Checks a relation. The value is the one given for an attribute.
pub(super) type Holds = fn(&Caller, &Target<'_>, &Value) -> bool;

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

    /// The base rules that say in Neutron what the relation is.
    pub(super) const fn names(self) -> &'static [&'static str] {
        match self {
            ADMIN => &["admin_only", "context_is_admin"],
            SERVICE => &["service_api"],
            SHARED => &[
                "shared",
                "shared_subnetpools",
                "shared_address_scopes",
                "shared_security_group",
            ],
            EXTERNAL => &["external", "external_network"],
            NO_NETWORK_DEVICE => &["network_device"],
            ONE_PROJECT => &["restrict_wildcard"],
            _ => &[],
        }
    }

    /// All relations that it has, each with its check.
    pub(super) fn relations(self) -> impl Iterator<Item = &'static (Self, Holds)> {
        let all = RELATIONS.iter();
        all.filter(move |(relation, _)| self.includes(*relation))
    }
}

/// Whether a base rule says what some relation is.
pub(super) fn names_relation(name: &str) -> bool {
    let mut names = RELATIONS.iter().flat_map(|(relation, _)| relation.names());
    names.any(|known| *known == name)
}

/// The object of relations.
pub(super) struct Target<'a> {
    /// The project that owns it.
    pub(super) owner: &'a str,
    pub(super) ties: Ties,
    pub(super) intent: &'a Intent,
    pub(super) attributes: &'a dyn TargetAttributes,
}

/// The attributes of an object, as the API names and shows them.
pub(super) trait TargetAttributes {
    fn value(&self, name: &str, caller: &Caller, intent: &Intent) -> Option<Value>;
}

/// Of nothing.
pub(super) struct NoAttributes;

/// Of a resource that is there.
pub(super) struct AttributesOf<'a, R>(pub(super) &'a R);

/// Of what a request asks for, and of what is there besides.
pub(super) struct AskedAttributes<'a> {
    pub(super) given: &'a Map<String, Value>,
    pub(super) before: &'a dyn TargetAttributes,
}

impl TargetAttributes for NoAttributes {
    fn value(&self, _: &str, _: &Caller, _: &Intent) -> Option<Value> {
        None
    }
}

impl<R: Resource> TargetAttributes for AttributesOf<'_, R> {
    fn value(&self, name: &str, caller: &Caller, intent: &Intent) -> Option<Value> {
        // Rights depend on what was asked for, not on what is observed.
        static UNOBSERVED: LazyLock<Facts> = LazyLock::new(Facts::default);
        let mut attributes = R::attributes();
        let known: &AttributeOf<R> = attributes.find(|attribute| attribute.name == name)?;
        let show = known.show?;
        let view = ResourceView {
            intent,
            facts: &UNOBSERVED,
            caller,
            lengths: Lengths::Text,
        };
        Some(Shown::value(|slot| show(self.0, view, slot)))
    }
}

impl TargetAttributes for AskedAttributes<'_> {
    fn value(&self, name: &str, caller: &Caller, intent: &Intent) -> Option<Value> {
        match self.given.get(name) {
            Some(given) => Some(given.clone()),
            None => self.before.value(name, caller, intent),
        }
    }
}

impl Target<'_> {
    /// The project that owns the object's parent.
    pub(super) fn parent(&self) -> Option<&str> {
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

    /// Whether a base rule is about objects such as this one.
    pub(super) fn is_meant_by(&self, name: &str) -> bool {
        match name {
            "shared" => matches!(self.object(), Some(RbacObject::Network(_))),
            "shared_subnetpools" => matches!(self.object(), Some(RbacObject::SubnetPool(_))),
            "shared_address_scopes" => matches!(self.object(), Some(RbacObject::AddressScope(_))),
            "shared_security_group" => matches!(self.object(), Some(RbacObject::SecurityGroup(_))),
            "external" => matches!(self.ties, Ties::Object(_)),
            "external_network" => matches!(self.ties, Ties::Within(_)),
            _ => true,
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
