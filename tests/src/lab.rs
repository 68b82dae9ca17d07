//! A whole lab: made by [`Lab::start`], and removed with everything in it when dropped, also
//! when a test panics. What a process that was killed left behind is removed at the next start.

use crate::api::Api;
use crate::command::Output;
use crate::controller::{Controller, ControllerOptions};
use crate::datapath::Datapath;
use crate::deadline::wait_for;
use crate::error::LabError;
use crate::hypervisor::Hypervisor;
use crate::leftovers;
use crate::log;
use crate::namespace::Namespace;
use crate::plan::{CONTROLLER, Underlay};
use crate::process::Process;
use crate::tools::Tools;
use crate::topology;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

static SERIAL: AtomicU32 = AtomicU32::new(0);
/// How much of each log a failed test shows.
const LINES_OF_LOG: usize = 120;

/// What a lab is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabOptions {
    /// How many hypervisors, numbered from 1.
    pub hypervisors: u16,
    /// Protocols of the underlay.
    pub underlay: Underlay,
    /// Its switches' datapath. `None`: the one in the environment ([`Datapath::of_environment`]).
    pub datapath: Option<Datapath>,
}

impl Default for LabOptions {
    fn default() -> Self {
        Self {
            hypervisors: 2,
            underlay: Underlay::Ipv6,
            datapath: None,
        }
    }
}

/// A running lab.
#[derive(Debug)]
pub struct Lab {
    name: String,
    home: PathBuf,
    control: Namespace,
    router: Namespace,
    hypervisors: Vec<Hypervisor>,
    api: Api,
    datapath: Datapath,
    // The last field: everything above has let go of its processes when this removes the rest.
    remains: Remains,
}

impl Lab {
    /// Removes what dead labs left, and starts a new one.
    ///
    /// # Errors
    /// [`LabError::NotRoot`], [`LabError::MissingTools`], or what failed on the way; nothing
    /// is left of a lab that did not start.
    pub fn start(options: LabOptions) -> Result<Self, LabError> {
        require_root()?;
        Tools::check(Tools::BASE)?;
        let datapath = options.datapath.map_or_else(Datapath::of_environment, Ok)?;
        datapath.require()?;
        leftovers::remove_orphans()?;
        let name = leftovers::name(SERIAL.fetch_add(1, Ordering::Relaxed));
        leftovers::claim(&name)?;
        let remains = Remains {
            lab: name.clone(),
            keep: false,
        };
        let control = topology::control(&name)?;
        let router = topology::router(&name)?;
        let hypervisors = start_hypervisors(&name, &control, &router, options, datapath)?;
        Ok(Self {
            home: leftovers::home(&name),
            api: Api::connect(&control)?,
            name,
            control,
            router,
            hypervisors,
            datapath,
            remains,
        })
    }

    /// Starts a lab, runs a story in it and removes it. When the story fails, by an error or a
    /// panic, its failure and the ends of all logs go to standard error first.
    ///
    /// # Errors
    /// Those of [`Lab::start`] and of the story.
    pub fn tell<T, E: From<LabError> + fmt::Display>(
        options: LabOptions,
        story: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let lab = Self::start(options)?;
        story(&lab).inspect_err(|failure| eprintln!("{failure}\n{}", lab.logs()))
    }

    /// The lab's name, with which its namespaces begin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder with the lab's files, removed with the lab.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A hypervisor by its number, from 1.
    ///
    /// # Panics
    /// When the lab was started with fewer.
    #[must_use]
    pub fn hypervisor(&self, number: usize) -> &Hypervisor {
        assert!(
            (1..=self.hypervisors.len()).contains(&number),
            "this lab has hypervisors 1 to {}, not {number}",
            self.hypervisors.len()
        );
        &self.hypervisors[number - 1]
    }

    /// All hypervisors, in order.
    #[must_use]
    pub fn hypervisors(&self) -> &[Hypervisor] {
        &self.hypervisors
    }

    /// Its switches' datapath.
    #[must_use]
    pub fn datapath(&self) -> Datapath {
        self.datapath
    }

    /// The controller's namespace.
    #[must_use]
    pub fn control(&self) -> &Namespace {
        &self.control
    }

    /// The underlay router's namespace.
    #[must_use]
    pub fn router(&self) -> &Namespace {
        &self.router
    }

