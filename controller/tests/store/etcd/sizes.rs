//! What is large: transactions up to etcd's bounds, and clouds of many rows.

use super::member::Member;
use super::settings;
use crate::world::{everything, keys, put};
use sextant_controller::store::{CommitError, Etcd, Store};
use sextant_model::{Change, ChassisId, MacAddr, NetworkId, Object, Outside};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// A fact of about so many octets.
fn large(octets: u32) -> Change {
    const EACH: u32 = 40;
    let neighbor = |n: u32| {
        let address = IpAddr::from(Ipv6Addr::from(u128::from(n) | 0x2001_0db8 << 96));
        (address, MacAddr([2, 0, 0, 0, 0, 1]))
    };
    let outside = Outside {
        default_router: None,
        neighbors: (0..octets / EACH).map(neighbor).collect(),
    };
    Change::Put(Object::Outside(
        ChassisId::new("h1"),
        NetworkId::MIN,
        Arc::new(outside),
    ))
}

#[tokio::test]
async fn a_commit_above_the_bounds_is_refused_and_the_next_one_is_made() {
    let member = Member::alone();
    let store = Etcd::open(&settings([member.url()])).await.unwrap();
    // Just above etcd's own bound, and above what its transport accepts.
    let refused = [
        ((0..200).map(put).collect(), "--max-txn-ops"),
        (vec![large(2 << 20)], "--max-request-bytes"),
        (vec![large(8 << 20)], "--max-request-bytes"),
    ];
    for (changes, setting) in refused {
        let error = store.commit(changes, vec![]).await.unwrap_err();
        assert!(matches!(error, CommitError::TooLarge(_)), "{error}");
        assert!(error.to_string().contains(setting), "{error}");
    }
    store.commit(vec![put(1)], vec![]).await.unwrap();
    assert_eq!(everything(&store).await.changes, [put(1)]);
}

#[tokio::test]
async fn what_etcd_takes_is_listed_and_watched() {
    let member = Member::with(&["--max-txn-ops", "10000", "--max-request-bytes", "20000000"]);
    let store = Etcd::open(&settings([member.url()])).await.unwrap();
    let mut watch = store.watch().await.unwrap();
    watch.next().await.unwrap();
    // More rows than are read at once, and more octets than gRPC accepts unless told to.
    let mut changes: Vec<Change> = (0..2500).map(put).collect();
    changes.push(large(8 << 20));
    store.commit(changes.clone(), vec![]).await.unwrap();
    assert!(watch.next().await.unwrap().changes == changes);
    let listed = everything(&store).await;
    assert_eq!(keys(&listed), changes.iter().map(Change::key).collect());
}
