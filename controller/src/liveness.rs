//! Finds hypervisors that are gone: their switches have had no OpenFlow session for some time.
//!
//! Others then get their routers' gateways. A hypervisor that its peers still hear by BFD is not gone. It has only lost
//! Sextant, its flows still forward, and a second gateway would conflict with it.
//!
//! The clock is asked once for each session that is lost, and nothing is polled. Of a snapshot only one question is
//! asked: whether the hypervisors, or those that count as gone, have changed.

use crate::cluster::{Cluster, others_live};
use crate::seat::Seats;
use crate::snapshot::{Snapshots, Stopping};
use crate::state::{Event, Events};
use imbl::{OrdMap, OrdSet};
use sextant_model::{
    Chassis, ChassisId, Facts, Ownership, TunnelState, TunnelWatch, TunnelWatches,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The least time that switches have to connect after Sextant's start.
const ARRIVAL: Duration = Duration::from_secs(15);

/// Reports hypervisors that are gone, and those that are back, to the owner of the state. A hypervisor is gone if its
/// switch has had no seat for this long. Ends with the owner.
pub async fn watch(
    mut snapshots: Snapshots,
    seats: Seats<ChassisId>,
    events: Events,
    gone_after: Duration,
    cluster: Option<Cluster>,
) {
    let mut absences = Absences::new(Instant::now(), gone_after);
    // Subscribed before the first look at seats, so that no change is missed.
    let mut seated = seats.changes();
    let mut known = WatchedHypervisors::of(&snapshots.latest().facts);
    let mut live = cluster.as_ref().map(Cluster::live);
    loop {
        let now = Instant::now();
        let watched = known.of_which_to_say(cluster.as_ref());
        for (chassis, gone) in absences.news(&watched, |id| seats.is_taken(id), now) {
            if events.send(Event::Gone(chassis, gone)).await.is_err() {
                return;
            }
        }
        let waited = wait(&mut snapshots, &mut known, &mut seated, absences.next(now));
        tokio::select! {
            waited = waited => if waited.is_err() {
                return;
            },
            () = async {
                match &mut live {
                    Some(live) => others_live(live).await,
                    None => std::future::pending().await,
                }
            } => {}
        }
    }
}

/// Waits until something may have changed.
async fn wait(
    snapshots: &mut Snapshots,
    known: &mut WatchedHypervisors,
    seated: &mut crate::seat::Changes<ChassisId>,
    deadline: Option<Instant>,
) -> Result<(), Stopping> {
    loop {
        tokio::select! {
            changed = snapshots.changed() => {
                if known.update(&changed?.facts) {
                    return Ok(());
                }
            }
            () = seated.next() => return Ok(()),
            () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => return Ok(()),
        }
    }
}

/// Hypervisors, those that count as gone, and what they hear from each other: the latest snapshot in which that
/// differs.
#[derive(Clone)]
struct WatchedHypervisors {
    chassis: OrdMap<ChassisId, Arc<Chassis>>,
    gone: OrdSet<ChassisId>,
    watches: OrdMap<ChassisId, Arc<TunnelWatches>>,
    owners: OrdMap<ChassisId, Ownership>,
}

impl WatchedHypervisors {
    /// Those of which this controller says whether they are gone, where there are several.
    fn of_which_to_say(&self, cluster: Option<&Cluster>) -> Self {
        let mut chassis = self.chassis.clone();
        if let Some(cluster) = cluster {
            let all = self.chassis.iter();
            let own = all.filter(|(id, _)| {
                let owner = self.owners.get(*id);
                cluster.is_responsible(id, owner.map(|owner| &owner.controller))
            });
            chassis = own.map(|(id, known)| (id.clone(), known.clone())).collect();
        }
        Self {
            chassis,
            ..self.clone()
        }
    }

    fn of(facts: &Facts) -> Self {
        Self {
            owners: facts.owners().clone(),
            chassis: facts.chassis().clone(),
            gone: facts.gone().clone(),
            watches: facts.tunnel_watches().clone(),
        }
    }

    /// What the present hypervisors hear from one.
    fn heard<'a>(
        &'a self,
        id: &'a ChassisId,
        is_present: impl Fn(&ChassisId) -> bool + 'a,
    ) -> impl Iterator<Item = (&'a ChassisId, TunnelWatch)> {
        let present = self.watches.iter().filter(move |(by, _)| is_present(by));
        present.filter_map(move |(by, watches)| Some((by, *watches.get(id)?)))
    }

    /// Takes a snapshot. Returns whether it may differ, by comparing four pointers.
    fn update(&mut self, facts: &Facts) -> bool {
        let same = self.chassis.ptr_eq(facts.chassis())
            && self.gone.ptr_eq(facts.gone())
            && self.watches.ptr_eq(facts.tunnel_watches())
            && self.owners.ptr_eq(facts.owners());
        if !same {
            *self = Self::of(facts);
        }
        !same
    }
}

