//! What a session does so that this controller owns its hypervisor, where there are several (`docs/decisions/0021`).
//!
//! All of them wait for the lock `sextant` in the hypervisor's database. Whoever has it writes the next generation there, and owns the
//! hypervisor until another one has written its own. So one that lost only its connection, and has the lock again before
//! anybody else had it, has owned the hypervisor all the time.

use super::HypervisorSession;
use crate::cluster::{Cluster, Live, OwnerLiveness, Tenure, others_live};
use crate::hypervisor::schema::{DATABASE, OpenVswitch};
use crate::hypervisor::view::View;
use crate::snapshot::Stopping;
use crate::state::Event;
use sextant_model::ChassisId;
use sextant_ovsdb_client::{
    Condition, Connection, Mutation, Replica, RequestId, Row, Transaction, TransactionError, Until,
    Value,
};
use sextant_responders::backoff::Backoff;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;

/// The lock of who owns a hypervisor (RFC 7047 §4.1.8).
pub(super) const LOCK: &str = "sextant";
/// The key in `external_ids` of `Open_vSwitch` that counts owners.
const GENERATION: &str = "sextant-generation";
/// How long a session waits before it owns a hypervisor anew that it lost though it kept the lock: who says so can say it again.
const ANEW: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// A greater generation than any that was counted.
const LARGEST: u64 = u64::MAX / 4;

/// How far a session is with owning its hypervisor.
#[derive(Debug)]
pub(super) struct OwnerClaim {
    pub(super) cluster: Cluster,
    live: watch::Receiver<Live>,
    is_busy: watch::Receiver<bool>,
    /// The ownership of the hypervisor for which the session speaks.
    pub(super) tenure: Option<(ChassisId, Tenure)>,
    lock: Lock,
    /// Since when the session could own the hypervisor, and what it had was not taken from it.
    since: Option<Instant>,
    /// Whether the hypervisor's owner lives.
    owner: OwnerLiveness,
    /// Whether the database has not answered yet that it took it for this session.
    is_stealing: bool,
    /// The next turn to take the hypervisor from it.
    turn: Option<Instant>,
    writing: Option<AskedGeneration>,
    /// The confirmation of the lock that was asked for, and when it is asked for again.
    pub(super) confirming: Option<AskedGeneration>,
    pub(super) confirm_again: Option<Instant>,
    again: Option<Instant>,
    anew: Backoff,
    /// The generation that this session has written, until its tenure has begun.
    pub(super) written: Option<u64>,
}

/// A transaction about a generation, which only who has the lock can make.
#[derive(Clone, Copy, Debug)]
pub(super) struct AskedGeneration {
    pub(super) id: RequestId,
    pub(super) generation: u64,
    pub(super) at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lock {
    Unasked,
    /// Another connection has it.
    Asked,
    Held,
}

impl OwnerClaim {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self {
            live: cluster.live(),
            is_busy: cluster.is_busy(),
            cluster,
            tenure: None,
            anew: ANEW,
            lock: Lock::Unasked,
            since: None,
            owner: OwnerLiveness::Lives,
            is_stealing: false,
            turn: None,
            writing: None,
            confirming: None,
            confirm_again: None,
            again: None,
            written: None,
        }
    }

    /// The server says that this session has the lock.
    pub(super) fn locked(&mut self) {
        self.lock = Lock::Held;
        self.is_stealing = false;
    }

    /// Whether this session has the lock.
    pub(super) fn has_lock(&self) -> bool {
        self.lock == Lock::Held
    }

