//! Facts of hypervisors are stored only in the tenure in which they were observed.

use crate::etcd::{Member, settings};
use crate::world::{Folder, everything, keys, number, put};
use sextant_controller::cluster::Tenures;
use sextant_controller::memory::{self, FactTenure, FactToStore, Facts, TenureProof};
use sextant_controller::metrics::Metrics;
use sextant_controller::store::{Contact, Embedded, Etcd, PAUSE, Precondition, Store, Watch};
use sextant_model::{Change, ChassisId, ControllerName, Fact, Key, Object, Ownership, PortId};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

const CHASSIS: &str = "h1";

fn chassis() -> ChassisId {
    ChassisId::new(CHASSIS)
}

fn port(number: u128) -> PortId {
    PortId(Uuid::from_u128(number))
}

fn location(number: u128) -> Key {
    Fact::Location(port(number)).into()
}

fn of(generation: u64, change: Change, condition: Option<Precondition>) -> FactToStore {
    let tenure = FactTenure {
        chassis: chassis(),
        generation,
        proof: TenureProof::Lock,
    };
    FactToStore {
        change,
        tenure: Some(tenure),
        condition,
    }
}

fn located(generation: u64, number: u128) -> FactToStore {
    let location = Object::Location(port(number), chassis());
    of(generation, Change::Put(location), None)
}

fn claim(generation: u64, condition: Precondition) -> FactToStore {
    let controller = ControllerName::new("c1");
    let ownership = Ownership {
        controller,
        generation,
    };
    let claim = Object::Ownership(chassis(), ownership);
    of(generation, Change::Put(claim), Some(condition))
}

/// The keeper of facts of one controller.
struct Keeper {
    tenures: Tenures,
    metrics: Metrics,
    facts: Facts,
    refused: mpsc::UnboundedReceiver<Vec<Key>>,
    watch: Box<dyn Watch>,
}

impl Keeper {
    async fn of(store: &Arc<dyn Store>) -> Self {
        let (tenures, metrics) = (Tenures::shared(), Metrics::new().unwrap());
        let (facts, observed) = memory::facts();
        let (refuse, refused) = mpsc::unbounded_channel();
        let keeping = memory::keep(
            store.clone(),
            tenures.clone(),
            metrics.clone(),
            observed,
            refuse,
        );
        tokio::spawn(keeping);
        let mut watch = store.watch().await.unwrap();
        watch.next().await.unwrap();
        Self {
            tenures,
            metrics,
            facts,
            refused,
            watch,
        }
    }

    /// Waits until something is stored under a key.
    async fn stored(&mut self, key: &Key) {
        while !keys(&self.watch.next().await.unwrap()).contains(key) {}
    }
}

/// A controller that owned a hypervisor, lost it and owns it again stores nothing that it observed the first time.
async fn facts_of_an_older_tenure_are_dropped(store: Arc<dyn Store>) {
    let mut keeper = Keeper::of(&store).await;
    keeper.tenures.confirm(&chassis(), 5, Instant::now());
    let owner: Key = Fact::Ownership(chassis()).into();
    let first = vec![located(5, 1), claim(5, Precondition::Absent(owner.clone()))];
    keeper.facts.send(first).await.unwrap();
    keeper.stored(&location(1)).await;

    keeper.tenures.end(&chassis(), 5);
    keeper.tenures.confirm(&chassis(), 7, Instant::now());
    let second = vec![
        located(5, 2),
        claim(7, Precondition::Present(owner)),
        located(7, 3),
    ];
    keeper.facts.send(second).await.unwrap();
    keeper.stored(&location(3)).await;
    assert_eq!(keeper.refused.recv().await.unwrap(), [location(2)]);
    assert_eq!(keeper.metrics.facts_dropped.get(), 1);
    let stored = keys(&everything(store.as_ref()).await);
    assert!(!stored.contains(&location(2)));
}

