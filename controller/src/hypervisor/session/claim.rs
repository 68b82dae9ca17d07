//! What a session does so that this controller owns its hypervisor, where there are several (`docs/decisions/0021`).
//!
//! All of them wait for the lock `sextant` in the hypervisor's database. Whoever has it writes the next generation there, and owns the
//! hypervisor until another one has written its own. So one that lost only its connection, and has the lock again before
//! anybody else had it, has owned the hypervisor all the time.

use super::Session;
use crate::cluster::{Cluster, Live};
use crate::hypervisor::schema::{DATABASE, OpenVswitch};
use crate::snapshot::Stopping;
use crate::state::Event;
use sextant_model::ChassisId;
use sextant_ovsdb_client::{
    Condition, Connection, Mutation, Replica, RequestId, Transaction, Value,
};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;

/// The lock of who owns a hypervisor (RFC 7047 §4.1.8).
pub(super) const LOCK: &str = "sextant";
/// The key in `external_ids` of `Open_vSwitch` that counts owners.
const GENERATION: &str = "sextant-generation";
/// A greater generation than any that was counted.
const LARGEST: u64 = u64::MAX / 4;
/// How long after a refusal the next generation is written again.
const AGAIN: Duration = Duration::from_secs(1);

/// How far a session is with owning its hypervisor.
#[derive(Debug)]
pub(super) struct Claim {
    cluster: Cluster,
    pub(super) live: watch::Receiver<Live>,
    lock: Lock,
    /// Since when the session could own the hypervisor, and what it had was not taken from it.
    since: Option<Instant>,
    /// The next turn to take the hypervisor from its owner.
    turn: Option<Instant>,
    writing: Option<(RequestId, u64)>,
    again: Option<Instant>,
    /// The generation that this session has written, until its tenure has begun.
    written: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lock {
    Unasked,
    /// Another connection has it.
    Asked,
    Held,
}

impl Claim {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self {
            live: cluster.live(),
            cluster,
            lock: Lock::Unasked,
            since: None,
            turn: None,
            writing: None,
            again: None,
            written: None,
        }
    }

    /// The server says that this session has the lock.
    pub(super) fn locked(&mut self) {
        self.lock = Lock::Held;
    }

    /// Another session took it. A session that had taken it itself is in no queue then, so this one asks again.
    pub(super) fn stolen<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        connection: &mut Connection<S>,
    ) {
        connection.unlock(LOCK);
        connection.lock(LOCK);
        self.lock = Lock::Asked;
        self.since = Some(Instant::now());
        self.writing = None;
    }

    /// A transaction was answered. Returns whether it was this one's.
    pub(super) fn answered(&mut self, id: RequestId, confirmed: bool) -> bool {
        let Some((_, generation)) = self.writing.take_if(|(writing, _)| *writing == id) else {
            return false;
        };
        match confirmed {
            true => self.written = Some(generation),
            false => self.again = Some(Instant::now() + AGAIN),
        }
        true
    }

    /// Asks for the lock, or takes it, when it is time.
    fn ask<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        chassis: &ChassisId,
        connection: &mut Connection<S>,
        now: Instant,
    ) {
        let since = *self.since.get_or_insert(now);
        match self.lock {
            Lock::Unasked if since + self.cluster.delay(chassis) <= now => {
                connection.lock(LOCK);
                self.lock = Lock::Asked;
            }
            Lock::Asked if self.may_take_at(chassis).is_some_and(|at| at <= now) => {
                match self.cluster.take_turn(now) {
                    Ok(()) => {
                        tracing::debug!(%chassis, "taking the hypervisor from its owner");
                        connection.unlock(LOCK);
                        connection.steal(LOCK);
                        (self.since, self.turn) = (Some(now), None);
                    }
                    Err(at) => self.turn = Some(at),
                }
            }
            Lock::Unasked | Lock::Asked | Lock::Held => {}
        }
    }

    fn may_take_at(&self, chassis: &ChassisId) -> Option<Instant> {
        let at = self.cluster.may_take_at(chassis, self.since?)?;
        Some(self.turn.map_or(at, |turn| turn.max(at)))
    }

    /// When there is something to do again, for this hypervisor.
    pub(super) fn deadline(&self, chassis: &ChassisId) -> Option<Instant> {
        match self.lock {
            Lock::Unasked => Some(self.since? + self.cluster.delay(chassis)),
            Lock::Asked => self.may_take_at(chassis),
            Lock::Held => self.again,
        }
    }

    /// The transaction that makes this controller the owner, if it is time for it.
    fn next(
        &mut self,
        replica: &Replica,
        (own, seen): (Option<u64>, u64),
        now: Instant,
    ) -> Option<(Transaction, u64)> {
        if self.writing.is_some() || self.again.is_some_and(|again| again > now) {
            return None;
        }
        self.again = None;
        // Somebody may have removed what this controller has written: it is written again.
        let own = own.filter(|own| *own > seen);
        let generation = own.unwrap_or(seen + 1);
        Some((write(replica, generation)?, generation))
    }
}

