//! OVN, which Sextant is measured beside: its two databases and ovn-northd where the controller
//! runs, ovn-controller on a hypervisor, and every file in a folder of the lab's.

use crate::command::{self, Output};
use crate::error::LabError;
use crate::hypervisor::Hypervisor;
use crate::lab::Lab;
use crate::leftovers;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::tools::Tools;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const STARTING: Duration = Duration::from_secs(20);
/// Logs go to the console only, which is the file that the lab follows.
const LOGGING: &[&str] = &["-vconsole:info", "-vsyslog:off", "-vfile:off"];
const SCHEMAS: &str = "/usr/share/ovn";
/// What the cloud should be, and what follows for hypervisors.
const DATABASES: [&str; 2] = ["nb", "sb"];

/// The databases and ovn-northd. Its hypervisors' daemons are their owners'.
#[derive(Debug)]
pub(crate) struct Ovn {
    namespace: Namespace,
    folder: PathBuf,
    records: PathBuf,
    daemons: Vec<Process>,
}

impl Ovn {
    /// What OVN needs beside what every lab does.
    pub(crate) const TOOLS: &'static [&'static str] =
        &["ovn-controller", "ovn-nbctl", "ovn-northd"];

    /// Makes two empty databases and starts the three daemons.
    pub(crate) fn start(lab: &Lab) -> Result<Self, LabError> {
        Tools::check(Self::TOOLS)?;
        let mut ovn = Self {
            namespace: lab.control().clone(),
            folder: lab.home().join("ovn"),
            records: leftovers::records(lab.name()),
            daemons: Vec::new(),
        };
        std::fs::create_dir_all(&ovn.folder)
            .map_err(LabError::io(format!("make {}", ovn.folder.display())))?;
        for name in DATABASES {
            ovn.create_database(name)?;
        }
        ovn.start_again()?;
        ovn.nbctl(&["init"])?;
        Ok(ovn)
    }

    /// Kills the three daemons with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.daemons.clear();
    }

    /// Starts the three daemons with the databases that are there.
    pub(crate) fn start_again(&mut self) -> Result<(), LabError> {
        for name in DATABASES {
            self.start_database(name)?;
        }
        self.start_northd()
    }

    /// The process ids of its daemons, while they run.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.daemons.iter().map(Process::pid).collect()
    }

    fn create_database(&self, name: &str) -> Result<(), LabError> {
        let file = self.database_file(name);
        let schema = Path::new(SCHEMAS).join(format!("ovn-{name}.ovsschema"));
        let mut command = command::program("ovsdb-tool");
        command.arg("create").args([&file, &schema]);
        command::run(&mut command).map(drop)
    }

    fn database_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.db"))
    }

    fn start_database(&mut self, name: &str) -> Result<(), LabError> {
        let remote = format!("--remote=p{}", self.remote(name));
        let words = ["ovsdb-server", &remote, "--no-chdir"];
        let mut command = self.daemon(&self.namespace, &words);
        command.arg(self.database_file(name));
        let database = self.spawn(command, name, "ovsdb-server (Open vSwitch)")?;
        self.daemons.push(database);
        Ok(())
    }

    fn start_northd(&mut self) -> Result<(), LabError> {
        let north = format!("--ovnnb-db={}", self.remote("nb"));
        let south = format!("--ovnsb-db={}", self.remote("sb"));
        let words = ["ovn-northd", &north, &south, "--no-chdir"];
        let command = self.daemon(&self.namespace, &words);
        let northd = self.spawn(command, "northd", "connected")?;
        self.daemons.push(northd);
        Ok(())
    }

    /// Starts ovn-controller, which makes `br-int`. To be called before `br-int` is waited for.
    pub(crate) fn start_controller(&self, host: &Hypervisor) -> Result<Process, LabError> {
        host.vsctl(&[
            "set",
            "open_vswitch",
            ".",
            &format!("external_ids:system-id={}", host.name()),
            &format!("external_ids:ovn-remote=\"{}\"", self.remote("sb")),
            &format!("external_ids:ovn-encap-ip=\"{}\"", host.endpoint()),
            "external_ids:ovn-encap-type=geneve",
            &format!(
                "external_ids:ovn-bridge-datapath-type={}",
                host.datapath().bridge_type()
            ),
        ])?;
        self.start_controller_again(host)
    }

    /// Starts ovn-controller on a hypervisor that has joined.
    pub(crate) fn start_controller_again(&self, host: &Hypervisor) -> Result<Process, LabError> {
        let database = host.database();
        let words = ["ovn-controller", &database, "--no-chdir"];
        let mut command = self.daemon(host.namespace(), &words);
        // It looks there for the bridge's socket.
        command.env("OVS_RUNDIR", host.run_folder());
        let name = format!("controller-{}", host.name());
        self.spawn(command, &name, "connected")
    }

    /// Runs `ovn-nbctl`; with `--wait=hv` it waits at most 20 seconds for ovn-controller to follow.
    pub(crate) fn nbctl(&self, words: &[&str]) -> Result<Output, LabError> {
        let database = format!("--db={}", self.remote("nb"));
        let timeout = format!("--timeout={}", STARTING.as_secs());
        let mut command = command::program("ovn-nbctl");
        command.args([&database, &timeout]).args(words);
        command::run(self.in_folder(&mut command))
    }

    fn remote(&self, name: &str) -> String {
        format!(
            "unix:{}",
            self.folder.join(format!("{name}.sock")).display()
        )
    }

    fn daemon(&self, namespace: &Namespace, words: &[&str]) -> Command {
        let mut command = namespace.command(words);
        command.args(LOGGING);
        self.in_folder(&mut command);
        command
    }

    fn spawn(&self, mut command: Command, name: &str, sign: &str) -> Result<Process, LabError> {
        let log = self.folder.join(format!("{name}.log"));
        let mut process = Process::spawn(&mut command, &log, &self.records)?;
        process.wait_line(&format!("start of OVN's {name}"), STARTING, |line| {
            line.contains(sign).then_some(())
        })?;
        Ok(process)
    }

    fn in_folder<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for name in ["OVN_RUNDIR", "OVN_DBDIR", "OVN_LOGDIR", "OVS_RUNDIR"] {
            command.env(name, &self.folder);
        }
        command
    }
}
