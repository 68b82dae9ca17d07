//! What Nova answers, and where it does not.

use crate::site::Site;
use axum::http::StatusCode;
use sextant_controller::metrics::NovaEventName::VifPlugged;
use sextant_controller::metrics::NovaOutcome::{Dismissed, Failed, Taken};
use sextant_controller::nova::NovaSettings;
use sextant_controller::store::{
    Boxed, CommitError, Precondition, Revision, Store, Watch, WatchEnded,
};
use sextant_model::Change;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const PLUGGED: &str = "network-vif-plugged";

#[tokio::test]
async fn an_event_for_a_guest_that_nova_does_not_know_is_done_with() {
    let site = Site::new().await;
    let guests = [
        site.guest().await,
        site.guest().await,
        site.guest().await,
        site.guest().await,
    ];
    site.nova.told.answers(&guests[0].server, 404);
    site.nova.told.answers(&guests[1].server, 422);
    site.plug(&guests, "h1", 7).await;
    site.nova.told.until(4).await;
    for guest in &guests {
        site.settled(guest).await;
    }
    let counts = [Taken, Dismissed, Failed].map(|outcome| site.count(VifPlugged, outcome));
    assert_eq!(counts, [2, 2, 0]);

    let stranger = site.guest().await;
    site.nova.told.answers(&stranger.server, 404);
    site.plug(std::slice::from_ref(&stranger), "h1", 8).await;
    site.settled(&stranger).await;
    assert_eq!(site.count(VifPlugged, Dismissed), 3, "404 for the request");
    site.booted().await;
    assert_eq!(site.nova.told.events().len(), 6, "none was told again");
}

#[tokio::test]
async fn a_404_of_somebody_else_is_no_answer() {
    let mut site = Site::silent().await;
    let elsewhere = NovaSettings {
        endpoint: format!("http://{}/elsewhere", site.nova.address),
        ..site.settings()
    };
    site.start_with(elsewhere);
    let guest = site.guest().await;
    site.plug(std::slice::from_ref(&guest), "h1", 7).await;
    let failures = || site.count(VifPlugged, Failed);
    while failures() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(site.count(VifPlugged, Dismissed), 0);
    site.stop();
    site.start();
    site.nova.told.until(1).await;
    assert_eq!(site.nova.told.events(), [guest.event(PLUGGED)]);
}

#[tokio::test]
async fn a_token_that_nova_does_not_take_any_more_is_replaced_at_once() {
    let site = Site::new().await;
    site.booted().await;
    site.keystone.asked.forgets_sextant();
    let guest = site.booted().await;
    assert_eq!(site.nova.told.events()[1], guest.event(PLUGGED));
    assert_eq!(*site.nova.told.refused.borrow(), 1);
    assert_eq!(site.keystone.asked.logins(), 2);
    assert_eq!(site.count(VifPlugged, Failed), 0);
}

#[tokio::test]
async fn what_nova_cannot_take_it_is_told_again() {
    let site = Site::new().await;
    let instead = (StatusCode::SERVICE_UNAVAILABLE, "no database");
    site.nova.told.answers_instead(Some(instead));
    let guest = site.guest().await;
    site.plug(std::slice::from_ref(&guest), "h1", 7).await;
    site.nova.told.until_refused(2).await;
    assert!(site.metrics.nova_waiting.get() >= 1);
    site.nova.told.answers_instead(None);
    site.nova.told.until(1).await;
    site.settled(&guest).await;
    site.booted().await;
    assert_eq!(site.nova.told.events()[0], guest.event(PLUGGED));
    assert_eq!(site.nova.told.events().len(), 2);
    assert!(site.count(VifPlugged, Failed) >= 2);
    assert_eq!(site.metrics.nova_waiting.get(), 0);
}

