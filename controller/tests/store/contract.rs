//! What every store promises: all or nothing, in order, durable, and seen by everyone who watches.

use crate::world::{Known, Place, everything, keys, mark, number, put};
use sextant_controller::store::{CommitError, Precondition, Revision};
use sextant_model::{
    Change, ChassisId, Delegation, MacAddr, NetworkId, Object, Outside, PortId, SubnetId,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The suite for one kind of place: a test for each promise.
macro_rules! contract {
    ($place:expr => $($promise:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                $crate::contract::$promise(&$place(stringify!($promise))).await;
            }
        )*
    };
    ($place:expr) => {
        $crate::contract::contract! { $place =>
            a_commit_happens_whole_or_not_at_all,
            of_many_who_claim_the_same_one_gets_it,
            what_was_answered_is_there_after_reopening,
            a_watcher_sees_each_commit_whole_and_in_order_however_late_it_reads,
            all_watchers_see_the_same,
            a_mark_that_is_written_again_has_changed,
            the_last_change_of_a_key_counts,
            a_commit_that_changes_nothing_is_reached_by_watchers,
            what_was_put_is_what_is_read,
            a_closed_store_ends_its_watches,
        }
    };
}
pub(crate) use contract;

pub(crate) async fn a_commit_happens_whole_or_not_at_all(place: &impl Place) {
    let store = place.open().await;
    let absent = vec![Precondition::Absent(number(1))];
    let first = store.commit(vec![put(1), put(2)], absent).await.unwrap();

    let conditions = vec![
        Precondition::Present(number(1)),
        Precondition::Absent(number(2)),
    ];
    let Err(CommitError::Conflict(failed)) = store.commit(vec![put(3)], conditions).await else {
        panic!("it should not hold")
    };
    assert_eq!(failed, Precondition::Absent(number(2)));

    let unchanged = vec![Precondition::Unchanged(number(2), first)];
    let gone = vec![Change::Delete(number(2))];
    let second = store.commit(gone, unchanged).await.unwrap();
    assert!(second > first);
    let refused = [
        (
            Precondition::Unchanged(number(2), second),
            "what is gone is not unchanged",
        ),
        (Precondition::Present(number(2)), "nor present"),
        (
            Precondition::Unchanged(number(1), Revision(first.0 - 1)),
            "it changed later",
        ),
        (Precondition::Absent(number(1)), "it is there"),
    ];
    for (condition, why) in refused {
        let answer = store.commit(vec![put(1)], vec![condition]).await;
        assert!(matches!(answer, Err(CommitError::Conflict(_))), "{why}");
    }
    assert_eq!(
        keys(&everything(&*store).await),
        BTreeSet::from([number(1)])
    );
}

