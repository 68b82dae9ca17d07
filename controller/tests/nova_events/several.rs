//! Several controllers, of which one tells Nova of each port.

use crate::site::{Guest, Site};
use axum::http::StatusCode;
use sextant_controller::cluster::{Cluster, ClusterSettings, Live};
use sextant_controller::metrics::Metrics;
use sextant_model::{ChassisId, ControllerName, Ownership};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const PLUGGED: &str = "network-vif-plugged";

/// Controllers `c1` and so on, by their parts that tell Nova.
struct Controllers {
    site: Site,
    live: watch::Sender<Live>,
    tellers: Vec<JoinHandle<()>>,
}

impl Drop for Controllers {
    fn drop(&mut self) {
        self.tellers.iter().for_each(JoinHandle::abort);
    }
}

impl Controllers {
    async fn start(count: usize) -> Self {
        let site = Site::silent().await;
        let names: BTreeSet<_> = (1..=count).map(name).collect();
        let (live, _) = watch::channel(living(names.clone()));
        let tellers = names.into_iter().map(|name| {
            let settings = ClusterSettings {
                name,
                probe_interval: Duration::from_secs(1),
                settle_after: Duration::from_secs(10),
            };
            let cluster = Cluster::new(settings, live.subscribe());
            let metrics = Metrics::new().unwrap();
            site.teller(site.settings(), Some(cluster), metrics)
        });
        let tellers = tellers.collect();
        Self {
            site,
            live,
            tellers,
        }
    }

    /// A controller owns a hypervisor.
    async fn own(&self, chassis: &'static str, number: usize, generation: u64) {
        let ownership = Ownership {
            controller: name(number),
            generation,
        };
        let owned = self
            .site
            .cloud
            .observe(move |facts, _| facts.own(&ChassisId::new(chassis), Some(ownership)));
        owned.await;
    }

    /// A controller ends, and the others hear of it.
    fn kill(&mut self, number: usize) {
        self.tellers[number - 1].abort();
        self.live.send_modify(|live| {
            live.controllers.remove(&name(number));
        });
    }

    async fn guests(&self, count: usize) -> Vec<Guest> {
        let mut guests = Vec::new();
        for _ in 0..count {
            guests.push(self.site.guest().await);
        }
        guests
    }

    /// Waits until all is stored, and returns how often each was told.
    async fn told(&self, guests: &[Guest], of: &str) -> Vec<usize> {
        for guest in guests {
            self.site.settled(guest).await;
        }
        let told = self.site.nova.told.events();
        let times = |guest: &Guest| told.iter().filter(|one| **one == guest.event(of)).count();
        guests.iter().map(times).collect()
    }
}

fn name(number: usize) -> ControllerName {
    ControllerName::new(&format!("c{number}"))
}

fn living(controllers: BTreeSet<ControllerName>) -> Live {
    Live {
        controllers,
        since: Instant::now(),
        is_current: true,
    }
}

#[tokio::test]
async fn one_of_three_tells_also_while_hypervisors_change_hands() {
    let all = Controllers::start(3).await;
    let guests = all.guests(60).await;
    let chassis = ["h1", "h2", "h3"];
    for (number, chassis) in (1..).zip(chassis) {
        all.own(chassis, number, 1).await;
    }
    for (turn, few) in guests.chunks(5).enumerate() {
        all.site.plug(few, chassis[turn % 3], 7).await;
        let next = 1 + (turn + 1) % 3;
        all.own(chassis[turn % 3], next, turn as u64 + 2).await;
    }
    assert_eq!(all.told(&guests, PLUGGED).await, vec![1; 60]);
    for guest in &guests {
        let path = format!("ports/{}", guest.id);
        all.site.cloud.delete(&path).await.ok();
    }
    let deleted = all.told(&guests, "network-vif-deleted").await;
    assert_eq!(deleted, vec![1; 60]);
    assert_eq!(all.site.nova.told.events().len(), 120);
}

#[tokio::test]
async fn another_goes_on_where_the_one_that_began_ends() {
    let mut all = Controllers::start(2).await;
    all.own("h1", 1, 1).await;
    let guests = all.guests(3).await;
    let away = (StatusCode::SERVICE_UNAVAILABLE, "");
    all.site.nova.told.answers_instead(Some(away));
    all.site.plug(&guests, "h1", 7).await;
    all.site.nova.told.until_refused(1).await;
    let port = guests[0].port;
    let begun = all.site.cloud.once(move |snapshot| {
        let known = snapshot.intent.nova_ports.get(&port);
        known.is_some_and(|known| known.teller == Some(name(1)))
    });
    begun.await;
    all.own("h1", 2, 2).await;
    all.kill(1);
    all.site.nova.told.answers_instead(None);
    assert_eq!(all.told(&guests, PLUGGED).await, [1, 1, 1]);
}
