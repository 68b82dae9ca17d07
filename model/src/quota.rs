//! Quotas: how many objects of a kind a project may have.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A kind of object that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Networks.
    Network,
    /// Subnets.
    Subnet,
    /// Pools of prefixes.
    #[serde(rename = "subnetpool")]
    SubnetPool,
    /// Ports.
    Port,
    /// Routers.
    Router,
    /// Security groups.
    SecurityGroup,
    /// Rules of security groups.
    SecurityGroupRule,
    /// Access control policies.
    RbacPolicy,
}

impl Counted {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Network,
        Self::Subnet,
        Self::SubnetPool,
        Self::Port,
        Self::Router,
        Self::RbacPolicy,
        Self::SecurityGroup,
        Self::SecurityGroupRule,
    ];

    /// Its name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Subnet => "subnet",
            Self::SubnetPool => "subnetpool",
            Self::Port => "port",
            Self::Router => "router",
            Self::SecurityGroup => "security_group",
            Self::SecurityGroupRule => "security_group_rule",
            Self::RbacPolicy => "rbac_policy",
        }
    }
}

/// The quotas of projects that set none of their own: of each kind the most, or `None` for no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultQuotas(BTreeMap<Counted, Option<u64>>);

impl Default for DefaultQuotas {
    /// Neutron's defaults (`neutron/conf/quota.py`).
    fn default() -> Self {
        Self::new(|kind| match kind {
            Counted::Network | Counted::Subnet | Counted::SecurityGroupRule => Some(100),
            Counted::Port => Some(500),
            Counted::Router | Counted::SecurityGroup | Counted::RbacPolicy => Some(10),
            Counted::SubnetPool => None,
        })
    }
}

impl DefaultQuotas {
    /// The limits that this function returns.
    pub fn new(limit: impl Fn(Counted) -> Option<u64>) -> Self {
        Self(
            Counted::ALL
                .into_iter()
                .map(|kind| (kind, limit(kind)))
                .collect(),
        )
    }

    /// The most of a kind. `None`: no limit.
    #[must_use]
    pub fn limit(&self, kind: Counted) -> Option<u64> {
        self.0.get(&kind).copied().flatten()
    }
}

/// The quotas of one project. Kinds that are not set have the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectQuota {
    /// The project.
    pub project_id: String,
    /// The most of each kind. `None`: no limit (-1 in the API).
    pub limits: BTreeMap<Counted, Option<u64>>,
}