/// The generation that the database shows.
fn generation(replica: &Replica) -> u64 {
    let root = replica.all::<OpenVswitch>().next();
    let shown = root.and_then(|(_, root)| root.external_ids().get(GENERATION));
    let generation = shown.and_then(|shown| shown.parse().ok());
    // No hypervisor has had so many owners: somebody else has written it.
    generation
        .filter(|generation| *generation <= LARGEST)
        .unwrap_or_default()
}

fn write(replica: &Replica, generation: u64) -> Option<Transaction> {
    let (root, row) = replica.all::<OpenVswitch>().next()?;
    let generation = generation.to_string();
    let before = row.external_ids().get(GENERATION).map(str::to_owned);
    let delete = before
        .as_deref()
        .map(|before| Mutation::delete("external_ids", Value::map([(GENERATION, before)])));
    let insert = Mutation::insert("external_ids", Value::map([(GENERATION, &*generation)]));
    let mutations: Vec<Mutation> = delete.into_iter().chain([insert]).collect();
    let transaction = Transaction::new(DATABASE)
        .assert(LOCK)
        .mutate("Open_vSwitch", [Condition::uuid(root)], mutations)
        .comment("sextant: own");
    Some(transaction)
}

impl Session {
    /// Whether this controller owns the hypervisor. Does what it takes.
    pub(super) async fn owns(&mut self, chassis: &ChassisId) -> Result<bool, Stopping> {
        let now = Instant::now();
        let Some(claim) = &mut self.claim else {
            return Ok(true);
        };
        let seen = generation(self.connection.replica());
        let tenures = claim.cluster.tenures().clone();
        tenures.see(chassis, seen);
        claim.ask(chassis, &mut self.connection, now);
        let own = tenures.held(chassis).own;
        let is_lost = own.is_some_and(|own| own < seen);
        if let Some(own) = own.filter(|_| is_lost) {
            claim.written = None;
            tenures.end(chassis, own);
            self.forget();
            self.send(Event::Disowned(chassis.clone(), own)).await?;
        } else if own.is_none() && claim.written.is_none() && self.owned.is_some() {
            // The switch or the store said first that another controller owns it.
            self.forget();
        }
        let own = own.filter(|_| !is_lost);
        let Some(claim) = &mut self.claim else {
            return Ok(true);
        };
        if claim.lock != Lock::Held {
            return Ok(false);
        }
        if own.or(claim.written) == Some(seen) {
            return Ok(true);
        }
        // Until the replica shows what this session has written, there is nothing to write.
        let is_awaited = own.is_none() && claim.written.is_some_and(|written| written > seen);
        if !is_awaited
            && let Some((transaction, generation)) =
                claim.next(self.connection.replica(), (own, seen), now)
        {
            let id = self.connection.transact(transaction);
            claim.writing = Some((id, generation));
        }
        Ok(own.is_some())
    }

    /// Before anything is told of a hypervisor, the owner of state is told that this controller owns it.
    pub(super) async fn tell_of_tenure(&mut self, chassis: &ChassisId) -> Result<(), Stopping> {
        let Some(claim) = &self.claim else {
            return Ok(());
        };
        let held = claim.cluster.tenures().held(chassis);
        let Some(own) = held.own.or(claim.written) else {
            return Ok(());
        };
        self.send(Event::Owned(chassis.clone(), own)).await
    }

    /// All was told: the session with the switch may begin.
    pub(super) fn begin_tenure(&mut self, chassis: &ChassisId) {
        if let Some(claim) = &mut self.claim
            && let Some(written) = claim.written.take()
        {
            claim.cluster.tenures().begin(chassis, written);
        }
    }

    /// The hypervisor takes no part, or under another name.
    pub(super) fn end_tenure(&mut self, chassis: &ChassisId) {
        if let Some(claim) = &mut self.claim {
            claim.written = None;
            let tenures = claim.cluster.tenures();
            if let Some(own) = tenures.held(chassis).own {
                tenures.end(chassis, own);
            }
        }
    }
}

/// Waits until other controllers live than before. Forever where there is one.
pub(super) async fn others_live(claim: &mut Option<Claim>) {
    let changed = match claim {
        Some(claim) => claim.live.changed().await.is_ok(),
        None => false,
    };
    if !changed {
        std::future::pending().await
    }
}