/// A fact whose tenure the store does not know is not stored, though the lock is confirmed.
async fn facts_rest_on_the_claim_of_their_tenure(store: Arc<dyn Store>) {
    let mut keeper = Keeper::of(&store).await;
    keeper.tenures.confirm(&chassis(), 5, Instant::now());
    keeper.facts.send(vec![located(5, 1)]).await.unwrap();
    assert_eq!(keeper.refused.recv().await.unwrap(), [location(1)]);

    let owner: Key = Fact::Ownership(chassis()).into();
    let claimed = claim(5, Precondition::Absent(owner));
    keeper.facts.send(vec![claimed]).await.unwrap();
    keeper.stored(&Fact::Ownership(chassis()).into()).await;
    let others = Ownership {
        controller: ControllerName::new("c2"),
        generation: 6,
    };
    let others = Change::Put(Object::Ownership(chassis(), others));
    store.commit(vec![others], vec![]).await.unwrap();
    keeper.facts.send(vec![located(5, 2)]).await.unwrap();
    assert_eq!(keeper.refused.recv().await.unwrap(), [location(2)]);
    let stored = keys(&everything(store.as_ref()).await);
    assert!(!stored.contains(&location(1)) && !stored.contains(&location(2)));
}

#[tokio::test]
async fn in_a_file_facts_of_an_older_tenure_are_dropped() {
    let folder = Folder::new("facts");
    facts_of_an_older_tenure_are_dropped(Arc::new(Embedded::open(&folder.store()).unwrap())).await;
}

#[tokio::test]
async fn in_a_file_facts_rest_on_the_claim_of_their_tenure() {
    let folder = Folder::new("claimed-facts");
    facts_rest_on_the_claim_of_their_tenure(Arc::new(Embedded::open(&folder.store()).unwrap()))
        .await;
}

async fn etcd(member: &Member) -> Arc<dyn Store> {
    Arc::new(Etcd::open(&settings([member.url()])).await.unwrap())
}

#[tokio::test]
async fn in_etcd_facts_of_an_older_tenure_are_dropped() {
    let member = Member::alone();
    facts_of_an_older_tenure_are_dropped(etcd(&member).await).await;
}

#[tokio::test]
async fn in_etcd_facts_rest_on_the_claim_of_their_tenure() {
    let member = Member::alone();
    facts_rest_on_the_claim_of_their_tenure(etcd(&member).await).await;
}

/// Whether a store has followed others without a pause since this time.
fn follows_since(store: &dyn Store, time: Instant) -> bool {
    matches!(store.contact(), Contact::Kept { since, .. } if since > time)
}

#[tokio::test]
async fn after_a_pause_without_etcd_facts_wait_until_the_lock_is_confirmed() {
    let member = Member::alone();
    let store = etcd(&member).await;
    let mut keeper = Keeper::of(&store).await;
    keeper.tenures.confirm(&chassis(), 5, Instant::now());
    let owner: Key = Fact::Ownership(chassis()).into();
    let first = vec![located(5, 1), claim(5, Precondition::Absent(owner))];
    keeper.facts.send(first).await.unwrap();
    keeper.stored(&location(1)).await;

    let halted = Instant::now();
    member.halt();
    while store.age() <= PAUSE {
        tokio::task::yield_now().await;
    }
    let mut tenure = keeper.tenures.of(&chassis());
    keeper.facts.send(vec![located(5, 2)]).await.unwrap();
    while !tenure.now().unwrap().is_doubted {
        tenure.changed().await;
    }
    assert!(
        halted.elapsed() >= PAUSE / 2,
        "etcd was asked shortly before"
    );
    member.wake();
    while !follows_since(store.as_ref(), halted) {
        tokio::task::yield_now().await;
    }
    store.commit(vec![put(1)], vec![]).await.unwrap();
    keeper.stored(&number(1)).await;
    let stored = keys(&everything(store.as_ref()).await);
    assert!(!stored.contains(&location(2)), "the lock was not confirmed");

    keeper.tenures.confirm(&chassis(), 5, Instant::now());
    keeper.stored(&location(2)).await;
    assert_eq!(keeper.metrics.facts_dropped.get(), 0);
}
