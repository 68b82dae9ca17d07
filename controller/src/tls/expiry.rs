//! Warns of certificates that expire soon: our own, those of trusted authorities, and those of hypervisors.

use super::Tls;
use crate::clock::now;
use crate::metrics::Metrics;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A certificate is near its end if it is valid for at most this time, in seconds.
const NEAR: i64 = 30 * DAY;
const DAY: i64 = 24 * 3600;
/// Whose the first to expire of all hypervisors' certificates is where metrics do not tell them apart.
const ALL_HYPERVISORS: &str = "hypervisors";
/// How often certificates are checked, since files may have been read again.
const INTERVAL: Duration = Duration::from_secs(60);

/// When certificates expire.
#[derive(Clone, Debug)]
pub struct Expiries {
    metrics: Metrics,
    known: Arc<Mutex<BTreeMap<String, KnownExpiry>>>,
}

/// That the certificate of a hypervisor was noted, for as long as its session lives.
#[derive(Debug)]
pub struct NotedExpiry {
    expiries: Expiries,
    whose: String,
    noted: Arc<()>,
}

impl Drop for NotedExpiry {
    fn drop(&mut self) {
        let mut known = self.expiries.known();
        let last = known.get(&self.whose).map(|known| &known.noted);
        // A newer session may have noted another.
        if last.is_some_and(|last| Arc::ptr_eq(last, &self.noted)) {
            known.remove(&self.whose);
            self.expiries
                .show(&self.whose, CertificateHolder::Hypervisor, &known);
        }
    }
}

/// Who has a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CertificateHolder {
    /// The configuration names its file.
    Configuration,
    /// A hypervisor that is connected.
    Hypervisor,
}

#[derive(Clone, Debug)]
struct KnownExpiry {
    holder: CertificateHolder,
    /// Seconds since 1970.
    not_after: i64,
    said: Option<i64>,
    /// By whom this was noted.
    noted: Arc<()>,
}

impl Expiries {
    /// No certificates known yet.
    pub fn new(metrics: Metrics) -> Self {
        Self {
            metrics,
            known: Arc::default(),
        }
    }

    /// The certificate of this hypervisor expires then, in seconds since 1970. It is known until the value is dropped, or is
    /// noted anew.
    pub fn note_of(&self, hypervisor: &str, not_after: i64) -> NotedExpiry {
        NotedExpiry {
            noted: self.note_at(hypervisor, CertificateHolder::Hypervisor, not_after, now()),
            expiries: self.clone(),
            whose: hypervisor.to_owned(),
        }
    }

    /// Checks our own certificates from time to time, and warns of all that expire soon. Does not return.
    pub async fn watch(self, own: Vec<(&'static str, Tls)>) {
        loop {
            for (section, tls) in &own {
                for (key, not_after) in tls.expiries() {
                    let whose = format!("{section}.{key}");
                    self.note_at(&whose, CertificateHolder::Configuration, not_after, now());
                }
            }
            self.remind(now());
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// The certificate of this name holds so long, in seconds since 1970. Returns by what that can be told from another time.
    fn note_at(&self, whose: &str, holder: CertificateHolder, not_after: i64, now: i64) -> Arc<()> {
        let mut known = self.known();
        let before = known
            .get(whose)
            .filter(|known| known.not_after == not_after);
        let said = before.and_then(|known| known.said);
        let noted = Arc::new(());
        let expiry = KnownExpiry {
            holder,
            not_after,
            said,
            noted: noted.clone(),
        };
        known.insert(whose.to_owned(), expiry);
        self.show(whose, holder, &known);
        drop(known);
        self.remind(now);
        noted
    }

    /// Shows when one expires, or that it is gone.
    fn show(&self, whose: &str, holder: CertificateHolder, known: &BTreeMap<String, KnownExpiry>) {
        let is_told_apart =
            holder == CertificateHolder::Configuration || self.metrics.shows_each_hypervisor();
        let (whose, not_after) = match is_told_apart {
            true => (whose, known.get(whose).map(|known| known.not_after)),
            false => {
                let all = known.values();
                let hypervisors = all.filter(|known| known.holder == CertificateHolder::Hypervisor);
                let first = hypervisors.map(|known| known.not_after).min();
                (ALL_HYPERVISORS, first)
            }
        };
        let gauge = &self.metrics.certificate_not_after;
        match not_after {
            Some(not_after) => gauge.with_label_values(&[whose]).set(not_after),
            // That there is none is as good.
            None => drop(gauge.remove_label_values(&[whose])),
        }
    }

    /// Warns once a day of each that expires soon. Returns their number.
    fn remind(&self, now: i64) -> usize {
        let mut reminded = 0;
        for (whose, known) in &mut *self.known() {
            let left = known.not_after - now;
            if left > NEAR || known.said.is_some_and(|said| now - said < DAY) {
                continue;
            }
            known.said = Some(now);
            reminded += 1;
            let days = left.div_euclid(DAY);
            tracing::warn!(
                whose,
                days,
                "a certificate expires soon or has expired: replace it"
            );
        }
        reminded
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, KnownExpiry>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_soon_is_told_once_a_day_until_it_is_another() {
        let metrics = Metrics::new().unwrap();
        let expiries = Expiries::new(metrics.clone());
        expiries.note_at("h1", CertificateHolder::Hypervisor, 100 * DAY, 0);
        assert_eq!(expiries.remind(69 * DAY), 0);
        assert_eq!(expiries.remind(70 * DAY), 1);
        assert_eq!(expiries.remind(70 * DAY + 3600), 0);
        assert_eq!(expiries.remind(71 * DAY), 1);
        assert_eq!(expiries.remind(200 * DAY), 1, "past it");
        expiries.note_at("h1", CertificateHolder::Hypervisor, 400 * DAY, 200 * DAY);
        assert_eq!(expiries.remind(201 * DAY), 0);
        let shown = "sextant_certificate_not_after_seconds{whose=\"h1\"} 34560000\n";
        assert!(metrics.render().unwrap().contains(shown));
        let old = expiries.note_of("h1", 400 * DAY);
        let new = expiries.note_of("h1", 400 * DAY);
        drop(old);
        assert!(metrics.render().unwrap().contains(shown));
        drop(new);
        assert!(!metrics.render().unwrap().contains("whose=\"h1\""));
        assert_eq!(expiries.remind(399 * DAY), 0);
    }

    #[test]
    fn where_hypervisors_are_not_told_apart_the_first_to_expire_is_shown() {
        let metrics = Metrics::new().unwrap();
        metrics.show_totals_only(true);
        let expiries = Expiries::new(metrics.clone());
        expiries.note_at("tls.certificate", CertificateHolder::Configuration, DAY, 0);
        let noted = [("h1", 3 * DAY), ("h2", 2 * DAY)];
        let [first, second] = noted.map(|(whose, not_after)| expiries.note_of(whose, not_after));
        let shows = |line: &str| metrics.render().unwrap().contains(line);
        let all = "whose=\"hypervisors\"";
        assert!(shows(&format!("{{{all}}} {}\n", 2 * DAY)) && !shows("whose=\"h1\""));
        drop(second);
        assert!(shows(&format!("{{{all}}} {}\n", 3 * DAY)));
        drop(first);
        assert!(!shows(all) && shows("whose=\"tls.certificate\""));
    }
}
