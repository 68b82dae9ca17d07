//! Writers by three stores, while members are killed and halted at random. In the end the history of all writes is checked.
//!
//! Each writer takes a place that nobody has, and gives it back. `SEXTANT_TEST_SEED` repeats a run's disturbances, `SEXTANT_TEST_ROUNDS` makes it longer.

use super::member::{Member, cluster};
use super::settings;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sextant_controller::store::{
    CommitError, Committed, Etcd, Precondition, Revision, Store, Watch,
};
use sextant_model::{Change, ChassisId, Fact, Key, Object, PortId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

const STORES: usize = 3;
const WRITERS_EACH: usize = 3;
const PLACES: u128 = 4;

/// A client's pause before it repeats what was answered with 503.
const RETRY: Duration = Duration::from_millis(20);
/// How many writes are made before and after a disturbance.
const ENOUGH: u64 = 200;

/// A write, as its writer saw it.
#[derive(Debug)]
struct Operation {
    store: usize,
    change: Change,
    started: Instant,
    ended: Instant,
    outcome: WriteOutcome,
}

#[derive(Debug, PartialEq, Eq)]
enum WriteOutcome {
    Made(Revision),
    Refused,
    Uncertain,
}

/// What writers and the one who disturbs them know of each other.
#[derive(Default)]
struct Progress {
    stop: AtomicBool,
    next: AtomicU64,
    made: watch::Sender<u64>,
    failed: watch::Sender<u64>,
}

fn place(n: u128) -> PortId {
    PortId(uuid::Uuid::from_u128(n))
}

fn key(n: u128) -> Key {
    Key::Fact(Fact::Location(place(n)))
}

/// Writes, and notes what came of it.
async fn write(
    (number, store): (usize, &Etcd),
    change: Change,
    precondition: Precondition,
    history: &mut Vec<Operation>,
    progress: &Progress,
) -> Option<Revision> {
    let started = Instant::now();
    let answer = store.commit(vec![change.clone()], vec![precondition]).await;
    let ended = Instant::now();
    let outcome = match answer {
        Ok(revision) => WriteOutcome::Made(revision),
        Err(CommitError::Conflict(_)) => WriteOutcome::Refused,
        Err(CommitError::Unavailable(_)) => {
            progress.failed.send_modify(|count| *count += 1);
            tokio::time::sleep(RETRY).await;
            WriteOutcome::Refused
        }
        Err(CommitError::Uncertain(_)) => {
            progress.failed.send_modify(|count| *count += 1);
            WriteOutcome::Uncertain
        }
        Err(error @ CommitError::TooLarge(_)) => panic!("{error}"),
    };
    let made = match outcome {
        WriteOutcome::Made(revision) => Some(revision),
        WriteOutcome::Refused | WriteOutcome::Uncertain => None,
    };
    if made.is_some() {
        progress.made.send_modify(|count| *count += 1);
    }
    history.push(Operation {
        store: number,
        change,
        started,
        ended,
        outcome,
    });
    made
}

/// Takes places and gives them back until it is told to stop.
async fn writer(
    number: usize,
    store: Arc<Etcd>,
    progress: Arc<Progress>,
    seed: u64,
) -> Vec<Operation> {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut history = Vec::new();
    while !progress.stop.load(Ordering::Relaxed) {
        let n = dice.random_range(0..PLACES);
        let id = progress.next.fetch_add(1, Ordering::Relaxed);
        let take = Change::Put(Object::Location(
            place(n),
            ChassisId::new(&format!("w{id}")),
        ));
        let by = (number, &*store);
        let taken = write(
            by,
            take,
            Precondition::Absent(key(n)),
            &mut history,
            &progress,
        )
        .await;
        if let Some(at) = taken {
            let mine = Precondition::Unchanged(key(n), at);
            write(by, Change::Delete(key(n)), mine, &mut history, &progress).await;
        } else if dice.random_range(0..4) == 0 {
            // Whoever took it may have been left in doubt, and never gives it back.
            let change = Change::Delete(key(n));
            write(
                by,
                change,
                Precondition::Present(key(n)),
                &mut history,
                &progress,
            )
            .await;
        }
        tokio::task::yield_now().await;
    }
    history
}

/// Reads a watch as the owner of the state does: whoever does not read sees an old cloud, and its store takes no writes.
fn read_always(mut watch: Box<dyn Watch>) -> mpsc::UnboundedReceiver<Committed> {
    let (sender, read) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok(committed) = watch.next().await {
            let _ = sender.send(committed);
        }
    });
    read
}

