//! `sextant flows`: the flows that switches should have, and the objects that want them.

use super::chassis_id;
use crate::control::{Give, OperatorView, Verb, VerbError};
use crate::snapshot::Snapshot;
use clap::Args;
use rust_openflow::{Cookie, TableId};
use serde::{Deserialize, Serialize};
use sextant_flows::pipeline::{STAGES, Stage};
use sextant_flows::{Flow, Flows, PipelineObject};
use sextant_model::{ChassisId, NetworkId, PortId, RouterId, SecurityGroupId};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::str::FromStr;

/// Options of `flows`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowsVerb {
    /// Only this hypervisor (its system-id). Default: all.
    #[arg(long, value_name = "NAME", value_parser = chassis_id)]
    pub chassis: Option<ChassisId>,
    /// Only flows that this object wants: port/UUID, network/UUID, router/UUID, security-group/UUID or tunnel/NAME.
    #[arg(long, value_name = "KIND/ID")]
    pub object: Option<ObjectFilter>,
    /// Only flows of this table.
    #[arg(long, value_name = "NUMBER")]
    pub table: Option<u8>,
    /// Only the flow with this cookie, as ovs-ofctl dump-flows shows it: 0x….
    #[arg(long, value_name = "COOKIE", value_parser = cookie)]
    pub cookie: Option<u64>,
}

/// The objects that are asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectFilter {
    /// A port, of a guest or of a router.
    Port(PortId),
    /// A network, with the MACs that its ports share.
    Network(NetworkId),
    /// A router.
    Router(RouterId),
    /// The sets of security groups that contain this one.
    SecurityGroup(SecurityGroupId),
    /// The tunnel to a hypervisor.
    Tunnel(ChassisId),
}

/// The text is not an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not an object: use port/UUID, network/UUID, router/UUID, security-group/UUID or tunnel/NAME"
)]
pub struct UnknownObject(String);

/// A flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowRow {
    /// The hypervisor that should have it.
    pub chassis: ChassisId,
    /// Its table.
    pub table: u8,
    /// The table's name.
    pub stage: String,
    /// Its cookie, as `ovs-ofctl` writes it.
    pub cookie: String,
    /// The whole flow, as `ovs-ofctl` writes it.
    pub flow: String,
    /// The objects that want it.
    pub wanted_by: Vec<String>,
    /// Why the switch refuses it, if it does.
    pub refused: Option<String>,
}

impl Verb for FlowsVerb {
    type Row = FlowRow;

    fn answer(&self, known: &OperatorView, give: Give<'_, FlowRow>) -> Result<(), VerbError> {
        let snapshot = known.snapshots.latest();
        for chassis in known_chassis(&snapshot, self.chassis.as_ref())? {
            let flows = Flows::compute(&snapshot.intent, &snapshot.facts, &chassis);
            let wanted_by = owners(&flows);
            for (cookie, flow) in self.selected(&flows, &wanted_by) {
                let names = wanted_by.get(&cookie).into_iter().flatten();
                give(FlowRow {
                    table: flow.stage.table().0,
                    stage: flow.stage.name().to_owned(),
                    cookie: cookie.to_string(),
                    flow: flow.to_flow_mod(cookie).to_string(),
                    wanted_by: names.map(ToString::to_string).collect(),
                    refused: refusal(&snapshot, &chassis, cookie),
                    chassis: chassis.clone(),
                })?;
            }
        }
        Ok(())
    }

    fn show(&self, rows: &[FlowRow]) -> String {
        let mut text = String::new();
        for of_chassis in rows.chunk_by(|one, next| one.chassis == next.chassis) {
            let (name, count) = (&of_chassis[0].chassis, of_chassis.len());
            text += &format!("# hypervisor {name}, flows: {count}\n");
            for of_table in of_chassis.chunk_by(|one, next| one.table == next.table) {
                text += &format!("# table {}: {}\n", of_table[0].table, of_table[0].stage);
                for row in of_table {
                    let refused = row.refused.as_ref();
                    let refused =
                        refused.map_or_else(String::new, |why| format!("; left out: {why}"));
                    text += &format!("{} # {}{refused}\n", row.flow, row.wanted_by.join(", "));
                }
            }
        }
        if text.is_empty() {
            "# no such flows\n".to_owned()
        } else {
            text
        }
    }
}

