//! Switches: one OpenFlow session each, in one task that programs flows and answers punted packets.

mod arrival;
mod counting;
mod gathering;
mod groups;
mod handover;
mod inventory;
mod line;
mod meters;
mod packet_out;
mod preparing;
mod programming;
mod punts;
mod registers;
mod session;
mod shortcomings;
mod standby;
mod unpublished;
mod vigil;

pub use gathering::GatheringTurn;
pub use handover::Handover;
pub use preparing::Preparing;
pub use punts::Punts;

use crate::admission::{self, ConnectionLimits, KnownHypervisors};
use crate::captures::Captures;
use crate::cluster::Tenures;
use crate::flow_counters::FlowCounters;
use crate::metrics::Metrics;
use crate::neighbors::Neighbors;
use crate::port_history::PortHistory;
use crate::probes::TunnelProbes;
use crate::rules::{HypervisorRules, Rules};
use crate::seat::Seats;
use crate::snapshot::Snapshots;
use crate::state::Events;
use crate::stream::Listener;
use sextant_model::ChassisId;
use std::sync::Arc;
use std::time::Duration;

/// What every session needs.
#[derive(Clone, Debug)]
pub struct SwitchContext {
    /// What is known.
    pub snapshots: Snapshots,
    /// Where confirmations go.
    pub events: Events,
    /// What is counted.
    pub metrics: Metrics,
    /// The sessions that speak for hypervisors' switches.
    pub seats: Seats<ChassisId>,
    /// The sessions that speak for hypervisors' databases.
    pub databases: Seats<ChassisId>,
    /// Which hypervisors this controller owns.
    pub tenures: Tenures,
    /// The rules for hypervisors, for instance which names a certificate allows.
    pub rules: Rules,
    /// Whose turn it is to let packets gather.
    pub pauses: GatheringTurn,
    /// Whose turn it is to have its flows computed.
    pub preparing: Preparing,
    /// What is known of neighbours outside.
    pub neighbors: Neighbors,
    /// What happened at ports.
    pub history: PortHistory,
    /// Who wants to know how many packets flows took.
    pub counters: FlowCounters,
    /// Who waits for probes of tunnels.
    pub probes: TunnelProbes,
    /// Who captures the frames of ports.
    pub captures: Captures,
    /// What was advertised to guests before a switch lost its connection.
    pub handover: Handover,
    /// How many switches may be connected.
    pub limits: ConnectionLimits,
    /// How long a switch may take to say what it has, and to confirm a small change.
    pub patience: Duration,
}

impl SwitchContext {
    /// The least that sessions need: this controller is the only one, asks for no certificates, and keeps to the limits of the process.
    pub fn new(snapshots: Snapshots, events: Events, metrics: Metrics) -> Self {
        Self {
            snapshots,
            events,
            seats: Seats::default(),
            databases: Seats::default(),
            tenures: Tenures::All,
            rules: Rules::fixed(HypervisorRules::default()),
            pauses: GatheringTurn::default(),
            preparing: Preparing::new(metrics.clone()),
            neighbors: Neighbors::default(),
            history: PortHistory::default(),
            counters: FlowCounters::default(),
            probes: TunnelProbes::default(),
            captures: Captures::default(),
            handover: Handover::default(),
            limits: ConnectionLimits::of_process(),
            patience: PATIENCE,
            metrics,
        }
    }
}

/// What [`SwitchContext::patience`] should be: a busy switch reads back hundreds of thousands of flows in less.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Serves every switch that connects. Does not return.
pub async fn listen(listener: impl Into<Listener>, context: SwitchContext) {
    let (limits, metrics) = (context.limits, context.metrics.clone());
    let context = Arc::new(context);
    let seats = vec![context.databases.clone(), context.seats.clone()];
    let known = KnownHypervisors::new(context.snapshots.clone(), seats);
    admission::listen(
        listener.into(),
        "openflow",
        limits,
        known,
        metrics,
        |stream, peer, pass| session::serve(stream, peer, pass, context.clone()),
    )
    .await;
}
