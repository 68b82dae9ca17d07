//! iputils' ping and what it says: which requests were answered, how fast, with which hop
//! limit.

use crate::error::LabError;
use crate::guest::DEVICE;
use crate::namespace::Namespace;
use crate::process::Process;
use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::time::Duration;

/// How long an answer may take before a request counts as lost.
const ANSWER: Duration = Duration::from_secs(2);
/// A background ping is ended at a moment when this much of what was sent may be under way.
const UNDER_WAY: Duration = Duration::from_millis(100);

/// The outcome of a ping.
#[derive(Clone, Debug, PartialEq)]
pub struct PingReport {
    /// Requests sent.
    pub sent: u32,
    /// Requests answered.
    pub received: u32,
    /// The last requests of a background ping, sent less than 100 ms before its end and not
    /// answered by then: neither received nor lost.
    pub under_way: u32,
    /// The numbers, from 1, of the requests that got no answer.
    pub lost: Vec<u32>,
    /// Hop limits seen in the answers, each once, ascending.
    pub hop_limits: Vec<u8>,
    /// Round-trip times in the order of the answers.
    pub round_trips: Vec<Duration>,
}

impl PingReport {
    /// Whether there was at least one answer, and none was missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.received > 0 && self.lost.is_empty()
    }

    /// The hop limit of the answers when all had the same.
    #[must_use]
    pub fn hop_limit(&self) -> Option<u8> {
        match *self.hop_limits {
            [one] => Some(one),
            _ => None,
        }
    }

    /// The mean round-trip time.
    #[must_use]
    pub fn mean_round_trip(&self) -> Option<Duration> {
        let count = u32::try_from(self.round_trips.len()).ok()?;
        let total: Duration = self.round_trips.iter().sum();
        total.checked_div(count)
    }
}

impl std::fmt::Display for PingReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} sent, {} received", self.sent, self.received)?;
        if !self.lost.is_empty() {
            write!(f, ", lost {:?}", self.lost)?;
        }
        if let Some(mean) = self.mean_round_trip() {
            write!(f, ", {:.2} ms", mean.as_secs_f64() * 1000.0)?;
        }
        Ok(())
    }
}

/// Sends `count` requests and waits for the answers.
pub(crate) fn run(
    namespace: &Namespace,
    target: Ipv6Addr,
    count: u32,
    interval: Duration,
) -> Result<PingReport, LabError> {
    let interval = paced(interval);
    let count_text = count.to_string();
    let mut process = spawn(namespace, target, interval, &["-c", &count_text])?;
    process.wait(interval * count + ANSWER + Duration::from_secs(5))?;
    read(&mut process, Duration::ZERO)
}

/// A ping that runs until it is stopped.
#[derive(Debug)]
pub struct BackgroundPing {
    process: Process,
    interval: Duration,
}

impl BackgroundPing {
    pub(crate) fn start(
        namespace: &Namespace,
        target: Ipv6Addr,
        interval: Duration,
    ) -> Result<Self, LabError> {
        let interval = paced(interval);
        let process = spawn(namespace, target, interval, &[])?;
        Ok(Self { process, interval })
    }

    /// Waits for `count` more answers.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the end of ping's output.
    pub fn wait_answers(&mut self, count: u32, timeout: Duration) -> Result<(), LabError> {
        let mut missing = count;
        self.process
            .wait_line(&format!("{count} answers to ping"), timeout, |line| {
                missing -= u32::from(Answer::parse(line).is_some());
                (missing == 0).then_some(())
            })
    }

    /// Ends the ping and reports.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] when ping says nothing that can be read.
    pub fn stop(mut self) -> Result<PingReport, LabError> {
        self.process.interrupt(ANSWER)?;
        read(&mut self.process, self.interval)
    }
}

/// The interval, or that of `SEXTANT_LAB_PING_INTERVAL` in milliseconds if it is longer. ping does not sleep between
/// requests at most 10 ms apart, which is costly on an emulated processor.
fn paced(interval: Duration) -> Duration {
    let least = std::env::var("SEXTANT_LAB_PING_INTERVAL").ok();
    let least = least.and_then(|least| least.parse().ok());
    interval.max(Duration::from_millis(least.unwrap_or_default()))
}

fn spawn(
    namespace: &Namespace,
    target: Ipv6Addr,
    interval: Duration,
    more: &[&str],
) -> Result<Process, LabError> {
    let target = match target.is_unicast_link_local() {
        true => format!("{target}%{DEVICE}"),
        false => target.to_string(),
    };
    let interval = format!("{:.3}", interval.as_secs_f64());
    let wait = ANSWER.as_secs().to_string();
    let words = [
        &["ping", "-6", "-n", "-i", &interval, "-W", &wait],
        more,
        &[&target],
    ]
    .concat();
    namespace.spawn(&words)
}

