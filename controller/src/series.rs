//! Series of one hypervisor, which are in the metrics for as long as its session lives.
//!
//! They go with the value that shows them, however the session ends. Where a newer session has the seat they stay: it shows
//! them as well, and the old one ends after it.

use crate::seat::Seat;
use prometheus::core::{MetricVec, MetricVecBuilder};
use prometheus::{IntCounterVec, IntGaugeVec};
use sextant_flows::WithheldReason;
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

labels!(
    Capability,
    ChassisId,
    WithheldReason,
    neighbor::State,
    prefix_client::State
);

/// Gauges or counters that differ in their labels.
pub trait Family: Clone {
    /// One of them.
    type Metric;
    /// The one with these labels.
    fn with(&self, labels: &[&str]) -> Self::Metric;
    /// Removes the one with these labels, if there is one.
    fn remove(&self, labels: &[&str]);
}

impl<B: MetricVecBuilder> Family for MetricVec<B> {
    type Metric = B::M;

    fn with(&self, labels: &[&str]) -> B::M {
        self.with_label_values(labels)
    }

    fn remove(&self, labels: &[&str]) {
        // That there is none is as good.
        let _ = self.remove_label_values(labels);
    }
}

/// The series of one hypervisor in a family.
#[derive(Debug)]
pub struct Series<F: Family, L: SeriesLabel> {
    family: F,
    seat: Arc<Seat<ChassisId>>,
    shown: BTreeSet<L>,
}

/// The series of one hypervisor in a family of gauges.
pub type GaugeSeries<L = ()> = Series<IntGaugeVec, L>;
/// The series of one hypervisor in a family of counters.
pub type CounterSeries<L = ()> = Series<IntCounterVec, L>;

impl<F: Family, L: SeriesLabel + Clone> Series<F, L> {
    /// Nothing is shown yet of the hypervisor that has this seat. Its name is the first label of the family.
    pub fn new(family: &F, seat: &Arc<Seat<ChassisId>>) -> Self {
        Self {
            family: family.clone(),
            seat: seat.clone(),
            shown: BTreeSet::new(),
        }
    }

    /// One of the series, which is shown from here on.
    pub fn show(&mut self, label: &L) -> F::Metric {
        if !self.shown.contains(label) {
            self.shown.insert(label.clone());
        }
        match label.label() {
            Some(label) => self.family.with(&[self.chassis(), label]),
            None => self.family.with(&[self.chassis()]),
        }
    }

    /// Shows one of the series no more.
    pub fn hide(&mut self, label: &L) {
        if self.shown.remove(label) {
            self.remove(label);
        }
    }
}

impl<F: Family, L: SeriesLabel> Series<F, L> {
    fn chassis(&self) -> &str {
        self.seat.key().as_str()
    }

    fn remove(&self, label: &L) {
        match label.label() {
            Some(label) => self.family.remove(&[self.chassis(), label]),
            None => self.family.remove(&[self.chassis()]),
        }
    }
}

impl<F: Family, L: SeriesLabel> Drop for Series<F, L> {
    fn drop(&mut self) {
        if !self.seat.is_lost() {
            self.shown.iter().for_each(|label| self.remove(label));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seat::Seats;
    use prometheus::{Opts, core::Collector};
    use std::net::{IpAddr, Ipv6Addr};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    const ADDRESS: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    fn family() -> IntGaugeVec {
        IntGaugeVec::new(Opts::new("flows", "flows"), &["chassis", "reason"]).unwrap()
    }

    fn sit(seats: &Seats<ChassisId>) -> Arc<Seat<ChassisId>> {
        Arc::new(seats.take(&ChassisId::new("h1"), ADDRESS).unwrap())
    }

    fn shown(family: &IntGaugeVec) -> usize {
        let families = family.collect();
        families
            .iter()
            .map(|family| family.get_metric().len())
            .sum()
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
            assert_eq!(shown(&family), 2);
            panic!("a defect");
        }));
        assert!(panicked.is_err());
        assert_eq!(shown(&family), 0);
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
        assert_eq!(shown(&family), 3);
        drop(new);
        assert_eq!(shown(&family), 0);
    }
}
