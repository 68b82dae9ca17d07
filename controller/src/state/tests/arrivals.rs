use super::*;
use sextant_model::InactiveBinding;

/// The port is bound to one host, and prepared on these others.
fn prepared(host: &str, others: &[&str]) -> Change {
    let mut port = port();
    port.host_id = host.to_owned();
    let waits = |host: &&str| InactiveBinding {
        host: (*host).to_owned(),
        vnic_type: "normal".to_owned(),
        profile: String::new(),
    };
    port.inactive_bindings = others.iter().map(waits).collect();
    Change::Put(Object::Port(Arc::new(port)))
}

/// The older way: Nova names the destination in `binding:profile`.
fn named_in_profile(host: &str, destination: &str) -> Change {
    let mut port = port();
    port.host_id = host.to_owned();
    port.binding_profile = format!("{{\"migrating_to\":\"{destination}\"}}");
    Change::Put(Object::Port(Arc::new(port)))
}

fn appeared(name: &str) -> Event {
    Event::Appeared(PORT, ChassisId::new(name))
}

impl TestedOwner {
    /// Where the guest is expected.
    fn expected(&mut self) -> Vec<(String, u16)> {
        self.owner.expect_guests();
        let expected = self.owner.snapshot.facts.expected().iter();
        expected
            .map(|((chassis, _), ofport)| (chassis.to_string(), *ofport))
            .collect()
    }

    /// Both hypervisors have an interface of the port, which is on the first.
    fn with_both(change: Change) -> Self {
        let mut story = story();
        story.stored(change);
        story.observed([read("h1", Some(5)), read("h2", None), plugged("h2", 7)]);
        story.expected();
        story
    }
}

#[test]
fn a_guest_that_is_expected_moves_with_its_first_frame_and_not_with_its_interface() {
    for change in [prepared("h1", &["h2"]), named_in_profile("h1", "h2")] {
        let mut story = TestedOwner::with_both(change);
        assert_eq!(story.place(), Some(("h1", Some(5))));
        assert_eq!(story.expected(), [("h2".to_owned(), 7)]);
        story.observed([appeared("h2")]);
        assert_eq!(story.place(), Some(("h2", Some(7))));
        assert_eq!(story.expected(), [("h1".to_owned(), 5)], "it may come back");
        story.observed([appeared("h2")]);
        assert_eq!(story.place(), Some(("h2", Some(7))));
        story.observed([appeared("h1")]);
        assert_eq!(story.place(), Some(("h1", Some(5))));
    }
}

#[test]
fn it_moves_when_its_binding_there_is_activated() {
    let mut story = TestedOwner::with_both(prepared("h1", &["h2"]));
    story.stored(prepared("h2", &["h1"]));
    assert_eq!(story.place(), Some(("h2", Some(7))));
    // Nova removes the binding of the source, and later its interface.
    story.stored(prepared("h2", &[]));
    assert_eq!(
        (story.expected(), story.place()),
        (vec![], Some(("h2", Some(7))))
    );
    story.observed([unplugged("h1")]);
    assert_eq!(story.place(), Some(("h2", Some(7))));
}

#[test]
fn other_changes_of_the_port_move_nothing() {
    let mut story = TestedOwner::with_both(prepared("h1", &["h2"]));
    story.observed([appeared("h2")]);
    story.stored(prepared("h1", &["h2", "h3"]));
    assert_eq!(story.place(), Some(("h2", Some(7))));
    story.stored(prepared("h2", &["h1"]));
    assert_eq!(story.place(), Some(("h2", Some(7))));
}

#[test]
fn a_migration_that_fails_leaves_the_guest_where_it_was_or_takes_it_back() {
    let mut story = TestedOwner::with_both(prepared("h1", &["h2"]));
    story.stored(prepared("h1", &[]));
    assert_eq!(
        (story.expected(), story.place()),
        (vec![], Some(("h1", Some(5))))
    );
    story.observed([appeared("h2")]);
    assert_eq!(
        story.place(),
        Some(("h1", Some(5))),
        "nobody expects it there any more"
    );

    let mut story = TestedOwner::with_both(prepared("h1", &["h2"]));
    story.observed([appeared("h2")]);
    story.stored(prepared("h1", &[]));
    assert_eq!(story.place(), Some(("h1", Some(5))));

    let mut story = TestedOwner::with_both(prepared("h1", &["h2"]));
    story.observed([unplugged("h2")]);
    assert_eq!(
        (story.expected(), story.place()),
        (vec![], Some(("h1", Some(5))))
    );
}

#[test]
fn without_its_interface_at_the_source_it_is_at_the_destination() {
    let mut story = TestedOwner::with_both(prepared("h1", &["h2"]));
    story.observed([unplugged("h1")]);
    assert_eq!(
        (story.expected(), story.place()),
        (vec![], Some(("h2", Some(7))))
    );
}

#[test]
fn nobody_expects_a_guest_where_it_is_not_to_come() {
    let mut story = TestedOwner::with_both(prepared("h1", &["h3"]));
    assert_eq!(story.expected(), vec![]);
    story.observed([appeared("h2")]);
    assert_eq!(story.place(), Some(("h1", Some(5))));
}

#[test]
fn after_a_restart_the_guest_is_where_it_was() {
    for at in ["h1", "h2"] {
        let mut story = story();
        story.stored(prepared("h1", &["h2"]));
        story.stored(Change::Put(Object::Location(PORT, ChassisId::new(at))));
        for (name, ofport) in [("h2", 7), ("h1", 5)] {
            story.observed([read(name, Some(ofport))]);
        }
        assert_eq!(story.place().map(|(place, _)| place), Some(at));
        assert_eq!(story.expected().len(), 1, "and expected at the other one");
    }
}

#[test]
fn two_guests_that_run_at_once_do_not_move_their_port_without_end() {
    let mut story = TestedOwner::with_both(prepared("h1", &["h2"]));
    let mut moves = 0;
    for _ in 0..100 {
        for host in ["h2", "h1"] {
            let before = story.place().map(|(place, _)| place.to_owned());
            story.observed([appeared(host)]);
            story.expected();
            let after = story.place().map(|(place, _)| place.to_owned());
            moves += usize::from(before != after);
        }
    }
    assert_eq!(moves, 5);
}
