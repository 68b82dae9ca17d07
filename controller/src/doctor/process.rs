//! The process that runs, if one does: who it is, and what it knows as wrong.

use super::within;
use crate::control::verbs::status::StatusVerb;
use crate::control::{ClientError, Finding, FindingState, Request, rows_of};
use rustix::net::sockopt::socket_peercred;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

const CHECK: &str = "process";
/// How long an answer may take. Sextant itself gives one up after a minute.
const PATIENCE: Duration = Duration::from_secs(75);

/// A process that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RunningProcess {
    /// Its id, as this process sees it.
    pub(super) pid: u32,
    /// The id of its user.
    pub(super) uid: u32,
}

/// Asks the process at a control socket what is wrong.
pub(super) async fn ask(socket: Option<&PathBuf>) -> (Option<RunningProcess>, Vec<Finding>) {
    let Some(socket) = socket else {
        let none =
            "There is no control socket (control.socket = \"\"), so no process can be asked.";
        return (None, vec![Finding::note(CHECK, none)]);
    };
    let process = running(socket);
    let rows = rows::<Finding>(socket, Request::Status(StatusVerb::default())).await;
    (process, findings(process, rows))
}

/// The rows of an answer.
pub(super) async fn rows<R: DeserializeOwned + Send + 'static>(
    socket: &Path,
    request: impl Serialize + Send + 'static,
) -> Result<Vec<R>, ClientError> {
    let socket = socket.to_owned();
    let late = ClientError::CutOff(socket.clone());
    let asked = within(PATIENCE, move || {
        let rows = rows_of(Some(&socket), &request)?;
        let read = rows.into_iter().map(serde_json::from_value::<R>);
        let read = read.collect::<Result<Vec<R>, _>>();
        read.map_err(|error| ClientError::Unreadable(socket, error))
    });
    asked.await.unwrap_or(Err(late))
}

/// Who listens at the socket.
fn running(socket: &Path) -> Option<RunningProcess> {
    let stream = UnixStream::connect(socket).ok()?;
    let peer = socket_peercred(&stream).ok()?;
    Some(RunningProcess {
        pid: u32::try_from(peer.pid.as_raw_nonzero().get()).ok()?,
        uid: peer.uid.as_raw(),
    })
}

fn findings(
    process: Option<RunningProcess>,
    status: Result<Vec<Finding>, ClientError>,
) -> Vec<Finding> {
    match status {
        Ok(rows) => {
            let pid = process.map_or_else(String::new, |process| {
                format!(" as process {}", process.pid)
            });
            let mut wrong: Vec<Finding> = rows
                .into_iter()
                .filter(|row| row.state != FindingState::Good)
                .collect();
            let says = match wrong.is_empty() {
                true => format!("Sextant runs{pid}, and knows of nothing that is wrong."),
                false => format!("Sextant runs{pid}. The lines above are what it knows."),
            };
            wrong.push(Finding::good(CHECK, says));
            wrong
        }
        Err(ClientError::Missing(_) | ClientError::Deserted(_)) => {
            let says = "Sextant does not run here, or has another control.socket: what it would know is not checked.";
            vec![Finding::note(CHECK, says)]
        }
        Err(error) => vec![Finding::unclear(
            CHECK,
            format!("{error}."),
            "ask as root; sextant status",
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROCESS: RunningProcess = RunningProcess { pid: 7, uid: 1 };

    #[test]
    fn what_the_process_knows_as_wrong_comes_first() {
        let rows = vec![
            Finding::bad("ports", "One waits.", "sextant why PORT"),
            Finding::good("gateways", "All are there."),
        ];
        let findings = findings(Some(PROCESS), Ok(rows));
        let said: Vec<&str> = findings.iter().map(|finding| &*finding.says).collect();
        assert_eq!(
            said,
            [
                "One waits.",
                "Sextant runs as process 7. The lines above are what it knows."
            ]
        );
        assert_eq!(findings[0].state, FindingState::Bad);
    }

    #[test]
    fn a_process_that_does_not_run_is_no_fault_and_one_that_does_not_answer_is_told() {
        let state = |error| findings(None, Err(error))[0].state;
        assert_eq!(state(ClientError::Missing("/s".into())), FindingState::Note);
        assert_eq!(
            state(ClientError::Deserted("/s".into())),
            FindingState::Note
        );
        assert_eq!(
            state(ClientError::Forbidden("/s".into())),
            FindingState::Unclear
        );
    }
}
