//! `sextant status`: the cloud on one screen, what is wrong first.

use super::connections::missing_of;
use super::finding::{Finding, FindingState, named};
use crate::control::table::count_of;
use crate::control::{Give, OperatorView, Verb, VerbError};
use crate::scarcity;
use crate::snapshot::Snapshot;
use clap::Args;
use serde::{Deserialize, Serialize};
use sextant_model::{PortId, PrefixSource, RouterId, Subnet};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Options of `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusVerb {}

impl Verb for StatusVerb {
    type Row = Finding;

    fn answer(&self, known: &OperatorView, give: Give<'_, Finding>) -> Result<(), VerbError> {
        let snapshot = known.snapshots.latest();
        let looks = [
            hypervisors,
            controllers,
            ports,
            strangers,
            flows,
            tunnels,
            gateways,
            neighbors,
            prefixes,
            addresses,
            quotas,
            objects,
        ];
        let mut findings: Vec<Finding> = looks
            .iter()
            .filter_map(|look| look(known, &snapshot))
            .collect();
        // Those of one state stay in this order.
        findings.sort_by_key(|finding| match finding.state {
            FindingState::Bad => 0,
            FindingState::Unclear => 1,
            FindingState::Note => 2,
            FindingState::Good => 3,
        });
        findings.into_iter().try_for_each(give)
    }

    fn show(&self, rows: &[Finding]) -> String {
        rows.iter().map(Finding::show_with_advice).collect()
    }
}

fn hypervisors(known: &OperatorView, snapshot: &Snapshot) -> Option<Finding> {
    const CHECK: &str = "hypervisors";
    let facts = &snapshot.facts;
    let all = facts.chassis();
    if all.is_empty() {
        return Some(Finding::hint(
            CHECK,
            "None has joined yet.",
            "on each: ovs-vsctl set open_vswitch . external_ids:sextant-encap-ip=ADDRESS -- set-manager \
             tcp:[CONTROLLER]:6640, as docs/guides/hypervisors.md has it",
        ));
    }
    let lost = all.keys().filter_map(|id| {
        let missing = missing_of(known, facts, id)?;
        Some(format!("{id} ({missing})"))
    });
    Some(match named(lost) {
        Some(names) => Finding::bad(
            CHECK,
            format!("These are not connected: {names}."),
            "sextant facts hypervisors; there: ovs-vsctl show; does ovs-vswitchd answer? ovs-appctl -t ovs-vswitchd version",
        ),
        None if all.len() == 1 => Finding::good(CHECK, "The only one is connected."),
        None => Finding::good(CHECK, format!("All {} are connected.", all.len())),
    })
}

fn controllers(_: &OperatorView, snapshot: &Snapshot) -> Option<Finding> {
    let owners = snapshot.facts.owners().values();
    let names: BTreeSet<String> = owners.map(|owner| owner.controller.to_string()).collect();
    let names = named(names)?;
    Some(Finding::good(
        "controllers",
        format!("Hypervisors are owned by {names}."),
    ))
}

fn ports(_: &OperatorView, snapshot: &Snapshot) -> Option<Finding> {
    const CHECK: &str = "ports";
    let facts = &snapshot.facts;
    let bound = facts.bindings();
    let waiting = bound.keys().filter(|id| !facts.active().contains(*id));
    Some(match named(waiting.copied().collect::<Vec<PortId>>()) {
        Some(names) => Finding::bad(
            CHECK,
            format!("Plugged in, but without confirmed flows: {names}."),
            "sextant why PORT",
        ),
        None => Finding::good(
            CHECK,
            match bound.len() {
                0 => "None is plugged in.".to_owned(),
                1 => "The only one that is plugged in is active.".to_owned(),
                count => format!("All {count} that are plugged in are active."),
            },
        ),
    })
}

/// Interfaces whose id no port has.
fn strangers(_: &OperatorView, snapshot: &Snapshot) -> Option<Finding> {
    let facts = &snapshot.facts;
    let unknown = facts
        .plugged()
        .iter()
        .filter(|(id, _)| facts.binding(**id).is_none());
    let names = named(unknown.map(|(id, plugged)| format!("{id} on {}", plugged.chassis)))?;
    Some(Finding::hint(
        "interfaces",
        format!("Their iface-id is that of no port: {names}."),
        "unplug what is left over, or correct external_ids:iface-id",
    ))
}

fn flows(_: &OperatorView, snapshot: &Snapshot) -> Option<Finding> {
    let names = named(snapshot.facts.shortfalls().keys())?;
    Some(Finding::bad(
        "flows",
        format!("Switches refuse flows on {names}."),
        "sextant facts refused: which feature Open vSwitch or its datapath lacks",
    ))
}

fn tunnels(_: &OperatorView, snapshot: &Snapshot) -> Option<Finding> {
    const CHECK: &str = "tunnels";
    let facts = &snapshot.facts;
    let missing = facts.missing_tunnels();
    let silent = facts
        .chassis()
        .keys()
        .filter(|id| facts.unheard(id).next().is_some());
    let silent = named(silent);
    Some(match (missing, silent) {
        (0, None) => return None,
        (0, Some(names)) => Finding::bad(
            CHECK,
            format!("Some carry nothing, as seen from {names}."),
            "sextant facts tunnels: ping the endpoints from each other",
        ),
        (missing, _) => Finding::bad(
            CHECK,
            match missing {
                1 => "A pair of hypervisors shares no IP version of endpoints.".to_owned(),
                _ => format!("{missing} pairs of hypervisors share no IP version of endpoints."),
            },
            "sextant facts tunnels; external_ids:sextant-encap-ip",
        ),
    })
}

fn gateways(_: &OperatorView, snapshot: &Snapshot) -> Option<Finding> {
    const CHECK: &str = "gateways";
    let (intent, facts) = (&snapshot.intent, &snapshot.facts);
    let routers = intent.routers.values();
    let with: Vec<RouterId> = routers
        .filter(|router| router.external_gateway.is_some())
        .map(|router| router.id)
        .collect();
    let nowhere = with.iter().filter(|id| !facts.gateways().contains_key(*id));
    Some(match (named(nowhere), with.len()) {
        (Some(names), _) => Finding::bad(
            CHECK,
            format!("Those of these routers are on no hypervisor: {names}."),
            "a hypervisor needs external_ids:sextant-bridge-mappings for their external network",
        ),
        (None, 0) => return None,
        (None, 1) => Finding::good(CHECK, "The only one is on a hypervisor."),
        (None, count) => Finding::good(CHECK, format!("All {count} are on hypervisors.")),
    })
}

fn neighbors(known: &OperatorView, _: &Snapshot) -> Option<Finding> {
    let all = known.neighbors.all();
    let silent = all.iter().flat_map(|((chassis, _), neighbors)| {
        let silent = neighbors.iter().filter(|neighbor| neighbor.mac.is_none());
        silent.map(move |neighbor| format!("{} from {chassis}", neighbor.address))
    });
    let names = named(silent)?;
    Some(Finding::hint(
        "next hops",
        format!("These do not answer: {names}."),
        "is the upstream router there? sextant neighbors",
    ))
}

fn prefixes(_: &OperatorView, snapshot: &Snapshot) -> Option<Finding> {
    const CHECK: &str = "prefixes";
    let subnets = snapshot.intent.subnets.values();
    let delegated: Vec<&Arc<Subnet>> = subnets
        .filter(|subnet| subnet.prefix_source == PrefixSource::Delegated)
        .collect();
    let waiting = delegated.iter().filter(|subnet| subnet.awaits_prefix());
    Some(
        match (named(waiting.map(|subnet| subnet.id)), delegated.len()) {
            (Some(names), _) => Finding::bad(
                CHECK,
                format!("These subnets wait for a delegated prefix: {names}."),
                "sextant why PORT, for a port of the subnet",
            ),
            (None, 0) => return None,
            (None, 1) => Finding::good(
                CHECK,
                "The only subnet of prefix delegation has its prefix.",
            ),
            (None, count) => Finding::good(
                CHECK,
                format!("All {count} subnets of prefix delegation have theirs."),
            ),
        },
    )
}

fn addresses(_: &OperatorView, snapshot: &Snapshot) -> Option<Finding> {
    let scarce = scarcity::addresses(&snapshot.intent).map(|scarce| {
        let (used, total, subnet) = (scarce.used, scarce.total, scarce.subnet);
        format!(
            "{used} of {total} in subnet {} '{}'",
            subnet.id, subnet.meta.name
        )
    });
    Some(Finding::hint(
        "addresses",
        format!("Nearly all are used: {}.", named(scarce)?),
        "openstack subnet set --allocation-pool, or one more subnet on the network",
    ))
}

fn quotas(_: &OperatorView, snapshot: &Snapshot) -> Option<Finding> {
    let scarce = scarcity::quotas(&snapshot.intent).map(|scarce| {
        let kind = scarce.kind.as_str().replace('_', " ");
        let (used, limit, project) = (scarce.used, scarce.limit, scarce.project);
        format!("{used} of {limit} {kind}s of project {project}")
    });
    Some(Finding::hint(
        "quotas",
        format!("Nearly used up: {}.", named(scarce)?),
        "openstack quota set, if the project is to have more",
    ))
}

fn objects(_: &OperatorView, snapshot: &Snapshot) -> Option<Finding> {
    let intent = &snapshot.intent;
    Some(Finding::good(
        "objects",
        format!(
            "{}, {}, {}, {}.",
            count_of(intent.networks.len(), "network"),
            count_of(intent.subnets.len(), "subnet"),
            count_of(intent.routers.len(), "router"),
            count_of(intent.ports.len(), "port")
        ),
    ))
}
