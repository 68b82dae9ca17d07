//! Tells what of guests is not published outside, though guests are: the log once, the metrics always.

use crate::metrics::Metrics;
use sextant_flows::{Withheld, WithheldReason};
use sextant_model::ChassisId;
use std::collections::{BTreeMap, BTreeSet};

/// So much is told in the log at most: who makes networks could go on for ever.
const MOST_TOLD: usize = 1000;

/// What a session has told of what is not published.
#[derive(Debug, Default)]
pub(super) struct Unpublished {
    told: BTreeSet<Withheld>,
}

impl Unpublished {
    /// Takes in what is not published, and how many addresses each is about.
    pub(super) fn update(
        &mut self,
        withheld: &BTreeMap<Withheld, u32>,
        chassis: &ChassisId,
        metrics: &Metrics,
    ) {
        if withheld.is_empty() && self.told.is_empty() {
            return;
        }
        let mut counts = WithheldReason::ALL.map(|reason| (reason, 0));
        for (withheld, addresses) in withheld {
            for (_, count) in counts.iter_mut().filter(|of| of.0 == withheld.reason) {
                *count += i64::from(*addresses);
            }
            if self.told.len() < MOST_TOLD && self.told.insert(*withheld) {
                let (network, subnet) = (withheld.external, withheld.subnet);
                let reason = withheld.reason;
                tracing::info!(%chassis, %network, %subnet, %addresses, %reason, "not published outside");
            }
        }
        for (reason, count) in counts {
            let labels = [chassis.as_str(), reason.as_str()];
            let gauge = metrics.unpublished_addresses.with_label_values(&labels);
            gauge.set(count);
        }
    }
}

/// A hypervisor whose session has ended publishes nothing that could be counted.
pub(super) fn hide(chassis: &ChassisId, metrics: &Metrics) {
    for reason in WithheldReason::ALL {
        let labels = [chassis.as_str(), reason.as_str()];
        // There may have been none.
        let _ = metrics.unpublished_addresses.remove_label_values(&labels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sextant_model::{NetworkId, SubnetId};
    use uuid::Uuid;

    fn withheld(n: u32, reason: WithheldReason) -> Withheld {
        Withheld {
            external: NetworkId::MIN,
            subnet: SubnetId(Uuid::from_u128(n.into())),
            reason,
        }
    }

    #[test]
    fn what_is_not_published_is_told_once_and_counted_always_and_there_is_an_end() {
        let (metrics, chassis) = (Metrics::new().unwrap(), ChassisId::new("h1"));
        let mut unpublished = Unpublished::default();
        let count = |reason: WithheldReason| {
            let labels = ["h1", reason.as_str()];
            let gauge = metrics.unpublished_addresses.with_label_values(&labels);
            gauge.get()
        };
        let some = [
            (withheld(1, WithheldReason::NotGivenOut), 3),
            (withheld(2, WithheldReason::NotGivenOut), 4),
            (withheld(2, WithheldReason::HeldByOthers), 1),
        ];
        for _ in 0..2 {
            unpublished.update(&some.into(), &chassis, &metrics);
            assert_eq!(unpublished.told.len(), 3);
            assert_eq!(WithheldReason::ALL.map(count), [7, 0, 1]);
        }
        let many = (0..5000).map(|n| (withheld(n, WithheldReason::NotGivenOut), 1));
        unpublished.update(&many.collect(), &chassis, &metrics);
        assert_eq!(unpublished.told.len(), MOST_TOLD);
        assert_eq!(WithheldReason::ALL.map(count), [5000, 0, 0]);
        hide(&chassis, &metrics);
    }
}
