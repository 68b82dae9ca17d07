//! Addresses of guests that are not published outside. The log names each once, and the metrics count all of them.

use crate::series::GaugeSeries;
use sextant_flows::{Withheld, WithheldReason};
use sextant_model::ChassisId;
use std::collections::{BTreeMap, BTreeSet};

/// So many are logged at most: who makes networks could go on for ever.
const MOST_LOGGED: usize = 1000;

/// What a session has seen that is not published.
#[derive(Debug)]
pub(super) struct Unpublished {
    logged: BTreeSet<Withheld>,
    addresses: GaugeSeries<WithheldReason>,
}

impl Unpublished {
    /// Nothing is withheld yet.
    pub(super) fn new(addresses: GaugeSeries<WithheldReason>) -> Self {
        let logged = BTreeSet::new();
        Self { logged, addresses }
    }

    /// Takes in what is not published, and how many addresses each is about.
    pub(super) fn update(&mut self, withheld: &BTreeMap<Withheld, u32>, chassis: &ChassisId) {
        if withheld.is_empty() && self.logged.is_empty() {
            return;
        }
        for (withheld, addresses) in withheld {
            self.log(withheld, *addresses, chassis);
        }
        for reason in WithheldReason::ALL {
            let of_reason = withheld.iter().filter(|(of, _)| of.reason == reason);
            let count = of_reason.map(|(_, addresses)| i64::from(*addresses)).sum();
            self.addresses.show(&reason).set(count);
        }
    }

    fn log(&mut self, withheld: &Withheld, addresses: u32, chassis: &ChassisId) {
        if self.logged.len() < MOST_LOGGED && self.logged.insert(*withheld) {
            let (network, subnet) = (withheld.external, withheld.subnet);
            let reason = withheld.reason;
            tracing::info!(%chassis, %network, %subnet, %addresses, %reason, "not published outside");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{HypervisorMetric, Metrics};
    use crate::seat::Seats;
    use sextant_model::{NetworkId, SubnetId};
    use std::net::{IpAddr, Ipv6Addr};
    use std::sync::Arc;
    use uuid::Uuid;

    fn withheld(n: u32, reason: WithheldReason) -> Withheld {
        Withheld {
            external: NetworkId::MIN,
            subnet: SubnetId(Uuid::from_u128(n.into())),
            reason,
        }
    }

    #[test]
    fn what_is_not_published_is_logged_once_and_counted_always_and_there_is_an_end() {
        let (metrics, chassis) = (Metrics::new().unwrap(), ChassisId::new("h1"));
        let seat = Seats::default().take(&chassis, IpAddr::V6(Ipv6Addr::LOCALHOST));
        let addresses = GaugeSeries::new(&metrics.unpublished_addresses, &Arc::new(seat.unwrap()));
        let mut unpublished = Unpublished::new(addresses);
        let count = |reason: WithheldReason| {
            let labels = ["h1", reason.as_str()];
            let gauge = metrics.unpublished_addresses.with_label_values(&labels);
            gauge.value()
        };
        let some = [
            (withheld(1, WithheldReason::NotGivenOut), 3),
            (withheld(2, WithheldReason::NotGivenOut), 4),
            (withheld(2, WithheldReason::HeldByOthers), 1),
        ];
        for _ in 0..2 {
            unpublished.update(&some.into(), &chassis);
            assert_eq!(unpublished.logged.len(), 3);
            assert_eq!(WithheldReason::ALL.map(count), [7, 0, 1]);
        }
        let many = (0..5000).map(|n| (withheld(n, WithheldReason::NotGivenOut), 1));
        unpublished.update(&many.collect(), &chassis);
        assert_eq!(unpublished.logged.len(), MOST_LOGGED);
        assert_eq!(WithheldReason::ALL.map(count), [5000, 0, 0]);
    }
}
