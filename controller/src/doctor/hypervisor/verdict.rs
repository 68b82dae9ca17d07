//! What is to say of a hypervisor that was looked at.

use super::known::Known;
use crate::config::{Config, StoreKind};
use crate::control::Finding;
use crate::control::verbs::hypervisors::{ConnectedParts, HypervisorRow};
use crate::hypervisor::INTEGRATION_BRIDGE;
use crate::hypervisor::outside::{OutsideView, SeenDatapath, SeenManager};
use sextant_model::Chassis;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The first version of Open vSwitch with everything that Sextant needs.
const FIRST: (u32, u32) = (2, 17);
const GUIDE: &str = "docs/guides/hypervisors.md";

/// What is to say.
pub(super) fn findings(
    view: &OutsideView,
    controller: Option<&Config>,
    known: Option<&Known>,
) -> Vec<Finding> {
    let mut findings = vec![version(view.version.as_deref())];
    match &view.observation {
        Ok(seen) => {
            findings.push(joins(&seen.chassis));
            findings.extend(known.map(|known| identity(view, &seen.chassis, known)));
            findings.extend(mappings(view, &seen.chassis));
            findings.extend(interfaces(view, known));
        }
        Err(reason) => findings.push(Finding::bad(
            "takes part",
            format!("{reason}."),
            format!("ovs-vsctl set open_vswitch . external_ids:KEY=VALUE; {GUIDE}"),
        )),
    }
    findings.extend(managers(&view.managers, controller));
    findings.extend(datapath(view, known));
    findings.extend(in_the_way(view));
    findings
}

