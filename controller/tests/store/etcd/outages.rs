//! Members that are killed, halted or cut off, and what of it writers and watchers notice.

use super::member::{Member, cluster};
use super::settings;
use super::wire::{State, Wire};
use crate::world::{Known, everything, number, put};
use sextant_controller::store::{
    CommitError, Committed, Etcd, Precondition, Revision, Store, Watch,
};
use sextant_model::Change;
use std::collections::BTreeMap;

#[tokio::test]
async fn after_an_outage_the_same_watch_goes_on() {
    let mut member = Member::alone();
    let store = Etcd::open(&settings([member.url()])).await.unwrap();
    let mut watch = store.watch().await.unwrap();
    assert_eq!(watch.next().await.unwrap().changes, []);
    for n in 0..2 {
        member.kill();
        member.start();
        let other = Etcd::open(&settings([member.url()])).await.unwrap();
        let revision = other.commit(vec![put(n)], vec![]).await.unwrap();
        let seen = watch.next().await.unwrap();
        assert_eq!((seen.revision, seen.changes), (revision, vec![put(n)]));
    }
}

/// What was acknowledged, and what a watcher sees of it.
struct Witness {
    store: Etcd,
    watch: Box<dyn Watch>,
    next: u32,
    acknowledged: BTreeMap<Revision, Change>,
    seen: Vec<Committed>,
}

impl Witness {
    async fn of(members: &[Member]) -> Self {
        let [one, two, three] = members else {
            panic!("three members")
        };
        let urls = [one, two, three].map(Member::url);
        let store = Etcd::open(&settings(urls)).await.unwrap();
        let watch = store.watch().await.unwrap();
        Self {
            store,
            watch,
            next: 0,
            acknowledged: BTreeMap::new(),
            seen: Vec::new(),
        }
    }

    /// Makes a commit. Returns whether it was acknowledged.
    async fn commit(&mut self) -> Result<(), CommitError> {
        let change = put(self.next);
        self.next += 1;
        let revision = self.store.commit(vec![change.clone()], vec![]).await?;
        self.acknowledged.insert(revision, change);
        Ok(())
    }

    async fn commit_some(&mut self) {
        for _ in 0..5 {
            self.commit().await.unwrap();
        }
    }

    /// Waits until the watcher has the last one, and checks that it saw all of them once and in order.
    async fn catch_up(&mut self) {
        let last = *self.acknowledged.keys().next_back().unwrap();
        while self.seen.last().is_none_or(|seen| seen.revision < last) {
            self.seen.push(self.watch.next().await.unwrap());
        }
        assert!(
            self.seen
                .is_sorted_by(|one, next| one.revision < next.revision)
        );
        let commits = self.seen.iter().skip(1);
        let commits: BTreeMap<_, _> = commits.map(|seen| (seen.revision, &seen.changes)).collect();
        let first = self.seen[0].revision;
        for (revision, change) in self.acknowledged.iter().filter(|(at, _)| **at > first) {
            assert_eq!(*commits[revision], std::slice::from_ref(change));
        }
    }

    /// Compares all that the watcher has seen with what is stored.
    async fn compare(&self) {
        let (mut seen, mut stored) = (Known::default(), Known::default());
        self.seen.iter().for_each(|committed| seen.apply(committed));
        stored.apply(&everything(&self.store).await);
        assert_eq!(seen, stored);
        for change in self.acknowledged.values() {
            assert!(stored.0.contains_key(&change.key()), "{change:?} is lost");
        }
    }
}

/// The place of the leader among the members.
async fn leader(members: &[Member]) -> usize {
    for (n, member) in members.iter().enumerate() {
        let client = etcd_client::Client::connect([member.url()], None).await;
        let status = client.unwrap().status().await.unwrap();
        if status.leader() == status.header().unwrap().member_id() {
            return n;
        }
    }
    panic!("there is no leader")
}

