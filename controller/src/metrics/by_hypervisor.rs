//! Families of metrics whose first label is a hypervisor.
//!
//! They have ten thousand series and more. `prometheus` copies and sorts all series for each page, which takes longer than
//! a scraper should wait while a storm needs the processors. So these are kept in order, and are written as they are.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// A metric of one hypervisor. Clones share the value.
pub trait HypervisorMetric: Clone + Default + Debug + Send + Sync + 'static {
    /// The type in Prometheus's text format.
    const KIND: &'static str;
    /// The value.
    fn value(&self) -> i64;
}

/// A value that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct HypervisorGauge(Arc<AtomicI64>);

/// A value that only goes up.
#[derive(Clone, Debug, Default)]
pub struct HypervisorCounter(Arc<AtomicI64>);

impl HypervisorGauge {
    /// Sets the value.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds one.
    pub fn inc(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes one away.
    pub fn dec(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl HypervisorCounter {
    /// Adds so many.
    pub fn inc_by(&self, more: u64) {
        let more = i64::try_from(more).unwrap_or(i64::MAX);
        self.0.fetch_add(more, Ordering::Relaxed);
    }
}

impl HypervisorMetric for HypervisorGauge {
    const KIND: &'static str = "gauge";

    fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl HypervisorMetric for HypervisorCounter {
    const KIND: &'static str = "counter";

    fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A family of gauges.
pub type HypervisorGauges = HypervisorFamily<HypervisorGauge>;
/// A family of counters.
pub type HypervisorCounters = HypervisorFamily<HypervisorCounter>;

/// The series of a family, by hypervisor and by the second label, which is empty where there is none.
type SeriesByLabels<M> = BTreeMap<Box<str>, BTreeMap<Box<str>, M>>;

/// Metrics that differ in their hypervisor, and perhaps in one more label. Clones share the series.
#[derive(Clone, Debug)]
pub struct HypervisorFamily<M> {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    totals_only: TotalsOnly,
    series: Arc<RwLock<SeriesByLabels<M>>>,
}

/// Whether pages have the sums over all hypervisors instead of each. Clones share the answer.
#[derive(Clone, Debug, Default)]
pub struct TotalsOnly(Arc<AtomicBool>);

impl TotalsOnly {
    /// Changes the answer.
    pub(super) fn set(&self, totals_only: bool) {
        self.0.store(totals_only, Ordering::Relaxed);
    }

    /// The answer.
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<M: HypervisorMetric> HypervisorFamily<M> {
    /// A family without series. Its labels are that of the hypervisor, and at most one more.
    pub fn new(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        totals_only: TotalsOnly,
    ) -> Self {
        Self {
            name,
            help,
            labels,
            totals_only,
            series: Arc::default(),
        }
    }

    /// The metric with these values of the labels, which is on pages from here on.
    pub fn with_label_values(&self, values: &[&str]) -> M {
        let (hypervisor, second) = pair(values);
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner);
        let metric = known.get(hypervisor).and_then(|of_it| of_it.get(second));
        if let Some(metric) = metric {
            return metric.clone();
        }
        drop(known);
        if self.is_left_out() {
            return M::default();
        }
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        let of_it = series.entry(hypervisor.into()).or_default();
        of_it.entry(second.into()).or_default().clone()
    }

    /// Removes the metric with these values of the labels, if there is one.
    pub fn remove_label_values(&self, values: &[&str]) {
        let (hypervisor, second) = pair(values);
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_it) = series.get_mut(hypervisor) {
            of_it.remove(second);
            if of_it.is_empty() {
                series.remove(hypervisor);
            }
        }
    }

    /// All series: the values of their labels, and their values.
    pub fn values(&self) -> Vec<((String, String), i64)> {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        let mut values = Vec::new();
        for (hypervisor, of_it) in &*series {
            for (second, metric) in of_it {
                let labels = (hypervisor.to_string(), second.to_string());
                values.push((labels, metric.value()));
            }
        }
        values
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        series.values().map(BTreeMap::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// States of pairs of hypervisors have no sum, and there may be a million of them.
    fn is_left_out(&self) -> bool {
        self.totals_only.get() && self.labels.contains(&"peer")
    }
}

fn pair<'a>(values: &[&'a str]) -> (&'a str, &'a str) {
    let hypervisor = values.first().copied().unwrap_or_default();
    (hypervisor, values.get(1).copied().unwrap_or_default())
}

/// What is written on a page.
pub(super) trait OnPage: Debug + Send + Sync {
    /// Writes all series, or their sums, in Prometheus's text format.
    fn write(&self, page: &mut String);
}

impl<M: HypervisorMetric> OnPage for HypervisorFamily<M> {
    fn write(&self, page: &mut String) {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if series.is_empty() {
            return;
        }
        let Self { name, help, .. } = self;
        // A text takes everything.
        let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {}", M::KIND);
        if self.totals_only.get() {
            return self.write_sums(&series, page);
        }
        for (hypervisor, of_it) in &*series {
            for (second, metric) in of_it {
                self.write_line(Some(hypervisor), second, metric.value(), page);
            }
        }
    }
}

impl<M: HypervisorMetric> HypervisorFamily<M> {
    fn write_sums(&self, series: &SeriesByLabels<M>, page: &mut String) {
        let mut sums = BTreeMap::<&str, i64>::new();
        for (second, metric) in series.values().flatten() {
            *sums.entry(second).or_default() += metric.value();
        }
        for (second, sum) in sums {
            self.write_line(None, second, sum, page);
        }
    }

    fn write_line(&self, hypervisor: Option<&str>, second: &str, value: i64, page: &mut String) {
        page.push_str(self.name);
        let values = [hypervisor, (self.labels.len() > 1).then_some(second)];
        let mut opened = false;
        for (label, value) in self.labels.iter().zip(values) {
            let Some(value) = value else {
                continue;
            };
            page.push(if opened { ',' } else { '{' });
            opened = true;
            page.push_str(label);
            page.push_str("=\"");
            push_escaped(value, page);
            page.push('"');
        }
        page.push_str(if opened { "} " } else { " " });
        let _ = writeln!(page, "{value}");
    }
}

/// As Prometheus's text format wants it in the value of a label.
fn push_escaped(value: &str, page: &mut String) {
    for character in value.chars() {
        match character {
            '\\' => page.push_str("\\\\"),
            '"' => page.push_str("\\\""),
            '\n' => page.push_str("\\n"),
            other => page.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(family: &impl OnPage) -> String {
        let mut page = String::new();
        family.write(&mut page);
        page
    }

    fn next_hops() -> HypervisorGauges {
        let labels = &["chassis", "state"];
        HypervisorFamily::new("next_hops", "Next hops.", labels, TotalsOnly::default())
    }

    #[test]
    fn each_hypervisor_has_its_lines_in_order() {
        let family = next_hops();
        assert_eq!(page(&family), "");
        family.with_label_values(&["h2", "stale"]).set(2);
        family.with_label_values(&["h1", "stale"]).set(-1);
        family.with_label_values(&["h1", "reachable"]).inc();
        family.with_label_values(&["a\"\\\n", "stale"]).dec();
        let text = "# HELP next_hops Next hops.\n# TYPE next_hops gauge\n\
                    next_hops{chassis=\"a\\\"\\\\\\n\",state=\"stale\"} -1\n\
                    next_hops{chassis=\"h1\",state=\"reachable\"} 1\n\
                    next_hops{chassis=\"h1\",state=\"stale\"} -1\n\
                    next_hops{chassis=\"h2\",state=\"stale\"} 2\n";
        assert_eq!(page(&family), text);
        family.remove_label_values(&["h1", "stale"]);
        assert!(!page(&family).contains("h1\",state=\"stale"));
        assert_eq!(family.len(), 3);
    }

    #[test]
    fn totals_have_every_label_but_the_hypervisor() {
        let family = next_hops();
        for (hypervisor, state, count) in
            [("h1", "stale", 1), ("h2", "stale", 2), ("h2", "probe", 4)]
        {
            family.with_label_values(&[hypervisor, state]).set(count);
        }
        family.totals_only.set(true);
        let text = page(&family);
        assert!(
            text.ends_with("next_hops{state=\"probe\"} 4\nnext_hops{state=\"stale\"} 3\n"),
            "{text}"
        );
        let totals = family.totals_only.clone();
        let counters = HypervisorCounters::new("packets", "Packets.", &["chassis"], totals.clone());
        counters.with_label_values(&["h1"]).inc_by(3);
        counters.with_label_values(&["h2"]).inc_by(4);
        assert!(page(&counters).ends_with("# TYPE packets counter\npackets 7\n"));
        let pairs = HypervisorGauges::new("bfd", "BFD.", &["chassis", "peer"], totals);
        pairs.with_label_values(&["h1", "h2"]).set(3);
        assert!(pairs.is_empty());
    }
}
