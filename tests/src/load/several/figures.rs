//! What is measured of several controllers.

use crate::load::latency::Latencies;
use std::time::Duration;

/// What processes have used of the processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spending {
    /// Each controller; none for one that does not run.
    pub controllers: Vec<Duration>,
    /// All members of etcd together.
    pub etcd: Duration,
}

/// All hypervisors connected for the first time.
#[derive(Clone, Debug)]
pub struct Start {
    /// Until controllers had no more to say than to answer probes, and all ports were `ACTIVE` at each.
    pub took: Duration,
    /// For that.
    pub spending: Spending,
    /// How many changes of flows switches were sent.
    pub flow_mods: usize,
}

/// Who owns how many hypervisors, and what that takes.
#[derive(Clone, Debug)]
pub struct Shares {
    /// How many hypervisors each controller owns.
    pub owned: Vec<usize>,
    /// Octets of memory of each controller.
    pub memory: Vec<u64>,
}

/// What the lives of single ports cost: made, plugged in, pulled out, deleted.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// From plugging in to `ACTIVE` at each controller's API.
    pub seen: Vec<Latencies>,
    /// To `ACTIVE` at the first.
    pub first: Latencies,
    /// And at the last.
    pub last: Latencies,
    /// Commits to the store for each life.
    pub commits: f64,
    /// Octets of keys and values that these write.
    pub octets: f64,
    /// Keys that they write or delete.
    pub keys: f64,
}

/// What came of a controller's end.
#[derive(Clone, Copy, Debug)]
pub struct Takeover {
    /// How many hypervisors it owned.
    pub share: usize,
    /// Until all had an owner that had written its generation.
    pub owned: Duration,
    /// Until all switches had been read back by a controller that may change them.
    pub in_hand: Duration,
    /// How many changes of flows switches were sent.
    pub flow_mods: usize,
}

/// What came of its return.
#[derive(Clone, Copy, Debug)]
pub struct Return {
    /// Until it served.
    pub ready: Duration,
    /// From then on, until it owned its share again.
    pub owned: Duration,
    /// How many changes of flows switches were sent.
    pub flow_mods: usize,
}

/// Whom a hypervisor connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Targets {
    /// All controllers.
    All,
    /// One, which it may share with others.
    One,
}

/// What a hypervisor costs its owner and another controller, beyond what both need without hypervisors.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Octets of memory of the owner, and of the other, for each hypervisor.
    pub memory: [f64; 2],
    /// Of the other's, octets for what it knows of the hypervisor by the store, also without a connection: where ports are, and
    /// which are ACTIVE.
    pub known: f64,
    /// Processor time of the owner and of the other in a minute without changes.
    pub idle: [Duration; 2],
}

impl Spending {
    /// What was used since.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let controllers = self.controllers.iter().zip(&earlier.controllers);
        Self {
            controllers: controllers
                .map(|(now, earlier)| now.saturating_sub(*earlier))
                .collect(),
            etcd: self.etcd.saturating_sub(earlier.etcd),
        }
    }
}
