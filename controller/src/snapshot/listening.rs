//! Tells sessions of the snapshots that concern their hypervisors, and no others.
//!
//! Between two that concern a hypervisor, its flows are the same in all. So a session compares only the last one before
//! the change with the one after it, however long it has not looked.

use super::{Snapshot, Stopping};
use sextant_flows::Concerned;
use sextant_model::ChassisId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// A change that concerns a hypervisor, and has not been looked at.
#[derive(Clone, Debug)]
pub struct News {
    /// What the hypervisor should have by this snapshot is what it should have by the one that its session took last.
    pub before: Arc<Snapshot>,
    /// After all changes that the session has not looked at.
    pub after: Arc<Snapshot>,
}

/// Those who listen. At the moment of a storm a hypervisor may have an old session and a new one.
#[derive(Clone, Debug, Default)]
pub(super) struct Listeners(Arc<Mutex<HashMap<ChassisId, Vec<Ear>>>>);

/// A session's news, and how it is woken for them.
#[derive(Debug)]
struct Ear {
    news: Waiting,
    wake: watch::Sender<()>,
}

type Waiting = Arc<Mutex<Option<News>>>;

/// Listens for what concerns one hypervisor.
#[derive(Debug)]
pub struct NewsListener {
    listeners: Listeners,
    chassis: ChassisId,
    news: Waiting,
    woken: watch::Receiver<()>,
}

impl Listeners {
    /// Tells those that a change concerns, and publishes the snapshot, in one step: who begins to listen in between would
    /// take the snapshot before and miss the change. They are woken last: who is awake reads the latest, too. Returns how many
    /// were told.
    pub(super) fn tell(
        &self,
        concerned: &Concerned,
        before: &Arc<Snapshot>,
        after: &Arc<Snapshot>,
        publish: impl FnOnce(),
    ) -> usize {
        let all = lock(&self.0);
        let ears: Vec<&Ear> = match concerned {
            Concerned::Everyone => all.values().flatten().collect(),
            Concerned::These(these) => {
                let listening = these.iter().filter_map(|chassis| all.get(chassis));
                listening.flatten().collect()
            }
        };
        ears.iter().for_each(|ear| ear.hear(before, after));
        publish();
        ears.iter().for_each(|ear| ear.wake());
        ears.len()
    }

    pub(super) fn listen(
        &self,
        chassis: &ChassisId,
        latest: impl FnOnce() -> Arc<Snapshot>,
    ) -> (Arc<Snapshot>, NewsListener) {
        let (wake, woken) = watch::channel(());
        let news = Waiting::default();
        let ear = Ear {
            news: news.clone(),
            wake,
        };
        let mut all = lock(&self.0);
        all.entry(chassis.clone()).or_default().push(ear);
        let listener = NewsListener {
            listeners: self.clone(),
            chassis: chassis.clone(),
            news,
            woken,
        };
        (latest(), listener)
    }

    /// There is nothing more to hear.
    pub(super) fn end(&self) {
        lock(&self.0).clear();
    }
}

impl Ear {
    fn hear(&self, before: &Arc<Snapshot>, after: &Arc<Snapshot>) {
        let mut news = lock(&self.news);
        let before = news
            .take()
            .map_or_else(|| before.clone(), |news| news.before);
        let after = after.clone();
        *news = Some(News { before, after });
    }

    fn wake(&self) {
        self.wake.send_replace(());
    }
}

impl NewsListener {
    /// Waits until there are news that it was not woken for. Cancel-safe.
    ///
    /// # Errors
    /// [`Stopping`] when no more will come.
    pub async fn woken(&mut self) -> Result<(), Stopping> {
        self.woken.changed().await.map_err(|_| Stopping)
    }

    /// Takes the news. Where there are none, a snapshot that was read before this call changes nothing for the hypervisor.
    #[must_use]
    pub fn take(&self) -> Option<News> {
        lock(&self.news).take()
    }
}

impl Drop for NewsListener {
    fn drop(&mut self) {
        let mut all = lock(&self.listeners.0);
        if let Some(ears) = all.get_mut(&self.chassis) {
            ears.retain(|ear| !Arc::ptr_eq(&ear.news, &self.news));
            if ears.is_empty() {
                all.remove(&self.chassis);
            }
        }
    }
}

