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

/// What was set for one project. What is not set has the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectQuota {
    /// The project.
    pub project_id: String,
    /// The most that it may have; none: as many as it likes (-1 in the API).
    pub limits: BTreeMap<Counted, Option<u64>>,
}
