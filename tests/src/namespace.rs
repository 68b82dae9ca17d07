//! Network namespaces by name, as `ip netns` makes them.

use crate::command::{self, Output};
use crate::error::LabError;
use crate::leftovers;
use crate::ping::{self, BackgroundPing, PingReport};
use crate::process::Process;
use crate::record::MARKER;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::{self, File};
use std::net::Ipv6Addr;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

/// Where `ip netns` keeps the names.
const FOLDER: &str = "/run/netns";

/// One network namespace of a lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    lab: String,
    name: String,
}

impl Namespace {
    /// Makes the namespace `LAB-ROLE`, with its loopback up.
    pub(crate) fn create(lab: &str, role: &str) -> Result<Self, LabError> {
        let name = format!("{lab}-{role}");
        command::run(command::program("ip").args(["netns", "add", &name]))?;
        let namespace = Self {
            lab: lab.to_owned(),
            name,
        };
        namespace.ip_batch("link set dev lo up")?;
        Ok(namespace)
    }

    /// The name of its lab.
    pub(crate) fn lab(&self) -> &str {
        &self.lab
    }

    /// The name, as `ip netns exec NAME` takes it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that will run in the namespace (`ip netns exec`, which execs it: the process
    /// id is the program's own).
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = command::program("ip");
        command
            .args(["netns", "exec", &self.name])
            .env(MARKER, &self.lab);
        if let Some((program, arguments)) = words.split_first() {
            command.arg(command::path_of(program)).args(arguments);
        }
        command
    }

    /// Runs a command in the namespace.
    ///
    /// # Errors
    /// [`LabError::Command`] when it fails.
    pub fn run(&self, words: &[&str]) -> Result<Output, LabError> {
        command::run(&mut self.command(words))
    }

    /// Starts a program in the namespace, with its output in the lab's folder; it is killed
    /// when the value is dropped.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn spawn(&self, words: &[&str]) -> Result<Process, LabError> {
        let program = words.first().copied().unwrap_or("nothing");
        let program = program.rsplit('/').next().unwrap_or(program);
        self.spawn_command(&mut self.command(words), program)
    }

    /// Sends `count` echo requests, one each `interval`, and waits for the answers. A
    /// link-local target is taken as one on `eth0`.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] when ping says nothing that can be read. Lost answers are no
    /// error but in the report.
    pub fn ping(
        &self,
        target: Ipv6Addr,
        count: u32,
        interval: Duration,
    ) -> Result<PingReport, LabError> {
        ping::run(self, target, count, interval)
    }

    /// Pings in the background, one request each `interval`, until stopped.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn spawn_ping(
        &self,
        target: Ipv6Addr,
        interval: Duration,
    ) -> Result<BackgroundPing, LabError> {
        BackgroundPing::start(self, target, interval)
    }

    pub(crate) fn spawn_command(
        &self,
        command: &mut Command,
        log: &str,
    ) -> Result<Process, LabError> {
        let log = leftovers::home(&self.lab).join(format!("{}-{log}.log", self.name));
        Process::spawn(command, &log, &leftovers::records(&self.lab))
    }

    /// Runs `ip -n NAME WORDS`.
    ///
    /// # Errors
    /// [`LabError::Command`] when it fails.
    pub fn ip(&self, words: &[&str]) -> Result<Output, LabError> {
        command::run(command::program("ip").args(["-n", &self.name]).args(words))
    }

    /// Runs `ip -j -n NAME WORDS` and reads its JSON.
    pub(crate) fn ip_json(&self, words: &[&str]) -> Result<Vec<serde_json::Value>, LabError> {
        let mut command = command::program("ip");
        command.args(["-j", "-n", &self.name]).args(words);
        let text = command::run(&mut command)?.stdout;
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        serde_json::from_str(&text)
            .map_err(|_| LabError::unexpected(command::line(&command), text.trim()))
    }

    /// Runs many `ip` commands at once, one a line.
    pub(crate) fn ip_batch(&self, lines: &str) -> Result<(), LabError> {
        let mut command = command::program("ip");
        command.args(["-n", &self.name, "-batch", "-"]);
        command::run_with_input(&mut command, &format!("{}\n", lines.trim())).map(drop)
    }

    /// Sets kernel parameters below `net.`, such as `("ipv6/conf/all/forwarding", "1")`.
    pub(crate) fn sysctl(&self, settings: &[(&str, &str)]) -> Result<(), LabError> {
        self.enter(|| {
            settings.iter().try_for_each(|(key, value)| {
                let path = format!("/proc/sys/net/{key}");
                fs::write(&path, value).map_err(LabError::io(format!("write {value} to {path}")))
            })
        })?
    }

    /// Runs `task` on a thread of its own that has entered the namespace.
    pub(crate) fn enter<T: Send>(&self, task: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.join()?;
                Ok(task())
            });
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread, and what it starts from then on, into the namespace.
    pub(crate) fn join(&self) -> Result<(), LabError> {
        let path = self.path();
        let file = File::open(&path).map_err(LabError::io(format!("open {}", path.display())))?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(LabError::errno(format!("enter namespace {}", self.name)))
    }

    fn path(&self) -> PathBuf {
        Path::new(FOLDER).join(&self.name)
    }

    /// Removes the namespace; its interfaces go with it once its last process has ended.
    pub(crate) fn delete(name: &str) -> Result<(), LabError> {
        command::run(command::program("ip").args(["netns", "del", name])).map(drop)
    }

    /// The number that `/proc/PID/ns/net` of the namespace's processes has too.
    pub(crate) fn inode(name: &str) -> Option<u64> {
        let file = fs::metadata(Path::new(FOLDER).join(name)).ok()?;
        Some(file.ino())
    }

    /// The names of all namespaces of this machine.
    pub(crate) fn names() -> Vec<String> {
        let Ok(entries) = fs::read_dir(FOLDER) else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect()
    }
}
