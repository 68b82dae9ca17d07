//! `sextant prefixes`: each subnet of prefix delegation on a line, with its prefix and how long it lasts.

use crate::clock;
use crate::control::table::{given_or_dash, or_dash, table};
use crate::control::{Give, OperatorView, Verb, VerbError};
use crate::snapshot::Snapshot;
use clap::Args;
use serde::{Deserialize, Serialize};
use sextant_model::{ChassisId, PrefixSource, RouterId, Subnet, SubnetId};

/// Options of `prefixes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrefixesVerb {}

/// A subnet whose prefix is delegated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixRow {
    /// The subnet.
    pub subnet_id: SubnetId,
    /// Its name.
    pub name: String,
    /// Its prefix. `None`: it waits for one.
    pub cidr: Option<String>,
    /// The prefix that the server delegated, which the subnet is the first /64 of.
    pub delegated: Option<String>,
    /// The router that asks for it.
    pub router_id: Option<RouterId>,
    /// The hypervisor that asks for it.
    pub chassis: Option<ChassisId>,
    /// For how many seconds guests prefer addresses of it.
    pub preferred_for: Option<i64>,
    /// For how many seconds it is valid.
    pub valid_for: Option<i64>,
    /// In how many seconds it is renewed.
    pub renewed_in: Option<i64>,
}

impl Verb for PrefixesVerb {
    type Row = PrefixRow;

    fn answer(&self, known: &OperatorView, give: Give<'_, PrefixRow>) -> Result<(), VerbError> {
        let (snapshot, now) = (known.snapshots.latest(), clock::now());
        let subnets = snapshot.intent.subnets.values();
        subnets
            .filter(|subnet| subnet.prefix_source == PrefixSource::Delegated)
            .try_for_each(|subnet| give(row(&snapshot, subnet, now)))
    }

    fn show(&self, rows: &[PrefixRow]) -> String {
        if rows.is_empty() {
            return "no subnet has a delegated prefix: docs/guides/prefix-delegation.md\n"
                .to_owned();
        }
        let head = [
            "SUBNET",
            "NAME",
            "PREFIX",
            "DELEGATED",
            "ROUTER",
            "ON",
            "RENEWED IN",
            "PREFERRED",
            "VALID",
        ];
        table(head, rows.iter().map(PrefixRow::cells))
    }
}

fn row(snapshot: &Snapshot, subnet: &Subnet, now: i64) -> PrefixRow {
    let (intent, facts) = (&snapshot.intent, &snapshot.facts);
    let delegation = facts.delegations().get(&subnet.id);
    let mut ports = intent.router_ports_of(subnet.network_id);
    let port = ports.find(|port| port.fixed_ips.iter().any(|ip| ip.subnet_id == subnet.id));
    let router_id = port.and_then(|port| port.device_id.parse().ok());
    let placed = router_id.and_then(|router| facts.gateways().get(&router));
    PrefixRow {
        subnet_id: subnet.id,
        name: subnet.meta.name.clone(),
        cidr: (!subnet.awaits_prefix()).then(|| subnet.cidr.to_string()),
        delegated: delegation.map(|delegation| delegation.prefix.to_string()),
        router_id,
        chassis: placed.map(|(chassis, _)| chassis.clone()),
        preferred_for: delegation.map(|delegation| delegation.preferred_until - now),
        valid_for: delegation.map(|delegation| delegation.valid_until - now),
        renewed_in: delegation.map(|delegation| delegation.renew_at - now),
    }
}

impl PrefixRow {
    fn cells(&self) -> [String; 9] {
        let cidr = self.cidr.clone();
        [
            self.subnet_id.to_string(),
            given_or_dash(&self.name),
            cidr.unwrap_or_else(|| "AWAITED".to_owned()),
            or_dash(self.delegated.as_ref()),
            or_dash(self.router_id),
            or_dash(self.chassis.as_ref()),
            or_dash(self.renewed_in.map(seconds)),
            or_dash(self.preferred_for.map(seconds)),
            or_dash(self.valid_for.map(seconds)),
        ]
    }
}

fn seconds(seconds: i64) -> String {
    format!("{seconds} s")
}
