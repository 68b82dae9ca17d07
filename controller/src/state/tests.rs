mod arrivals;
mod delegations;
mod dhcp_options;
mod gateways;
mod hosts;
mod several;

use super::*;
use crate::snapshot::Snapshots;
use sextant_model::{Encap, EncapKind, Fact, Intent, MacAddr, NetworkId, Port};
use std::collections::BTreeSet;
use uuid::Uuid;

struct TestedOwner {
    owner: Owner,
}

const PORT: PortId = PortId(Uuid::from_u128(1));

fn story() -> TestedOwner {
    let (publisher, _) = Snapshots::new(Snapshot::default());
    let owner = Owner::new(
        Settings::default(),
        publisher,
        memory::facts().0,
        Metrics::new().unwrap(),
    );
    let mut story = TestedOwner { owner };
    story.stored(Change::Put(Object::Port(Arc::new(port()))));
    story
}

fn port() -> Port {
    Port::new(
        PORT,
        NetworkId(Uuid::from_u128(7)),
        MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]),
    )
}

fn chassis(name: &str) -> Chassis {
    Chassis {
        observed: true,
        ..Chassis::new(
            ChassisId::new(name),
            Encap {
                endpoints: "2001:db8::1".parse().unwrap(),
                kind: EncapKind::Vxlan,
            },
        )
    }
}

fn plugged(name: &str, ofport: u16) -> Event {
    Event::Plugged(
        PORT,
        Plugged {
            chassis: ChassisId::new(name),
            ofport: Some(ofport),
        },
    )
}

fn unplugged(name: &str) -> Event {
    Event::Unplugged(PORT, ChassisId::new(name))
}

fn read(name: &str, ofport: Option<u16>) -> Event {
    Event::HypervisorRead {
        chassis: chassis(name),
        interfaces: ofport
            .map(|ofport| (PORT, Some(ofport)))
            .into_iter()
            .collect(),
    }
}

/// What the owner has sent to be stored.
fn told(owner: &mut Owner) -> Vec<Change> {
    let told = std::mem::take(&mut owner.to_remember);
    told.into_iter().map(|told| told.change).collect()
}

impl TestedOwner {
    fn stored(&mut self, change: Change) {
        let revision = crate::store::Revision(self.owner.snapshot.revision.0 + 1);
        self.owner.committed(&Committed {
            revision,
            changes: vec![change],
        });
    }

    fn observed(&mut self, events: impl IntoIterator<Item = Event>) {
        events
            .into_iter()
            .for_each(|event| self.owner.observe(event));
    }

    /// What the keeper of facts would have stored by this time comes back from the store.
    fn echo(&mut self) {
        while !self.owner.to_remember.is_empty() {
            let changes = told(&mut self.owner);
            changes.into_iter().for_each(|change| self.stored(change));
        }
    }

    fn place(&self) -> Option<(&str, Option<u16>)> {
        let binding = self.owner.snapshot.facts.binding(PORT)?;
        Some((binding.chassis.as_str(), binding.ofport))
    }

    fn hypervisors(&self) -> BTreeSet<&str> {
        let chassis = self.owner.snapshot.facts.chassis();
        chassis.keys().map(ChassisId::as_str).collect()
    }
}

#[test]
fn a_hypervisor_that_has_left_does_not_come_back_by_what_the_store_repeats() {
    let mut story = story();
    story.observed([read("h1", Some(5))]);
    let joined = told(&mut story.owner);
    story.observed([Event::HypervisorLeft(ChassisId::new("h1"))]);
    joined.into_iter().for_each(|change| story.stored(change));
    assert_eq!(story.hypervisors(), BTreeSet::new());
    assert_eq!(story.place(), None);
    story.echo();
    story.observed([read("h1", Some(6))]);
    assert_eq!(story.place(), Some(("h1", Some(6))));
    story.echo();
    assert_eq!(story.hypervisors(), BTreeSet::from(["h1"]));
}

#[test]
fn a_migration_that_is_given_up_leaves_the_port_where_it_was() {
    let mut story = story();
    story.observed([read("h1", Some(3)), read("h2", None), plugged("h2", 5)]);
    assert_eq!(story.place(), Some(("h2", Some(5))));
    story.observed([unplugged("h2")]);
    assert_eq!(story.place(), Some(("h1", Some(3))));
    story.observed([unplugged("h1")]);
    assert_eq!(story.place(), None);
    story.echo();
    assert_eq!(story.place(), None);
}

#[test]
fn the_interface_that_a_port_moved_away_from_does_not_win_it_back() {
    let mut story = story();
    story.observed([read("h1", Some(3)), read("h2", None), plugged("h2", 5)]);
    story.observed([plugged("h1", 4), read("h1", Some(6))]);
    assert_eq!(story.place(), Some(("h2", Some(5))));
    story.observed([unplugged("h2")]);
    assert_eq!(story.place(), Some(("h1", Some(6))));
}

#[test]
fn an_interface_that_went_meanwhile_is_not_gone_back_to() {
    for gone in [
        unplugged("h1"),
        read("h1", None),
        Event::HypervisorLeft(ChassisId::new("h1")),
    ] {
        let mut story = story();
        story.observed([read("h1", Some(3)), read("h2", None), plugged("h2", 5)]);
        story.observed([gone, unplugged("h2")]);
        assert_eq!(story.place(), None);
    }
}

#[test]
fn what_a_hypervisor_was_does_not_come_back_from_the_store_after_it_left() {
    let mut story = story();
    story.observed([
        read("h1", Some(3)),
        Event::HypervisorLeft(ChassisId::new("h1")),
    ]);
    story.echo();
    assert_eq!(
        (story.hypervisors(), story.place()),
        (BTreeSet::new(), None)
    );
}

#[test]
fn facts_of_before_a_restart_hold_until_the_hypervisor_is_read() {
    let mut story = story();
    story.stored(Change::Put(Object::Chassis(Arc::new(Chassis {
        observed: false,
        ..chassis("h1")
    }))));
    story.stored(Change::Put(Object::Location(PORT, ChassisId::new("h1"))));
    assert_eq!(story.place(), Some(("h1", None)));
    story.observed([read("h1", Some(3))]);
    story.echo();
    assert_eq!(story.place(), Some(("h1", Some(3))));
    story.stored(Change::delete(Fact::Location(PORT)));
    assert_eq!(story.place(), Some(("h1", Some(3))));
}

#[test]
fn a_confirmation_of_flows_for_another_interface_does_not_count() {
    let mut story = story();
    let confirmed = |ofport| {
        let binding = Binding {
            network: port().network_id,
            chassis: ChassisId::new("h1"),
            ofport: Some(ofport),
        };
        Event::Confirmed(vec![(PORT, binding)])
    };
    story.observed([read("h1", Some(3)), plugged("h1", 4), confirmed(3)]);
    assert!(story.owner.snapshot.facts.active().is_empty());
    story.observed([confirmed(4)]);
    assert!(story.owner.snapshot.facts.active().contains(&PORT));
    assert_ne!(story.owner.snapshot.intent, Intent::default());
}