/// A hypervisor without a session.
struct Absence {
    /// When it will have been without a session for too long.
    deadline: Instant,
    heard: HeardByPeers,
}

/// What its peers have heard from a hypervisor by BFD since it lost its session.
enum HeardByPeers {
    /// No peer has reported yet.
    Nothing,
    /// These peers have heard it all the time. Their sessions had gone up and down this often.
    By(BTreeMap<ChassisId, u64>),
    /// It was silent for some peer, or a session began anew: its flows may be gone.
    Silence,
}

impl Absence {
    fn new(deadline: Instant) -> Self {
        let heard = HeardByPeers::Nothing;
        Self { deadline, heard }
    }

    /// Takes what the present hypervisors hear.
    fn hear<'a>(&mut self, watches: impl Iterator<Item = (&'a ChassisId, TunnelWatch)>) {
        let watches: Vec<_> = watches
            .filter(|(_, watch)| watch.state != TunnelState::Awaited)
            .collect();
        let all_up = watches
            .iter()
            .all(|(_, watch)| watch.state == TunnelState::Up);
        let now = watches
            .iter()
            .map(|(by, watch)| ((*by).clone(), watch.flaps));
        self.heard = match &self.heard {
            HeardByPeers::Silence => HeardByPeers::Silence,
            HeardByPeers::Nothing if watches.is_empty() => HeardByPeers::Nothing,
            HeardByPeers::Nothing if all_up => HeardByPeers::By(now.collect()),
            HeardByPeers::By(before) if all_up => {
                let anew = now.clone().any(|(by, flaps)| {
                    let before = before.get(&by);
                    before.is_some_and(|before| *before != flaps)
                });
                let still: BTreeMap<_, _> = now
                    .filter(|(by, flaps)| before.get(by) == Some(flaps))
                    .collect();
                match anew || still.is_empty() {
                    true => HeardByPeers::Silence,
                    false => HeardByPeers::By(still),
                }
            }
            HeardByPeers::Nothing | HeardByPeers::By(_) => HeardByPeers::Silence,
        };
    }

    /// Whether it counts as gone.
    fn is_over(&self, now: Instant) -> bool {
        self.deadline <= now && !matches!(self.heard, HeardByPeers::By(_))
    }
}

/// The hypervisors without a session, with the time when each counts as gone.
struct Absences {
    absent: BTreeMap<ChassisId, Absence>,
    /// The hypervisors that are gone and have a session again, with the time when they count as back. By then their
    /// switches have flows. A hypervisor that comes and goes does not take its gateways along each time.
    returns: BTreeMap<ChassisId, Instant>,
    /// Hypervisors that have had a session since the start.
    seen: BTreeSet<ChassisId>,
    gone_after: Duration,
    /// Before this time no hypervisor counts as gone that has not been seen.
    earliest: Instant,
}

impl Absences {
    fn new(start: Instant, gone_after: Duration) -> Self {
        Self {
            absent: BTreeMap::new(),
            returns: BTreeMap::new(),
            seen: BTreeSet::new(),
            gone_after,
            earliest: start + ARRIVAL.max(gone_after),
        }
    }

