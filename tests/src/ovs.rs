//! One hypervisor's own Open vSwitch: ovsdb-server and ovs-vswitchd with every file in a folder
//! of its own, so that any number of them run side by side on one machine.

use crate::command::{self, Output};
use crate::error::LabError;
use crate::namespace::Namespace;
use crate::process::Process;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
const STARTING: Duration = Duration::from_secs(20);
/// Logs go to the console only, which is the file that the lab follows.
const LOGGING: &[&str] = &["-vconsole:info", "-vsyslog:off", "-vfile:off"];

/// The two daemons and the commands that talk to them.
#[derive(Debug)]
pub(crate) struct OpenVSwitch {
    namespace: Namespace,
    folder: PathBuf,
    records: PathBuf,
    database: Mutex<Option<Process>>,
    switch: Mutex<Option<Process>>,
}

impl OpenVSwitch {
    /// Makes an empty database and starts both daemons.
    pub(crate) fn start(
        namespace: &Namespace,
        folder: &Path,
        records: &Path,
    ) -> Result<Self, LabError> {
        std::fs::create_dir_all(folder)
            .map_err(LabError::io(format!("make {}", folder.display())))?;
        let ovs = Self {
            namespace: namespace.clone(),
            folder: folder.to_owned(),
            records: records.to_owned(),
            database: Mutex::new(None),
            switch: Mutex::new(None),
        };
        let database = ovs.folder.join("conf.db");
        command::run(
            command::program("ovsdb-tool")
                .arg("create")
                .arg(&database)
                .arg(SCHEMA),
        )?;
        ovs.start_database()?;
        ovs.vsctl(&["--no-wait", "init"])?;
        ovs.start_switch()?;
        Ok(ovs)
    }

    /// Starts ovsdb-server and waits until it serves.
    pub(crate) fn start_database(&self) -> Result<(), LabError> {
        let remote = format!("--remote=punix:{}", self.socket());
        let database = self.folder.join("conf.db");
        let mut words = vec![
            "ovsdb-server",
            remote.as_str(),
            "--remote=db:Open_vSwitch,Open_vSwitch,manager_options",
            "--private-key=db:Open_vSwitch,SSL,private_key",
            "--certificate=db:Open_vSwitch,SSL,certificate",
            "--ca-cert=db:Open_vSwitch,SSL,ca_cert",
            "--pidfile",
            "--no-chdir",
        ];
        words.extend(LOGGING);
        let mut command = self.daemon(&words);
        command.arg(database);
        let process = self.spawn(command, "ovsdb-server")?;
        *lock(&self.database) = Some(process);
        Ok(())
    }

    /// Starts ovs-vswitchd and waits until it has read its configuration's remote. As a distribution has it, a monitor
    /// starts it again after a crash.
    pub(crate) fn start_switch(&self) -> Result<(), LabError> {
        let remote = format!("unix:{}", self.socket());
        let mut words = vec![
            "ovs-vswitchd",
            remote.as_str(),
            "--pidfile",
            "--no-chdir",
            "--monitor",
        ];
        words.extend(LOGGING);
        let process = self.spawn(self.daemon(&words), "ovs-vswitchd")?;
        *lock(&self.switch) = Some(process);
        Ok(())
    }

    fn spawn(&self, mut command: Command, daemon: &str) -> Result<Process, LabError> {
        let log = self.log(daemon);
        let mut process = Process::spawn(&mut command, &log, &self.records)?;
        let banner = format!("{daemon} (Open vSwitch)");
        process.wait_line(&format!("start of {daemon}"), STARTING, |line| {
            line.contains(&banner).then_some(())
        })?;
        Ok(process)
    }

    /// Kills ovs-vswitchd and its monitor (SIGKILL) and reaps them.
    pub(crate) fn kill_switch(&self) {
        *lock(&self.switch) = None;
    }

    /// Kills ovsdb-server (SIGKILL) and reaps it.
    pub(crate) fn kill_database(&self) {
        *lock(&self.database) = None;
    }

    /// The process id of ovs-vswitchd while it runs.
    pub(crate) fn switch_pid(&self) -> Option<u32> {
        lock(&self.switch).as_ref()?;
        let file = std::fs::read_to_string(self.folder.join("ovs-vswitchd.pid"));
        file.ok()?.trim().parse().ok()
    }

    /// The log of one of the daemons.
    pub(crate) fn log(&self, daemon: &str) -> PathBuf {
        self.folder.join(format!("{daemon}.log"))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// `ovs-vsctl`, waiting at most 20 seconds for ovs-vswitchd.
    pub(crate) fn vsctl(&self, words: &[&str]) -> Result<Output, LabError> {
        let database = format!("--db=unix:{}", self.socket());
        let timeout = format!("--timeout={}", STARTING.as_secs());
        self.tool("ovs-vsctl", &[&[&*database, &*timeout], words].concat())
    }

    /// `ovs-ofctl -O OpenFlow13`.
    pub(crate) fn ofctl(&self, words: &[&str]) -> Result<Output, LabError> {
        self.tool("ovs-ofctl", &[&["-O", "OpenFlow13"], words].concat())
    }

    /// `ovs-appctl`, to ovs-vswitchd unless the words say `-t`.
    pub(crate) fn appctl(&self, words: &[&str]) -> Result<Output, LabError> {
        self.tool("ovs-appctl", words)
    }

    /// The database's socket, as `unix:` takes it.
    pub(crate) fn socket(&self) -> String {
        self.folder.join("db.sock").display().to_string()
    }

    fn tool(&self, program: &str, words: &[&str]) -> Result<Output, LabError> {
        command::run(self.in_folder(&mut command::program(program)).args(words))
    }

    fn daemon(&self, words: &[&str]) -> Command {
        let mut command = self.namespace.command(words);
        self.in_folder(&mut command);
        command
    }

    fn in_folder<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("OVS_RUNDIR", &self.folder)
            .env("OVS_DBDIR", &self.folder)
            .env("OVS_LOGDIR", &self.folder)
    }
}

fn lock(process: &Mutex<Option<Process>>) -> MutexGuard<'_, Option<Process>> {
    process.lock().unwrap_or_else(PoisonError::into_inner)
}
