//! What a hypervisor's BFD sessions say, as its database shows it.

use super::{PEER, is_of_bfd};
use crate::hypervisor::schema::Interface;
use crate::metrics::Metrics;
use crate::seat::Seat;
use crate::series::GaugeSeries;
use sextant_model::{ChassisId, TunnelState, TunnelWatch, TunnelWatches};
use sextant_ovsdb_client::{Replica, Table};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// How long a session may take to come up before it counts as down: both ends make their ports first.
const PATIENCE: Duration = Duration::from_secs(10);

/// The states of a hypervisor's sessions.
#[derive(Debug)]
pub(in crate::hypervisor) struct States {
    shown: GaugeSeries<ChassisId>,
    sessions: BTreeMap<ChassisId, BfdSession>,
}

/// A session with one peer.
#[derive(Clone, Copy, Debug)]
struct BfdSession {
    interface: Uuid,
    begun: Instant,
    /// It has been up since.
    came_up: bool,
    watch: TunnelWatch,
}

impl States {
    pub(in crate::hypervisor) fn new(metrics: &Metrics, seat: &Arc<Seat<ChassisId>>) -> Self {
        Self {
            shown: GaugeSeries::new(&metrics.tunnel_bfd_state, seat),
            sessions: BTreeMap::new(),
        }
    }

    /// Takes in what the database says of known peers, and shows it. A hostile hypervisor can name any number of
    /// others, and each would be a series.
    pub(in crate::hypervisor) fn read(
        &mut self,
        replica: &Replica,
        is_known: impl Fn(&ChassisId) -> bool,
        now: Instant,
    ) {
        let mut gone = std::mem::take(&mut self.sessions);
        for (uuid, interface) in replica.all::<Interface>() {
            let Some(peer) = peer(interface).filter(&is_known) else {
                continue;
            };
            let known = gone.remove(&peer).filter(|known| known.interface == uuid);
            let status = BfdStatus::of(interface);
            self.shown.show(&peer).set(status.state);
            self.sessions
                .insert(peer, BfdSession::next(known, uuid, &status, now));
        }
        gone.keys().for_each(|peer| self.shown.hide(peer));
    }

    /// What is heard of each peer.
    pub(in crate::hypervisor) fn watches(&self) -> TunnelWatches {
        self.sessions
            .iter()
            .map(|(peer, session)| (peer.clone(), session.watch))
            .collect()
    }

    /// When one that has not come up yet counts as down.
    pub(in crate::hypervisor) fn deadline(&self) -> Option<Instant> {
        let sessions = self.sessions.values();
        let awaited = sessions.filter(|session| session.watch.state == TunnelState::Awaited);
        awaited.map(|session| session.begun + PATIENCE).min()
    }
}

impl BfdSession {
    /// A session that was known so, if it was, and now has this status.
    fn next(known: Option<Self>, interface: Uuid, status: &BfdStatus, now: Instant) -> Self {
        let begun = known.map_or(now, |known| known.begun);
        let came_up = status.is_up() || known.is_some_and(|known| known.came_up);
        let state = match (status.is_up(), came_up || now >= begun + PATIENCE) {
            (true, _) => TunnelState::Up,
            (false, true) => TunnelState::Down,
            (false, false) => TunnelState::Awaited,
        };
        let flaps = status.flaps;
        Self {
            interface,
            begun,
            came_up,
            watch: TunnelWatch { state, flaps },
        }
    }
}

/// What the column `bfd_status` says (ovs-vswitchd.conf.db(5)).
struct BfdStatus {
    /// As RFC 5880 §4.1 numbers the states.
    state: i64,
    flaps: u64,
}

impl BfdStatus {
    fn of(interface: Interface<'_>) -> Self {
        let status = interface.bfd_status();
        let state = match status.get("state") {
            Some("up") => 3,
            Some("init") => 2,
            Some("down") => 1,
            Some(_) | None => 0,
        };
        let flaps = status.get("flap_count");
        let flaps = flaps.and_then(|flaps| flaps.parse().ok()).unwrap_or(0);
        Self { state, flaps }
    }

    fn is_up(&self) -> bool {
        self.state == 3
    }
}

/// The peer of an interface that was made for BFD.
fn peer(interface: Interface<'_>) -> Option<ChassisId> {
    if is_of_bfd(interface.row()) {
        interface.external_ids().get(PEER).map(ChassisId::new)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::OWNED;
    use crate::seat::Seats;
    use sextant_ovsdb_client::monitor::{RowUpdate, Update};
    use sextant_ovsdb_client::{Row, Value};
    use std::net::{IpAddr, Ipv6Addr};

    #[test]
    fn peers_that_are_no_hypervisors_of_this_cloud_make_no_series() {
        let metrics = Metrics::new().unwrap();
        let own = ChassisId::new("h1");
        let seat = Seats::default().take(&own, IpAddr::from(Ipv6Addr::LOCALHOST));
        let mut states = States::new(&metrics, &Arc::new(seat.unwrap()));
        let mut replica = Replica::default();
        let named = |number: u128| match number {
            0 => "h2".to_owned(),
            other => format!("made-up-{other}"),
        };
        let updates = (0..100).map(|number| {
            let name = named(number);
            let ids = Value::map([OWNED, (PEER, name.as_str())]);
            let row = Row::new().with("external_ids", ids);
            RowUpdate {
                table: "Interface".into(),
                uuid: Uuid::from_u128(number + 1),
                change: Update::Contents(row),
            }
        });
        replica.apply(updates.collect::<Vec<_>>()).unwrap();
        let is_known = |peer: &ChassisId| peer.as_str() == "h2";
        states.read(&replica, is_known, Instant::now());
        let peers: Vec<ChassisId> = states.watches().into_keys().collect();
        assert_eq!(peers, [ChassisId::new("h2")]);
    }

    fn status(state: i64, flaps: u64) -> BfdStatus {
        BfdStatus { state, flaps }
    }

    #[test]
    fn a_session_has_time_to_come_up_once_and_none_after_that() {
        let (interface, begun) = (Uuid::from_u128(1), Instant::now());
        let mut session = None;
        let mut at = |seconds: u64, state: i64| {
            let now = begun + Duration::from_secs(seconds);
            let next = BfdSession::next(session, interface, &status(state, 0), now);
            session = Some(next);
            next.watch.state
        };
        assert_eq!(at(0, 0), TunnelState::Awaited);
        assert_eq!(at(9, 1), TunnelState::Awaited);
        assert_eq!(at(10, 2), TunnelState::Down);
        assert_eq!(at(11, 3), TunnelState::Up);
        assert_eq!(at(12, 1), TunnelState::Down);
        assert_eq!(at(13, 3), TunnelState::Up);
    }
}
