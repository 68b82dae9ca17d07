//! Members that are killed, and what of it writers and watchers notice.

use super::member::Member;
use super::settings;
use crate::world::put;
use sextant_controller::store::{Etcd, Store};

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
