use super::*;
use sextant_model::{TunnelState, TunnelWatch};

fn bound_to(host: &str) -> Change {
    let mut port = port();
    port.host_id = host.to_owned();
    Change::Put(Object::Port(Arc::new(port)))
}

fn named(chassis: &str, machine: &str) -> Event {
    Event::HostNamed(ChassisId::new(chassis), Some(machine.to_owned()))
}

impl TestedOwner {
    fn dead(&self) -> usize {
        self.owner.hosts.dead()
    }
}

#[test]
fn a_port_that_is_bound_to_a_host_is_nowhere_else() {
    let mut story = story();
    story.stored(bound_to("h1"));
    story.observed([read("h1", Some(5)), read("h2", Some(7))]);
    assert_eq!((story.place(), story.dead()), (Some(("h1", Some(5))), 1));
    story.observed([plugged("h2", 8), unplugged("h1")]);
    assert_eq!((story.place(), story.dead()), (None, 1));
    story.observed([plugged("h1", 6)]);
    assert_eq!(story.place(), Some(("h1", Some(6))));
    story.observed([unplugged("h2")]);
    assert_eq!(story.dead(), 0);
}

#[test]
fn it_moves_when_it_is_bound_elsewhere_and_not_when_the_interface_appears() {
    let mut story = story();
    story.stored(bound_to("h1"));
    story.observed([read("h1", Some(5)), read("h2", None), plugged("h2", 7)]);
    assert_eq!(story.place(), Some(("h1", Some(5))));
    story.stored(bound_to("h2"));
    assert_eq!((story.place(), story.dead()), (Some(("h2", Some(7))), 1));
    story.stored(bound_to(""));
    assert_eq!((story.place(), story.dead()), (Some(("h2", Some(7))), 0));
    story.observed([unplugged("h2")]);
    assert_eq!(story.place(), Some(("h1", Some(5))));
}

#[test]
fn an_interface_that_was_there_before_the_port_dies_when_it_turns_out_wrong() {
    let mut story = story();
    story.stored(Change::delete(ObjectKey::Port(PORT)));
    story.observed([read("h1", Some(5))]);
    story.stored(bound_to("h3"));
    assert_eq!((story.place(), story.dead()), (None, 1));
    story.observed([read("h1", Some(5))]);
    assert_eq!((story.place(), story.dead()), (None, 1));
    story.observed([Event::HypervisorLeft(ChassisId::new("h1"))]);
    assert_eq!(story.dead(), 0);
}

#[test]
fn a_host_may_be_named_as_its_machine_is() {
    let mut story = story();
    story.stored(bound_to("one.example"));
    story.observed([named("h1", "one.example"), read("h1", Some(5))]);
    assert_eq!((story.place(), story.dead()), (Some(("h1", Some(5))), 0));
    story.observed([named("h1", "another.example")]);
    assert_eq!((story.place(), story.dead()), (None, 1));
    story.observed([named("h1", "one.example")]);
    assert_eq!((story.place(), story.dead()), (Some(("h1", Some(5))), 0));
}

#[test]
fn after_a_restart_a_port_stays_where_it_was_until_its_hypervisor_is_read() {
    let mut story = story();
    story.stored(bound_to("one.example"));
    story.stored(Change::Put(Object::Chassis(Arc::new(Chassis {
        observed: false,
        ..chassis("h1")
    }))));
    story.stored(Change::Put(Object::Location(PORT, ChassisId::new("h1"))));
    let mut renamed = port();
    renamed.host_id = "one.example".to_owned();
    renamed.meta.name = "renamed".to_owned();
    story.stored(Change::Put(Object::Port(Arc::new(renamed))));
    story.echo();
    assert_eq!((story.place(), story.dead()), (Some(("h1", None)), 0));
    story.observed([named("h1", "one.example"), read("h1", Some(5))]);
    story.echo();
    assert_eq!((story.place(), story.dead()), (Some(("h1", Some(5))), 0));
}

#[test]
fn after_a_restart_a_port_that_was_bound_elsewhere_meanwhile_goes_there() {
    let mut story = story();
    story.stored(Change::Put(Object::Location(PORT, ChassisId::new("h1"))));
    story.stored(bound_to("h2"));
    story.observed([read("h2", Some(7))]);
    assert_eq!(story.place(), Some(("h2", Some(7))));
    story.observed([read("h1", Some(5))]);
    story.echo();
    assert_eq!((story.place(), story.dead()), (Some(("h2", Some(7))), 1));
}

#[test]
fn an_interface_that_comes_and_goes_fills_no_log() {
    let mut story = story();
    story.stored(bound_to("h1"));
    story.observed([read("h2", None)]);
    for ofport in 0..10 {
        story.observed([plugged("h2", ofport), unplugged("h2")]);
    }
    let mut may_say = |name| {
        let words = &mut story.owner.words;
        words.admit(&ChassisId::new(name), std::time::Instant::now())
    };
    assert_eq!((may_say("h2"), may_say("h3")), (None, Some(0)));
}

#[test]
fn an_endpoint_that_is_taken_over_and_over_fills_no_log() {
    let mut story = story();
    story.observed([read("h1", None)]);
    let mut moved = chassis("h2");
    moved.encap.endpoints = "2001:db8::2".parse().unwrap();
    for _ in 0..10 {
        story.observed([Event::HypervisorChanged(moved.clone()), read("h2", None)]);
    }
    let now = std::time::Instant::now();
    let words = &mut story.owner.words;
    assert_eq!(words.admit(&ChassisId::new("h2"), now), None);
}

#[test]
fn a_tunnel_that_falls_silent_over_and_over_fills_no_log() {
    let mut story = story();
    story.observed([read("h1", None), read("h2", None)]);
    let heard = |state| {
        let watch = TunnelWatch { state, flaps: 1 };
        let watches = [(ChassisId::new("h1"), watch)];
        Event::TunnelsHeard(ChassisId::new("h2"), watches.into())
    };
    for _ in 0..10 {
        story.observed([heard(TunnelState::Down), heard(TunnelState::Up)]);
    }
    let now = std::time::Instant::now();
    let words = &mut story.owner.words;
    assert_eq!(words.admit(&ChassisId::new("h2"), now), None);
    assert_eq!(words.admit(&ChassisId::new("h1"), now), Some(0));
}

#[test]
fn endpoints_that_two_have_are_counted() {
    let mut story = story();
    let shared = |story: &TestedOwner| {
        let gauge = &story.owner.metrics.doubtful_endpoints;
        gauge.with_label_values(&["shared"]).get()
    };
    story.observed([read("h1", None)]);
    assert_eq!(shared(&story), 0);
    story.observed([read("h2", None)]);
    assert_eq!(shared(&story), 2);
    let mut moved = chassis("h2");
    moved.encap.endpoints = "2001:db8::2".parse().unwrap();
    story.observed([Event::HypervisorChanged(moved)]);
    assert_eq!(shared(&story), 0);
    story.observed([read("h3", None)]);
    assert_eq!(shared(&story), 2);
    story.observed([Event::HypervisorLeft(ChassisId::new("h3"))]);
    assert_eq!(shared(&story), 0);
}