    /// Hypervisors that newly count as gone, and those that newly count as back.
    fn news(
        &mut self,
        known: &WatchedHypervisors,
        is_present: impl Fn(&ChassisId) -> bool,
        now: Instant,
    ) -> Vec<(ChassisId, bool)> {
        self.absent.retain(|id, _| known.chassis.contains_key(id));
        // A hypervisor that goes again before it counts as back starts anew.
        self.returns
            .retain(|id, _| known.gone.contains(id) && is_present(id));
        self.seen.retain(|id| known.chassis.contains_key(id));
        let mut news = Vec::new();
        for id in known.chassis.keys() {
            let gone = if is_present(id) {
                self.absent.remove(id);
                self.seen.insert(id.clone());
                known.gone.contains(id) && !self.is_back(id, now)
            } else {
                // A hypervisor that is only known from the store has time to connect after a start.
                let soonest = now + self.gone_after;
                let deadline = match self.seen.contains(id) {
                    true => soonest,
                    false => soonest.max(self.earliest),
                };
                let absence = self.absent.entry(id.clone());
                let absence = absence.or_insert_with(|| Absence::new(deadline));
                absence.hear(known.heard(id, &is_present));
                known.gone.contains(id) || absence.is_over(now)
            };
            if gone != known.gone.contains(id) {
                news.push((id.clone(), gone));
            }
        }
        news
    }

    /// Whether a hypervisor that was gone has had a session for as long as it takes to be gone.
    fn is_back(&mut self, id: &ChassisId, now: Instant) -> bool {
        let soonest = now + self.gone_after;
        *self.returns.entry(id.clone()).or_insert(soonest) <= now
    }

