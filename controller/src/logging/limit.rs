//! Bounds what hypervisors cause to be logged.
//!
//! If a thousand of them come or go at once, a few lines of each kind are logged, and then how many more there were. A kind is
//! a place in the code. One hypervisor gets only a part of the lines of a kind, so that it does not silence others.

use prometheus::IntCounter;
use sextant_responders::throttle::{Throttle, Throttles};
use std::collections::HashMap;
use std::fmt::{Debug, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// The modules whose lines come from what hypervisors do. A line about a request is part of the audit and is always logged.
const LIMITED: &[&str] = &[
    "sextant_controller::hypervisor",
    "sextant_controller::liveness",
    "sextant_controller::state",
    "sextant_controller::switch",
];
/// How many lines of a kind are logged in each stretch. It holds all that a rack of hypervisors causes.
const LINES: u32 = 50;
/// How many of them may be about one hypervisor.
const LINES_OF_ONE: u32 = 25;
/// The time for which the lines are counted.
pub(super) const STRETCH: Duration = Duration::from_secs(10);

/// Lets a bounded number of lines pass. Clones count together.
#[derive(Clone)]
pub(super) struct LineLimit(Arc<Counts>);

struct Counts {
    kinds: Mutex<HashMap<Identifier, LogSite>>,
    /// Signals that there is something to report.
    suppressed: SyncSender<()>,
    metric: OnceLock<IntCounter>,
}

/// The lines that one place in the code logs.
struct LogSite {
    level: Level,
    throttle: Throttle,
    of_one: Throttles<String>,
    unsaid: u64,
    /// What the latest of the suppressed lines says, without its fields.
    what: String,
}

/// How many lines of a kind were suppressed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Suppressed {
    level: Level,
    what: String,
    unsaid: u64,
}

impl LineLimit {
    /// A limit, and what signals that lines were suppressed.
    pub(super) fn new() -> (Self, Receiver<()>) {
        // One signal that waits is enough.
        let (suppressed, signals) = mpsc::sync_channel(1);
        let counts = Counts {
            kinds: Mutex::default(),
            suppressed,
            metric: OnceLock::new(),
        };
        (Self(Arc::new(counts)), signals)
    }

    /// Counts suppressed lines in a metric from here on.
    pub(super) fn count_in(&self, metric: IntCounter) {
        // A process has one such metric.
        let _ = self.0.metric.set(metric);
    }

    /// Whether a line passes.
    fn admit(&self, event: &Event<'_>, now: Instant) -> bool {
        let line = LogLine::of(event);
        let metadata = event.metadata();
        let mut kinds = self.kinds();
        let kind = kinds.entry(metadata.callsite());
        let kind = kind.or_insert_with(|| LogSite::new(*metadata.level()));
        let passes = kind.admit(&line, now);
        drop(kinds);
        if !passes {
            if let Some(metric) = self.0.metric.get() {
                metric.inc();
            }
            // If it is full, the report is due anyway.
            let _ = self.0.suppressed.try_send(());
        }
        passes
    }

    /// What was suppressed since the last call.
    pub(super) fn take_suppressed(&self) -> Vec<Suppressed> {
        let mut kinds = self.kinds();
        let unsaid = kinds.values_mut().filter(|kind| kind.unsaid > 0);
        unsaid.map(LogSite::take_suppressed).collect()
    }

    fn kinds(&self) -> MutexGuard<'_, HashMap<Identifier, LogSite>> {
        self.0.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for LineLimit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        !is_limited(event.metadata()) || self.admit(event, Instant::now())
    }
}

