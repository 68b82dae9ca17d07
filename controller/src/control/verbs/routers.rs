//! `sextant routers`: each router on a line, with its networks and its way out.

use crate::control::table::{all_or_dash, given_or_dash, or_dash, table};
use crate::control::{Give, OperatorView, Verb, VerbError};
use crate::snapshot::Snapshot;
use clap::Args;
use serde::{Deserialize, Serialize};
use sextant_model::{ChassisId, NetworkId, Port, Router, RouterId};
use std::cmp::Reverse;
use std::net::IpAddr;

/// Options of `routers`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoutersVerb {
    /// Only this router.
    #[arg(long, value_name = "UUID")]
    pub router: Option<RouterId>,
    /// Only routers with an external gateway.
    #[arg(long)]
    pub gateway: bool,
    /// At most so many.
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
    /// Those with most interfaces first, instead of in the order of ids.
    #[arg(long)]
    pub busiest: bool,
    /// Only those after this one, in the order of ids.
    #[arg(long, value_name = "UUID")]
    pub after: Option<RouterId>,
}

/// A router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterRow {
    /// Its id.
    pub router_id: RouterId,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub project_id: String,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Its interfaces.
    pub interfaces: Vec<InterfaceSummary>,
    /// Its way out of the cloud, if it has one.
    pub gateway: Option<GatewaySummary>,
}

/// An interface of a router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceSummary {
    /// The network.
    pub network_id: NetworkId,
    /// The router's addresses there.
    pub addresses: Vec<IpAddr>,
}

/// The external gateway of a router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewaySummary {
    /// The external network.
    pub network_id: NetworkId,
    /// The router's addresses there.
    pub addresses: Vec<IpAddr>,
    /// The hypervisor that has it. `None`: none can.
    pub chassis: Option<ChassisId>,
}

impl Verb for RoutersVerb {
    type Row = RouterRow;

    fn answer(&self, known: &OperatorView, give: Give<'_, RouterRow>) -> Result<(), VerbError> {
        let snapshot = known.snapshots.latest();
        let intent = &snapshot.intent;
        let mut routers: Vec<&Router> = intent
            .routers
            .values()
            .map(|router| &**router)
            .filter(|router| self.router.is_none_or(|only| only == router.id))
            .filter(|router| !self.gateway || router.external_gateway.is_some())
            .filter(|router| self.after.is_none_or(|after| router.id > after))
            .collect();
        if self.busiest {
            routers.sort_by_cached_key(|router| Reverse(intent.interfaces_of(router.id).count()));
        }
        routers
            .into_iter()
            .take(self.limit.unwrap_or(usize::MAX))
            .try_for_each(|router| give(row(&snapshot, router)))
    }

    fn show(&self, rows: &[RouterRow]) -> String {
        if rows.is_empty() {
            return "no such routers\n".to_owned();
        }
        let head = ["ROUTER", "NAME", "ENABLED", "INTERFACES", "GATEWAY", "ON"];
        table(head, rows.iter().map(RouterRow::cells))
    }
}

fn row(snapshot: &Snapshot, router: &Router) -> RouterRow {
    let (intent, facts) = (&snapshot.intent, &snapshot.facts);
    let interfaces = intent.interfaces_of(router.id);
    let port = intent.gateway_of(router.id);
    let placed = facts.gateways().get(&router.id);
    let gateway = router.external_gateway.map(|gateway| GatewaySummary {
        network_id: gateway.network_id,
        addresses: port.map_or_else(Vec::new, |port| addresses(port)),
        chassis: placed.map(|(chassis, _)| chassis.clone()),
    });
    RouterRow {
        router_id: router.id,
        name: router.meta.name.clone(),
        project_id: router.meta.project_id.clone(),
        enabled: router.admin_state_up,
        interfaces: interfaces.map(|port| interface(port)).collect(),
        gateway,
    }
}

fn interface(port: &Port) -> InterfaceSummary {
    InterfaceSummary {
        network_id: port.network_id,
        addresses: addresses(port),
    }
}

fn addresses(port: &Port) -> Vec<IpAddr> {
    port.fixed_ips.iter().map(|ip| ip.ip_address).collect()
}

impl RouterRow {
    fn cells(&self) -> [String; 6] {
        let inside = self.interfaces.iter().flat_map(|inside| &inside.addresses);
        let gateway = self.gateway.as_ref();
        let outside = gateway.into_iter().flat_map(|gateway| &gateway.addresses);
        let on = gateway.map(|gateway| match &gateway.chassis {
            Some(chassis) => chassis.to_string(),
            None => "NO HYPERVISOR".to_owned(),
        });
        [
            self.router_id.to_string(),
            given_or_dash(&self.name),
            if self.enabled { "yes" } else { "NO" }.to_owned(),
            all_or_dash(inside),
            all_or_dash(outside),
            or_dash(on),
        ]
    }
}
