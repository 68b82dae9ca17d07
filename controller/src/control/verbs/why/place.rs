//! Where the port is, and whether its flows are there.

use super::Case;
use crate::control::verbs::finding::{Finding, named};
use crate::port_history::INTERFACE_ELSEWHERE;
use sextant_model::{ChassisId, Network, Ownership, Port};

/// The first of these that is bad makes the later ones impossible, so they end there.
pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let checks = [
        port, network, plugged_in, asked_for, hypervisor, number, flows,
    ];
    let mut findings = vec![];
    for check in checks {
        findings.extend(check(case));
        if findings.last().is_some_and(Finding::is_bad) {
            break;
        }
    }
    findings
}

fn port(case: &Case<'_>) -> Option<Finding> {
    let port = case.port;
    let (id, mac, name) = (port.id, port.mac_address, &port.meta.name);
    Some(match port.admin_state_up {
        true => Finding::good("port", format!("{id} '{name}', MAC {mac}.")),
        false => Finding::bad(
            "port",
            format!("The port {id} '{name}' is disabled (admin_state_up is false)."),
            format!("openstack port set --enable {id}"),
        ),
    })
}

fn network(case: &Case<'_>) -> Option<Finding> {
    let network = case.network()?;
    let (id, name, kind) = (network.id, &network.meta.name, kind(network));
    Some(match network.admin_state_up {
        true => Finding::good("network", format!("{id} '{name}', {kind}.")),
        false => Finding::bad(
            "network",
            format!("Its network {id} '{name}' is disabled (admin_state_up is false)."),
            format!("openstack network set --enable {id}"),
        ),
    })
}

fn kind(network: &Network) -> &'static str {
    match network.network_type.is_tunnelled() {
        true => "between hypervisors through tunnels",
        false => "a provider network",
    }
}

fn plugged_in(case: &Case<'_>) -> Option<Finding> {
    const CHECK: &str = "plugged in";
    let (port, facts) = (case.port, &case.snapshot.facts);
    if let Some(chassis) = &case.chassis {
        return Some(Finding::good(CHECK, format!("On hypervisor {chassis}.")));
    }
    let host = &port.host_id;
    if host.is_empty() {
        return Some(nowhere(case));
    }
    let Some(chassis) = facts.chassis_named(host).next() else {
        return Some(Finding::bad(
            CHECK,
            format!(
                "The port is asked for on host '{host}', and no hypervisor of that name has joined."
            ),
            format!(
                "on {host}: ovs-vsctl get-manager, and external_ids:system-id and hostname of its Open_vSwitch row"
            ),
        ));
    };
    let chassis = &chassis.id;
    if let Some(elsewhere) = without_effect(case) {
        return Some(Finding::bad(
            CHECK,
            format!(
                "The port is asked for on host '{host}', but an interface for it is {elsewhere}."
            ),
            format!(
                "plug it in on {chassis}, or ask for it where it is: openstack port set --host HOST {}",
                port.id
            ),
        ));
    }
    let strays = strays(case, Some(chassis));
    Some(Finding::bad(
        CHECK,
        format!(
            "Hypervisor {chassis} has no interface for this port (external_ids:iface-id={}).{}",
            port.id,
            strays.as_deref().unwrap_or_default()
        ),
        match strays {
            Some(_) => format!("{}; or start the guest on {chassis}", correction(port)),
            None => format!(
                "on {chassis}: ovs-vsctl --columns=name,external_ids list interface; set the right iface-id, or start the guest"
            ),
        },
    ))
}

/// No hypervisor has an interface of the port, which is asked for on none.
fn nowhere(case: &Case<'_>) -> Finding {
    let (id, strays) = (case.port.id, strays(case, None));
    Finding::bad(
        "plugged in",
        format!(
            "No hypervisor has an interface for this port (external_ids:iface-id={id}).{}",
            strays.as_deref().unwrap_or_default()
        ),
        match strays {
            Some(_) => format!("{}; or plug it in", correction(case.port)),
            None => format!(
                "plug it in: ovs-vsctl add-port br-int TAP -- set interface TAP external_ids:iface-id={id}"
            ),
        },
    )
}

/// How an interface of the port gets its `iface-id`.
fn correction(port: &Port) -> String {
    let (id, mac) = (port.id, port.mac_address);
    format!(
        "on each of these: ovs-vsctl --columns=name,external_ids list interface; for the one with attached-mac {mac}: \
         ovs-vsctl set interface NAME external_ids:iface-id={id}"
    )
}

/// Where an interface of the port is without effect, if that is the last that happened.
fn without_effect<'c>(case: &'c Case<'_>) -> Option<&'c str> {
    let newest = case.events.last()?;
    (newest.what == INTERFACE_ELSEWHERE).then_some(&*newest.outcome)
}

/// Interfaces whose id no port has, those on the hypervisor where the port is asked for first. `None`: there are none.
fn strays(case: &Case<'_>, asked: Option<&ChassisId>) -> Option<String> {
    let facts = &case.snapshot.facts;
    let strays = facts.plugged().iter();
    let mut strays: Vec<_> = strays
        .filter(|(id, _)| facts.binding(**id).is_none())
        .map(|(id, plugged)| (asked != Some(&plugged.chassis), id, &plugged.chassis))
        .collect();
    strays.sort_unstable();
    let strays = strays.into_iter();
    let names = named(strays.map(|(_, id, chassis)| format!("{id} on {chassis}")))?;
    Some(format!(
        " Interfaces have an iface-id that no port has: {names}."
    ))
}

