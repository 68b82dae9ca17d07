//! A switch is brought from whatever it has to what it should have, and no further.

use crate::support::Cloud;
use crate::support::show::flows_of;
use rust_openflow::{Command, Cookie, TableId};
use sextant_flows::{Flows, InstalledFlow, reconcile};
use sextant_model::Ipv6Mode;
use std::collections::BTreeSet;

fn cloud() -> Cloud {
    let mut cloud = Cloud::with_hypervisors(2);
    cloud.network("red");
    cloud.subnet("red6", "red", "2001:db8:a::/64", Some(Ipv6Mode::Slaac));
    cloud.guest("a1", "red", "h1");
    cloud.guest("a2", "red", "h1");
    cloud
}

fn installed(flows: &Flows) -> BTreeSet<InstalledFlow> {
    let of = |(cookie, flow): (sextant_flows::Cookie, sextant_flows::Flow)| InstalledFlow {
        table: flow.stage.table(),
        cookie,
    };
    flows.iter().map(of).collect()
}

#[test]
fn nothing_changed_touches_nothing() {
    let flows = flows_of(&cloud(), "h1");
    assert!(reconcile(&flows, &installed(&flows), &flows.meters()).is_empty());
}

#[test]
fn an_empty_switch_gets_everything() {
    let flows = flows_of(&cloud(), "h1");
    let difference = reconcile(&flows, &BTreeSet::new(), &BTreeSet::new());
    assert_eq!(
        (difference.additions(), difference.deletions()),
        (flows.len(), 0)
    );
    assert_eq!(*difference.added_meters(), flows.meters());
    let (guests, tunnels) = (2, 3);
    assert_eq!(
        flows.meters().len(),
        2 * guests + tunnels,
        "each guest passes its own two"
    );
}

#[test]
fn a_port_deleted_meanwhile_takes_just_its_flows() {
    let mut cloud = cloud();
    let before = flows_of(&cloud, "h1");
    cloud.delete_port("a2");
    let after = flows_of(&cloud, "h1");
    let difference = reconcile(&after, &installed(&before), &before.meters());
    let gone: BTreeSet<_> = installed(&before)
        .difference(&installed(&after))
        .copied()
        .collect();
    assert_eq!(difference.deletions(), gone.len());
    assert_eq!(difference.additions(), 2, "multicast leaves a2 out");
    let meters = &before.meters() - &after.meters();
    assert_eq!((difference.deleted_meters(), meters.len()), (&meters, 2));
}

#[test]
fn a_flow_of_somebody_else_goes_first() {
    let flows = flows_of(&cloud(), "h1");
    let mut present = installed(&flows);
    let stranger = InstalledFlow {
        table: TableId(7),
        cookie: Cookie(0),
    };
    present.insert(stranger);
    let missing = present.pop_last().unwrap();
    let difference = reconcile(&flows, &present, &flows.meters());
    let mods = difference
        .flow_mods()
        .map(|change| change.decode().unwrap());
    let mods: Vec<_> = mods.collect();
    assert_eq!(mods.len(), 2);
    assert_eq!(
        (mods[0].command, mods[0].table, mods[0].cookie),
        (Command::Delete, TableId(7), Cookie(0))
    );
    assert_eq!(mods[0].cookie_mask, u64::MAX);
    assert_eq!(
        (mods[1].command, mods[1].cookie),
        (Command::Add, missing.cookie)
    );
}