/// Reads what this run of ping appended to the log.
fn read(process: &mut Process, interval: Duration) -> Result<PingReport, LabError> {
    let text = process.log_text();
    let start = text.rfind("PING ").unwrap_or(0);
    parse(&text[start..], interval)
        .ok_or_else(|| LabError::unexpected(format!("the output of `{}`", process.line()), text))
}

fn parse(text: &str, interval: Duration) -> Option<PingReport> {
    let summary = text
        .lines()
        .find(|line| line.contains("packets transmitted"))?;
    let sent: u32 = summary.split_whitespace().next()?.parse().ok()?;
    let answers = unwrapped(text.lines().filter_map(Answer::parse).collect());
    let answered: BTreeSet<u32> = answers.iter().map(|answer| answer.sequence).collect();
    let mut lost: Vec<u32> = (1..=sent)
        .filter(|sequence| !answered.contains(sequence))
        .collect();
    let under_way = take_under_way(&mut lost, sent, interval);
    let hop_limits: BTreeSet<u8> = answers.iter().map(|answer| answer.hop_limit).collect();
    Some(PingReport {
        sent,
        received: u32::try_from(answered.len()).ok()?,
        under_way,
        lost,
        hop_limits: hop_limits.into_iter().collect(),
        round_trips: answers.iter().map(|answer| answer.round_trip).collect(),
    })
}

/// Removes from `lost` the requests sent so late that their answer may have missed the end. It removes all of them if
/// only these lack an answer, else none.
fn take_under_way(lost: &mut Vec<u32>, sent: u32, interval: Duration) -> u32 {
    let trailing = lost
        .iter()
        .rev()
        .zip((1..=sent).rev())
        .take_while(|(lost, sequence)| *lost == sequence)
        .count();
    let Ok(late) = u32::try_from(trailing) else {
        return 0;
    };
    if interval.is_zero() || interval.saturating_mul(late) > UNDER_WAY {
        return 0;
    }
    lost.truncate(lost.len() - trailing);
    late
}

/// ping prints sequence numbers modulo 65536.
fn unwrapped(mut answers: Vec<Answer>) -> Vec<Answer> {
    let mut base = 0;
    let mut last = 0;
    for answer in &mut answers {
        let printed = answer.sequence;
        if printed + 0x8000 < last {
            base += 0x1_0000;
        }
        last = printed;
        answer.sequence = base + printed;
    }
    answers
}

#[derive(Debug)]
struct Answer {
    sequence: u32,
    hop_limit: u8,
    round_trip: Duration,
}

impl Answer {
    /// `64 bytes from fe80::1%eth0: icmp_seq=1 ttl=64 time=0.050 ms`, with `(DUP!)` after a
    /// second answer.
    fn parse(line: &str) -> Option<Self> {
        if !line.contains(" bytes from ") {
            return None;
        }
        let milliseconds: f64 = field(line, "time=")?.parse().ok()?;
        Some(Self {
            sequence: field(line, "icmp_seq=")?.parse().ok()?,
            hop_limit: field(line, "ttl=")?.parse().ok()?,
            round_trip: Duration::try_from_secs_f64(milliseconds / 1000.0).ok()?,
        })
    }
}

fn field<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(key)?;
    rest.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(answered: &[u32], sent: u32) -> String {
        let mut text = "PING fe80::1%eth0 56 data bytes\n".to_owned();
        for sequence in answered {
            text +=
                &format!("64 bytes from fe80::1%eth0: icmp_seq={sequence} ttl=63 time=0.5 ms\n");
        }
        text + &format!(
            "\n--- fe80::1 ping statistics ---\n{sent} packets transmitted, 0 received\n"
        )
    }

    #[test]
    fn a_lost_request_is_named() {
        let report = parse(&output(&[1, 2, 4], 4), Duration::ZERO).unwrap();
        assert_eq!((report.sent, report.received), (4, 3));
        assert_eq!(report.lost, [3]);
        assert_eq!(report.hop_limit(), Some(63));
        assert_eq!(report.mean_round_trip(), Some(Duration::from_micros(500)));
        assert!(!report.is_complete());
    }

    #[test]
    fn the_end_of_a_background_ping_loses_nothing() {
        let report = parse(&output(&[1, 2, 3], 5), Duration::from_millis(5)).unwrap();
        assert_eq!(report.under_way, 2);
        assert!(report.is_complete());
    }

    #[test]
    fn a_silence_at_the_end_is_a_loss() {
        let report = parse(&output(&[1], 30), Duration::from_millis(5)).unwrap();
        assert_eq!(report.under_way, 0);
        assert_eq!(report.lost.len(), 29);
    }

    #[test]
    fn sequence_numbers_wrap() {
        let answers: Vec<u32> = (1..=65_535).chain(0..=4).collect();
        let report = parse(&output(&answers, 65_540), Duration::ZERO).unwrap();
        assert!(report.is_complete(), "{:?}", report.lost);
    }

    #[test]
    fn no_answer_at_all_is_not_complete() {
        let report = parse(&output(&[], 1), Duration::from_millis(5)).unwrap();
        assert!(!report.is_complete());
    }
}
