//! All flows of some hypervisors at one moment, to tell what became of them by another.

use crate::error::LabError;
use crate::hypervisor::Hypervisor;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// A flow without what changes by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownFlow {
    /// The hypervisor's name.
    pub host: String,
    /// Cookie, table, priority, match and actions.
    pub text: String,
}

/// Every flow with its age, and when that was read.
#[derive(Clone, Debug)]
pub struct FlowDump {
    begun: Instant,
    ended: Instant,
    pub(crate) flows: BTreeMap<KnownFlow, Duration>,
}

impl FlowDump {
    /// Reads the flows of `br-int` on these hypervisors.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn read(hosts: &[Hypervisor]) -> Result<Self, LabError> {
        let begun = Instant::now();
        let mut flows = BTreeMap::new();
        for host in hosts {
            for flow in host.flows("br-int")? {
                let text = format!(
                    "cookie={:#x}, table={}, {}",
                    flow.cookie, flow.table, flow.rule
                );
                let host = host.name();
                flows.insert(KnownFlow { host, text }, flow.duration);
            }
        }
        let ended = Instant::now();
        Ok(Self {
            begun,
            ended,
            flows,
        })
    }

    /// How many flows are in one of both alone.
    #[must_use]
    pub fn came_or_went_since(&self, before: &Self) -> usize {
        let [then, now] = [before, self].map(|dump| BTreeSet::from_iter(dump.flows.keys()));
        now.symmetric_difference(&then).count()
    }

    /// How many flows of `before` are gone.
    #[must_use]
    pub fn gone_since(&self, before: &Self) -> usize {
        let mut flows = before.flows.keys();
        flows
            .by_ref()
            .filter(|flow| !self.flows.contains_key(*flow))
            .count()
    }

    /// How many flows of `before` are still there and younger than they would be had nobody touched them.
    #[must_use]
    pub fn installed_anew_since(&self, before: &Self) -> usize {
        /// Ages are printed to the millisecond.
        const ROUNDING: Duration = Duration::from_millis(10);
        let between = self.begun.saturating_duration_since(before.ended);
        before
            .flows
            .iter()
            .filter(|(flow, age)| {
                let now = self.flows.get(*flow);
                now.is_some_and(|now| *now + ROUNDING < **age + between)
            })
            .count()
    }
}