/// Who asks for details gets all of them, and an error is always logged.
fn is_limited(metadata: &Metadata<'_>) -> bool {
    let is_usual = matches!(*metadata.level(), Level::INFO | Level::WARN);
    is_usual
        && LIMITED.iter().any(|module| {
            let rest = metadata.target().strip_prefix(*module);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
}

impl LogSite {
    fn new(level: Level) -> Self {
        Self {
            level,
            throttle: Throttle::new(LINES, STRETCH),
            of_one: Throttles::new(LINES_OF_ONE, STRETCH),
            unsaid: 0,
            what: String::new(),
        }
    }

    fn admit(&mut self, line: &LogLine, now: Instant) -> bool {
        let may_be_said = self.of_one.admit(&line.subject, now).is_some();
        let passes = may_be_said && self.throttle.admit(now).is_some();
        if !passes {
            self.unsaid += 1;
            self.what.clone_from(&line.message);
        }
        passes
    }

    fn take_suppressed(&mut self) -> Suppressed {
        Suppressed {
            level: self.level,
            what: std::mem::take(&mut self.what),
            unsaid: std::mem::take(&mut self.unsaid),
        }
    }
}

impl Suppressed {
    fn tell(&self) {
        let Self {
            level,
            what,
            unsaid,
        } = self;
        match *level {
            Level::WARN => tracing::warn!(what, unsaid, "more of these lines, which are left out"),
            _ => tracing::info!(what, unsaid, "more of these lines, which are left out"),
        }
    }
}

/// Reports what was suppressed, a stretch after it began. Ends with the limit.
pub(super) fn report(limit: &LineLimit, signals: &Receiver<()>) {
    while signals.recv().is_ok() {
        std::thread::sleep(STRETCH);
        limit.take_suppressed().iter().for_each(Suppressed::tell);
    }
}

/// What a line says, and about which hypervisor.
#[derive(Default)]
struct LogLine {
    message: String,
    subject: String,
}

impl LogLine {
    fn of(event: &Event<'_>) -> Self {
        let mut line = Self::default();
        event.record(&mut line);
        line
    }
}

impl Visit for LogLine {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let into = match field.name() {
            "message" => &mut self.message,
            "chassis" => &mut self.subject,
            "peer" if self.subject.is_empty() => {
                let peer = format!("{value:?}");
                // Each connection has a port of its own.
                let address = peer.rsplit_once(':').map(|(address, _)| address);
                address.unwrap_or(&peer).clone_into(&mut self.subject);
                return;
            }
            _ => return,
        };
        into.clear();
        // A text takes everything.
        let _ = write!(into, "{value:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::{fmt, registry};

    /// Keeps what is logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Log {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    impl Log {
        fn lines_with(&self, text: &str) -> usize {
            let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            log.lines().filter(|line| line.contains(text)).count()
        }
    }

    /// What is logged and suppressed while this is done.
    fn logged(act: impl FnOnce()) -> (Log, Vec<Suppressed>) {
        let (log, (limit, _signals)) = (Log::default(), LineLimit::new());
        let lines = fmt::layer().with_writer(log.clone());
        let subscriber = registry().with(limit.clone()).with(lines);
        tracing::subscriber::with_default(subscriber, act);
        (log, limit.take_suppressed())
    }

    fn connected(chassis: &str) {
        tracing::info!(target: "sextant_controller::switch::arrival", chassis, "switch connected");
    }

    #[test]
    fn of_a_storm_some_lines_are_logged_and_the_others_counted() {
        let (log, suppressed) = logged(|| {
            for number in 0..1000 {
                connected(&format!("h{number}"));
            }
            tracing::warn!(target: "sextant_controller::switch", peer = "[::1]:7", "switch disconnected");
        });
        assert_eq!(log.lines_with("switch connected"), LINES as usize);
        assert_eq!(log.lines_with("switch disconnected"), 1);
        let unsaid = Suppressed {
            level: Level::INFO,
            what: "switch connected".to_owned(),
            unsaid: 1000 - u64::from(LINES),
        };
        assert_eq!(suppressed, [unsaid]);
    }

    #[test]
    fn a_hypervisor_that_flaps_does_not_silence_others() {
        let (log, suppressed) = logged(|| {
            (0..1000).for_each(|_| connected("h1"));
            connected("h2");
            for port in 1..1000 {
                let peer = format!("192.0.2.1:{port}");
                tracing::warn!(target: "sextant_controller::switch", peer, "switch disconnected");
            }
        });
        assert_eq!(log.lines_with("h1"), LINES_OF_ONE as usize);
        assert_eq!(log.lines_with("h2"), 1);
        assert_eq!(log.lines_with("192.0.2.1"), LINES_OF_ONE as usize);
        assert_eq!(suppressed.len(), 2);
    }

    #[test]
    fn the_audit_errors_and_details_are_all_logged() {
        let (log, suppressed) = logged(|| {
            for _ in 0..1000 {
                tracing::info!(target: "sextant_controller::api::requests", "write");
                tracing::error!(target: "sextant_controller::state", "defect");
                tracing::debug!(target: "sextant_controller::state", "detail");
            }
        });
        for text in ["write", "defect", "detail"] {
            assert_eq!(log.lines_with(text), 1000);
        }
        assert_eq!(suppressed, []);
    }

    #[test]
    fn the_modules_are_those_that_there_are() {
        for module in LIMITED {
            let name = module.rsplit("::").next().unwrap();
            let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
            let places = [
                format!("{source}/{name}.rs"),
                format!("{source}/{name}/mod.rs"),
            ];
            assert!(
                places
                    .iter()
                    .any(|place| std::path::Path::new(place).exists()),
                "{module}"
            );
            assert_eq!(module.split("::").next(), module_path!().split("::").next());
        }
    }
}