pub(crate) async fn of_many_who_claim_the_same_one_gets_it(place: &impl Place) {
    let store = place.open().await;
    let claimants: Vec<_> = (0..64)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let absent = vec![Precondition::Absent(number(7))];
                store.commit(vec![put(7)], absent).await
            })
        })
        .collect();
    let mut winners = 0;
    for claimant in claimants {
        match claimant.await.unwrap() {
            Ok(_) => winners += 1,
            Err(CommitError::Conflict(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(winners, 1);
}

pub(crate) async fn what_was_answered_is_there_after_reopening(place: &impl Place) {
    let store = place.open().await;
    store.commit(vec![put(1), put(2)], vec![]).await.unwrap();
    let gone = vec![Change::Delete(number(1))];
    let revision = store.commit(gone, vec![]).await.unwrap();
    let before = everything(&*store).await;
    assert!(before.revision >= revision);
    drop(store);

    let store = place.open().await;
    let after = everything(&*store).await;
    assert_eq!(after.changes, before.changes);
    assert!(after.revision >= before.revision);
    let unchanged = vec![Precondition::Unchanged(number(2), revision)];
    let next = store.commit(vec![put(3)], unchanged).await.unwrap();
    assert!(next > after.revision);
}

pub(crate) async fn a_watcher_sees_each_commit_whole_and_in_order_however_late_it_reads(
    place: &impl Place,
) {
    let store = place.open().await;
    store.commit(vec![put(0)], vec![]).await.unwrap();
    let mut watch = store.watch().await.unwrap();
    let first = watch.next().await.unwrap();
    assert_eq!(first.changes, [put(0)]);

    let writers: Vec<_> = (0..50)
        .map(|n| {
            let store = store.clone();
            let pair = vec![put(2 * n + 1), put(2 * n + 2)];
            tokio::spawn(async move { store.commit(pair, vec![]).await.unwrap() })
        })
        .collect();
    let mut answered = BTreeSet::new();
    for writer in writers {
        answered.insert(writer.await.unwrap());
    }
    assert_eq!(answered.len(), 50, "each commit has a revision of its own");

    let mut seen = BTreeSet::new();
    for revision in answered {
        let next = watch.next().await.unwrap();
        assert_eq!((next.revision, next.changes.len()), (revision, 2));
        seen.extend(keys(&next));
    }
    assert_eq!(seen.len(), 100);
}

pub(crate) async fn all_watchers_see_the_same(place: &impl Place) {
    let store = place.open().await;
    let mut early = store.watch().await.unwrap();
    let (mut by_early, mut by_late) = (Known::default(), Known::default());
    by_early.apply(&early.next().await.unwrap());
    let mut last = Revision(0);
    for n in 0..20 {
        let changes = vec![put(n), Change::Delete(number(n / 2))];
        last = store.commit(changes, vec![]).await.unwrap();
    }
    by_late.apply(&everything(&*store).await);
    loop {
        let next = early.next().await.unwrap();
        by_early.apply(&next);
        if next.revision == last {
            break;
        }
    }
    assert_eq!(by_early, by_late);
    assert_eq!(by_late.0.len(), 10);
}

pub(crate) async fn a_mark_that_is_written_again_has_changed(place: &impl Place) {
    let store = place.open().await;
    let touch = || vec![Change::Put(Object::Claim(mark()))];
    let first = store.commit(touch(), vec![]).await.unwrap();
    let unchanged = || vec![Precondition::Unchanged(mark(), first)];
    store.commit(vec![put(1)], unchanged()).await.unwrap();
    store.commit(touch(), vec![]).await.unwrap();
    let answer = store.commit(vec![put(2)], unchanged()).await;
    assert!(matches!(answer, Err(CommitError::Conflict(_))));
}

pub(crate) async fn the_last_change_of_a_key_counts(place: &impl Place) {
    let store = place.open().await;
    let mut watch = store.watch().await.unwrap();
    let mut known = Known::default();
    known.apply(&watch.next().await.unwrap());
    let changes = vec![
        put(1),
        put(2),
        Change::Delete(number(1)),
        put(3),
        Change::Delete(number(3)),
        put(3),
    ];
    store.commit(changes, vec![]).await.unwrap();
    known.apply(&watch.next().await.unwrap());
    assert!(known.0.keys().eq([&number(2), &number(3)]));
    let mut listed = Known::default();
    listed.apply(&everything(&*store).await);
    assert_eq!(listed, known);
}

pub(crate) async fn a_commit_that_changes_nothing_is_reached_by_watchers(place: &impl Place) {
    let store = place.open().await;
    let mut watch = store.watch().await.unwrap();
    let mut known = Known::default();
    known.apply(&watch.next().await.unwrap());
    for changes in [vec![], vec![Change::Delete(number(1))]] {
        let revision = store.commit(changes, vec![]).await.unwrap();
        let seen = watch.next().await.unwrap();
        known.apply(&seen);
        assert_eq!(seen.revision, revision);
    }
    assert_eq!(known, Known::default());
}

pub(crate) async fn what_was_put_is_what_is_read(place: &impl Place) {
    let chassis = ChassisId::new("h 1/\"\u{e9}\"\\");
    let outside = Outside {
        default_router: Some("fe80::1".parse().unwrap()),
        neighbors: [("192.0.2.1".parse().unwrap(), MacAddr([2, 0, 0, 0, 0, 1]))].into(),
    };
    let delegation = Delegation {
        network: NetworkId::MIN,
        prefix: "2001:db8:1::/56".parse().unwrap(),
        server: vec![0, 3, 0, 255],
        renew_at: 1,
        rebind_at: 2,
        preferred_until: 3,
        valid_until: i64::MAX,
    };
    let mut objects = vec![
        Object::Outside(chassis.clone(), NetworkId::MIN, Arc::new(outside)),
        Object::Delegation(SubnetId::MIN, Arc::new(delegation)),
        Object::Location(PortId::MIN, chassis),
        Object::Claim(number(1)),
    ];
    let store = place.open().await;
    let mut watch = store.watch().await.unwrap();
    watch.next().await.unwrap();
    let changes: Vec<Change> = objects.iter().cloned().map(Change::Put).collect();
    store.commit(changes.clone(), vec![]).await.unwrap();
    assert_eq!(watch.next().await.unwrap().changes, changes);
    objects.sort_by_key(Object::key);
    let mut listed = everything(&*store).await.changes;
    listed.sort_by_key(Change::key);
    let sorted: Vec<Change> = objects.into_iter().map(Change::Put).collect();
    assert_eq!(listed, sorted);
}

pub(crate) async fn a_closed_store_ends_its_watches(place: &impl Place) {
    let store = place.open().await;
    let mut watch = store.watch().await.unwrap();
    watch.next().await.unwrap();
    drop(store);
    assert!(watch.next().await.is_err());
}
