//! How systemd runs the process, where it does.

use super::process::{self, RunningProcess};
use super::{Examined, within};
use crate::admission::ConnectionLimits;
use crate::control::verbs::hypervisors::{HypervisorRow, HypervisorsVerb};
use crate::control::{Finding, Request};
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process};
use std::process::{Command, Stdio};
use std::time::Duration;

const CHECK: &str = "service";
/// How long systemd may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
const PROPERTIES: &str =
    "--property=LoadState,ActiveState,User,Type,WatchdogUSec,LimitNOFILE,StateDirectory";
/// A process that works says so each third of its watchdog's time; a busy machine needs some seconds of room.
const SHORTEST_WATCHDOG: Duration = Duration::from_secs(10);

/// What systemd knows of `sextant.service`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) user: Option<String>,
    kind: String,
    /// systemd says it of a service that runs, and of no other.
    watchdog: SeenWatchdog,
    open_files: Option<u64>,
    /// Folders below `/var/lib` that systemd makes.
    pub(super) state_directories: Vec<String>,
}

/// How long systemd waits for a sign of life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum SeenWatchdog {
    /// The service does not run.
    #[default]
    Unseen,
    None,
    After(Duration),
}

/// The unit, if systemd runs and has it.
pub(super) async fn unit() -> Option<Unit> {
    let mut command = Command::new("systemctl");
    command.args(["show", "sextant.service", PROPERTIES]);
    let piped = command.stdin(Stdio::null()).stdout(Stdio::piped());
    let child = piped.stderr(Stdio::null()).spawn().ok()?;
    let pid = Pid::from_child(&child);
    match within(PATIENCE, move || child.wait_with_output()).await {
        Some(said) => read(&String::from_utf8_lossy(&said.ok()?.stdout)),
        None => {
            let _ = kill_process(pid, Signal::KILL);
            None
        }
    }
}

fn read(said: &str) -> Option<Unit> {
    (value(said, "LoadState") == "loaded").then(|| Unit {
        user: Some(value(said, "User").to_owned()).filter(|user| !user.is_empty()),
        kind: value(said, "Type").to_owned(),
        watchdog: match span(value(said, "WatchdogUSec")) {
            _ if value(said, "ActiveState") != "active" => SeenWatchdog::Unseen,
            Some(patience) if !patience.is_zero() => SeenWatchdog::After(patience),
            Some(_) | None => SeenWatchdog::None,
        },
        open_files: value(said, "LimitNOFILE").parse().ok(),
        state_directories: value(said, "StateDirectory")
            .split(' ')
            .map(str::to_owned)
            .collect(),
    })
}

fn value<'s>(said: &'s str, key: &str) -> &'s str {
    let mut lines = said.lines().filter_map(|line| line.split_once('='));
    let found = lines.find(|(name, _)| *name == key);
    found.map(|(_, value)| value).unwrap_or_default()
}

/// A time as systemd.time(7) writes it: `1min 30s`. None for `infinity`.
fn span(text: &str) -> Option<Duration> {
    text.split(' ').try_fold(Duration::ZERO, |sum, part| {
        let digits = part
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(part.len());
        let (number, unit) = part.split_at(digits);
        let micros: u64 = match unit {
            "us" | "" => 1,
            "ms" => 1_000,
            "s" => 1_000_000,
            "min" => 60_000_000,
            "h" => 3_600_000_000,
            _ => return None,
        };
        let number = number.parse::<u64>().ok()?;
        Some(sum + Duration::from_micros(number.checked_mul(micros)?))
    })
}

/// What is to say of the unit.
pub(super) fn findings(unit: Option<&Unit>) -> Vec<Finding> {
    let Some(unit) = unit else {
        return vec![];
    };
    if !["notify", "notify-reload"].contains(&&*unit.kind) {
        return vec![Finding::bad(
            CHECK,
            format!(
                "sextant.service has Type={}: systemd takes it for ready before it listens, and hears nothing of it.",
                unit.kind
            ),
            "Type=notify, by systemctl edit sextant.service",
        )];
    }
    vec![match unit.watchdog {
        SeenWatchdog::Unseen => Finding::good(CHECK, "systemd hears of it when it is ready."),
        SeenWatchdog::None => Finding::hint(
            CHECK,
            "sextant.service has no watchdog: a process that hangs is not restarted.",
            "WatchdogSec=30, by systemctl edit sextant.service",
        ),
        SeenWatchdog::After(watchdog) if watchdog < SHORTEST_WATCHDOG => Finding::bad(
            CHECK,
            format!(
                "The watchdog of sextant.service waits {watchdog:?}: a process that is only busy is killed."
            ),
            "WatchdogSec=30, by systemctl edit sextant.service",
        ),
        SeenWatchdog::After(watchdog) => Finding::good(
            CHECK,
            format!("systemd hears of it, and restarts it after {watchdog:?} of silence."),
        ),
    }]
}