fn version(found: Option<&str>) -> Finding {
    const CHECK: &str = "Open vSwitch";
    let Some(text) = found else {
        let says = "The database answers, and does not say which version it is (ovs_version), so that Sextant supposes the worst.";
        return Finding::unclear(CHECK, says, "ovs-ctl start says it to the database");
    };
    let mut numbers = text
        .split('.')
        .map(|number| number.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < FIRST {
        let (major, minor) = FIRST;
        let says = format!("Version {text} lacks what Sextant needs.");
        return Finding::bad(
            CHECK,
            says,
            format!("Open vSwitch {major}.{minor} or later"),
        );
    }
    Finding::good(CHECK, format!("The database answers; version {text}."))
}

fn joins(chassis: &Chassis) -> Finding {
    let endpoints: Vec<String> = chassis
        .encap
        .endpoints
        .addresses()
        .map(|one| one.to_string())
        .collect();
    Finding::good(
        "takes part",
        format!(
            "As {}, with {} to {}.",
            chassis.id,
            chassis.encap.kind,
            endpoints.join(" and ")
        ),
    )
}

/// Two hypervisors of one name take the place from each other, and two of one endpoint each other's frames.
fn identity(view: &OutsideView, chassis: &Chassis, known: &Known) -> Finding {
    const CHECK: &str = "identity";
    let id = &chassis.id;
    let own = known.hypervisors.iter().find(|row| row.chassis == *id);
    if let Some(other) = own.and_then(|row| another(view, chassis, row, known)) {
        return Finding::bad(
            CHECK,
            format!("Sextant knows another hypervisor as {id}: {other}."),
            "give one of them another external_ids:system-id (uuidgen > /etc/openvswitch/system-id.conf)",
        );
    }
    let others = known.hypervisors.iter().filter(|row| row.chassis != *id);
    for row in others {
        let same = chassis
            .encap
            .endpoints
            .addresses()
            .find(|one| row.endpoints.contains(one));
        if let Some(address) = same {
            return Finding::bad(
                CHECK,
                format!("{} has the endpoint {address}, too.", row.chassis),
                "external_ids:sextant-encap-ip has to be an address of this hypervisor alone",
            );
        }
    }
    match own.map(|row| row.connected) {
        Some(ConnectedParts::Both) => Finding::good(
            CHECK,
            format!("Sextant knows it as {id}, and is connected to both parts."),
        ),
        Some(ConnectedParts::Elsewhere) => {
            Finding::good(CHECK, format!("Another controller owns {id}."))
        }
        Some(other) => Finding::bad(
            CHECK,
            format!("Sextant knows it as {id}, but: {other}."),
            "sextant hypervisors; there: ovs-vsctl show",
        ),
        None => Finding::bad(
            CHECK,
            format!("Sextant does not know {id}."),
            "ovs-vsctl set-manager tcp:[CONTROLLER]:6640 (ssl: with [hypervisor_tls])",
        ),
    }
}

/// By what a hypervisor of this name differs from the one that is looked at.
fn another(
    view: &OutsideView,
    chassis: &Chassis,
    row: &HypervisorRow,
    known: &Known,
) -> Option<String> {
    let (there, here) = (known.datapaths.get(&row.chassis), view.datapath_id.as_ref());
    if let Some(there) = there
        && Some(there) != here
    {
        let here = here.map_or("missing", String::as_str);
        return Some(format!("its br-int is {there}, and the one here {here}"));
    }
    let here: BTreeSet<IpAddr> = chassis.encap.endpoints.addresses().collect();
    let there: BTreeSet<IpAddr> = row.endpoints.iter().copied().collect();
    (here != there).then(|| {
        let (there, here) = (listed(&there), listed(&here));
        format!("its endpoint is {there}, and the one here {here}")
    })
}

fn listed<T: ToString>(all: impl IntoIterator<Item = T>) -> String {
    let all: Vec<String> = all.into_iter().map(|one| one.to_string()).collect();
    all.join(", ")
}

fn mappings(view: &OutsideView, chassis: &Chassis) -> Option<Finding> {
    const CHECK: &str = "mappings";
    if !view.missing_bridges.is_empty() {
        let names = view.missing_bridges.join(", ");
        return Some(Finding::bad(
            CHECK,
            format!(
                "external_ids:sextant-bridge-mappings names bridges that are not there: {names}."
            ),
            format!(
                "ovs-vsctl add-br {}, or correct the mapping",
                view.missing_bridges[0]
            ),
        ));
    }
    let mapped: Vec<String> = chassis
        .bridge_mappings
        .iter()
        .map(|(physical, bridge)| format!("{physical} by {bridge}"))
        .collect();
    let says = format!("It is on {}.", mapped.join(", "));
    (!mapped.is_empty()).then(|| Finding::good(CHECK, says))
}

fn interfaces(view: &OutsideView, known: Option<&Known>) -> Vec<Finding> {
    const CHECK: &str = "interfaces";
    let mut findings = vec![];
    for seen in &view.interfaces {
        let name = &seen.name;
        if let Some(error) = &seen.error {
            findings.push(Finding::bad(
                CHECK,
                format!("{name} of {} does not work: {error}.", seen.bridge),
                format!("make the device, or ovs-vsctl del-port {name}"),
            ));
        }
        let Some(port) = seen.port else {
            continue;
        };
        if seen.bridge != INTEGRATION_BRIDGE {
            findings.push(Finding::bad(
                CHECK,
                format!(
                    "{name} is for port {port}, but plugged into {}.",
                    seen.bridge
                ),
                format!(
                    "guests are plugged into {INTEGRATION_BRIDGE}: Nova's [neutron] ovs_bridge"
                ),
            ));
        } else if known.is_some_and(|known| !known.ports.contains(&port)) {
            findings.push(Finding::bad(
                CHECK,
                format!("{name} is for port {port}, which does not exist."),
                format!("ovs-vsctl del-port {name}, or correct its external_ids:iface-id"),
            ));
        }
    }
    findings
}

fn managers(all: &[SeenManager], controller: Option<&Config>) -> Vec<Finding> {
    const CHECK: &str = "managers";
    let connecting: Vec<&SeenManager> = all.iter().filter(|manager| !manager.listens).collect();
    if connecting.is_empty() {
        let says =
            "The database has no manager to connect to: no controller hears of this hypervisor.";
        let advice = "ovs-vsctl set-manager tcp:[CONTROLLER]:6640 (ssl: with [hypervisor_tls])";
        return vec![Finding::bad(CHECK, says, advice)];
    }
    let mut findings: Vec<Finding> = connecting
        .iter()
        .map(|manager| of_manager(manager))
        .collect();
    let Some(config) = controller else {
        return findings;
    };
    let (port, encrypted) = (
        config.ovsdb_listen.port().to_string(),
        config.hypervisor_tls.files().is_on(),
    );
    if !connecting
        .iter()
        .any(|manager| manager.port.as_deref() == Some(&port))
    {
        findings.push(Finding::bad(
            CHECK,
            format!("None of them has port {port}, at which Sextant listens (ovsdb_listen)."),
            format!("ovs-vsctl set-manager …:{port}, with the address of the controller"),
        ));
    }
    let scheme = if encrypted { "ssl:" } else { "tcp:" };
    let wrong = connecting
        .iter()
        .find(|manager| !manager.target.starts_with(scheme));
    findings.extend(wrong.map(|manager| {
        Finding::bad(
            CHECK,
            format!(
                "{} does not speak as Sextant listens: by {scheme}",
                manager.target
            ),
            format!("ovs-vsctl set-manager {scheme}…, or the section [hypervisor_tls]"),
        )
    }));
    if connecting.len() > 1 && config.store.kind == StoreKind::Embedded {
        let targets: Vec<&str> = connecting.iter().map(|manager| &*manager.target).collect();
        findings.push(Finding::bad(
            CHECK,
            format!(
                "There are {}, and Sextant's store is for one controller: {}.",
                targets.len(),
                targets.join(", ")
            ),
            "ovs-vsctl set-manager with the address of the one controller alone",
        ));
    }
    findings
}

fn of_manager(manager: &SeenManager) -> Finding {
    const CHECK: &str = "managers";
    let target = &manager.target;
    if !manager.is_connected {
        let error = manager.error.as_deref().unwrap_or("no error is said");
        return Finding::bad(
            CHECK,
            format!("{target} is not connected: {error}."),
            "does Sextant listen there (ovsdb_listen), and is nothing between? ovs-vsctl list manager",
        );
    }
    match manager.probe {
        Some(0) => Finding::bad(
            CHECK,
            format!(
                "{target} is connected, but never asked whether it lives: inactivity_probe is 0."
            ),
            "ovs-vsctl clear manager . inactivity_probe",
        ),
        Some(probe) => Finding::good(
            CHECK,
            format!("{target} is connected, and asked after {probe} ms of silence."),
        ),
        None => Finding::good(CHECK, format!("{target} is connected.")),
    }
}

fn datapath(view: &OutsideView, known: Option<&Known>) -> Vec<Finding> {
    let findings = [datapath_type(&view.datapath), capabilities(view, known)];
    findings.into_iter().flatten().collect()
}

const DATAPATH: &str = "datapath";

fn datapath_type(seen: &SeenDatapath) -> Option<Finding> {
    let wanted = seen.asked.as_ref().or(seen.used.as_ref())?;
    if !seen.types.is_empty() && !seen.types.contains(wanted) {
        let types = listed(&seen.types);
        let says = format!("This Open vSwitch has no datapath of type {wanted}, but {types}.");
        let advice = "external_ids:sextant-bridge-datapath-type";
        return Some(Finding::bad(DATAPATH, says, advice));
    }
    let used = seen.used.as_ref().filter(|used| *used != wanted)?;
    Some(Finding::bad(
        DATAPATH,
        format!("br-int has type {used}, and {wanted} is asked for."),
        format!("ovs-vsctl set bridge br-int datapath_type={wanted}"),
    ))
}

/// What the datapath says of itself, or else what its switch refuses.
fn capabilities(view: &OutsideView, known: Option<&Known>) -> Option<Finding> {
    let advice = format!("{GUIDE} says which versions have what");
    if let Some(lacks) = &view.datapath.lacks
        && !lacks.is_empty()
    {
        let says = format!("It says that it lacks {}.", listed(lacks));
        return Some(Finding::bad(DATAPATH, says, advice));
    }
    let id = view.observation.as_ref().ok().map(|seen| &seen.chassis.id);
    if let Some(lacks) = id.and_then(|id| known?.lacks.get(id)) {
        let says = format!("Its switch refuses flows that need {}.", listed(lacks));
        return Some(Finding::bad(DATAPATH, says, advice));
    }
    if view.datapath.lacks.is_some() {
        let says = "It says that it has all that Sextant needs.";
        return Some(Finding::good(DATAPATH, says));
    }
    let is_programmed = known?.datapaths.contains_key(id?);
    is_programmed.then(|| Finding::good(DATAPATH, "Its switch refuses no flow."))
}

fn in_the_way(view: &OutsideView) -> Vec<Finding> {
    const CHECK: &str = "others";
    let mut findings = vec![];
    if !view.leftovers.is_empty() {
        findings.push(Finding::bad(
            CHECK,
            format!("Of another network service: {}.", view.leftovers.join(", ")),
            "stop neutron-openvswitch-agent or ovn-controller, and remove what it made: docs/guides/hypervisors.md#what-others-left",
        ));
    }
    if !view.other_controllers.is_empty() {
        findings.push(Finding::bad(
            CHECK,
            format!("{INTEGRATION_BRIDGE} obeys others: {}.", view.other_controllers.join(", ")),
            format!("stop what sets them; ovs-vsctl del-controller {INTEGRATION_BRIDGE}, and Sextant sets its own"),
        ));
    }
    findings
}

#[cfg(test)]
mod tests;
