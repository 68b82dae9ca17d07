//! Who has a controller's name.

use super::member::Member;
use super::settings;
use etcd_client::{Client, PutOptions};
use sextant_controller::store::{ClusterMembership, Etcd};
use sextant_model::ControllerName;
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};

const NAME: &str = "/cloud/controllers/c1";
const CONTENDER: &str = "/cloud/contenders/c1";
/// Far longer than all that is awaited, so that no lease ends by itself.
const LONG: i64 = 600;
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn one_that_is_started_again_waits_for_its_old_name_for_however_long_that_stays() {
    let member = Member::alone();
    let mut client = Client::connect([member.url()], None).await.unwrap();
    let lease = client.lease_grant(LONG, None).await.unwrap().id();
    let old = PutOptions::new().with_lease(lease);
    // It had answered somebody before it ended, which says nothing now.
    client.put(NAME, "ended before", Some(old)).await.unwrap();

    let (store, presence) = present(&member).await;
    let asks = wait_value(&mut client, CONTENDER, |value| value.is_some()).await;
    assert!(!presence.is_finished());
    client.lease_revoke(lease).await.unwrap();
    let holds = wait_value(&mut client, NAME, |value| value.is_some()).await;
    assert_eq!(holds, asks);
    assert!(!presence.is_finished());
    drop(store);
}

#[tokio::test]
async fn of_two_processes_with_one_name_the_second_ends_and_the_first_lives_on() {
    let member = Member::alone();
    let mut client = Client::connect([member.url()], None).await.unwrap();
    let (_first_store, first) = present(&member).await;
    let instance = wait_value(&mut client, NAME, |value| value.is_some()).await;

    for _ in 0..2 {
        let (_second_store, second) = present(&member).await;
        tokio::time::timeout(PATIENCE, second)
            .await
            .unwrap()
            .unwrap();
        assert!(!first.is_finished());
    }
    let holds = wait_value(&mut client, NAME, |value| value.is_some()).await;
    let (holder, _) = holds.as_deref().unwrap().split_once(' ').unwrap();
    assert_eq!(Some(holder), instance.as_deref());
}

#[tokio::test]
async fn one_that_listens_where_the_holder_of_its_name_did_has_the_name_at_once() {
    let member = Member::alone();
    let mut client = Client::connect([member.url()], None).await.unwrap();
    let lease = client.lease_grant(LONG, None).await.unwrap().id();
    let old = PutOptions::new().with_lease(lease);
    client
        .put(NAME, "ended@boot,net,[::]:6640 asked", Some(old))
        .await
        .unwrap();
    let (_store, elsewhere) = join(&member, Some("boot,net,[::]:6641")).await;
    let waits = tokio::spawn(elsewhere.presence);
    wait_value(&mut client, CONTENDER, |value| value.is_some()).await;
    assert!(!*elsewhere.named.borrow(), "another place proves nothing");
    waits.abort();

    let (_store, mut here) = join(&member, Some("boot,net,[::]:6640")).await;
    let _present = tokio::spawn(here.presence);
    here.named.wait_for(|is_named| *is_named).await.unwrap();
    let holds = wait_value(&mut client, NAME, |value| value.is_some()).await;
    assert!(holds.unwrap().ends_with("@boot,net,[::]:6640"));
}

#[tokio::test]
async fn of_several_that_are_started_together_one_has_the_name() {
    let member = Member::alone();
    let mut stores = Vec::new();
    let mut present = JoinSet::new();
    for _ in 0..3 {
        let (store, joined) = join(&member, None).await;
        stores.push(store);
        present.spawn(joined.presence);
    }
    while present.len() > 1 {
        let ended = tokio::time::timeout(PATIENCE, present.join_next()).await;
        ended.unwrap().unwrap().unwrap();
    }
    // The last contender's key ends with its lease, and the one that is left has its name still.
    let mut client = Client::connect([member.url()], None).await.unwrap();
    wait_value(&mut client, CONTENDER, |value| value.is_none()).await;
    wait_value(&mut client, NAME, |value| value.is_some()).await;
    assert!(present.try_join_next().is_none());
    drop(stores);
}

async fn present(member: &Member) -> (Etcd, JoinHandle<()>) {
    let (store, joined) = join(member, None).await;
    (store, tokio::spawn(joined.presence))
}

async fn join(member: &Member, place: Option<&str>) -> (Etcd, ClusterMembership) {
    let store = Etcd::open(&settings([member.url()])).await.unwrap();
    let joined = store.join(ControllerName::new("c1"), place.map(str::to_owned));
    (store, joined)
}

/// Waits until the value of a key is as wanted, and returns it.
async fn wait_value(
    client: &mut Client,
    key: &str,
    wanted: impl Fn(&Option<String>) -> bool,
) -> Option<String> {
    let found = tokio::time::timeout(PATIENCE, async {
        let mut changes = client.watch(key, None).await.unwrap();
        loop {
            let found = client.get(key, None).await.unwrap();
            let value = found.kvs().first();
            let value = value.map(|row| row.value_str().unwrap().to_owned());
            if wanted(&value) {
                return value;
            }
            changes.message().await.unwrap();
        }
    });
    let found = found.await;
    found.unwrap_or_else(|_| panic!("{key} did not become as wanted"))
}