#[tokio::test]
async fn whichever_member_is_killed_all_commits_are_made_and_seen() {
    let mut members = cluster(3, &[]);
    let mut witness = Witness::of(&members).await;
    for member in &mut members {
        witness.commit_some().await;
        member.kill();
        witness.commit_some().await;
        witness.catch_up().await;
        member.start();
    }
    witness.compare().await;
}

#[tokio::test]
async fn when_the_leader_is_killed_a_commit_waits_for_the_next() {
    let mut members = cluster(3, &[]);
    let mut witness = Witness::of(&members).await;
    for _ in 0..2 {
        witness.commit_some().await;
        let leader = leader(&members).await;
        members[leader].kill();
        witness.commit_some().await;
        witness.catch_up().await;
        members[leader].start();
    }
    witness.compare().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_commits_are_refused_and_with_it_the_watch_catches_up() {
    let mut members = cluster(3, &[]);
    let mut witness = Witness::of(&members).await;
    witness.commit_some().await;
    witness.catch_up().await;
    members[0].kill();
    members[1].kill();
    let refused = witness.commit().await.unwrap_err();
    assert!(refused.to_string().contains("etcd"), "{refused}");
    // After a while nobody waits any more.
    loop {
        let refused = witness.commit().await.unwrap_err();
        if refused.to_string().contains("has not answered for") {
            break;
        }
    }
    members[0].start();
    while witness.commit().await.is_err() {
        tokio::task::yield_now().await;
    }
    witness.commit_some().await;
    members[1].start();
    witness.commit_some().await;
    witness.catch_up().await;
    witness.compare().await;
}

#[tokio::test]
async fn a_halted_member_holds_nobody_up() {
    let members = cluster(3, &[]);
    let mut witness = Witness::of(&members).await;
    for member in &members {
        member.halt();
        witness.commit_some().await;
        witness.catch_up().await;
        member.wake();
        witness.commit_some().await;
        witness.catch_up().await;
    }
    witness.compare().await;
}

#[tokio::test]
async fn after_a_compaction_the_difference_is_published() {
    let member = Member::alone();
    let wire = Wire::to(member.port()).await;
    let store = Etcd::open(&settings([wire.url()])).await.unwrap();
    let mut watch = store.watch().await.unwrap();
    watch.next().await.unwrap();
    store
        .commit((0..3).map(put).collect(), vec![])
        .await
        .unwrap();
    watch.next().await.unwrap();

    wire.set(State::Cut);
    let other = Etcd::open(&settings([member.url()])).await.unwrap();
    let changes = vec![Change::Delete(number(0)), put(1), put(3)];
    other.commit(changes.clone(), vec![]).await.unwrap();
    let brief = vec![put(4)];
    other.commit(brief, vec![]).await.unwrap();
    let gone = vec![Change::Delete(number(4))];
    let last = other.commit(gone, vec![]).await.unwrap();
    let mut client = etcd_client::Client::connect([member.url()], None)
        .await
        .unwrap();
    let revision = i64::try_from(last.0).unwrap();
    client.compact(revision, None).await.unwrap();
    wire.set(State::Whole);

    let mut difference = watch.next().await.unwrap();
    assert_eq!(difference.revision, last);
    difference.changes.sort_by_key(Change::key);
    assert_eq!(difference.changes, changes);
    let next = store.commit(vec![put(5)], vec![]).await.unwrap();
    let seen = watch.next().await.unwrap();
    assert_eq!((seen.revision, seen.changes), (next, vec![put(5)]));
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_made_once() {
    let member = Member::alone();
    let wire = Wire::to(member.port()).await;
    let store = Etcd::open(&settings([wire.url()])).await.unwrap();
    let other = Etcd::open(&settings([member.url()])).await.unwrap();
    let mut watch = other.watch().await.unwrap();
    watch.next().await.unwrap();
    // This one takes a receipt, the others use it again.
    store.commit(vec![], vec![]).await.unwrap();
    watch.next().await.unwrap();
    for n in 0..3 {
        let sent = async {
            wire.set(State::WithoutAnswers);
            // One that was made would not be made again, and the other would be.
            let absent = match n {
                0 => vec![Precondition::Absent(number(n))],
                _ => vec![],
            };
            store.commit(vec![put(n)], absent).await.unwrap()
        };
        let arrives = async {
            let seen = watch.next().await.unwrap();
            wire.set(State::Whole);
            seen
        };
        let (revision, seen) = tokio::join!(sent, arrives);
        assert_eq!((seen.revision, seen.changes), (revision, vec![put(n)]));
    }
    let last = other.commit(vec![], vec![]).await.unwrap();
    assert_eq!(watch.next().await.unwrap().revision, last);
}

#[tokio::test]
async fn receipts_that_have_expired_are_replaced() {
    let member = Member::alone();
    let store = Etcd::open(&settings([member.url()])).await.unwrap();
    let mut watch = store.watch().await.unwrap();
    watch.next().await.unwrap();
    let client = etcd_client::Client::connect([member.url()], None)
        .await
        .unwrap();
    let mut leases = client.lease_client();
    for n in 0..3 {
        let revision = store.commit(vec![put(n)], vec![]).await.unwrap();
        let seen = watch.next().await.unwrap();
        assert_eq!((seen.revision, seen.changes), (revision, vec![put(n)]));
        for lease in leases.leases().await.unwrap().leases() {
            leases.revoke(lease.id()).await.unwrap();
        }
    }
}

/// The only receipt that a member has.
async fn the_receipt(member: &Member) -> etcd_client::KeyValue {
    let mut client = etcd_client::Client::connect([member.url()], None)
        .await
        .unwrap();
    let all = etcd_client::GetOptions::new().with_prefix();
    let receipts = client.get("/cloud/receipts/", Some(all)).await.unwrap();
    match receipts.kvs() {
        [receipt] => receipt.clone(),
        _ => panic!("{receipts:?}"),
    }
}

#[tokio::test]
async fn a_commit_that_was_given_up_cannot_arrive_after_the_next() {
    let member = Member::alone();
    let wire = Wire::to(member.port()).await;
    let store = Etcd::open(&settings([wire.url()])).await.unwrap();
    store.commit(vec![], vec![]).await.unwrap();
    for n in 0..2 {
        wire.set(State::Silent);
        let doubtful = store.commit(vec![put(n)], vec![]).await.unwrap_err();
        assert!(matches!(doubtful, CommitError::Uncertain(_)), "{doubtful}");
        wire.set(State::Whole);
        let next = loop {
            match store.commit(vec![put(9)], vec![]).await {
                Ok(revision) => break revision,
                Err(error) => assert!(!matches!(error, CommitError::Conflict(_))),
            }
        };
        // It requires that nothing has written its receipt, which was written before the next commit used it.
        let receipt = the_receipt(&member).await;
        assert_eq!(u64::try_from(receipt.mod_revision()).unwrap(), next.0);
        assert_eq!(receipt.version(), 1 + 2 * (i64::from(n) + 1));
    }
    assert_eq!(everything(&store).await.changes, [put(9)]);
}

/// The first attempt is lost on its way to one member, and another member refuses the second. Were the first one only late, it
/// could be made after the writer has heard that nothing was changed.
#[tokio::test]
async fn a_commit_that_is_refused_cannot_arrive_later() {
    let member = Member::alone();
    let wires = [Wire::to(member.port()).await, Wire::to(member.port()).await];
    let urls = wires.each_ref().map(Wire::url);
    let store = Etcd::open(&settings(urls)).await.unwrap();
    store.commit(vec![put(0)], vec![]).await.unwrap();
    let asked = wires.iter().filter(|wire| wire.connections() > 0);
    let [asked] = asked.collect::<Vec<_>>()[..] else {
        panic!("one member is asked")
    };
    asked.set(State::Silent);
    let absent = Precondition::Absent(number(0));
    let refused = store.commit(vec![put(0)], vec![absent]).await.unwrap_err();
    assert!(matches!(refused, CommitError::Conflict(_)), "{refused}");
    let receipt = the_receipt(&member).await;
    assert_eq!(receipt.version(), 2, "the first commit, and the refusal");
}
