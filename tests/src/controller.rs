//! The controller as a process: the built `sextant` binary, run in the `ctl` namespace with
//! nothing but listen addresses.

use crate::command::Output;
use crate::error::LabError;
use crate::leftovers;
use crate::namespace::Namespace;
use crate::process::{Process, running};
use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

pub(crate) const READY: Duration = Duration::from_secs(20);
const STOPPING: Duration = Duration::from_secs(10);
const LISTEN: &[&str] = &[
    "serve",
    "--api-listen",
    "[::]:9696",
    "--openflow-listen",
    "[::]:6653",
    "--ovsdb-listen",
    "[::]:6640",
    "--metrics-listen",
    "[::]:9697",
    "--allow-plaintext",
];

/// How to run the controller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControllerOptions {
    /// The binary; none takes `SEXTANT_BIN`, else the workspace's newest build.
    pub binary: Option<PathBuf>,
    /// Arguments after those that the lab gives.
    pub args: Vec<String>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// Where it keeps its data; none takes a folder of the lab, the same at every start.
    pub data_dir: Option<PathBuf>,
}

/// The controller of a lab, which may be running or not.
#[derive(Debug)]
pub struct Controller {
    namespace: Namespace,
    options: ControllerOptions,
    binary: PathBuf,
    data_dir: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    records: PathBuf,
    process: Option<Process>,
}

impl Controller {
    pub(crate) fn start(
        namespace: &Namespace,
        lab: &str,
        name: &str,
        options: ControllerOptions,
    ) -> Result<Self, LabError> {
        let home = leftovers::home(lab);
        let mut controller = Self {
            namespace: namespace.clone(),
            binary: options.binary.clone().map_or_else(find_binary, Ok)?,
            data_dir: options
                .data_dir
                .clone()
                .unwrap_or_else(|| home.join("data")),
            socket: home.join(format!("{name}.control")),
            log: home.join(format!("{name}.log")),
            records: leftovers::records(lab),
            options,
            process: None,
        };
        controller.spawn()?;
        Ok(controller)
    }

    fn spawn(&mut self) -> Result<(), LabError> {
        let binary = self.binary.to_string_lossy();
        let data_dir = self.data_dir.to_string_lossy();
        let socket = self.socket.to_string_lossy();
        let own = ["--data-dir", &data_dir, "--control-socket", &socket];
        let words = [&[&*binary], LISTEN, &own].concat();
        let mut command = self.namespace.command(&words);
        command.args(&self.options.args);
        command.envs(self.options.env.iter().map(|(name, value)| (name, value)));
        let mut process = Process::spawn(&mut command, &self.log, &self.records)?;
        process.wait_line("its ready line", READY, says_ready)?;
        self.process = Some(process);
        Ok(())
    }

    /// Starts it again after [`Controller::kill`] or [`Controller::terminate`], and waits until
    /// it is ready.
    ///
    /// # Errors
    /// [`LabError::Ended`] or [`LabError::Timeout`] with its log; [`LabError::Unexpected`] when
    /// it runs already.
    pub fn start_again(&mut self) -> Result<(), LabError> {
        if self.is_running() {
            return Err(LabError::unexpected("the stopped controller", "running"));
        }
        self.spawn()
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Halts it with SIGSTOP: its connections stay, and it does nothing.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] when it does not run.
    pub fn halt(&self) -> Result<(), LabError> {
        running(self.process.as_ref(), "the running controller")?.halt()
    }

    /// Lets it go on after [`Controller::halt`].
    ///
    /// # Errors
    /// [`LabError::Unexpected`] when it does not run.
    pub fn wake(&self) -> Result<(), LabError> {
        running(self.process.as_ref(), "the running controller")?.wake()
    }

    /// Has it read its configuration again (SIGHUP).
    ///
    /// # Errors
    /// [`LabError::Unexpected`] when it does not run.
    pub fn hang_up(&self) -> Result<(), LabError> {
        running(self.process.as_ref(), "the running controller")?.hang_up()
    }

    /// Ends it with SIGTERM and returns its exit status.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when it does not end within ten seconds; [`LabError::Unexpected`]
    /// when it does not run.
    pub fn terminate(&mut self) -> Result<ExitStatus, LabError> {
        match self.process.take() {
            Some(mut process) => process.terminate(STOPPING),
            None => Err(LabError::unexpected("the running controller", "stopped")),
        }
    }

    /// [`Controller::terminate`] and [`Controller::start_again`].
    ///
    /// # Errors
    /// As these.
    pub fn restart(&mut self) -> Result<(), LabError> {
        self.terminate()?;
        self.spawn()
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    /// Its process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Asks it with the same program: `&["neighbors"]`.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn ask(&self, words: &[&str]) -> Result<Output, LabError> {
        let binary = self.binary.to_string_lossy();
        let socket = self.socket.to_string_lossy();
        let own = ["--socket", &socket];
        self.namespace.run(&[&[&*binary], words, &own].concat())
    }

    /// The program.
    #[must_use]
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Where it is asked: each controller of a lab has a socket of its own.
    #[must_use]
    pub fn control_socket(&self) -> &Path {
        &self.socket
    }

    /// Where it keeps its data.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Its log, over all starts.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Waits for a line of the log since its last start, each line once.
    ///
    /// # Errors
    /// [`LabError::Ended`] or [`LabError::Timeout`] with the end of the log;
    /// [`LabError::Unexpected`] when it does not run.
    pub fn wait_line<T>(
        &mut self,
        what: &str,
        timeout: Duration,
        pick: impl FnMut(&str) -> Option<T>,
    ) -> Result<T, LabError> {
        match &mut self.process {
            Some(process) => process.wait_line(what, timeout, pick),
            None => Err(LabError::unexpected("the running controller", "stopped")),
        }
    }
}

/// One line with the word `ready`.
pub(crate) fn says_ready(line: &str) -> Option<()> {
    let mut words = line.split(|c: char| !c.is_alphanumeric());
    words.any(|word| word == "ready").then_some(())
}

/// The binary that the lab runs: `SEXTANT_BIN`, else the newest of the workspace's builds.
///
/// # Errors
/// [`LabError`], where there is none.
pub fn find_binary() -> Result<PathBuf, LabError> {
    if let Some(given) = env::var_os("SEXTANT_BIN") {
        let given = PathBuf::from(given);
        return match given.is_file() {
            true => Ok(given),
            false => Err(no_binary(&[given])),
        };
    }
    let candidates =
        ["debug", "release"].map(|profile| target_folder().join(profile).join("sextant"));
    let newest = candidates
        .iter()
        .filter(|path| path.is_file())
        .max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
    newest.cloned().ok_or_else(|| no_binary(&candidates))
}

fn target_folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    )
}

fn no_binary(looked_at: &[PathBuf]) -> LabError {
    LabError::NoBinary {
        looked_at: looked_at
            .iter()
            .map(|path| path.display().to_string())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_a_word_of_its_own() {
        assert!(says_ready("INFO sextant: ready api=[::]:9696").is_some());
        assert!(says_ready("INFO sextant: already here").is_none());
    }
}
