//! Pools of prefixes for subnets.

use crate::{AddressScopeId, IpVersion, Meta, SubnetPoolId};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A pool of prefixes of one IP version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetPool {
    /// Its id.
    pub id: SubnetPoolId,
    /// Name, project, times, revision.
    pub meta: Meta,
    /// The prefixes: at least one, sorted, none within another.
    pub prefixes: Vec<IpNet>,
    /// The prefix length of a subnet that asks for none.
    pub default_prefixlen: u8,
    /// The shortest prefix that a subnet can have.
    pub min_prefixlen: u8,
    /// The longest prefix that a subnet can have.
    pub max_prefixlen: u8,
    /// How much each project may have, in /64 of IPv6 or single addresses of IPv4.
    pub default_quota: Option<u64>,
    /// Visible to all projects.
    pub shared: bool,
    /// Whether it is the default pool of its IP version.
    pub is_default: bool,
    /// The address scope that it belongs to.
    #[serde(default)]
    pub address_scope_id: Option<AddressScopeId>,
}

impl SubnetPool {
    /// The version of its prefixes.
    #[must_use]
    pub fn ip_version(&self) -> IpVersion {
        let first = self.prefixes.first();
        first.map_or(IpVersion::V6, |prefix| IpVersion::of_prefix(*prefix))
    }
}
