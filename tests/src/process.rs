//! Long-running programs of a lab. Each has its output in a file, and leads a process group that is killed when its
//! value is dropped. The lab's folder records its process id and start time. So a later lab can end what a dead one
//! left, and nothing else.

use crate::command;
use crate::deadline::Deadline;
use crate::error::LabError;
use crate::log::{self, Found, LogFollower};
use crate::record::ProcessRecord;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A running program whose output goes to a log file.
#[derive(Debug)]
pub struct Process {
    line: String,
    log: PathBuf,
    follower: LogFollower,
    child: Child,
    pidfd: OwnedFd,
    record: ProcessRecord,
}

/// A process that has to run.
///
/// # Errors
/// [`LabError::Unexpected`] when it does not; `what` says what it is.
pub(crate) fn running<'a>(
    process: Option<&'a Process>,
    what: &str,
) -> Result<&'a Process, LabError> {
    process.ok_or_else(|| LabError::unexpected(what, "stopped"))
}

impl Process {
    /// Starts the command, appending its output to `log` and recording it in `records`.
    pub(crate) fn spawn(
        command: &mut Command,
        log: &Path,
        records: &Path,
    ) -> Result<Self, LabError> {
        let line = command::line(command);
        let (out, err, offset) = open_log(log)?;
        let follower = LogFollower::open(log, offset)?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .map_err(LabError::io(format!("start `{line}`")))?;
        // Let go of the log's descriptors, which the command would keep open.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        match watched(&child, records) {
            Ok((pidfd, record)) => Ok(Self {
                line,
                log: log.to_owned(),
                follower,
                child,
                pidfd,
                record,
            }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The command line.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }

    /// The file with the program's output.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Everything in the log.
    #[must_use]
    pub fn log_text(&self) -> String {
        log::tail(&self.log, usize::MAX)
    }

    /// Waits for a line of the log for which `pick` has an answer. Each line is offered once:
    /// a second wait continues after the line that the first one took.
    ///
    /// # Errors
    /// [`LabError::Ended`] when the program ends first, [`LabError::Timeout`]; both with the
    /// end of the log.
    pub fn wait_line<T>(
        &mut self,
        what: &str,
        timeout: Duration,
        pick: impl FnMut(&str) -> Option<T>,
    ) -> Result<T, LabError> {
        let deadline = Deadline::after(timeout);
        match self.follower.find(&self.pidfd, deadline, pick)? {
            Found::Line(picked) => Ok(picked),
            Found::WriterEnded => Err(LabError::Ended {
                line: self.line.clone(),
                awaited: what.to_owned(),
                log: log::tail(&self.log, 30),
            }),
            Found::DeadlineMissed => {
                Err(deadline.missed(what, format!("log:\n{}", log::tail(&self.log, 30))))
            }
        }
    }

    /// Whether the program still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when the program does not end in time.
    pub fn terminate(&mut self, timeout: Duration) -> Result<ExitStatus, LabError> {
        self.signal(Signal::TERM)?;
        self.wait(timeout)
    }

    /// Sends SIGINT and waits for the end.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when the program does not end in time.
    pub fn interrupt(&mut self, timeout: Duration) -> Result<ExitStatus, LabError> {
        self.signal(Signal::INT)?;
        self.wait(timeout)
    }

    /// Halts it with SIGSTOP: what it has open stays open, and it does nothing.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn halt(&self) -> Result<(), LabError> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on after [`Process::halt`].
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn wake(&self) -> Result<(), LabError> {
        self.signal(Signal::CONT)
    }

    /// Sends SIGHUP.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn hang_up(&self) -> Result<(), LabError> {
        self.signal(Signal::HUP)
    }

    /// Kills it and the processes of its group (SIGKILL), and reaps it.
    pub fn kill(&mut self) {
        // Unreaped, the leader keeps its id, and so the group's, from meaning anything else.
        if self.is_running()
            && let Some(leader) = raw_pid(self.pid())
        {
            let _ = kill_process_group(leader, Signal::KILL);
        }
        let _ = self.child.wait();
        self.record.forget();
    }

    /// Waits for the program to end by itself.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when it does not end in time.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus, LabError> {
        use std::os::fd::AsFd;
        let deadline = Deadline::after(timeout);
        if !deadline.wait_readable(&[self.pidfd.as_fd()])? {
            let tail = format!("log:\n{}", log::tail(&self.log, 30));
            return Err(deadline.missed(format!("the end of `{}`", self.line), tail));
        }
        let status = self
            .child
            .wait()
            .map_err(LabError::io(format!("wait for `{}`", self.line)))?;
        self.record.forget();
        Ok(status)
    }

    /// A process that has ended already takes no signal, which is no error.
    fn signal(&self, signal: Signal) -> Result<(), LabError> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(errno) => Err(LabError::errno(format!("signal `{}`", self.line))(errno)),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn open_log(path: &Path) -> Result<(File, File, u64), LabError> {
    let what = format!("open {}", path.display());
    let out = File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(LabError::io(&what))?;
    let err = out.try_clone().map_err(LabError::io(&what))?;
    let offset = fs::metadata(path).map_err(LabError::io(&what))?.len();
    Ok((out, err, offset))
}

fn watched(child: &Child, records: &Path) -> Result<(OwnedFd, ProcessRecord), LabError> {
    let record = ProcessRecord::write(records, child.id())?;
    let pid =
        raw_pid(child.id()).ok_or_else(|| LabError::unexpected("a process id", child.id()))?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())
        .map_err(LabError::errno(format!("open process {}", child.id())))?;
    Ok((pidfd, record))
}

fn raw_pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}
