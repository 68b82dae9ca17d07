//! Hypervisors with one fault each.

use super::*;
use crate::control::FindingState;
use crate::hypervisor::outside::SeenInterface;
use crate::hypervisor::{NotReady, Observation};
use sextant_model::{ChassisId, Encap, EncapKind, PortId, Reassembly};
use std::collections::BTreeMap;

fn chassis() -> Chassis {
    Chassis {
        id: ChassisId::new("h1"),
        encap: Encap {
            endpoints: "2001:db8::1".parse().unwrap(),
            kind: EncapKind::Vxlan,
        },
        bridge_mappings: BTreeMap::from([("physnet1".to_owned(), "br-ex".to_owned())]),
        gateway_priority: 0,
        datapath_id: Some(7),
        machine: None,
        tunnel_ports: BTreeMap::new(),
        patch_ports: BTreeMap::new(),
        metadata_port: None,
        reassembly: Reassembly::default(),
        observed: true,
    }
}

fn manager(target: &str) -> SeenManager {
    SeenManager {
        target: target.to_owned(),
        listens: target.starts_with('p'),
        port: target.rsplit_once(':').map(|(_, port)| port.to_owned()),
        is_connected: true,
        error: None,
        probe: Some(30_000),
    }
}

/// A hypervisor as it should be.
fn view() -> OutsideView {
    OutsideView {
        observation: Ok(Observation {
            chassis: chassis(),
            interfaces: BTreeMap::new(),
        }),
        version: Some("3.1.0".to_owned()),
        datapath_id: Some("0000000000000007".to_owned()),
        datapath: SeenDatapath {
            asked: Some("system".to_owned()),
            used: Some("system".to_owned()),
            types: ["netdev", "system"].map(str::to_owned).into(),
            lacks: Some(vec![]),
        },
        managers: vec![manager("tcp:[2001:db8::c]:6640"), manager("ptcp:6640")],
        other_controllers: vec![],
        missing_bridges: vec![],
        interfaces: vec![guest(1)],
        leftovers: vec![],
    }
}

fn guest(number: u128) -> SeenInterface {
    SeenInterface {
        name: "tap1".to_owned(),
        bridge: "br-int".to_owned(),
        port: Some(PortId::from(uuid::Uuid::from_u128(number))),
        error: None,
    }
}

fn row(name: &str, endpoint: &str) -> HypervisorRow {
    HypervisorRow {
        chassis: ChassisId::new(name),
        connected: ConnectedParts::Both,
        owner: None,
        encap: "vxlan".to_owned(),
        endpoints: vec![endpoint.parse().unwrap()],
        ports: 0,
        active: 0,
        gateways: 0,
        physical_networks: vec![],
        silent_tunnels: vec![],
        refused_flows: 0,
    }
}

/// What Sextant knows of it.
fn known() -> Known {
    Known {
        hypervisors: vec![row("h1", "2001:db8::1"), row("h2", "2001:db8::2")],
        datapaths: [(ChassisId::new("h1"), "0000000000000007".to_owned())].into(),
        lacks: BTreeMap::new(),
        ports: guest(1).port.into_iter().collect(),
    }
}

/// What is wrong once this has changed.
fn wrong_with(change: impl FnOnce(&mut OutsideView, &mut Known)) -> Vec<String> {
    let (mut view, mut known) = (view(), known());
    change(&mut view, &mut known);
    let config = Config::default();
    let findings = findings(&view, Some(&config), Some(&known));
    let bad = findings
        .into_iter()
        .filter(|finding| finding.state == FindingState::Bad);
    bad.map(|finding| format!("{}: {}", finding.check, finding.says))
        .collect()
}

fn only(wrong: &[String], part: &str) {
    assert!(
        wrong.len() == 1 && wrong[0].contains(part),
        "{part}: {wrong:#?}"
    );
}

#[test]
fn a_hypervisor_as_it_should_be_has_nothing_wrong() {
    assert_eq!(wrong_with(|_, _| ()), Vec::<String>::new());
}

