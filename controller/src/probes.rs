//! Probes of tunnels: whether frames get from one hypervisor to another, how fast, and how long they may be.
//!
//! A switch sends each by packet-out, through the tunnel that guests' frames take. The other switch sends it up. No guest
//! takes part.

use crate::flow_counters::{FlowCounters, NoCounters};
use bytes::Bytes;
use dashmap::DashMap;
use rust_openflow::{Action, Message, NO_BUFFER, PacketOut, ports};
use sextant_flows::{View, probing};
use sextant_model::ChassisId;
use sextant_responders::probe;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout_at};

/// A switch sends up as many a second as a guest may send (`punt.rate`). A volley keeps below that by a fifth.
const SLOWER: Duration = Duration::from_millis(1200);
/// How long a frame may take.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often a length is tried before it counts as too long.
const TRIES: u16 = 3;
/// What every underlay lets through, in octets of the guest's IP packet.
pub const SHORTEST: u16 = 64;

/// The probes under way, and who waits for each.
#[derive(Clone, Debug, Default)]
pub struct TunnelProbes(Arc<DashMap<u64, mpsc::UnboundedSender<ProbeArrival>>>);

/// A probe that came up.
#[derive(Clone, Debug)]
struct ProbeArrival {
    number: u64,
    at: ChassisId,
    when: Instant,
}

/// Probes of one length, one way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volley {
    /// How many were sent.
    pub sent: u16,
    /// How long those took that arrived, through this process and back, in order.
    pub took: Vec<Duration>,
    /// Another hypervisor that some of them came to.
    pub astray: Option<ChassisId>,
}

impl TunnelProbes {
    /// A probe came up from a switch.
    pub fn arrived(&self, number: u64, at: &ChassisId) {
        if let Some((_, waiting)) = self.0.remove(&number) {
            let (at, when) = (at.clone(), Instant::now());
            // Who sent it may have left.
            let _ = waiting.send(ProbeArrival { number, at, when });
        }
    }
}

/// What sends probes one way.
#[derive(Debug)]
pub struct Prober<'a> {
    probes: &'a TunnelProbes,
    switches: &'a FlowCounters,
    from: ChassisId,
    to: ChassisId,
    actions: Vec<Action>,
    /// Between two frames.
    pause: Duration,
}

impl<'a> Prober<'a> {
    /// From the hypervisor of this view. `None`: it has no tunnel to the other.
    pub fn new(
        probes: &'a TunnelProbes,
        switches: &'a FlowCounters,
        view: &View<'_>,
        to: &ChassisId,
    ) -> Option<Self> {
        Some(Self {
            probes,
            switches,
            from: view.chassis.clone(),
            to: to.clone(),
            actions: probing(view, to)?,
            pause: SLOWER / view.intent.settings.punt_rate.max(1),
        })
    }

    /// Sends so many probes, each as long as a frame with an IP packet of `length` octets.
    ///
    /// # Errors
    /// The sender's switch is not connected here.
    pub async fn volley(&self, count: u16, length: u16) -> Result<Volley, NoCounters> {
        let (waiting, mut arrivals) = mpsc::unbounded_channel();
        let mut sent = BTreeMap::new();
        for _ in 0..count {
            let number = rand::random();
            self.probes.0.insert(number, waiting.clone());
            sent.insert(number, Instant::now());
            if let Err(error) = self.switches.send(&self.from, self.message(number, length)) {
                self.forget(&sent);
                return Err(error);
            }
            sleep(self.pause).await;
        }
        drop(waiting);
        let mut volley = Volley {
            sent: count,
            ..Volley::default()
        };
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while let Ok(Some(arrival)) = timeout_at(deadline, arrivals.recv()).await {
            volley.add(&arrival, &self.to, &sent);
        }
        self.forget(&sent);
        volley.took.sort_unstable();
        Ok(volley)
    }

    /// The longest IP packet that gets through, up to `most` octets. `None`: none does.
    ///
    /// # Errors
    /// The sender's switch is not connected here.
    pub async fn longest(&self, most: u16) -> Result<Option<u16>, NoCounters> {
        if self.passes(most).await? {
            return Ok(Some(most));
        }
        if !self.passes(SHORTEST).await? {
            return Ok(None);
        }
        let (mut passes, mut fails) = (SHORTEST, most);
        while passes + 1 < fails {
            let middle = passes.midpoint(fails);
            match self.passes(middle).await? {
                true => passes = middle,
                false => fails = middle,
            }
        }
        Ok(Some(passes))
    }

    /// Whether any of a few IP packets of `length` octets gets through.
    ///
    /// # Errors
    /// The sender's switch is not connected here.
    pub async fn passes(&self, length: u16) -> Result<bool, NoCounters> {
        let volley = self.volley(TRIES, length).await?;
        Ok(!volley.took.is_empty())
    }

    fn message(&self, number: u64, length: u16) -> Message {
        Message::PacketOut(PacketOut {
            buffer_id: NO_BUFFER,
            in_port: ports::CONTROLLER,
            actions: self.actions.clone(),
            data: Bytes::from(probe::frame(number, length)),
        })
    }

    fn forget(&self, sent: &BTreeMap<u64, Instant>) {
        for number in sent.keys() {
            self.probes.0.remove(number);
        }
    }
}

impl Volley {
    fn add(&mut self, arrival: &ProbeArrival, to: &ChassisId, sent: &BTreeMap<u64, Instant>) {
        if arrival.at != *to {
            self.astray = Some(arrival.at.clone());
        } else if let Some(begun) = sent.get(&arrival.number) {
            self.took.push(arrival.when.duration_since(*begun));
        }
    }

    /// How many did not arrive.
    #[must_use]
    pub fn lost(&self) -> usize {
        usize::from(self.sent).saturating_sub(self.took.len())
    }
}
