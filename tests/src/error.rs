//! Errors of a lab, for the person who reads a failed test. Every error contains what was attempted (a command line, a
//! file, a request) and the result.

use crate::tools::MissingTool;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a lab could not do what a test asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// A lab makes network namespaces and Open vSwitch instances, which only root may do.
    #[error("a lab makes network namespaces and needs root (effective user id is {euid})")]
    NotRoot {
        /// The effective user id of this process.
        euid: u32,
    },
    /// Programs that the lab runs are not installed.
    #[error("missing tools: {}", MissingTool::list(.0))]
    MissingTools(Vec<MissingTool>),
    /// The kernel has no Open vSwitch.
    #[error(
        "this machine's kernel has no Open vSwitch (module openvswitch): {said}; the userspace datapath needs none \
         (no SEXTANT_LAB_DATAPATH=system, no DATAPATH=system), and `make test-kernel` brings a kernel in a VM"
    )]
    NoKernelDatapath {
        /// What was said when it was asked for.
        said: String,
    },
    /// A command ended with a failure.
    #[error("`{line}` ended with {status}: {stderr}")]
    Command {
        /// The command line.
        line: String,
        /// Its exit status.
        status: ExitStatus,
        /// Its standard error (standard output when that was empty), trimmed.
        stderr: String,
    },
    /// A process that should have kept running, or said something first, ended.
    #[error("`{line}` ended before {awaited}; its log ends with:\n{log}")]
    Ended {
        /// The command line.
        line: String,
        /// What the lab was waiting for.
        awaited: String,
        /// The last lines of its log.
        log: String,
    },
    /// An awaited event did not come in time.
    #[error("{what} did not happen within {waited:?}; last seen: {last_seen}")]
    Timeout {
        /// The awaited event.
        what: String,
        /// How long the lab waited.
        waited: Duration,
        /// The state seen at the end.
        last_seen: String,
    },
    /// Something failed in the course of something longer.
    #[error("{course}: {error}")]
    During {
        /// What was under way.
        course: String,
        /// What failed.
        #[source]
        error: Box<Self>,
    },
    /// The operating system refused something.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// A program's output, or an answer of the API, is not what the lab can read.
    #[error("{what} is not as expected: {found}")]
    Unexpected {
        /// What was read.
        what: String,
        /// What it was.
        found: String,
    },
    /// No `sextant` binary where the lab looks for one.
    #[error(
        "no sextant binary: set SEXTANT_BIN or build it with `cargo build -p sextant` (looked at {})",
        looked_at.join(", ")
    )]
    NoBinary {
        /// The paths that do not exist.
        looked_at: Vec<String>,
    },
    /// The API or the metrics page did not answer.
    #[error("{method} {url}: {reason}")]
    Http {
        /// Request method.
        method: String,
        /// Request address.
        url: String,
        /// What the client says.
        reason: String,
    },
}

impl LabError {
    /// This error, with what was under way.
    #[must_use]
    pub fn during(self, course: impl Into<String>) -> Self {
        Self::During {
            course: course.into(),
            error: Box::new(self),
        }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn errno(what: impl Into<String>) -> impl FnOnce(rustix::io::Errno) -> Self {
        let what = what.into();
        move |errno| Self::Io {
            what,
            source: errno.into(),
        }
    }

    pub(crate) fn unexpected(what: impl Into<String>, found: impl ToString) -> Self {
        Self::Unexpected {
            what: what.into(),
            found: found.to_string(),
        }
    }
}
