//! Who finds what when a store is opened.

use super::member::Member;
use super::settings;
use crate::world::{everything, put};
use sextant_controller::store::{Etcd, EtcdError, FORMAT, Store, Watch};

#[tokio::test]
async fn clouds_with_other_prefixes_are_apart() {
    let member = Member::alone();
    let mut other = settings([member.url()]);
    other.prefix = "/cloud/2/".to_owned();
    let one = Etcd::open(&settings([member.url()])).await.unwrap();
    let two = Etcd::open(&other).await.unwrap();
    let mut watch = one.watch().await.unwrap();
    assert_eq!(watch.next().await.unwrap().changes, []);
    two.commit(vec![put(2)], vec![]).await.unwrap();
    let revision = one.commit(vec![put(1)], vec![]).await.unwrap();
    let seen = watch.next().await.unwrap();
    assert_eq!((seen.revision, seen.changes), (revision, vec![put(1)]));
    assert_eq!(everything(&two).await.changes, [put(2)]);
}

#[tokio::test]
async fn a_store_of_another_format_is_refused_and_left_alone() {
    let member = Member::alone();
    drop(Etcd::open(&settings([member.url()])).await.unwrap());
    let newer = (FORMAT + 1).to_string();
    let mut client = etcd_client::Client::connect([member.url()], None)
        .await
        .unwrap();
    client
        .put("/cloud/format", newer.clone(), None)
        .await
        .unwrap();
    for _ in 0..2 {
        let error = Etcd::open(&settings([member.url()])).await.unwrap_err();
        let EtcdError::OtherFormat { found, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(*found, newer);
    }
}

#[tokio::test]
async fn objects_without_a_format_are_no_empty_store() {
    let member = Member::alone();
    let store = Etcd::open(&settings([member.url()])).await.unwrap();
    store.commit(vec![put(1)], vec![]).await.unwrap();
    let mut client = etcd_client::Client::connect([member.url()], None)
        .await
        .unwrap();
    client.delete("/cloud/format", None).await.unwrap();
    let error = Etcd::open(&settings([member.url()])).await.unwrap_err();
    assert!(matches!(error, EtcdError::NoFormat(_)), "{error}");
    let refused = store.commit(vec![put(2)], vec![]).await.unwrap_err();
    assert!(refused.to_string().contains("/cloud/format"), "{refused}");
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_named() {
    let mut member = Member::alone();
    member.kill();
    let error = Etcd::open(&settings([member.url()])).await.unwrap_err();
    assert!(matches!(error, EtcdError::NoAnswer { .. }), "{error}");
    assert!(error.to_string().contains(&member.url()), "{error}");
}

/// A store with one object, a watch that has seen it, and a client of etcd beside them.
async fn watched(member: &Member) -> (Etcd, Box<dyn Watch>, etcd_client::Client) {
    let store = Etcd::open(&settings([member.url()])).await.unwrap();
    let mut watch = store.watch().await.unwrap();
    watch.next().await.unwrap();
    store.commit(vec![put(1)], vec![]).await.unwrap();
    watch.next().await.unwrap();
    let client = etcd_client::Client::connect([member.url()], None).await;
    (store, watch, client.unwrap())
}

#[tokio::test]
async fn a_row_that_cannot_be_read_stops_who_starts_and_nobody_who_runs() {
    let member = Member::alone();
    let (store, mut watch, mut client) = watched(&member).await;
    for key in ["/cloud/objects/rubbish", "/cloud/elsewhere"] {
        client.put(key, "rubbish", None).await.unwrap();
    }
    let revision = store.commit(vec![put(2)], vec![]).await.unwrap();
    let seen = watch.next().await.unwrap();
    assert_eq!((seen.revision, seen.changes), (revision, vec![put(2)]));
    let started = store.watch().await.unwrap().next().await.unwrap_err();
    assert!(started.to_string().contains("rubbish"), "{started}");
}

#[tokio::test]
async fn a_store_that_is_removed_takes_no_guest_away() {
    let member = Member::alone();
    let (store, mut watch, mut client) = watched(&member).await;
    let all = etcd_client::DeleteOptions::new().with_prefix();
    client.delete("/cloud/", Some(all)).await.unwrap();
    let refused = store.commit(vec![put(2)], vec![]).await.unwrap_err();
    assert!(refused.to_string().contains("/cloud/format"), "{refused}");
    // Until writers are refused because nothing could be followed, the watch has shown nothing of it.
    let refused = loop {
        let refused = store.commit(vec![put(2)], vec![]).await.unwrap_err();
        tokio::select! {
            biased;
            seen = watch.next() => panic!("{seen:?}"),
            () = tokio::task::yield_now() => {}
        }
        if !refused.to_string().contains("/cloud/format") {
            break refused;
        }
    };
    assert!(
        refused.to_string().contains("has not answered"),
        "{refused}"
    );
}