/// Whether the process may open as many files as its hypervisors need.
pub(super) async fn open_files(examined: &Examined<'_>) -> Option<Finding> {
    let limit = limit(examined.process, examined.unit.as_ref())?;
    let socket = examined.config.control.socket();
    let request = Request::Hypervisors(HypervisorsVerb::default());
    let known = match (socket, examined.process) {
        (Some(socket), Some(_)) => process::rows::<HypervisorRow>(socket, request).await.ok(),
        _ => None,
    };
    Some(enough_files(limit, known.map(|rows| rows.len())))
}

/// The highest limit that the process may take: it raises its own.
fn limit(process: Option<RunningProcess>, unit: Option<&Unit>) -> Option<u64> {
    let of_process = process.and_then(|process| {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.pid)).ok()?;
        highest(&limits)
    });
    let of_unit = unit.and_then(|unit| unit.open_files);
    of_process
        .or(of_unit)
        .or_else(|| Some(getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)))
}

/// The hard limit of open files in `/proc/PID/limits`.
fn highest(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))?;
    match line.split_whitespace().nth(4)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// How many hypervisors there may be at least where nobody knows how many there are.
const FEW: usize = 256;

fn enough_files(limit: u64, hypervisors: Option<usize>) -> Finding {
    const CHECK: &str = "open files";
    let room = ConnectionLimits::of_files(limit).connections;
    let wanted = hypervisors.unwrap_or(FEW);
    if room >= wanted {
        return Finding::good(
            CHECK,
            format!("It may open {limit}: enough for {room} hypervisors."),
        );
    }
    let advice = format!(
        "LimitNOFILE={}, by systemctl edit sextant.service",
        wanted * 4
    );
    let says = match hypervisors {
        Some(known) => format!(
            "It may open {limit}, which is enough for {room} hypervisors, and it knows {known}."
        ),
        None => {
            format!("It may open {limit}, which is enough for no more than {room} hypervisors.")
        }
    };
    Finding::bad(CHECK, says, advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::FindingState;

    const SAID: &str = "ActiveState=active\nType=notify\nWatchdogUSec=30s\nUser=sextant\nLimitNOFILE=65536\nLoadState=loaded\nStateDirectory=sextant\n";

    fn state(said: &str) -> FindingState {
        findings(read(said).as_ref())[0].state
    }

    #[test]
    fn the_packages_unit_is_as_it_should_be() {
        let unit = read(SAID).unwrap();
        assert_eq!(unit.user.as_deref(), Some("sextant"));
        assert_eq!(unit.open_files, Some(65_536));
        let patience = SeenWatchdog::After(Duration::from_secs(30));
        assert_eq!(unit.watchdog, patience);
        assert_eq!(state(SAID), FindingState::Good);
        assert_eq!(read("LoadState=not-found\nType=\n"), None);
        assert_eq!(findings(None), []);
    }

    #[test]
    fn what_hides_a_process_that_hangs_or_kills_one_that_works_is_told() {
        assert_eq!(state(&SAID.replace("notify", "simple")), FindingState::Bad);
        assert_eq!(state(&SAID.replace("30s", "infinity")), FindingState::Note);
        assert_eq!(state(&SAID.replace("30s", "0")), FindingState::Note);
        assert_eq!(state(&SAID.replace("30s", "500ms")), FindingState::Bad);
        let stopped = SAID.replace("=active", "=inactive");
        let stopped = stopped.replace("30s", "infinity");
        assert_eq!(state(&stopped), FindingState::Good);
        assert_eq!(span("1min 30s"), Some(Duration::from_secs(90)));
    }

    #[test]
    fn as_many_files_are_needed_as_there_are_hypervisors() {
        assert_eq!(enough_files(65_536, Some(16_384)).state, FindingState::Good);
        let bad = enough_files(1024, Some(1000));
        assert_eq!(bad.state, FindingState::Bad);
        assert_eq!(
            bad.says,
            "It may open 1024, which is enough for 256 hypervisors, and it knows 1000."
        );
        assert!(bad.advice.unwrap().starts_with("LimitNOFILE=4000"));
        assert_eq!(enough_files(1024, None).state, FindingState::Good);
        assert_eq!(enough_files(256, None).state, FindingState::Bad);
        let limits = "Limit                     Soft Limit           Hard Limit           Units\nMax open files            1024                 524288               files\n";
        assert_eq!(highest(limits), Some(524_288));
    }
}
