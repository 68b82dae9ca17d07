//! The embedded store: the suite, and what a file has of its own. One process at a time, and nothing acknowledged is lost.

use crate::contract::contract;
use crate::world::{Folder, Place, everything, keys, number, put};
use sextant_controller::memory;
use sextant_controller::metrics::Metrics;
use sextant_controller::snapshot::{Snapshot, Snapshots};
use sextant_controller::state::Owner;
use sextant_controller::store::{Embedded, OpenError, Revision, Store};
use sextant_model::{
    Change, ChassisId, Delegation, MacAddr, NetworkId, Object, Outside, Settings, SubnetId,
};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

impl Place for Folder {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(Embedded::open(&self.store()).unwrap())
    }
}

contract!(Folder::new);

#[tokio::test]
async fn each_commit_counts_one() {
    let folder = Folder::new("counts");
    let store = Embedded::open(&folder.store()).unwrap();
    for n in 1..5 {
        assert_eq!(
            store.commit(vec![put(1)], vec![]).await.unwrap(),
            Revision(n)
        );
    }
    drop(store);
    let store = Embedded::open(&folder.store()).unwrap();
    assert_eq!(store.commit(vec![], vec![]).await.unwrap(), Revision(5));
}

#[tokio::test]
async fn a_file_serves_one_store_at_a_time() {
    let folder = Folder::new("single");
    let store = Embedded::open(&folder.store()).unwrap();
    let error = Embedded::open(&folder.store()).unwrap_err();
    assert!(matches!(error, OpenError::InUse(_)), "{error}");
    drop(store);
    assert!(Embedded::open(&folder.store()).is_ok());
}

#[test]
fn what_is_no_store_is_refused_with_a_reason() {
    let folder = Folder::new("garbage");
    std::fs::write(folder.store(), vec![0x5a; 64 << 10]).unwrap();
    let error = Embedded::open(&folder.store()).unwrap_err();
    assert!(matches!(error, OpenError::Damaged(..)), "{error}");
    let error = Embedded::open(&folder.0.join("no/such/folder")).unwrap_err();
    assert!(matches!(error, OpenError::Io(..)), "{error}");
}

/// Where the child of [`nothing_acknowledged_is_lost_by_kill_9`] writes, and from which number on.
const CHILD: [&str; 2] = ["SEXTANT_TEST_STORE", "SEXTANT_TEST_FIRST"];

