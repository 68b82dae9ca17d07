//! The unmodified `openstack` client, driven by a runner that pays its start once.

use crate::error::LabError;
use crate::namespace::Namespace;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const WHAT: &str = "run the openstack client";

/// The client: commands go in, and what each prints comes out.
#[derive(Debug)]
pub struct OpenStackClient {
    runner: Child,
    keyboard: ChildStdin,
    screen: BufReader<ChildStdout>,
}

/// What a command has printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printed {
    /// The status that it ended with; -1 for one that is no number.
    pub status: i64,
    /// Its output.
    pub out: String,
    /// Its errors.
    pub err: String,
}

impl OpenStackClient {
    /// Starts the client in a namespace, or in that of the test. `words` are those of the runner: the address of the API,
    /// and the projects.
    ///
    /// # Errors
    /// There is no client, or it does not start.
    pub fn start(namespace: Option<&Namespace>, words: &[&str]) -> Result<Self, LabError> {
        let (python, script) = (python()?, script("runner.py"));
        let mut command = match namespace {
            Some(namespace) => namespace.command(&[&*python.to_string_lossy()]),
            None => Command::new(python),
        };
        let mut runner = command
            .arg(script)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(LabError::io(WHAT))?;
        let (Some(keyboard), Some(screen)) = (runner.stdin.take(), runner.stdout.take()) else {
            return Err(LabError::unexpected(WHAT, "no keyboard"));
        };
        Ok(Self {
            runner,
            keyboard,
            screen: BufReader::new(screen),
        })
    }

    /// Types a command.
    ///
    /// # Errors
    /// The client has ended.
    pub fn types(&mut self, command: &str) -> Result<Printed, LabError> {
        writeln!(self.keyboard, "{command}").map_err(LabError::io(WHAT))?;
        let mut answer = String::new();
        let read = self.screen.read_line(&mut answer);
        read.map_err(LabError::io(WHAT))?;
        let answer: Value =
            serde_json::from_str(&answer).map_err(|error| LabError::unexpected(WHAT, error))?;
        let [out, err] = ["out", "err"].map(|name| answer[name].as_str().unwrap_or_default());
        Ok(Printed {
            status: answer["status"].as_i64().unwrap_or(-1),
            out: out.to_owned(),
            err: err.to_owned(),
        })
    }
}

impl Drop for OpenStackClient {
    fn drop(&mut self) {
        let _ = self.runner.kill();
        let _ = self.runner.wait();
    }
}

/// The interpreter with the clients that `scripts/setup venv` installs.
///
/// # Errors
/// There is none.
pub fn python() -> Result<PathBuf, LabError> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = repository.join(".venv/bin/python");
    match python.is_file() {
        true => Ok(python),
        false => Err(LabError::unexpected(
            WHAT,
            "no .venv: run `scripts/setup venv`",
        )),
    }
}

/// A script beside the tests of the client.
#[must_use]
pub fn script(name: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.join("openstack").join(name)
}