impl FlowsVerb {
    /// The requested flows, in the order in which a switch looks them up.
    fn selected(&self, flows: &Flows, wanted_by: &Owners<'_>) -> Vec<(Cookie, Flow)> {
        let mut selected: Vec<(Cookie, Flow)> = flows
            .iter()
            .filter(|(cookie, _)| self.cookie.is_none_or(|wanted| wanted == cookie.0))
            .filter(|(_, flow)| self.table.is_none_or(|table| flow.stage.table().0 == table))
            .filter(|(cookie, _)| {
                let mut objects = wanted_by.get(cookie).into_iter().flatten();
                let filter = self.object.as_ref();
                filter.is_none_or(|filter| objects.any(|object| filter.means(object)))
            })
            .collect();
        selected.sort_by_cached_key(|(_, flow)| {
            let place = (flow.stage.table(), Reverse(flow.priority));
            (place, flow.matches.to_string())
        });
        selected
    }
}

/// The objects that want each flow.
pub(super) type Owners<'f> = BTreeMap<Cookie, Vec<&'f PipelineObject>>;

pub(super) fn owners(flows: &Flows) -> Owners<'_> {
    let mut owners = Owners::new();
    for (object, cookies) in flows.by_object() {
        for cookie in cookies {
            owners.entry(cookie).or_default().push(object);
        }
    }
    owners
}

/// The hypervisors that are asked about: the named one, else all.
///
/// # Errors
/// No hypervisor has that name.
pub(super) fn known_chassis(
    snapshot: &Snapshot,
    named: Option<&ChassisId>,
) -> Result<Vec<ChassisId>, VerbError> {
    let all = snapshot.facts.chassis();
    match named {
        None => Ok(all.keys().cloned().collect()),
        Some(id) if all.contains_key(id) => Ok(vec![id.clone()]),
        Some(id) => Err(VerbError::NoSuchChassis {
            id: id.clone(),
            known: all.keys().cloned().collect(),
        }),
    }
}

/// Why a switch refuses a flow, if it does.
pub(super) fn refusal(snapshot: &Snapshot, chassis: &ChassisId, cookie: Cookie) -> Option<String> {
    let shortfall = snapshot.facts.shortfall(chassis)?;
    let refusal = shortfall.flows.get(&cookie.0)?;
    Some(format!(
        "the switch lacks {}: {}",
        refusal.missing.as_str(),
        refusal.error
    ))
}

/// The pipeline's name of a table.
pub(super) fn stage_name(table: TableId) -> &'static str {
    Stage::of(table).map_or("", Stage::name)
}

/// What a table decides, by the table's name.
pub(super) fn stage_asks(name: &str) -> &'static str {
    let spec = STAGES.iter().find(|spec| spec.name == name);
    spec.map_or("", |spec| spec.asks())
}

/// Parses a cookie, as `ovs-ofctl` writes it or as a number.
pub(super) fn cookie(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| format!("no cookie: {error}"))
}

impl ObjectFilter {
    fn means(&self, object: &PipelineObject) -> bool {
        match (self, object) {
            (Self::Port(id), PipelineObject::Port(other)) => id == other,
            (
                Self::Network(id),
                PipelineObject::Network(other) | PipelineObject::SharedMac(other, _),
            ) => id == other,
            (Self::Router(id), PipelineObject::Router(other)) => id == other,
            (Self::SecurityGroup(id), PipelineObject::Policy(groups)) => groups.contains(id),
            (Self::Tunnel(id), PipelineObject::Peer(other)) => id == other,
            (
                Self::Port(_)
                | Self::Network(_)
                | Self::Router(_)
                | Self::SecurityGroup(_)
                | Self::Tunnel(_),
                _,
            ) => false,
        }
    }
}

impl FromStr for ObjectFilter {
    type Err = UnknownObject;

    fn from_str(text: &str) -> Result<Self, UnknownObject> {
        let filter = match text.split_once('/') {
            Some(("port", id)) => id.parse().map(Self::Port).ok(),
            Some(("network", id)) => id.parse().map(Self::Network).ok(),
            Some(("router", id)) => id.parse().map(Self::Router).ok(),
            Some(("security-group", id)) => id.parse().map(Self::SecurityGroup).ok(),
            Some(("tunnel", id)) => Some(Self::Tunnel(ChassisId::new(id))),
            Some(_) | None => None,
        };
        filter.ok_or_else(|| UnknownObject(text.to_owned()))
    }
}
