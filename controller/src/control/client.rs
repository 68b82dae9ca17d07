//! The client: sends a verb, and prints the answer.

use super::protocol::AnswerLine;
use super::visible::in_lines;
use super::{OWN_SOCKET, SOCKET, Verb};
use clap::Args;
use serde::Serialize;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// How long the client waits for the next row: longer than Sextant takes to give up itself.
const PATIENCE: Duration = Duration::from_secs(75);

/// A verb, and the socket to ask.
#[derive(Clone, Debug, Args)]
pub struct Ask<V: Args> {
    /// What to ask.
    #[command(flatten)]
    pub verb: V,
    /// The control socket to ask: /run/sextant/control unless given.
    #[arg(
        long,
        global = true,
        value_name = "SOCKET",
        env = "SEXTANT_CONTROL_SOCKET"
    )]
    pub socket: Option<PathBuf>,
    /// Ask again each so many seconds, until interrupted. On a terminal, the newest answer takes the place of the one
    /// before.
    #[arg(long, global = true, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub watch: Option<u64>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The socket does not exist.
    #[error(
        "cannot ask Sextant at {0}: there is no such socket. Does it run on this machine, and is this its control.socket (--socket)?"
    )]
    Missing(PathBuf),
    /// Nobody listens on the socket.
    #[error("cannot ask Sextant at {0}: nobody listens there. Sextant has stopped")]
    Deserted(PathBuf),
    /// The user may not use the socket.
    #[error(
        "cannot ask Sextant at {0}: permission denied. Ask as root, as the user that Sextant runs as, or as one of its group"
    )]
    Forbidden(PathBuf),
    /// The connection failed.
    #[error("cannot ask Sextant at {0}: {1}")]
    System(PathBuf, io::Error),
    /// The answer is not complete.
    #[error(
        "Sextant at {0} hung up before its answer was complete: too many ask at once, or it is stopping"
    )]
    CutOff(PathBuf),
    /// This version does not understand the answer.
    #[error(
        "Sextant at {0} gave an answer that this command does not understand. Is it another version? {1}"
    )]
    Unreadable(PathBuf, serde_json::Error),
    /// The answer came, and cannot be used.
    #[error("{0}")]
    Unused(String),
    /// Who watches would do it again and again.
    #[error("--watch is for verbs that only read")]
    Unwatchable,
    /// Sextant refused.
    #[error("{0}")]
    Refused(String),
}

/// The socket to ask: the given one, else root's, else that of a Sextant started in this folder.
fn socket(given: Option<PathBuf>) -> PathBuf {
    given.unwrap_or_else(|| {
        let own = Path::new(OWN_SOCKET);
        let chosen = if !Path::new(SOCKET).exists() && own.exists() {
            own
        } else {
            Path::new(SOCKET)
        };
        chosen.to_owned()
    })
}

/// Asks, and prints the answer: as JSON, one object a line, or as text for people.
///
/// # Errors
/// [`ClientError`] says why there is no answer, or no complete one.
pub(super) fn run<V: Verb + Args, R: Serialize>(
    ask: Ask<V>,
    request: impl Fn(V) -> R,
    json: bool,
    print: &mut dyn FnMut(&str),
) -> Result<(), ClientError> {
    let socket = socket(ask.socket);
    let mut verb = ask.verb;
    if ask.watch.is_some() && !verb.only_reads() {
        return Err(ClientError::Unwatchable);
    }
    if let Some(mut take) = verb.taker().map_err(ClientError::Unused)? {
        return each(&socket, &request(verb), &mut |row| {
            take(row).map_err(ClientError::Unused)
        });
    }
    let mut shown = None;
    loop {
        // Everything is read first: printing may wait for a pager, and Sextant drops clients that do not read.
        let mut rows: Vec<V::Row> = exchange(&socket, &request(verb.clone()))?;
        rows = verb.receive(rows).map_err(ClientError::Unused)?;
        rows.retain(|row| shown.as_ref() != Some(row));
        if ask.watch.is_some() && !json && io::stdout().is_terminal() {
            print(CLEARED);
        }
        show(&verb, &rows, json, print);
        shown = rows.pop().or(shown);
        let pause = match (verb.following(shown.as_ref()), ask.watch) {
            (Some(next), _) => {
                verb = next;
                FOLLOWED
            }
            (None, Some(seconds)) => {
                shown = None;
                Duration::from_secs(seconds)
            }
            (None, None) => return Ok(()),
        };
        sleep(pause);
    }
}

/// How often what follows is asked for.
const FOLLOWED: Duration = Duration::from_secs(1);
/// Clears a terminal (ECMA-48: cursor home, erase in page).
const CLEARED: &str = "\x1b[H\x1b[2J";

fn show<V: Verb>(verb: &V, rows: &[V::Row], json: bool, print: &mut dyn FnMut(&str)) {
    if json {
        for row in rows {
            print(&format!("{}\n", serde_json::json!(row)));
        }
    } else {
        print(&in_lines(&verb.show(rows)));
    }
}

/// Asks the socket, and returns the rows of the answer as they came.
///
/// # Errors
/// [`ClientError`] says why there is no answer, or no complete one.
pub(crate) fn rows_of(
    given: Option<&Path>,
    request: &impl Serialize,
) -> Result<Vec<serde_json::Value>, ClientError> {
    exchange(&socket(given.map(Path::to_owned)), request)
}

fn exchange<R: serde::de::DeserializeOwned>(
    socket: &Path,
    request: &impl Serialize,
) -> Result<Vec<R>, ClientError> {
    let mut rows = Vec::new();
    each(socket, request, &mut |row| {
        rows.push(row);
        Ok(())
    })?;
    Ok(rows)
}

/// Asks the socket, and passes on each row of the answer as it comes.
fn each<R: serde::de::DeserializeOwned>(
    socket: &Path,
    request: &impl Serialize,
    take: &mut dyn FnMut(R) -> Result<(), ClientError>,
) -> Result<(), ClientError> {
    let mut stream = UnixStream::connect(socket).map_err(failure(socket))?;
    let limited = stream.set_read_timeout(Some(PATIENCE));
    limited.map_err(failure(socket))?;
    // Sextant may hang up at once if there are too many clients. Its last words, if any, are in the answer.
    let _ = stream.write_all(format!("{}\n", serde_json::json!(request)).as_bytes());
    for line in BufReader::new(stream).lines() {
        let line = line.map_err(failure(socket))?;
        let line = serde_json::from_str(&line);
        match line.map_err(|error| ClientError::Unreadable(socket.to_owned(), error))? {
            AnswerLine::Row(row) => take(row)?,
            AnswerLine::End => return Ok(()),
            AnswerLine::Refused(reason) => return Err(ClientError::Refused(in_lines(&reason))),
        }
    }
    Err(ClientError::CutOff(socket.to_owned()))
}

fn failure(socket: &Path) -> impl Fn(io::Error) -> ClientError {
    move |error| {
        let path = socket.to_owned();
        let kind = error.kind();
        if kind == io::ErrorKind::NotFound {
            ClientError::Missing(path)
        } else if kind == io::ErrorKind::ConnectionRefused {
            ClientError::Deserted(path)
        } else if kind == io::ErrorKind::PermissionDenied {
            ClientError::Forbidden(path)
        } else if kind == io::ErrorKind::ConnectionReset {
            ClientError::CutOff(path)
        } else {
            ClientError::System(path, error)
        }
    }
}
