//! The session with one switch.
//!
//! One task owns the connection. It waits for a message, a new snapshot, or the time of an unsolicited advertisement.
//! Packets are answered at once, from what the flow that sent them up carries. Flows are changed one bundle at a time:
//! while one is under way, further snapshots wait, and then their differences go together.

use super::advertising::Advertising;
use super::inventory::{Inventory, requests};
use super::programming::{Change, Meters, Outbox};
use super::{Context, punts};
use crate::snapshot::{Snapshot, Stopping};
use crate::state::Event;
use rust_openflow::{BundleError, Connection, ConnectionError, Message, Options};
use sextant_flows::{Difference, Flows, reconcile};
use sextant_model::{ChassisId, PortId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// While this many octets wait to be written, no more packets are taken in.
const HIGH_WATER: usize = 1 << 20;
/// How many packets are answered before anything else has its turn.
const BATCH: usize = 256;
/// How long after a refused change the switch is read and reconciled again, at first and at most.
const RESYNC: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("it closed the connection")]
    Closed,
    #[error(transparent)]
    Stopping(#[from] Stopping),
}

impl Outbox for Connection<TcpStream> {
    fn post(&mut self, message: &Message) -> u32 {
        self.send(message)
    }

    fn post_as(&mut self, xid: u32, message: &Message) {
        self.send_with_xid(xid, message);
    }
}

pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, context: Context) {
    let switches = context.metrics.switches_connected.clone();
    switches.inc();
    match run(stream, peer, context).await {
        Err(SessionError::Stopping(stopping)) => tracing::info!(%peer, "switch's session ends: {stopping}"),
        Err(error) => tracing::warn!(%peer, %error, "switch disconnected"),
        Ok(never) => match never {},
    }
    switches.dec();
}

async fn run(stream: TcpStream, peer: SocketAddr, context: Context) -> Result<std::convert::Infallible, SessionError> {
    stream.set_nodelay(true).map_err(ConnectionError::from)?;
    let mut connection = Connection::handshake(stream, Options::default()).await?;
    let datapath_id = connection.features().datapath_id;
    let (chassis, snapshot) = identify(&mut connection, datapath_id, &context).await?;
    tracing::info!(%peer, %chassis, datapath_id = format_args!("{datapath_id:016x}"), "switch connected");
    let mut session = Session::new(connection, chassis, context, snapshot).await?;
    session.reconcile().await?;
    session.serve().await
}

/// Waits until it is known whose switch this is, and everything about that hypervisor.
async fn identify(
    connection: &mut Connection<TcpStream>,
    datapath_id: u64,
    context: &Context,
) -> Result<(ChassisId, Arc<Snapshot>), SessionError> {
    let mut snapshots = context.snapshots.clone();
    let mut snapshot = snapshots.latest();
    loop {
        let chassis = snapshot.facts.chassis_of_datapath(datapath_id).filter(|chassis| chassis.observed);
        if let Some(chassis) = chassis {
            return Ok((chassis.id.clone(), snapshot));
        }
        tokio::select! {
            changed = snapshots.changed() => snapshot = changed?,
            message = connection.recv() => drop(message?.ok_or(SessionError::Closed)?),
        }
    }
}

struct Session {
    connection: Connection<TcpStream>,
    chassis: ChassisId,
    context: Context,
    flows: Flows,
    /// What [`Session::flows`] were computed of.
    snapshot: Arc<Snapshot>,
    meters: Meters,
    advertising: Advertising,
    change: Option<Change>,
    bundles: u32,
    resync: Option<Instant>,
    patience: Duration,
}

