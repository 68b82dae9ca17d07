use super::*;
use sextant_model::{Delegation, SubnetId};

const SUBNET: SubnetId = SubnetId(Uuid::from_u128(5));

fn delegation(valid_until: i64) -> Option<Arc<Delegation>> {
    Some(Arc::new(Delegation {
        network: NetworkId::MIN,
        prefix: "2001:db8:1::/64".parse().unwrap(),
        server: vec![0, 3],
        renew_at: 1,
        rebind_at: 2,
        preferred_until: 3,
        valid_until,
    }))
}

/// The facts about delegations that are to be stored.
fn told(story: &mut TestedOwner) -> Vec<Change> {
    super::told(&mut story.owner)
}

#[test]
fn a_delegation_is_a_fact_and_stored_when_it_changes_and_not_else() {
    let mut story = story();
    for (valid_until, stored) in [(10, true), (10, false), (20, true)] {
        let delegated = delegation(valid_until);
        story.observed([Event::Delegated(
            chassis("h1").id,
            SUBNET,
            delegated.clone(),
        )]);
        let known = story.owner.snapshot.facts.delegations().get(&SUBNET);
        assert_eq!(known, delegated.as_ref());
        let put = Change::Put(Object::Delegation(SUBNET, delegated.unwrap()));
        assert_eq!(told(&mut story), Vec::from_iter(stored.then_some(put)));
    }
    for stored in [true, false] {
        story.observed([Event::Delegated(chassis("h1").id, SUBNET, None)]);
        assert!(story.owner.snapshot.facts.delegations().is_empty());
        let deleted = Change::Delete(Key::Fact(Fact::Delegation(SUBNET)));
        assert_eq!(told(&mut story), Vec::from_iter(stored.then_some(deleted)));
    }
}

#[test]
fn what_comes_late_from_the_store_does_not_undo_what_was_learned_since() {
    let mut story = story();
    let first = delegation(10).unwrap();
    story.observed([
        Event::Delegated(chassis("h1").id, SUBNET, None),
        Event::Delegated(chassis("h1").id, SUBNET, delegation(20)),
    ]);
    story.stored(Change::Put(Object::Delegation(SUBNET, first)));
    story.stored(Change::delete(Fact::Delegation(SUBNET)));
    let known = story.owner.snapshot.facts.delegations().get(&SUBNET);
    assert_eq!(known, delegation(20).as_ref());
}

#[test]
fn what_nobody_asks_for_is_forgotten_unless_another_has_taken_its_place() {
    let mut story = story();
    for (forgotten, left) in [(10, delegation(20)), (20, None)] {
        story.observed([
            Event::Delegated(chassis("h1").id, SUBNET, delegation(20)),
            Event::Undelegated(SUBNET, delegation(forgotten).unwrap()),
        ]);
        let known = story.owner.snapshot.facts.delegations().get(&SUBNET);
        assert_eq!(known, left.as_ref());
    }
}