    /// When the next hypervisor will count as gone or back.
    fn next(&self, now: Instant) -> Option<Instant> {
        let absent = self.absent.values().map(|absence| absence.deadline);
        let deadlines = absent.chain(self.returns.values().copied());
        deadlines.filter(|deadline| *deadline > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Publisher, Snapshot};
    use sextant_model::{Encap, EncapKind, Intent};
    use std::net::{IpAddr, Ipv6Addr};
    use tokio::sync::mpsc;

    const ADDRESS: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
    const GONE_AFTER: Duration = Duration::from_secs(5);

    /// The watch over these hypervisors, with its inputs and events.
    struct WatchedFleet {
        begun: Instant,
        snapshot: Snapshot,
        publisher: Publisher,
        seats: Seats<ChassisId>,
        told: mpsc::Receiver<Event>,
    }

    impl WatchedFleet {
        fn of(names: &[&str]) -> Self {
            let (publisher, snapshots) = Snapshots::new(Snapshot::default());
            let (events, told) = crate::state::events();
            let seats = Seats::default();
            tokio::spawn(super::watch(
                snapshots,
                seats.clone(),
                events,
                GONE_AFTER,
                None,
            ));
            let mut story = Self {
                begun: Instant::now(),
                snapshot: Snapshot::default(),
                publisher,
                seats,
                told,
            };
            story.change(|facts| {
                names
                    .iter()
                    .for_each(|name| facts.put_chassis(chassis(name)));
            });
            story
        }

        fn change(&mut self, change: impl FnOnce(&mut Facts)) {
            change(&mut self.snapshot.facts);
            self.publisher.publish(self.snapshot.clone());
        }

        /// The next event, and how many seconds after the beginning it came. The owner applies it.
        async fn news(&mut self) -> (String, bool, u64) {
            let Some(Event::Gone(id, gone)) = self.told.recv().await else {
                panic!("another event came");
            };
            let name = id.to_string();
            self.change(|facts| {
                facts.mark_gone(&Intent::default(), &id, gone);
            });
            (name, gone, self.begun.elapsed().as_secs())
        }

        fn seat(&self, name: &str) -> crate::seat::Seat<ChassisId> {
            self.seats.take(&ChassisId::new(name), ADDRESS).unwrap()
        }
    }

    fn chassis(name: &str) -> Chassis {
        let (endpoints, kind) = (ADDRESS.into(), EncapKind::Vxlan);
        Chassis {
            observed: true,
            ..Chassis::new(ChassisId::new(name), Encap { endpoints, kind })
        }
    }

    async fn pass(seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_there_after_the_start_is_gone_and_who_connects_is_back() {
        let mut story = WatchedFleet::of(&["h1", "h2"]);
        let _h1 = story.seat("h1");
        assert_eq!(story.news().await, ("h2".to_owned(), true, 15));
        pass(10).await;
        let h2 = story.seat("h2");
        assert_eq!(story.news().await, ("h2".to_owned(), false, 30));
        pass(10).await;
        drop(h2);
        assert_eq!(story.news().await, ("h2".to_owned(), true, 45));
    }

    #[tokio::test(start_paused = true)]
    async fn who_connected_and_was_lost_is_gone_soon_after_the_start_too() {
        let mut story = WatchedFleet::of(&["h1", "h2"]);
        let (_h1, h2) = (story.seat("h1"), story.seat("h2"));
        pass(2).await;
        drop(h2);
        assert_eq!(story.news().await, ("h2".to_owned(), true, 7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_is_soon_back_is_not_missed() {
        let mut story = WatchedFleet::of(&["h1", "h2"]);
        let (h1, h2) = (story.seat("h1"), story.seat("h2"));
        pass(20).await;
        drop(h1);
        pass(4).await;
        let _h1 = story.seat("h1");
        pass(20).await;
        drop(h2);
        assert_eq!(story.news().await, ("h2".to_owned(), true, 49));
    }

    #[tokio::test(start_paused = true)]
    async fn who_joins_has_its_time_to_connect_and_who_leaves_is_not_told_of() {
        let mut story = WatchedFleet::of(&["h1"]);
        let _h1 = story.seat("h1");
        pass(20).await;
        story.change(|facts| facts.put_chassis(chassis("h2")));
        pass(3).await;
        story.change(|facts| facts.put_chassis(chassis("h3")));
        story.change(|facts| facts.remove_chassis(&ChassisId::new("h2")));
        assert_eq!(story.news().await, ("h3".to_owned(), true, 28));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_owner_was_late_to_take_in_is_put_right() {
        let mut story = WatchedFleet::of(&["h1"]);
        let told = story.told.recv().await;
        assert!(matches!(told, Some(Event::Gone(_, true))), "{told:?}");
        let _h1 = story.seat("h1");
        pass(1).await;
        let late = ChassisId::new("h1");
        story.change(|facts| {
            facts.mark_gone(&Intent::default(), &late, true);
        });
        assert_eq!(story.news().await, ("h1".to_owned(), false, 21));
    }

    fn hears(story: &mut WatchedFleet, by: &str, heard: &str, state: TunnelState, flaps: u64) {
        let watches = [(ChassisId::new(heard), TunnelWatch { state, flaps })];
        let by = ChassisId::new(by);
        story.change(|facts| facts.watch_tunnels(&by, watches.into()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_heard_by_its_peers_is_not_gone_until_they_hear_nothing() {
        let mut story = WatchedFleet::of(&["h1", "h2"]);
        let (_h1, h2) = (story.seat("h1"), story.seat("h2"));
        hears(&mut story, "h1", "h2", TunnelState::Up, 1);
        pass(20).await;
        drop(h2);
        pass(40).await;
        assert!(story.told.try_recv().is_err(), "its peer hears it");
        hears(&mut story, "h1", "h2", TunnelState::Down, 2);
        assert_eq!(story.news().await, ("h2".to_owned(), true, 60));
        hears(&mut story, "h1", "h2", TunnelState::Up, 3);
        pass(40).await;
        assert!(story.told.try_recv().is_err(), "others have its gateways");
        let _h2 = story.seat("h2");
        assert_eq!(story.news().await, ("h2".to_owned(), false, 105));
    }

    #[tokio::test(start_paused = true)]
    async fn a_switch_that_began_anew_meanwhile_has_lost_its_flows() {
        let mut story = WatchedFleet::of(&["h1", "h2"]);
        let (_h1, h2) = (story.seat("h1"), story.seat("h2"));
        hears(&mut story, "h1", "h2", TunnelState::Up, 1);
        pass(20).await;
        drop(h2);
        pass(10).await;
        hears(&mut story, "h1", "h2", TunnelState::Up, 3);
        assert_eq!(story.news().await, ("h2".to_owned(), true, 30));
    }

    #[tokio::test(start_paused = true)]
    async fn what_those_hear_who_are_not_connected_themselves_is_old() {
        let mut story = WatchedFleet::of(&["h1", "h2"]);
        let (h1, h2) = (story.seat("h1"), story.seat("h2"));
        hears(&mut story, "h1", "h2", TunnelState::Up, 1);
        pass(20).await;
        drop((h1, h2));
        let gone = [story.news().await, story.news().await];
        assert_eq!(gone.map(|(_, gone, at)| (gone, at)), [(true, 25); 2]);
    }
}
