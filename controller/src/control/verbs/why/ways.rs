//! The ways from the port's hypervisor to others: tunnels, provider networks, gateways.

use super::Case;
use crate::control::verbs::connections::missing_of;
use crate::control::verbs::finding::{Finding, FindingState, named};
use crate::control::verbs::probe::{AskedProbe, probe};
use sextant_model::{ChassisId, Network, RouterId};
use std::collections::BTreeSet;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let (Some(chassis), Some(network)) = (&case.chassis, case.network()) else {
        return vec![];
    };
    let way = match network.network_type.is_tunnelled() {
        true => tunnels(case, chassis, network),
        false => mapping(case, chassis, network),
    };
    let mut findings: Vec<Finding> = way.into_iter().collect();
    findings.extend(peers(case, chassis, network));
    findings.extend(
        routers(case)
            .into_iter()
            .map(|router| gateway(case, router)),
    );
    findings
}

/// To every other hypervisor with a port of the network.
fn tunnels(case: &Case<'_>, chassis: &ChassisId, network: &Network) -> Option<Finding> {
    const CHECK: &str = "tunnels";
    let facts = &case.snapshot.facts;
    let peers: BTreeSet<&ChassisId> = facts
        .chassis_with(network.id)
        .filter(|peer| *peer != chassis)
        .collect();
    if peers.is_empty() {
        return None;
    }
    let unheard: BTreeSet<&ChassisId> = facts.unheard(chassis).collect();
    let own = facts.chassis().get(chassis)?;
    let unpaired: BTreeSet<&ChassisId> = facts.without_tunnel(own).collect();
    let [silent, apart] = [unheard, unpaired].map(|some| {
        let names: Vec<&str> = peers
            .intersection(&some)
            .map(|peer| peer.as_str())
            .collect();
        names.join(", ")
    });
    Some(match (silent.is_empty(), apart.is_empty()) {
        (true, true) => probed(case, chassis, &peers),
        (_, false) => Finding::bad(
            CHECK,
            format!(
                "{chassis} shares no IP version of endpoints with {apart}, so there is no tunnel."
            ),
            "external_ids:sextant-encap-ip on both: one address of the same version".to_owned(),
        ),
        (false, true) => Finding::bad(
            CHECK,
            format!("{chassis} hears nothing through its tunnels from {silent}."),
            format!(
                "ping the endpoints from each other, with packets as long as the underlay's MTU; sextant facts tunnels --chassis {chassis}"
            ),
        ),
    })
}

/// Whether the other hypervisors with a port of the network are connected.
fn peers(case: &Case<'_>, chassis: &ChassisId, network: &Network) -> Option<Finding> {
    let facts = &case.snapshot.facts;
    let peers = facts
        .chassis_with(network.id)
        .filter(|peer| *peer != chassis);
    let lost = peers
        .filter_map(|peer| Some((peer, missing_of(case.known, facts, peer)?)))
        .map(|(peer, missing)| format!("{peer} ({missing})"));
    let names = named(lost)?;
    Some(Finding::hint(
        "peers",
        format!(
            "Guests of this network may not be reached on hypervisors that are not connected: {names}."
        ),
        "sextant status; on each of them: does ovs-vswitchd answer? ovs-appctl -t ovs-vswitchd version".to_owned(),
    ))
}

fn mapping(case: &Case<'_>, chassis: &ChassisId, network: &Network) -> Option<Finding> {
    const CHECK: &str = "provider network";
    let physical = network.physical_network.as_ref()?;
    let known = case.snapshot.facts.chassis().get(chassis)?;
    Some(match known.bridge_mappings.get(physical) {
        Some(bridge) => Finding::good(
            CHECK,
            format!("{physical} is bridge {bridge} of {chassis}."),
        ),
        None => Finding::bad(
            CHECK,
            format!(
                "{chassis} has no bridge to {physical}, so the port reaches only guests of the same hypervisor."
            ),
            format!(
                "on {chassis}: ovs-vsctl set open_vswitch . external_ids:sextant-bridge-mappings={physical}:BRIDGE"
            ),
        ),
    })
}

/// Sends frames to some of these hypervisors and back.
fn probed(case: &Case<'_>, chassis: &ChassisId, peers: &BTreeSet<&ChassisId>) -> Finding {
    const CHECK: &str = "tunnels";
    /// An answer should not take long.
    const MOST: usize = 3;
    let mut passed = Vec::new();
    for peer in peers.iter().take(MOST) {
        for (from, to) in [(chassis, *peer), (*peer, chassis)] {
            let way = probe(case.known, case.snapshot, from, to, AskedProbe::Quick);
            match way.finding.state {
                FindingState::Bad => return way.finding,
                FindingState::Good | FindingState::Note => passed.push(peer.as_str()),
                // Another controller owns that one.
                FindingState::Unclear => {}
            }
        }
    }
    passed.dedup();
    let count = peers.len();
    let all = format!("Hypervisors with ports of this network: {count}");
    match passed.is_empty() {
        true => Finding::note(CHECK, format!("{all}; none was probed.")),
        false => Finding::good(
            CHECK,
            format!(
                "{all}; frames of full length pass to and from {}.",
                passed.join(", ")
            ),
        ),
    }
}

/// The routers of the port's subnets.
fn routers(case: &Case<'_>) -> BTreeSet<RouterId> {
    let subnets = case.subnets();
    let ports = subnets.iter().flat_map(|subnet| case.routers_of(subnet.id));
    ports.filter_map(|port| port.router()).collect()
}

fn gateway(case: &Case<'_>, id: RouterId) -> Finding {
    const CHECK: &str = "router";
    let (intent, facts) = (&case.snapshot.intent, &case.snapshot.facts);
    let router = intent.routers.get(&id);
    let name = router.map_or("", |router| &router.meta.name);
    if router.is_some_and(|router| !router.admin_state_up) {
        return Finding::bad(
            CHECK,
            format!("Its router {id} '{name}' is disabled (admin_state_up is false)."),
            format!("openstack router set --enable {id}"),
        );
    }
    let outside = router.and_then(|router| router.external_gateway.as_ref());
    let Some(outside) = outside else {
        return Finding::note(CHECK, format!("{id} '{name}', which has no way outside."));
    };
    let network = outside.network_id;
    let Some((chassis, _)) = facts.gateways().get(&id) else {
        return Finding::bad(
            CHECK,
            format!("The gateway of router {id} '{name}' is on no hypervisor, so nothing reaches the outside."),
            "a hypervisor needs external_ids:sextant-bridge-mappings for its external network; sextant facts hypervisors".to_owned(),
        );
    };
    let known = case.known.neighbors.all();
    let known = known
        .iter()
        .find(|((at, on), _)| at == chassis && *on == network);
    let next_hops = known.map_or(&[][..], |(_, neighbors)| neighbors);
    let silent: Vec<String> = next_hops
        .iter()
        .filter(|neighbor| neighbor.mac.is_none())
        .map(|neighbor| neighbor.address.to_string())
        .collect();
    match silent.is_empty() {
        true => Finding::good(CHECK, format!("{id} '{name}', outside through {chassis}.")),
        false => Finding::hint(
            CHECK,
            format!(
                "Outside of router {id} '{name}' these do not answer {chassis}: {}.",
                silent.join(", ")
            ),
            "is the upstream router there? sextant neighbors; tcpdump on the external bridge"
                .to_owned(),
        ),
    }
}
