//! Role-based access control policies: who may use what another project owns.

use crate::{AddressScopeId, Meta, NetworkId, RbacPolicyId, SecurityGroupId, SubnetPoolId};
use serde::{Deserialize, Serialize};

/// The `target_tenant` that stands for every project.
pub const EVERY_PROJECT: &str = "*";

/// What a policy lets others use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RbacObject {
    /// A network.
    Network(NetworkId),
    /// A security group.
    SecurityGroup(SecurityGroupId),
    /// A subnet pool.
    SubnetPool(SubnetPoolId),
    /// An address scope.
    AddressScope(AddressScopeId),
}

/// What a policy allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RbacAction {
    /// See and use it.
    AccessAsShared,
    /// See it and have routers' gateways on it; of networks only.
    AccessAsExternal,
}

impl RbacPolicy {
    /// A policy of a project that allows every project this on an object, made at this time (seconds since 1970).
    #[must_use]
    pub fn for_everyone(
        id: RbacPolicyId,
        object: RbacObject,
        action: RbacAction,
        project: &str,
        now: i64,
    ) -> Self {
        Self {
            id,
            meta: Meta::new(project, now),
            object,
            action,
            target: EVERY_PROJECT.to_owned(),
        }
    }
}

/// One permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RbacPolicy {
    /// Its id.
    pub id: RbacPolicyId,
    /// The project that allows it, times, revision. A policy has no name.
    pub meta: Meta,
    /// The object.
    pub object: RbacObject,
    /// What is allowed.
    pub action: RbacAction,
    /// Who it is allowed to: a project, or [`EVERY_PROJECT`].
    pub target: String,
}