#[tokio::test]
async fn of_each_port_the_latest_is_told_to_a_nova_that_comes_back() {
    let mut site = Site::new().await;
    let stays = site.booted().await;
    let goes = site.booted().await;
    site.nova.end().await;
    let comes = site.guest().await;
    site.plug(std::slice::from_ref(&comes), "h1", 7).await;
    for ofport in [8, 9, 10] {
        site.plug(std::slice::from_ref(&stays), "h1", ofport).await;
    }
    site.unplug(&goes, "h1").await;
    site.cloud.delete(&format!("ports/{}", goes.id)).await.ok();
    while site.count(VifPlugged, Failed) == 0 {
        tokio::task::yield_now().await;
    }
    site.nova.come_back().await;
    site.nova.told.until(5).await;
    for guest in [&stays, &goes, &comes] {
        site.settled(guest).await;
    }
    let mut told = site.nova.told.events().split_off(2);
    told.sort();
    let mut expected = vec![
        stays.event(PLUGGED),
        goes.event("network-vif-deleted"),
        comes.event(PLUGGED),
    ];
    expected.sort();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn nothing_is_lost_where_sextant_ends_while_a_port_waits() {
    let mut site = Site::new().await;
    let before = site.booted().await;
    site.nova
        .told
        .answers_instead(Some((StatusCode::BAD_GATEWAY, "")));
    let waits = site.guest().await;
    site.plug(std::slice::from_ref(&waits), "h1", 7).await;
    site.nova.told.until_refused(1).await;
    let gone = before.clone();
    site.stop();
    site.unplug(&gone, "h1").await;
    site.nova.told.answers_instead(None);
    site.start();
    site.nova.told.until(3).await;
    site.settled(&waits).await;
    let mut told = site.nova.told.events().split_off(1);
    told.sort();
    let expected = [waits.event(PLUGGED), gone.event("network-vif-unplugged")];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_slow_answer_delays_no_other_guest() {
    let site = Site::new().await;
    site.booted().await;
    let slow = site.guest().await;
    let closed = site.nova.told.gate.acquire_many(1000).await.unwrap();
    site.plug(std::slice::from_ref(&slow), "h1", 7).await;
    site.nova.told.until_came(2).await;
    let quick = site.guest().await;
    site.plug(std::slice::from_ref(&quick), "h1", 8).await;
    site.nova.told.until_came(3).await;
    assert_eq!(site.nova.told.requests().len(), 1, "none is answered");
    drop(closed);
    site.nova.told.until(3).await;
    assert_eq!(site.nova.told.requests().len(), 3);
}

#[tokio::test]
async fn a_keystone_that_is_away_is_waited_for() {
    let mut site = Site::silent().await;
    site.keystone.end().await;
    site.start();
    let guest = site.guest().await;
    site.plug(std::slice::from_ref(&guest), "h1", 7).await;
    while site.count(VifPlugged, Failed) == 0 {
        tokio::task::yield_now().await;
    }
    site.keystone.come_back().await;
    site.nova.told.until(1).await;
    let logins = site.keystone.asked.logins.load(Ordering::SeqCst);
    assert_eq!(logins, 1);
}

#[tokio::test]
async fn a_region_without_nova_is_waited_for_and_counted() {
    let mut site = Site::silent().await;
    let nowhere = NovaSettings {
        region: "three".to_owned(),
        ..site.settings()
    };
    site.start_with(nowhere);
    let guest = site.guest().await;
    site.plug(std::slice::from_ref(&guest), "h1", 7).await;
    while site.count(VifPlugged, Failed) == 0 {
        tokio::task::yield_now().await;
    }
    site.stop();
    site.start();
    site.nova.told.until(1).await;
}

/// A store that takes few changes at once.
struct Narrow(Arc<dyn Store>);

impl Store for Narrow {
    fn commit(
        &self,
        changes: Vec<Change>,
        conditions: Vec<Precondition>,
    ) -> Boxed<'_, Result<Revision, CommitError>> {
        if changes.len() > 4 {
            let error = CommitError::TooLarge("raise the limit".to_owned());
            return Box::pin(std::future::ready(Err(error)));
        }
        self.0.commit(changes, conditions)
    }

    fn watch(&self) -> Boxed<'_, Result<Box<dyn Watch>, WatchEnded>> {
        self.0.watch()
    }
}

#[tokio::test]
async fn what_the_store_does_not_take_at_once_is_stored_in_parts_and_told_once() {
    let mut site = Site::silent().await;
    site.store = Arc::new(Narrow(site.store.clone()));
    site.start();
    let mut guests = Vec::new();
    for _ in 0..12 {
        guests.push(site.guest().await);
    }
    site.plug(&guests, "h1", 7).await;
    for guest in &guests {
        site.settled(guest).await;
    }
    assert_eq!(site.nova.told.events().len(), 12);
}