fn asked_for(case: &Case<'_>) -> Option<Finding> {
    const CHECK: &str = "host";
    let (port, chassis) = (case.port, case.chassis.as_ref()?);
    if port.host_id.is_empty() {
        return None;
    }
    let host = &port.host_id;
    let mut named = case.snapshot.facts.chassis_named(host);
    Some(match named.any(|known| known.id == *chassis) {
        true => Finding::good(
            CHECK,
            format!("It is asked for on '{host}', which is that hypervisor."),
        ),
        false => Finding::bad(
            CHECK,
            format!(
                "The port is asked for on host '{host}', but its interface is on hypervisor {chassis}."
            ),
            format!(
                "openstack port set --host {chassis} {}, or unplug it there",
                port.id
            ),
        ),
    })
}

fn hypervisor(case: &Case<'_>) -> Option<Finding> {
    const CHECK: &str = "hypervisor";
    let (id, facts) = (case.chassis.as_ref()?, &case.snapshot.facts);
    let (database, switch) = (
        case.known.databases.is_taken(id),
        case.known.switches.is_taken(id),
    );
    let here = facts
        .chassis()
        .get(id)
        .is_some_and(|chassis| chassis.observed);
    let elsewhere = facts.owners().get(id).filter(|_| !here);
    let is_gone = facts.gone().contains(id);
    Some(match (database, switch) {
        (false, false) if is_gone => gone(id, elsewhere),
        (_, false) if !is_gone && let Some(owner) = elsewhere => Finding::unclear(
            CHECK,
            format!(
                "Controller {} owns hypervisor {id}: what follows is what is stored.",
                owner.controller
            ),
            format!(
                "ask there: on the machine of {}, the same command",
                owner.controller
            ),
        ),
        (true, true) => Finding::good(CHECK, format!("Database and switch of {id} are connected.")),
        (false, true) => Finding::bad(
            CHECK,
            format!("The database of {id} is not connected, so new interfaces are not seen."),
            format!(
                "on {id}: is ovsdb-server running? ovs-vsctl get-manager has to name this controller"
            ),
        ),
        (_, false) => Finding::bad(
            CHECK,
            format!("The switch of {id} is not connected, so nothing of its flows changes."),
            format!(
                "on {id}: does ovs-vswitchd run and answer? ovs-appctl -t ovs-vswitchd version; its log; ovs-vsctl get-controller br-int"
            ),
        ),
    })
}

/// A hypervisor that is gone, and of which nothing is connected here.
fn gone(id: &ChassisId, elsewhere: Option<&Ownership>) -> Finding {
    const CHECK: &str = "hypervisor";
    match elsewhere {
        None => Finding::bad(
            CHECK,
            format!("Hypervisor {id} is gone: neither its database nor its switch is connected."),
            format!("look whether {id} runs, and reaches this controller: ovs-vsctl get-manager"),
        ),
        // Its database may be connected there.
        Some(owner) => Finding::bad(
            CHECK,
            format!("Hypervisor {id} is gone: its switch is connected to no controller."),
            format!(
                "look whether {id} and its ovs-vswitchd run; on the machine of {}, its owner: the same command",
                owner.controller
            ),
        ),
    }
}

fn number(case: &Case<'_>) -> Option<Finding> {
    let binding = case.snapshot.facts.binding(case.port.id)?;
    let chassis = &binding.chassis;
    Some(match binding.ofport {
        Some(number) => Finding::good("OpenFlow port", format!("{number} of br-int.")),
        None => Finding::bad(
            "OpenFlow port",
            format!(
                "Open vSwitch on {chassis} gave the interface no OpenFlow port: it could not open the device."
            ),
            format!(
                "on {chassis}: ovs-vsctl --columns=name,error find interface external_ids:iface-id={}",
                case.port.id
            ),
        ),
    })
}

fn flows(case: &Case<'_>) -> Option<Finding> {
    const CHECK: &str = "flows";
    let (facts, chassis) = (&case.snapshot.facts, case.chassis.as_ref()?);
    if facts.active().contains(&case.port.id) {
        return Some(Finding::good(
            CHECK,
            "The switch has confirmed the port's flows (ACTIVE).",
        ));
    }
    let missed = facts.shortfall(chassis);
    Some(
        match missed.filter(|missed| missed.ports.contains(&case.port.id)) {
            Some(_) => Finding::bad(
                CHECK,
                format!("The switch of {chassis} refuses a flow that this port needs."),
                format!(
                    "sextant facts refused --chassis {chassis}: which feature Open vSwitch or its datapath lacks"
                ),
            ),
            None => Finding::bad(
                CHECK,
                format!("The switch of {chassis} has not confirmed the port's flows yet."),
                "wait a second; if it stays so: the log of ovs-vswitchd, and this controller's"
                    .to_owned(),
            ),
        },
    )
}