/// Writes pairs for ever and says which are acknowledged; does nothing unless started by the test below.
#[tokio::test]
async fn writes_until_killed() {
    let [Some(path), Some(first)] = CHILD.map(std::env::var_os) else {
        return;
    };
    let first: u32 = first.to_str().unwrap().parse().unwrap();
    let store = Arc::new(Embedded::open(Path::new(&path)).unwrap());
    let writers = (0..8).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 0.. {
                let pair = first + 2 * (8 * n + writer);
                let changes = vec![put(pair), put(pair + 1)];
                store.commit(changes, vec![]).await.unwrap();
                println!("acknowledged {pair}");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn what_was_learned_outside_outlives_the_process() {
    let folder = Folder::new("outside");
    let outside = Outside {
        default_router: Some("fe80::1".parse().unwrap()),
        neighbors: ["fe80::1", "192.0.2.1"]
            .map(|address| (address.parse().unwrap(), MacAddr([2, 0, 0, 0, 0, 1])))
            .into(),
    };
    let (chassis, network) = (ChassisId::new("h1"), NetworkId::MIN);
    let change = Change::Put(Object::Outside(chassis, network, Arc::new(outside)));
    let store = Embedded::open(&folder.store()).unwrap();
    store.commit(vec![change.clone()], vec![]).await.unwrap();
    drop(store);
    let store = Embedded::open(&folder.store()).unwrap();
    assert_eq!(
        everything(&store).await.changes,
        std::slice::from_ref(&change)
    );
    let forgotten = vec![Change::Delete(change.key())];
    store.commit(forgotten, vec![]).await.unwrap();
    assert!(everything(&store).await.changes.is_empty());
}

#[tokio::test]
async fn a_delegated_prefix_is_known_after_a_restart_until_it_is_no_more() {
    let folder = Folder::new("delegation");
    let delegation = Arc::new(Delegation {
        network: NetworkId::MIN,
        prefix: "2001:db8:1::/56".parse().unwrap(),
        server: vec![0, 3, 0, 1],
        renew_at: 1,
        rebind_at: 2,
        preferred_until: 3,
        valid_until: i64::MAX,
    });
    let change = Change::Put(Object::Delegation(SubnetId::MIN, delegation.clone()));
    let store = Embedded::open(&folder.store()).unwrap();
    store.commit(vec![change.clone()], vec![]).await.unwrap();
    drop(store);
    let store = Embedded::open(&folder.store()).unwrap();
    let known = |snapshot: &Snapshot| snapshot.facts.delegations().get(&SubnetId::MIN).cloned();
    assert_eq!(known(&*loaded(&store).await), Some(delegation));
    let forgotten = vec![Change::Delete(change.key())];
    store.commit(forgotten, vec![]).await.unwrap();
    assert_eq!(known(&*loaded(&store).await), None);
}

/// What the owner of the state knows once it has loaded a store.
async fn loaded(store: &dyn Store) -> Arc<Snapshot> {
    let (publisher, snapshots) = Snapshots::new(Snapshot::default());
    let (remember, _) = memory::facts();
    let metrics = Metrics::new().unwrap();
    let mut owner = Owner::new(Settings::default(), publisher, remember, metrics);
    let mut watch = store.watch().await.unwrap();
    owner.load(watch.as_mut()).await.unwrap();
    snapshots.latest()
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_by_kill_9() {
    let folder = Folder::new("kill");
    let mut acknowledged = BTreeSet::new();
    for round in 0..4 {
        acknowledged.extend(killed_writer(&folder.store(), round));
        let store = Embedded::open(&folder.store()).unwrap();
        let stored = keys(&everything(&store).await);
        assert!(stored.len().is_multiple_of(2), "no half of a commit");
        for pair in &acknowledged {
            let both = [number(*pair), number(pair + 1)];
            assert!(
                both.iter().all(|key| stored.contains(key)),
                "{pair} is lost"
            );
        }
    }
}

/// Lets a process write, kills it in the midst and returns what had been acknowledged.
fn killed_writer(store: &Path, round: u32) -> Vec<u32> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "embedded::writes_until_killed", "--nocapture"])
        .env(CHILD[0], store)
        .env(CHILD[1], (round * 1_000_000).to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let said = |line: String| {
        let (_, pair) = line.rsplit_once("acknowledged ")?;
        Some(pair.parse().unwrap())
    };
    let before = 40 + 25 * round as usize;
    let mut acknowledged: Vec<u32> = lines.by_ref().filter_map(said).take(before).collect();
    assert_eq!(acknowledged.len(), before, "the writer ended by itself");
    child.kill().unwrap();
    acknowledged.extend(lines.filter_map(said));
    child.wait().unwrap();
    acknowledged
}

#[tokio::test]
async fn no_damage_passes_for_another_cloud() {
    let folder = Folder::new("damage");
    let store = Embedded::open(&folder.store()).unwrap();
    for batch in 0..40 {
        let changes = (0..25).map(|n| put(batch * 25 + n)).collect();
        store.commit(changes, vec![]).await.unwrap();
    }
    let whole = keys(&everything(&store).await);
    drop(store);
    let octets = std::fs::read(folder.store()).unwrap();
    let damaged = folder.0.join("damaged");
    let mut refused = 0;
    let mut open = async |octets: &[u8]| {
        std::fs::write(&damaged, octets).unwrap();
        match Embedded::open(&damaged) {
            Ok(store) => assert!(keys(&everything(&store).await) == whole),
            Err(OpenError::Damaged(..)) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    };
    let header = (0..320).step_by(5);
    let pages = (320..octets.len()).step_by(octets.len() / 60);
    for place in header.chain(pages) {
        let mut octets = octets.clone();
        octets[place] ^= 0x5a;
        open(&octets).await;
    }
    for length in [0, 1, 9, 320, 4096, octets.len() / 2, octets.len() - 4096] {
        open(&octets[..length]).await;
    }
    let zeros = vec![0; octets.len()];
    open(&zeros).await;
    assert!(refused > 20, "{refused} refused");
}
