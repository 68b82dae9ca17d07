//! Default quotas.

use serde::Deserialize;
use sextant_model::{Counted, DefaultQuotas, Settings};

/// `[quotas]`, with Neutron's names. A value below 0 means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// The default of kinds without a key of their own: subnet pools.
    pub default_quota: i64,
    /// Networks.
    pub quota_network: i64,
    /// Subnets.
    pub quota_subnet: i64,
    /// Ports.
    pub quota_port: i64,
    /// Routers.
    pub quota_router: i64,
    /// Security groups.
    pub quota_security_group: i64,
    /// Rules of security groups.
    pub quota_security_group_rule: i64,
    /// Access policies.
    pub quota_rbac_policy: i64,
}

/// As the file has it: -1 for no limit.
fn limit(quotas: &DefaultQuotas, kind: Counted) -> i64 {
    match quotas.limit(kind) {
        Some(limit) => i64::try_from(limit).unwrap_or(i64::MAX),
        None => -1,
    }
}

impl Default for Quotas {
    fn default() -> Self {
        let quotas = Settings::default().quotas;
        Self {
            default_quota: limit(&quotas, Counted::SubnetPool),
            quota_network: limit(&quotas, Counted::Network),
            quota_subnet: limit(&quotas, Counted::Subnet),
            quota_port: limit(&quotas, Counted::Port),
            quota_router: limit(&quotas, Counted::Router),
            quota_security_group: limit(&quotas, Counted::SecurityGroup),
            quota_security_group_rule: limit(&quotas, Counted::SecurityGroupRule),
            quota_rbac_policy: limit(&quotas, Counted::RbacPolicy),
        }
    }
}

impl Quotas {
    pub(super) fn limits(self) -> DefaultQuotas {
        DefaultQuotas::new(|kind| {
            let limit = match kind {
                Counted::SubnetPool => self.default_quota,
                Counted::Network => self.quota_network,
                Counted::Subnet => self.quota_subnet,
                Counted::Port => self.quota_port,
                Counted::Router => self.quota_router,
                Counted::SecurityGroup => self.quota_security_group,
                Counted::SecurityGroupRule => self.quota_security_group_rule,
                Counted::RbacPolicy => self.quota_rbac_policy,
            };
            u64::try_from(limit).ok()
        })
    }
}
