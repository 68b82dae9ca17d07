//! Series of one hypervisor, which are in the metrics for as long as its session lives.
//!
//! They go with the value that shows them, however the session ends. Where a newer session has the seat they stay: it shows
//! them as well, and the old one ends after it.

use crate::metrics::{HypervisorCounter, HypervisorFamily, HypervisorGauge, HypervisorMetric};
use crate::seat::Seat;
use sextant_flows::WithheldReason;
use sextant_flows::pipeline::Stage;
use sextant_model::{Capability, ChassisId};
use sextant_responders::{neighbor, prefix_client};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The values of the label that comes after the hypervisor's, in a family that has one.
pub trait SeriesLabel: Ord {
    /// The value; none where the hypervisor is the only label.
    fn label(&self) -> Option<&str>;
}

impl SeriesLabel for () {
    fn label(&self) -> Option<&str> {
        None
    }
}

macro_rules! labels {
    ($($kind:ty),*) => {$(
        impl SeriesLabel for $kind {
            fn label(&self) -> Option<&str> {
                Some(self.as_str())
            }
        }
    )*};
}

impl SeriesLabel for Stage {
    fn label(&self) -> Option<&str> {
        Some(self.name())
    }
}

labels!(
    Capability,
    ChassisId,
    WithheldReason,
    neighbor::NeighborState,
    prefix_client::PrefixClientState
);

/// The series of one hypervisor in a family.
#[derive(Debug)]
pub struct Series<M: HypervisorMetric, L: SeriesLabel> {
    family: HypervisorFamily<M>,
    seat: Arc<Seat<ChassisId>>,
    shown: BTreeSet<L>,
}

/// The series of one hypervisor in a family of gauges.
pub type GaugeSeries<L = ()> = Series<HypervisorGauge, L>;
/// The series of one hypervisor in a family of counters.
pub type CounterSeries<L = ()> = Series<HypervisorCounter, L>;

impl<M: HypervisorMetric, L: SeriesLabel + Clone> Series<M, L> {
    /// Nothing is shown yet of the hypervisor that has this seat. Its name is the first label of the family.
    pub fn new(family: &HypervisorFamily<M>, seat: &Arc<Seat<ChassisId>>) -> Self {
        Self {
            family: family.clone(),
            seat: seat.clone(),
            shown: BTreeSet::new(),
        }
    }

    /// One of the series, which is shown from here on.
    pub fn show(&mut self, label: &L) -> M {
        if !self.shown.contains(label) {
            self.shown.insert(label.clone());
        }
        match label.label() {
            Some(label) => self.family.with_label_values(&[self.chassis(), label]),
            None => self.family.with_label_values(&[self.chassis()]),
        }
    }

    /// Shows one of the series no more.
    pub fn hide(&mut self, label: &L) {
        if self.shown.remove(label) {
            self.remove(label);
        }
    }
}

impl<M: HypervisorMetric, L: SeriesLabel> Series<M, L> {
    fn chassis(&self) -> &str {
        self.seat.key().as_str()
    }

    fn remove(&self, label: &L) {
        match label.label() {
            Some(label) => self.family.remove_label_values(&[self.chassis(), label]),
            None => self.family.remove_label_values(&[self.chassis()]),
        }
    }
}

impl<M: HypervisorMetric, L: SeriesLabel> Drop for Series<M, L> {
    fn drop(&mut self) {
        if !self.seat.is_lost() {
            self.shown.iter().for_each(|label| self.remove(label));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{HypervisorGauges, TotalsOnly};
    use crate::seat::Seats;
    use std::net::{IpAddr, Ipv6Addr};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    const ADDRESS: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    fn family() -> HypervisorGauges {
        HypervisorFamily::new(
            "flows",
            "flows",
            &["chassis", "reason"],
            TotalsOnly::default(),
        )
    }

    fn sit(seats: &Seats<ChassisId>) -> Arc<Seat<ChassisId>> {
        Arc::new(seats.take(&ChassisId::new("h1"), ADDRESS).unwrap())
    }

    fn show_all(series: &mut GaugeSeries<WithheldReason>) {
        for reason in WithheldReason::ALL {
            series.show(&reason).set(1);
        }
    }

    #[test]
    fn series_go_with_the_session_even_if_it_panics() {
        let (family, seats) = (family(), Seats::default());
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let mut series = GaugeSeries::new(&family, &sit(&seats));
            show_all(&mut series);
            series.hide(&WithheldReason::NotGivenOut);
            assert_eq!(family.len(), 2);
            panic!("a defect");
        }));
        assert!(panicked.is_err());
        assert_eq!(family.len(), 0);
        assert!(!seats.is_taken(&ChassisId::new("h1")));
    }

    #[test]
    fn what_a_newer_session_shows_stays_when_the_old_one_ends() {
        let (family, seats) = (family(), Seats::default());
        let mut old = GaugeSeries::new(&family, &sit(&seats));
        show_all(&mut old);
        let mut new = GaugeSeries::new(&family, &sit(&seats));
        show_all(&mut new);
        drop(old);
        assert_eq!(family.len(), 3);
        drop(new);
        assert_eq!(family.len(), 0);
    }
}
