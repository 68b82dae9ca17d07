//! A histogram of durations: 64 buckets for each doubling, so that a percentile is at most 1.6 %
//! too high, in memory that does not grow.

use std::time::Duration;

/// Buckets for each power of two, as a power of two.
const PRECISION: u32 = 6;

/// How long answers took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    longest: Duration,
}

impl Latencies {
    /// Takes in one, or many that took the same.
    pub fn add(&mut self, latency: Duration, count: u64) {
        let bucket = bucket(nanoseconds(latency));
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += count;
        self.count += count;
        self.longest = self.longest.max(latency);
    }

    /// Takes in all that another has.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (mine, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += more;
        }
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
    }

    /// The latency that this share of answers, from 0 to 1, did not exceed; zero without answers.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        let wanted = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return Duration::from_nanos(last_of(bucket)).min(self.longest);
            }
        }
        self.longest
    }

    /// The longest of all.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.longest
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Numbers below two doublings' worth have buckets of their own; others share one by their
/// leading bits.
fn bucket(value: u64) -> usize {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(PRECISION + 1);
    ((shift as usize) << PRECISION) + (value >> shift) as usize
}

/// The largest number in a bucket.
fn last_of(bucket: usize) -> u64 {
    let shift = (bucket >> PRECISION).saturating_sub(1) as u32;
    let leading = (bucket - ((shift as usize) << PRECISION)) as u64;
    ((leading + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_at_most_a_64th_below_the_end_of_its_bucket() {
        for value in [0, 1, 63, 64, 127, 128, 129, 1000, 123_456_789, 1 << 40] {
            let end = last_of(bucket(value));
            assert!(
                end >= value && end - value <= value / 64,
                "{value} in a bucket to {end}"
            );
        }
    }

    #[test]
    fn percentiles_are_those_of_the_numbers() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(0.5), Duration::ZERO);
        for microseconds in 1..=1000 {
            latencies.add(Duration::from_micros(microseconds), 1);
        }
        let mut twice = latencies.clone();
        twice.merge(&latencies);
        for share in [0.5, 0.99, 0.999] {
            let exact = Duration::from_micros((1000.0 * share) as u64);
            let found = twice.percentile(share);
            assert!(found >= exact && found <= exact + exact / 50, "{found:?}");
        }
        assert_eq!(twice.longest(), Duration::from_millis(1));
    }
}
