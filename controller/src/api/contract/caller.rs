//! Who calls, and with which roles.

use crate::api::contract::policy::Policy;
use sextant_model::{EVERY_PROJECT, Intent, RbacAction, RbacObject};
use std::sync::Arc;

/// Roles that Sextant knows, each with those that it implies (Keystone's defaults).
const ROLES: &[(&str, Roles)] = &[
    ("admin", Roles(0b1111)),
    ("manager", Roles(0b0111)),
    ("member", Roles(0b0011)),
    ("reader", Roles(0b0001)),
    ("service", Roles(0b1_0000)),
];

/// A set of roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roles(u8);

impl Roles {
    pub(crate) const READER: Self = Self(0b0001);
    pub(crate) const MEMBER: Self = Self(0b0010);
    pub(crate) const MANAGER: Self = Self(0b0100);
    pub(crate) const ADMIN: Self = Self(0b1000);
    pub(crate) const SERVICE: Self = Self(0b1_0000);
    pub(crate) const ALL: Self = Self(u8::MAX);
    /// All roles that a project can give.
    pub(crate) const OF_PROJECT: Self = Self(0b0111);

    pub(crate) fn has(self, role: Self) -> bool {
        self.0 & role.0 == role.0
    }

    pub(crate) fn without(self, role: Self) -> Self {
        Self(self.0 & !role.0)
    }

    /// The same, and an admin.
    pub(crate) fn with_admin(self) -> Self {
        Self(self.0 | Self::ADMIN.0 | Self::OF_PROJECT.0)
    }

    /// The roles of these names, in any case. Unknown names grant nothing.
    pub(crate) fn named<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let known = names.flat_map(|name| {
            ROLES
                .iter()
                .filter(|(role, _)| name.eq_ignore_ascii_case(role))
        });
        Self(known.fold(0, |all, (_, roles)| all | roles.0))
    }
}

/// Who calls, and may do what.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Caller {
    /// The project. `None` only if the proxy names none, or the token is for none.
    pub(crate) project: Option<String>,
    pub(crate) roles: Roles,
    /// What an operator's rules may ask for beside that.
    pub(crate) credentials: Arc<CallerCredentials>,
    /// The rules that an operator has set.
    pub(crate) policy: Arc<Policy>,
}

/// What rules may ask of a caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CallerCredentials {
    pub(crate) user: Option<String>,
    /// The names of all roles, as they were given.
    pub(crate) roles: Vec<String>,
    /// For the whole cloud.
    pub(crate) is_of_system: bool,
    /// Not for another project than the one that is reserved for administration, if there is one.
    pub(crate) is_admin_project: bool,
}

impl CallerCredentials {
    /// Whether a role of this name was given, or follows from one that was.
    pub(crate) fn has_role(&self, name: &str) -> bool {
        let mut given = self.roles.iter();
        let wanted = Roles::named(std::iter::once(name));
        given.any(|role| role.eq_ignore_ascii_case(name))
            || wanted != Roles::default()
                && Roles::named(self.roles.iter().map(String::as_str)).has(wanted)
    }
}

impl Caller {
    /// A caller of this project, with these roles, under Neutron's default rules.
    pub(crate) fn new(project: Option<String>, roles: Roles) -> Self {
        Self {
            project,
            roles,
            credentials: Arc::default(),
            policy: Arc::default(),
        }
    }

    /// Whether no rule keeps anything from the caller: an admin, where no rules are set.
    pub(crate) fn may_everything(&self) -> bool {
        self.is_admin() && self.policy.is_empty()
    }

    /// Whether the caller may do everything.
    pub(crate) fn is_admin(&self) -> bool {
        self.roles.has(Roles::ADMIN)
    }

    /// Whether this is the caller's project.
    pub(crate) fn is_of(&self, project: &str) -> bool {
        self.project.as_deref() == Some(project)
    }

    /// Whether a policy lets this caller do this with an object.
    pub(crate) fn is_granted(
        &self,
        intent: &Intent,
        object: RbacObject,
        action: RbacAction,
    ) -> bool {
        intent.policies_for(object).any(|policy| {
            policy.action == action
                && (policy.target == EVERY_PROJECT || self.is_of(&policy.target))
        })
    }
}