#[test]
fn what_it_is_has_to_be_its_own() {
    only(
        &wrong_with(|view, _| view.version = Some("2.16.4".to_owned())),
        "Version 2.16.4",
    );
    assert_eq!(version(None).state, FindingState::Unclear);
    let unready = wrong_with(|view, _| view.observation = Err(NotReady::NoSystemId));
    only(&unready, "system-id is not set");
    let moved = wrong_with(|view, _| view.datapath_id = Some("08".to_owned()));
    only(
        &moved,
        "its br-int is 0000000000000007, and the one here 08",
    );
    let endpoint = wrong_with(|_, known| known.hypervisors[0] = row("h1", "2001:db8::9"));
    only(
        &endpoint,
        "its endpoint is 2001:db8::9, and the one here 2001:db8::1",
    );
    let shared = wrong_with(|_, known| known.hypervisors[1] = row("h2", "2001:db8::1"));
    only(&shared, "h2 has the endpoint 2001:db8::1, too");
    let unknown = wrong_with(|_, known| {
        known.hypervisors.remove(0);
    });
    only(&unknown, "Sextant does not know h1");
    let gone = wrong_with(|_, known| known.hypervisors[0].connected = ConnectedParts::Gone);
    only(&gone, "Sextant knows it as h1, but: GONE");
}

#[test]
fn its_managers_are_the_controllers() {
    only(
        &wrong_with(|view, _| view.managers.clear()),
        "no manager to connect to",
    );
    let away = wrong_with(|view, _| {
        view.managers[0].is_connected = false;
        view.managers[0].error = Some("Connection refused".to_owned());
    });
    only(
        &away,
        "tcp:[2001:db8::c]:6640 is not connected: Connection refused",
    );
    only(
        &wrong_with(|view, _| view.managers[0].probe = Some(0)),
        "inactivity_probe is 0",
    );
    let other = wrong_with(|view, _| view.managers[0] = manager("tcp:[2001:db8::c]:6641"));
    only(&other, "None of them has port 6640");
    let encrypted = wrong_with(|view, _| view.managers[0] = manager("ssl:[2001:db8::c]:6640"));
    only(&encrypted, "does not speak as Sextant listens: by tcp:");
    let two = wrong_with(|view, _| view.managers.push(manager("tcp:[2001:db8::d]:6640")));
    only(
        &two,
        "There are 2, and Sextant's store is for one controller",
    );
}

#[test]
fn its_bridges_and_interfaces_are_for_the_cloud() {
    let missing = wrong_with(|view, _| view.missing_bridges = vec!["br-ex".to_owned()]);
    only(&missing, "names bridges that are not there: br-ex");
    let broken = wrong_with(|view, _| view.interfaces[0].error = Some("no device".to_owned()));
    only(&broken, "tap1 of br-int does not work: no device");
    let stranger = wrong_with(|view, _| view.interfaces.push(guest(2)));
    only(&stranger, "which does not exist");
    let elsewhere = wrong_with(|view, _| view.interfaces[0].bridge = "br-ex".to_owned());
    only(&elsewhere, "plugged into br-ex");
    let left = wrong_with(|view, _| view.leftovers = vec!["bridge br-tun".to_owned()]);
    only(&left, "Of another network service: bridge br-tun");
    let obeys =
        wrong_with(|view, _| view.other_controllers = vec!["tcp:127.0.0.1:6633".to_owned()]);
    only(&obeys, "br-int obeys others: tcp:127.0.0.1:6633");
}

#[test]
fn its_datapath_can_do_what_is_needed() {
    let lacks = wrong_with(|view, _| view.datapath.lacks = Some(vec!["ct_state_nat".to_owned()]));
    only(&lacks, "lacks ct_state_nat");
    let none = wrong_with(|view, _| view.datapath.types = ["netdev".to_owned()].into());
    only(&none, "no datapath of type system, but netdev");
    let other = wrong_with(|view, _| view.datapath.asked = Some("netdev".to_owned()));
    only(&other, "br-int has type system, and netdev is asked for");
    let refused = wrong_with(|view, known| {
        view.datapath.lacks = None;
        let lacks = ["nd_ext".to_owned()].into();
        known.lacks.insert(ChassisId::new("h1"), lacks);
    });
    only(&refused, "refuses flows that need nd_ext");
}