/// Waits until a count has grown by so much.
async fn grown(counter: &watch::Sender<u64>, by: u64) {
    let mut counter = counter.subscribe();
    let goal = *counter.borrow() + by;
    counter.wait_for(|count| *count >= goal).await.unwrap();
}

/// Kills or halts one or two members, and lets them go on.
async fn disturb(members: &mut [Member], dice: &mut StdRng, progress: &Progress) {
    let first = dice.random_range(0..members.len());
    let second = (first + 1) % members.len();
    let without_majority = dice.random_range(0..3) == 0;
    let affected = if without_majority {
        vec![first, second]
    } else {
        vec![first]
    };
    let kills = dice.random_range(0..2) == 0;
    for n in &affected {
        match kills {
            true => members[*n].kill(),
            false => members[*n].halt(),
        }
    }
    match without_majority {
        true => grown(&progress.failed, 20).await,
        false => grown(&progress.made, ENOUGH).await,
    }
    for n in affected {
        match kills {
            true => members[n].restart(),
            false => members[n].wake(),
        }
    }
    grown(&progress.made, ENOUGH).await;
}

/// A number that the environment may have.
fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().unwrap())
}

/// Takes the commits of a watch up to the last one, each of which is later than the one before.
async fn read_up_to(
    last: Revision,
    watch: &mut mpsc::UnboundedReceiver<Committed>,
    log: &mut BTreeMap<Revision, Vec<Change>>,
) {
    loop {
        let committed = watch.recv().await.unwrap();
        let revision = committed.revision;
        let before = log.keys().next_back();
        assert!(before.is_none_or(|before| *before < revision));
        log.insert(revision, committed.changes);
        if revision == last {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_fails_the_history_of_writes_makes_sense() {
    let seed = number("SEXTANT_TEST_SEED", 15);
    let rounds = number("SEXTANT_TEST_ROUNDS", 6);
    println!("SEXTANT_TEST_SEED={seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let mut members = cluster(3, &[]);
    let urls = || [0, 1, 2].map(|n: usize| members[n].url());
    let mut stores = Vec::new();
    let mut watches = Vec::new();
    for _ in 0..STORES {
        let store = Arc::new(Etcd::open(&settings(urls())).await.unwrap());
        watches.push(read_always(store.watch().await.unwrap()));
        stores.push(store);
    }
    // Each has listed everything, which is nothing, before the first write: what it hears from then on is one commit a time.
    let mut logs = Vec::new();
    for watch in &mut watches {
        let first = watch.recv().await.unwrap();
        logs.push(BTreeMap::from([(first.revision, first.changes)]));
    }
    let progress = Arc::new(Progress::default());
    let writers: Vec<_> = (0..STORES * WRITERS_EACH)
        .map(|n| {
            let (store, progress) = (stores[n % STORES].clone(), progress.clone());
            tokio::spawn(writer(n % STORES, store, progress, dice.random()))
        })
        .collect();
    for _ in 0..rounds {
        disturb(&mut members, &mut dice, &progress).await;
    }
    progress.stop.store(true, Ordering::Relaxed);
    let mut history = Vec::new();
    for writer in writers {
        history.extend(writer.await.unwrap());
    }
    // The last one, which all watches reach.
    let last = loop {
        if let Ok(revision) = stores[0].commit(vec![], vec![]).await {
            break revision;
        }
        tokio::task::yield_now().await;
    };
    for (watch, log) in watches.iter_mut().zip(&mut logs) {
        read_up_to(last, watch, log).await;
    }
    check(&history, &logs);
    let count = |outcome: fn(&WriteOutcome) -> bool| {
        let such = history.iter().filter(|one| outcome(&one.outcome));
        such.count()
    };
    let made = count(|outcome| matches!(outcome, WriteOutcome::Made(_)));
    let doubtful = count(|outcome| *outcome == WriteOutcome::Uncertain);
    println!("{} writes, {made} made, {doubtful} in doubt", history.len());
}

/// Checks what writers saw against what each watcher saw.
fn check(history: &[Operation], logs: &[BTreeMap<Revision, Vec<Change>>]) {
    let log = &logs[0];
    for other in &logs[1..] {
        // They began at different revisions.
        let later = log.iter().skip(1).filter(|(at, _)| other.contains_key(at));
        assert!(later.clone().count() > 100);
        let skipped = other.keys().next().unwrap();
        let missing = log
            .keys()
            .filter(|at| *at > skipped && !other.contains_key(at))
            .count();
        assert_eq!(missing, 0, "a watcher missed commits");
        for (at, changes) in later {
            assert!(*at == *skipped || other[at] == *changes, "{at}");
        }
    }
    let changes: BTreeMap<Revision, &Change> = log
        .iter()
        .filter_map(|(at, changes)| Some((*at, changes.first()?)))
        .collect();
    the_log_makes_sense(&changes);
    writers_were_told_the_truth(history, &changes);
    later_is_later(history);
    doubts_end(history, &changes);
}

/// Nobody has what another has.
fn the_log_makes_sense(changes: &BTreeMap<Revision, &Change>) {
    let mut taken: BTreeMap<Key, Revision> = BTreeMap::new();
    for (at, change) in changes {
        match change {
            Change::Put(object) => {
                let before = taken.insert(object.key(), *at);
                assert_eq!(before, None, "{change:?} at {at} was taken");
            }
            Change::Delete(key) => {
                assert!(
                    taken.remove(key).is_some(),
                    "{change:?} at {at} was not taken"
                );
            }
        }
    }
}

/// What was acknowledged is there, once; what was refused is not.
fn writers_were_told_the_truth(history: &[Operation], changes: &BTreeMap<Revision, &Change>) {
    let mut puts: BTreeMap<String, Vec<Revision>> = BTreeMap::new();
    for (at, change) in changes {
        if let Change::Put(_) = change {
            puts.entry(format!("{change:?}")).or_default().push(*at);
        }
    }
    for operation in history {
        if let WriteOutcome::Made(at) = operation.outcome {
            assert_eq!(
                changes.get(&at),
                Some(&&operation.change),
                "{operation:?} is lost"
            );
        }
        // Each one that takes is unlike all others.
        if let Change::Put(_) = &operation.change {
            let at = puts.get(&format!("{:?}", operation.change));
            let at = at.map(Vec::as_slice).unwrap_or_default();
            let is_true = match operation.outcome {
                WriteOutcome::Made(revision) => at == [revision],
                WriteOutcome::Refused => at.is_empty(),
                WriteOutcome::Uncertain => at.len() <= 1,
            };
            assert!(is_true, "{operation:?}: {at:?}");
        }
    }
}

/// What began after another had ended has a later revision.
fn later_is_later(history: &[Operation]) {
    let mut made: Vec<(Instant, Instant, Revision)> = history
        .iter()
        .filter_map(|operation| match operation.outcome {
            WriteOutcome::Made(at) => Some((operation.started, operation.ended, at)),
            WriteOutcome::Refused | WriteOutcome::Uncertain => None,
        })
        .collect();
    let mut by_end = made.clone();
    made.sort();
    by_end.sort_by_key(|(_, ended, _)| *ended);
    let mut ended = by_end.iter().peekable();
    let mut highest = Revision(0);
    for (started, _, at) in made {
        while let Some((_, _, before)) = ended.next_if(|(_, end, _)| *end < started) {
            highest = highest.max(*before);
        }
        assert!(at > highest, "{at} came after {highest}");
    }
}

/// A write that was given up is not made after a later one of the same store.
fn doubts_end(history: &[Operation], changes: &BTreeMap<Revision, &Change>) {
    let uncertain = history
        .iter()
        .filter(|one| one.outcome == WriteOutcome::Uncertain);
    for doubtful in uncertain.filter(|one| matches!(one.change, Change::Put(_))) {
        let at = changes
            .iter()
            .find(|(_, change)| ***change == doubtful.change);
        let Some((at, _)) = at else { continue };
        let later = history
            .iter()
            .filter(|one| one.store == doubtful.store && one.started > doubtful.ended);
        for one in later {
            if let WriteOutcome::Made(made) = one.outcome {
                assert!(made > *at, "{doubtful:?} was made at {at}, after {one:?}");
            }
        }
    }
}