    /// Another session took it. A session that had taken it itself is in no queue then, so this one asks again.
    pub(super) fn stolen<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        connection: &mut Connection<S>,
    ) {
        connection.unlock(LOCK);
        connection.lock(LOCK);
        self.lock = Lock::Asked;
        self.is_stealing = false;
        self.since = Some(Instant::now());
        (self.writing, self.confirming) = (None, None);
    }

    /// A transaction was answered. Returns whether it was this one's.
    pub(super) fn answered(&mut self, id: RequestId, refusal: Option<&TransactionError>) -> bool {
        let lacks_lock = refusal.is_some_and(is_not_owner);
        if lacks_lock {
            self.lock = Lock::Asked;
        }
        if let Some(asked) = self.confirming.take_if(|asked| asked.id == id) {
            self.was_confirmed(asked, refusal);
            return true;
        }
        let Some(asked) = self.writing.take_if(|writing| writing.id == id) else {
            return false;
        };
        match refusal {
            None => {
                self.written = Some(asked.generation);
                self.was_confirmed(asked, None);
            }
            // It is written once this session has the lock.
            Some(_) if lacks_lock => {}
            Some(_) => self.again = Some(Instant::now() + self.anew.wait()),
        }
        true
    }

    /// Follows a hypervisor's tenure, which the session with its switch and the owner of state may end as well.
    fn follow(&mut self, chassis: &ChassisId) {
        let followed = self.tenure.as_ref();
        if followed.is_none_or(|(id, _)| id != chassis) {
            self.leave();
            let tenure = self.cluster.tenures().of(chassis);
            self.tenure = Some((chassis.clone(), tenure));
        }
    }

    /// The session ends, or speaks for another hypervisor.
    pub(super) fn leave(&mut self) {
        if let Some((chassis, tenure)) = self.tenure.take() {
            drop(tenure);
            self.cluster.tenures().unlock(&chassis);
        }
    }

    /// The hypervisor was lost. Where the session has kept the lock, whoever said so may say it again.
    fn lose(&mut self) {
        self.written = None;
        if self.lock == Lock::Held {
            self.again = Some(Instant::now() + self.anew.wait());
        }
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
                match self.cluster.take_turn(now, self.owner) {
                    Ok(()) => {
                        tracing::debug!(%chassis, "taking the hypervisor from its owner");
                        connection.unlock(LOCK);
                        connection.steal(LOCK);
                        (self.since, self.turn, self.is_stealing) = (Some(now), None, true);
                    }
                    Err(at) => self.turn = Some(at),
                }
            }
            Lock::Unasked | Lock::Asked | Lock::Held => {}
        }
    }

    fn may_take_at(&self, chassis: &ChassisId) -> Option<Instant> {
        if self.is_stealing {
            return None;
        }
        let owner = self.owner;
        let at = self.cluster.may_take_at(chassis, self.since?, owner)?;
        Some(self.turn.map_or(at, |turn| turn.max(at)))
    }

    /// When there is something to do again, for this hypervisor.
    pub(super) fn deadline(&self, chassis: &ChassisId) -> Option<Instant> {
        match self.lock {
            Lock::Unasked => Some(self.since? + self.cluster.delay(chassis)),
            Lock::Asked => self.may_take_at(chassis),
            Lock::Held => self.again.into_iter().chain(self.confirm_again).min(),
        }
    }

    /// The transaction that makes this controller the owner, if it is time for it.
    fn next(
        &mut self,
        replica: &Replica,
        (own, seen, latest): (Option<u64>, u64, u64),
        now: Instant,
    ) -> Option<(Transaction, u64)> {
        if self.writing.is_some() || self.again.is_some_and(|again| again > now) {
            return None;
        }
        self.again = None;
        // Somebody may have removed what this controller has written: it is written again.
        let own = own.filter(|own| *own > seen);
        let generation = own.unwrap_or(latest.max(seen) + 1);
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
        .filter(|generation| *generation < LARGEST)
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
    let transaction = unchanged(replica)?
        .mutate("Open_vSwitch", [Condition::uuid(root)], mutations)
        .comment("sextant: own");
    Some(transaction)
}

/// A transaction of whoever has the lock. It fails where another owner has written what the replica does not show yet.
pub(super) fn unchanged(replica: &Replica) -> Option<Transaction> {
    let (root, row) = replica.all::<OpenVswitch>().next()?;
    let shown = Row::new().with("external_ids", Value::map(row.external_ids().iter()));
    let transaction = Transaction::new(DATABASE).assert(LOCK).wait(
        "Open_vSwitch",
        [Condition::uuid(root)],
        &["external_ids"],
        Until::Equal,
        [shown],
        Some(Duration::ZERO),
    );
    Some(transaction)
}