    /// Runs a command where the controller runs.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn in_ctl(&self, words: &[&str]) -> Result<Output, LabError> {
        self.control.run(words)
    }

    /// Starts a program where the controller runs; it is killed when the value is dropped.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn spawn_in_ctl(&self, words: &[&str]) -> Result<Process, LabError> {
        self.control.spawn(words)
    }

    /// Starts the controller and waits until it says that it is ready.
    ///
    /// # Errors
    /// [`LabError::NoBinary`], [`LabError::Ended`] or [`LabError::Timeout`] with its log.
    pub fn start_controller(&self, options: ControllerOptions) -> Result<Controller, LabError> {
        Controller::start(&self.control, &self.name, "sextant", options)
    }

    /// Starts another controller on a hypervisor, with a data folder of its own.
    pub(crate) fn start_controller_on(
        &self,
        host: &Hypervisor,
        options: ControllerOptions,
    ) -> Result<Controller, LabError> {
        let name = format!("sextant-{}", host.name());
        let options = ControllerOptions {
            data_dir: Some(self.home.join(format!("{name}-data"))),
            ..options
        };
        Controller::start(host.namespace(), &self.name, &name, options)
    }

    /// The client of the controller's API.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The text of the controller's metrics page.
    ///
    /// # Errors
    /// [`LabError::Http`].
    pub fn metrics(&self) -> Result<String, LabError> {
        let url = format!("http://[{CONTROLLER}]:9697/metrics");
        self.api.text(&url)
    }

    /// Waits until all switches are connected and every bound port is active. Each switch then has answered the barrier
    /// after its reconciliation, so all changes have been sent.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the metrics.
    pub fn wait_settled(&self, timeout: Duration) -> Result<(), LabError> {
        self.wait_switches(self.hypervisors.len(), timeout)
    }

    /// As [`Lab::wait_settled`], where so many of its hypervisors have joined.
    pub(crate) fn wait_switches(&self, switches: usize, timeout: Duration) -> Result<(), LabError> {
        let switches = switches.to_string();
        wait_for("switches connected and ports active", timeout, || {
            let metrics = self.metrics().map_err(|error| error.to_string())?;
            let connected = metric(&metrics, "sextant_switches_connected") == Some(&switches);
            let bound = metric(&metrics, "sextant_ports_bound").filter(|bound| *bound != "0");
            let active = metric(&metrics, "sextant_ports_active");
            match connected && bound.is_some() && bound == active {
                true => Ok(()),
                false => Err(metrics),
            }
        })
    }

    /// The ends of the logs of everything in the lab, for a person.
    #[must_use]
    pub fn logs(&self) -> String {
        logs(&self.home)
    }

    /// Leaves the lab running when this value is dropped and when this process ends. A later
    /// [`crate::remove_kept`] removes it.
    ///
    /// # Errors
    /// [`LabError::Io`] when that cannot be written down.
    pub fn keep(mut self, controller: Option<Controller>) -> Result<(), LabError> {
        leftovers::keep(&self.name)?;
        self.remains.keep = true;
        if let Some(controller) = controller {
            std::mem::forget(controller);
        }
        std::mem::forget(self);
        Ok(())
    }
}

/// The value of a metric without labels.
fn metric<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = page.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
}

fn require_root() -> Result<(), LabError> {
    let euid = rustix::process::geteuid();
    if euid.is_root() {
        Ok(())
    } else {
        Err(LabError::NotRoot {
            euid: euid.as_raw(),
        })
    }
}

/// Links them one after the other, and starts their daemons at the same time.
fn start_hypervisors(
    lab: &str,
    control: &Namespace,
    router: &Namespace,
    options: LabOptions,
    datapath: Datapath,
) -> Result<Vec<Hypervisor>, LabError> {
    thread::scope(|scope| {
        let starting: Vec<_> = (1..=options.hypervisors)
            .map(|number| {
                scope.spawn(move || {
                    start_hypervisor(lab, number, control, router, options.underlay, datapath)
                })
            })
            .collect();
        // Every thread is joined before the first error is returned.
        let started: Vec<_> = starting
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect();
        started.into_iter().collect()
    })
}

fn start_hypervisor(
    lab: &str,
    number: u16,
    control: &Namespace,
    router: &Namespace,
    underlay: Underlay,
    datapath: Datapath,
) -> Result<Hypervisor, LabError> {
    let namespace = topology::hypervisor(control, router, lab, number, underlay)?;
    let home = leftovers::home(lab);
    let records = leftovers::records(lab);
    Hypervisor::start(number, namespace, &home, &records, underlay, datapath)
}

/// Removes what is left of a lab; a failing test's logs are shown first.
#[derive(Debug)]
struct Remains {
    lab: String,
    keep: bool,
}

impl Drop for Remains {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        if thread::panicking() {
            eprintln!("{}", logs(&leftovers::home(&self.lab)));
        }
        leftovers::remove(&self.lab);
    }
}

fn logs(home: &Path) -> String {
    let mut files = log_files(home);
    files.sort();
    files
        .iter()
        .map(|file| {
            let tail = log::tail(file, LINES_OF_LOG);
            format!("--- {} ---\n{tail}\n", file.display())
        })
        .collect()
}

fn log_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .flat_map(|path| match path.is_dir() {
            true => log_files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect()
}
