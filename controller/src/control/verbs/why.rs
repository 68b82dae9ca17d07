//! `sextant why`: what keeps a port's guest from its address, or from others.

mod addresses;
mod guest;
mod place;
mod ways;

use super::finding::{Finding, FindingState};
use super::named_port::port_named;
use crate::control::{Give, OperatorView, Verb, VerbError};
use crate::flow_counters::NoCounters;
use crate::port_history::PortEvent;
use crate::snapshot::Snapshot;
use clap::Args;
use guest::Sent;
use serde::{Deserialize, Serialize};
use sextant_model::{ChassisId, Network, Port, PortId, Subnet, SubnetId};
use std::collections::BTreeSet;

/// Options of `why`.
#[derive(Clone, Debug, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhyVerb {
    /// The port: its id, its name, one of its addresses, or its MAC.
    #[arg(value_name = "PORT")]
    pub port: String,
}

/// A row of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "snake_case")]
pub enum WhyRow {
    /// One thing that a guest's address or traffic needs.
    Finding(Finding),
    /// What all of it comes to.
    Verdict {
        /// The port.
        port_id: PortId,
        /// `bad` if something is wrong, else `unclear` or `good`.
        state: FindingState,
        /// One sentence.
        says: String,
        /// What to do.
        advice: Option<String>,
    },
}

/// What is known of a port.
struct Case<'a> {
    known: &'a OperatorView,
    snapshot: &'a Snapshot,
    port: &'a Port,
    /// Where it is plugged in.
    chassis: Option<ChassisId>,
    events: Vec<PortEvent>,
    /// `None`: it is not plugged in.
    sent: Option<Result<Sent, NoCounters>>,
}

impl<'a> Case<'a> {
    fn network(&self) -> Option<&'a Network> {
        let network = self.snapshot.intent.networks.get(&self.port.network_id);
        network.map(|network| &**network)
    }

    /// The subnets of the port's addresses, each once.
    fn subnets(&self) -> Vec<&'a Subnet> {
        let ids: BTreeSet<SubnetId> = self.port.fixed_ips.iter().map(|ip| ip.subnet_id).collect();
        let subnets = ids
            .iter()
            .filter_map(|id| self.snapshot.intent.subnets.get(id));
        subnets.map(|subnet| &**subnet).collect()
    }

    /// The router's ports on a subnet.
    fn routers_of(&self, subnet: SubnetId) -> Vec<&'a Port> {
        let ports = self.snapshot.intent.router_ports_of(self.port.network_id);
        let on_it = ports.filter(|port| port.has_address_of(subnet));
        on_it.map(|port| &**port).collect()
    }
}

impl Verb for WhyVerb {
    type Row = WhyRow;

    fn answer(&self, known: &OperatorView, give: Give<'_, WhyRow>) -> Result<(), VerbError> {
        let snapshot = known.snapshots.latest();
        let port = port_named(&snapshot, &self.port)?;
        if port.is_of_router() {
            return Err(VerbError::Unfit(format!(
                "port {} is a router's, which is on every hypervisor: ask about a guest's port",
                port.id
            )));
        }
        let binding = snapshot.facts.binding(port.id);
        let case = Case {
            known,
            snapshot: &snapshot,
            port: &port,
            chassis: binding.map(|binding| binding.chassis.clone()),
            events: known.history.of(port.id),
            sent: guest::sent(known, binding),
        };
        let findings = [
            place::findings(&case),
            addresses::findings(&case),
            guest::findings(&case),
            ways::findings(&case),
        ]
        .concat();
        let verdict = verdict(&case, &findings);
        findings
            .into_iter()
            .map(WhyRow::Finding)
            .try_for_each(&mut *give)?;
        give(verdict)
    }

    fn show(&self, rows: &[WhyRow]) -> String {
        let shown = rows.iter().map(|row| match row {
            WhyRow::Finding(finding) => finding.show(),
            WhyRow::Verdict { says, advice, .. } => {
                let advice = advice.as_ref();
                let advice = advice.map_or_else(String::new, |advice| format!("   Do: {advice}\n"));
                format!("=> {says}\n{advice}")
            }
        });
        shown.collect()
    }
}

/// The first thing that is wrong: what comes later in the chain often follows from it.
fn verdict(case: &Case<'_>, findings: &[Finding]) -> WhyRow {
    let order = [FindingState::Bad, FindingState::Unclear, FindingState::Note];
    let found = order.into_iter().find_map(|state| {
        let mut of_state = findings.iter().filter(|finding| finding.state == state);
        of_state.find(|finding| finding.advice.is_some())
    });
    let port_id = case.port.id;
    match found {
        Some(finding) => WhyRow::Verdict {
            port_id,
            state: finding.state,
            says: finding.says.clone(),
            advice: finding.advice.clone(),
        },
        None => WhyRow::Verdict {
            port_id,
            state: FindingState::Good,
            says: "Sextant sees nothing wrong: the guest was given what its port has.".to_owned(),
            advice: Some(format!(
                "look inside the guest, or follow a packet: sextant trace --from port/{port_id} PACKET"
            )),
        },
    }
}