impl Session {
    /// Reads what the switch has and computes what it should have.
    async fn new(
        connection: Connection<TcpStream>,
        chassis: ChassisId,
        context: Context,
        snapshot: Arc<Snapshot>,
    ) -> Result<Self, SessionError> {
        let flows = Flows::compute(&snapshot.intent, &snapshot.facts, &chassis);
        let (meters, advertising) = (Meters::default(), Advertising::default());
        let (change, bundles, resync, patience) = (None, 0, None, RESYNC.0);
        Ok(Self { connection, chassis, context, flows, snapshot, meters, advertising, change, bundles, resync, patience })
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, SessionError> {
        let mut snapshots = self.context.snapshots.clone();
        loop {
            let deadline = self.deadline();
            tokio::select! {
                message = self.connection.recv() => {
                    let (xid, message) = message?.ok_or(SessionError::Closed)?;
                    self.take(xid, &message).await?;
                    self.take_waiting().await?;
                }
                changed = snapshots.changed() => drop(changed?),
                () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {}
            }
            self.act().await?;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let advertising = self.advertising.deadline().map(Instant::from_std);
        advertising.into_iter().chain(self.resync).min()
    }

    /// Takes in what has arrived already, up to a batch.
    async fn take_waiting(&mut self) -> Result<(), SessionError> {
        for _ in 0..BATCH {
            if self.connection.queued_bytes() > HIGH_WATER {
                break;
            }
            let Some((xid, message)) = self.connection.try_recv_buffered()? else { break };
            self.take(xid, &message).await?;
        }
        Ok(())
    }

    async fn take(&mut self, xid: u32, message: &Message) -> Result<(), SessionError> {
        if let Message::PacketIn(packet) = message {
            for answer in punts::answer(&self.flows, packet, &self.context.metrics) {
                self.connection.send(&answer);
            }
            return Ok(());
        }
        match self.change.as_mut().and_then(|change| change.on_message(xid, message)) {
            Some(Ok(())) => self.confirmed().await,
            Some(Err(error)) => {
                self.refused(&error);
                Ok(())
            }
            None => {
                if let Message::Error(error) = message {
                    tracing::warn!(chassis = %self.chassis, %error, "switch refused a message");
                }
                Ok(())
            }
        }
    }

    /// Does what time and snapshots ask for.
    async fn act(&mut self) -> Result<(), SessionError> {
        let now = Instant::now();
        for message in self.advertising.due(now.into_std(), &self.context.metrics) {
            self.connection.send(&message);
        }
        if self.resync.is_some_and(|at| at <= now) {
            self.resync = None;
            return self.reconcile().await;
        }
        let latest = self.context.snapshots.latest();
        if self.change.is_none() && self.resync.is_none() && !Arc::ptr_eq(&latest, &self.snapshot) {
            let before = std::mem::replace(&mut self.snapshot, latest);
            let started = Instant::now();
            let (old, new) = ((&before.intent, &before.facts), (&self.snapshot.intent, &self.snapshot.facts));
            let difference = self.flows.update(&self.chassis, old, new);
            self.context.metrics.compute_seconds.observe(started.elapsed().as_secs_f64());
            self.program(&difference);
        }
        Ok(())
    }

    /// Reads back what the switch has and makes it what it should be.
    async fn reconcile(&mut self) -> Result<(), SessionError> {
        let mut inventory = Inventory::default();
        for request in requests() {
            self.connection.send(&request);
        }
        while !inventory.is_complete() {
            let (xid, message) = self.connection.recv().await?.ok_or(SessionError::Closed)?;
            inventory.take(&message);
            self.take(xid, &message).await?;
        }
        self.snapshot = self.context.snapshots.latest();
        self.flows = Flows::compute(&self.snapshot.intent, &self.snapshot.facts, &self.chassis);
        let difference = reconcile(&self.flows, &inventory.flows);
        let (present, add, delete) = (inventory.flows.len(), difference.additions(), difference.deletions());
        tracing::info!(chassis = %self.chassis, present, add, delete, "switch read and reconciled");
        self.meters = Meters::new(inventory.meters);
        self.program(&difference);
        Ok(())
    }

    /// Sends a difference to the switch; ports that are there turn active once it is confirmed.
    fn program(&mut self, difference: &Difference) {
        let settings = self.snapshot.intent.settings.clone();
        let metrics = &self.context.metrics;
        let chassis = self.chassis.as_str();
        metrics.flows_wanted.with_label_values(&[chassis]).set(i64::try_from(self.flows.len()).unwrap_or(i64::MAX));
        for message in self.advertising.update(self.flows.links(), settings.ra, Instant::now().into_std(), metrics) {
            self.connection.send(&message);
        }
        if difference.is_empty() && self.unconfirmed(&self.snapshot).is_empty() {
            return;
        }
        for message in self.meters.wanted(&self.flows.meters(), &settings) {
            self.connection.send(&message);
        }
        self.bundles = self.bundles.wrapping_add(1);
        self.change = Some(Change::send(&mut self.connection, self.bundles, difference, self.snapshot.clone()));
    }

    /// Ports that are plugged in here and not yet active.
    fn unconfirmed(&self, snapshot: &Snapshot) -> Vec<PortId> {
        let facts = &snapshot.facts;
        let here = facts.networks_on(&self.chassis).flat_map(|network| facts.local_ports(network, &self.chassis));
        here.filter(|port| !facts.active().contains(port) && facts.binding(*port).is_some_and(|binding| binding.ofport.is_some())).collect()
    }

    async fn confirmed(&mut self) -> Result<(), SessionError> {
        let Some(change) = self.change.take() else { return Ok(()) };
        self.patience = RESYNC.0;
        self.count(&change, "confirmed");
        self.context.metrics.reconcile_seconds.observe(change.sent.elapsed().as_secs_f64());
        for message in self.meters.unwanted(&self.flows.meters()) {
            self.connection.send(&message);
        }
        let ports = self.unconfirmed(&change.snapshot);
        if ports.is_empty() {
            return Ok(());
        }
        let event = Event::Confirmed(self.chassis.clone(), ports);
        self.context.events.send(event).await.map_err(|_| Stopping.into())
    }

    fn refused(&mut self, error: &BundleError) {
        tracing::warn!(chassis = %self.chassis, %error, again_in = ?self.patience, "switch refused a change of its flows");
        if let Some(change) = self.change.take() {
            self.count(&change, "refused");
        }
        self.resync = Some(Instant::now() + self.patience);
        self.patience = (self.patience * 2).min(RESYNC.1);
    }

    fn count(&self, change: &Change, outcome: &str) {
        let count = |operation: &str, flows: usize| {
            self.context.metrics.flow_operations.with_label_values(&[operation, outcome]).inc_by(u64::try_from(flows).unwrap_or(u64::MAX));
        };
        count("add", change.additions);
        count("delete", change.deletions);
    }
}