/// Nothing is left half done under these locks, so one that a panic has poisoned is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use crate::snapshot::{Publisher, Snapshot, Snapshots};
    use sextant_model::{Change, ChassisId, MacAddr, NetworkId, Object, Plugged, Port, PortId};
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};
    use uuid::Uuid;

    /// Puts a port of a network on a hypervisor.
    fn plug(publisher: &Publisher, id: u128, network: u128, chassis: &str) {
        let mut snapshot = Snapshot::clone(&publisher.latest());
        let port = Port::new(
            PortId(Uuid::from_u128(id)),
            NetworkId(Uuid::from_u128(network)),
            MacAddr([2, 0, 0, 0, 0, 1]),
        );
        let id = port.id;
        snapshot
            .intent
            .apply(&Change::Put(Object::Port(Arc::new(port))));
        let plugged = Plugged {
            chassis: ChassisId::new(chassis),
            ofport: Some(1),
        };
        let Snapshot { intent, facts, .. } = &mut snapshot;
        facts.plug(intent, id, plugged);
        publisher.publish(snapshot);
    }

    fn is_ready<T>(future: impl Future<Output = T>) -> bool {
        let polled = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
        matches!(polled, Poll::Ready(_))
    }

    #[test]
    fn a_session_hears_what_concerns_its_hypervisor_and_what_it_compares_with() {
        let (publisher, snapshots) = Snapshots::new(Snapshot::default());
        let (_, mut one) = snapshots.listen(&ChassisId::new("h1"));
        let (_, mut other) = snapshots.listen(&ChassisId::new("h2"));
        plug(&publisher, 1, 7, "h1");
        assert!(is_ready(one.woken()) && !is_ready(other.woken()));
        assert!(other.take().is_none());
        let first = one.take().unwrap();
        assert!(Arc::ptr_eq(&first.after, &publisher.latest()));

        plug(&publisher, 2, 8, "h2");
        let between = publisher.latest();
        assert!(!is_ready(one.woken()) && one.take().is_none());
        plug(&publisher, 3, 7, "h1");
        plug(&publisher, 4, 8, "h2");
        plug(&publisher, 5, 7, "h1");
        assert!(
            is_ready(one.woken()) && !is_ready(one.woken()),
            "woken once"
        );
        let news = one.take().unwrap();
        assert!(
            Arc::ptr_eq(&news.before, &between),
            "the last that was the same"
        );
        assert!(Arc::ptr_eq(&news.after, &publisher.latest()));
        assert!(one.take().is_none());
    }

    /// Another thread looks at the latest as soon as it is woken, as sessions do beside their news.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_is_woken_reads_the_latest_snapshot() {
        let (publisher, snapshots) = Snapshots::new(Snapshot::default());
        let (_, mut listener) = snapshots.listen(&ChassisId::new("h1"));
        let (looked, mut seen) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while listener.woken().await.is_ok() {
                looked.send(snapshots.latest().serial).unwrap();
            }
        });
        for serial in 1..=2_000 {
            plug(&publisher, serial.into(), 7, "h1");
            assert_eq!(seen.recv().await, Some(serial));
        }
    }

    #[test]
    fn who_begins_to_listen_has_the_latest_and_hears_what_comes_after() {
        let (publisher, snapshots) = Snapshots::new(Snapshot::default());
        plug(&publisher, 1, 7, "h1");
        let (latest, listener) = snapshots.listen(&ChassisId::new("h1"));
        assert!(Arc::ptr_eq(&latest, &publisher.latest()) && listener.take().is_none());
        plug(&publisher, 2, 7, "h1");
        assert!(Arc::ptr_eq(&listener.take().unwrap().before, &latest));
    }

    #[test]
    fn a_listener_hears_that_there_is_no_more_and_an_older_one_leaves_a_newer_one_alone() {
        let (publisher, snapshots) = Snapshots::new(Snapshot::default());
        let (_, old) = snapshots.listen(&ChassisId::new("h1"));
        let (_, mut new) = snapshots.listen(&ChassisId::new("h1"));
        drop(old);
        plug(&publisher, 1, 7, "h1");
        assert!(is_ready(new.woken()) && new.take().is_some());
        drop(publisher);
        assert!(is_ready(new.woken()), "it ends");
    }
}