impl HypervisorSession {
    /// Whether this controller owns the hypervisor. Does what it takes.
    pub(super) async fn owns(&mut self, chassis: &ChassisId) -> Result<bool, Stopping> {
        let Some(claim) = &mut self.claim else {
            return Ok(true);
        };
        claim.follow(chassis);
        let seen = generation(self.connection.replica());
        let tenures = claim.cluster.tenures().clone();
        tenures.see(chassis, seen, claim.lock == Lock::Held);
        let snapshot = self.context.snapshots.latest();
        claim.owner = claim
            .cluster
            .owner_liveness(snapshot.facts.owners().get(chassis));
        claim.ask(chassis, &mut self.connection, Instant::now());
        let is_locked = claim.lock == Lock::Held;
        self.view.fit(&mut self.connection, is_locked);
        let own = tenures.held(chassis).own;
        // Without the lock, another generation is another owner's, also where somebody has reset it.
        let is_lost = own.is_some_and(|own| own < seen || own != seen && !is_locked);
        let (lost, kept) = if is_lost { (own, None) } else { (None, own) };
        if let Some(own) = lost {
            claim.lose();
            tenures.end(chassis, own);
            self.forget();
            self.send(Event::Disowned(chassis.clone(), own)).await?;
        } else if own.is_none() && claim.written.is_none() && self.owned.is_some() {
            // The switch or the store said first that another controller owns it.
            claim.lose();
            self.forget();
        }
        self.confirm_lock(chassis, kept, seen);
        let owns = self.claim_anew(chassis, kept, seen);
        Ok(owns && self.view == View::Whole)
    }

    /// Writes the next generation, if this session has the lock. Returns whether this controller owns the hypervisor.
    fn claim_anew(&mut self, chassis: &ChassisId, own: Option<u64>, seen: u64) -> bool {
        let Some(claim) = &mut self.claim else {
            return true;
        };
        if claim.lock != Lock::Held || !self.takes_part {
            return false;
        }
        if own.or(claim.written) == Some(seen) {
            claim.again = None;
            return true;
        }
        // Until the replica shows what this session has written, there is nothing to write.
        if own.is_none() && claim.written.is_some_and(|written| written > seen) {
            return false;
        }
        let snapshot = self.context.snapshots.latest();
        let stored = snapshot.facts.owners().get(chassis);
        let stored = stored.map_or(0, |owner| owner.generation);
        let latest = claim.cluster.tenures().held(chassis).seen.max(stored);
        let replica = self.connection.replica();
        if let Some((transaction, generation)) =
            claim.next(replica, (own, seen, latest), Instant::now())
        {
            let id = self.connection.transact(transaction);
            let at = Instant::now();
            claim.writing = Some(AskedGeneration { id, generation, at });
        }
        own.is_some()
    }

    /// Sends to the owner of state that this controller owns the hypervisor, before any other event about it.
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

    /// Lets the session with the switch begin, once all events were sent.
    pub(super) fn begin_tenure(&mut self, chassis: &ChassisId) {
        if let Some(claim) = &mut self.claim
            && let Some(written) = claim.written.take()
        {
            claim.cluster.tenures().begin(chassis, written);
        }
    }

    /// Ends the tenure of a hypervisor that takes no part any more, or has another name.
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

/// What a claim follows, and has changed.
pub(super) enum Followed {
    /// Who lives, or who owns the hypervisor.
    Others,
    /// This controller is not busy any more.
    Pace,
}

/// Waits until other controllers live, the hypervisor has another owner, or this controller is not busy any more. With one controller
/// it waits forever.
pub(super) async fn follow(claim: &mut Option<OwnerClaim>) -> Followed {
    let Some(claim) = claim else {
        return std::future::pending().await;
    };
    let tenure = async {
        match &mut claim.tenure {
            Some((_, tenure)) => tenure.changed().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = others_live(&mut claim.live) => Followed::Others,
        () = tenure => Followed::Others,
        () = calmed(&mut claim.is_busy) => Followed::Pace,
    }
}

/// Waits until this controller is on time that was busy. It says nothing of the other way round: what hypervisors have been asked for
/// by then stays.
async fn calmed(is_busy: &mut watch::Receiver<bool>) {
    // It never fails: whoever follows has the cluster, which has the sender.
    while is_busy.changed().await.is_ok() {
        if !*is_busy.borrow_and_update() {
            return;
        }
    }
    std::future::pending().await
}

/// Whether a database refused a transaction for a lock that another has (RFC 7047 §5.2.11).
pub(super) fn is_not_owner(error: &TransactionError) -> bool {
    matches!(error, TransactionError::Operation { error, .. } if error == "not owner")
}
