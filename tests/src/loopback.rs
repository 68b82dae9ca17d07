//! A controller on loopback, with no lab around it: what needs no hypervisor, or plays one, needs
//! neither root nor Open vSwitch.

use crate::api::Api;
use crate::command;
use crate::controller::{READY, find_binary, says_ready};
use crate::error::LabError;
use crate::free_port::free_port;
use crate::load::{ProcessorShare, Usage};
use crate::process::Process;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// Where a controller listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The API.
    pub api: SocketAddr,
    /// Switches.
    pub openflow: SocketAddr,
    /// Hypervisors' databases.
    pub ovsdb: SocketAddr,
    /// Metrics.
    pub metrics: SocketAddr,
    /// The page.
    pub page: SocketAddr,
}

/// A controller on loopback, which may be running or not. Its data goes when it is dropped.
#[derive(Debug)]
pub struct Loopback {
    binary: PathBuf,
    args: Vec<String>,
    addresses: Addresses,
    /// Whether it listens at the same addresses after each start.
    stays: bool,
    process: Option<Process>,
    /// Holds every process of it. After the process, which is in it.
    share: Option<ProcessorShare>,
    // The last field: the process has let go of its files.
    folder: Folder,
}

impl Loopback {
    /// Starts `SEXTANT_BIN`, else the workspace's newest build, with these arguments after those
    /// that say where it listens and keeps its data; waits until it is ready.
    ///
    /// # Errors
    /// [`LabError::Ended`] or [`LabError::Timeout`] with its log.
    pub fn start(args: &[&str]) -> Result<Self, LabError> {
        Self::start_in(Folder::make()?, args)
    }

    /// The same for a cloud where a project may have as much as it likes.
    ///
    /// # Errors
    /// As [`Loopback::start`].
    pub fn without_quotas() -> Result<Self, LabError> {
        const KINDS: [&str; 4] = ["network", "subnet", "port", "router"];
        let folder = Folder::make()?;
        let file = folder.0.join("sextant.toml");
        let limits = KINDS.map(|kind| format!("quota_{kind} = -1\n")).concat();
        std::fs::write(&file, format!("[quotas]\n{limits}"))
            .map_err(LabError::io(format!("write {}", file.display())))?;
        Self::start_in(folder, &["--config", &file.display().to_string()])
    }

    /// One of several, which always listens at these addresses, with this configuration. It is not started yet.
    ///
    /// # Errors
    /// [`LabError::Io`] when the configuration cannot be written.
    pub(crate) fn at(addresses: Addresses, configuration: &str) -> Result<Self, LabError> {
        let folder = Folder::make()?;
        let file = folder.path().join("sextant.toml");
        std::fs::write(&file, configuration)
            .map_err(LabError::io(format!("write {}", file.display())))?;
        let args = ["--config", &file.display().to_string()];
        Self::new(folder, &args, addresses, true)
    }

    fn new(
        folder: Folder,
        args: &[&str],
        addresses: Addresses,
        stays: bool,
    ) -> Result<Self, LabError> {
        Ok(Self {
            binary: find_binary()?,
            args: args.iter().map(|&word| word.to_owned()).collect(),
            addresses,
            stays,
            process: None,
            share: None,
            folder,
        })
    }

    fn start_in(folder: Folder, args: &[&str]) -> Result<Self, LabError> {
        let mut controller = Self::new(folder, args, free_addresses()?, false)?;
        controller.start_again()?;
        Ok(controller)
    }

    /// Holds it to so many processors from here on, over all starts.
    ///
    /// # Errors
    /// [`LabError::Io`] where this machine lets nobody do that.
    pub fn hold_to(&mut self, processors: f64) -> Result<(), LabError> {
        let share = ProcessorShare::new(processors)?;
        if let Some(process) = &self.process {
            share.hold(process.pid())?;
        }
        self.share = Some(share);
        Ok(())
    }

    /// Starts it after [`Loopback::kill`], with the data that it left, and waits until it is ready.
    ///
    /// # Errors
    /// As [`Loopback::start`].
    pub fn start_again(&mut self) -> Result<(), LabError> {
        self.spawn()?;
        match &mut self.process {
            Some(process) => process.wait_line("its ready line", READY, says_ready),
            None => Err(LabError::unexpected("the running controller", "stopped")),
        }
    }

    /// Starts it and does not wait. It listens elsewhere than before, where nobody does, unless it is one of several.
    ///
    /// # Errors
    /// [`LabError::Io`] when it cannot be started.
    pub fn spawn(&mut self) -> Result<(), LabError> {
        self.kill();
        if !self.stays {
            self.addresses = free_addresses()?;
        }
        let mut command = command::program(&self.binary.to_string_lossy());
        command
            .arg("serve")
            .arg("--data-dir")
            .arg(self.folder().join("data"))
            .arg("--control-socket")
            .arg(self.control_socket());
        let Addresses {
            api,
            openflow,
            ovsdb,
            metrics,
            page,
        } = self.addresses;
        for (key, address) in [
            ("api", api),
            ("openflow", openflow),
            ("ovsdb", ovsdb),
            ("metrics", metrics),
            ("web", page),
        ] {
            command.arg(format!("--{key}-listen={address}"));
        }
        command.args(&self.args);
        let log = self.folder().join("sextant.log");
        let process = Process::spawn(&mut command, &log, self.folder())?;
        if let Some(share) = &self.share {
            share.hold(process.pid())?;
        }
        self.process = Some(process);
        Ok(())
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// A client of its API.
    ///
    /// # Errors
    /// [`LabError::Io`] when the client's thread cannot start.
    pub fn api(&self) -> Result<Api, LabError> {
        Api::beside(self.addresses.api)
    }

    /// The program that it runs.
    #[must_use]
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Where it is asked.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.folder().join("control")
    }

    /// A folder for what belongs to it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// Everything that it has logged, over all starts.
    #[must_use]
    pub fn log_text(&self) -> String {
        crate::log::tail(&self.folder().join("sextant.log"), usize::MAX)
    }

    /// What it has used since it was started.
    ///
    /// # Errors
    /// [`LabError::Io`] or [`LabError::Unexpected`] when it does not run.
    pub fn usage(&self) -> Result<Usage, LabError> {
        match &self.process {
            Some(process) => Usage::of(process.pid()),
            None => Err(LabError::unexpected("the running controller", "stopped")),
        }
    }
}

/// Loopback addresses on which nobody else listens.
fn free_addresses() -> Result<Addresses, LabError> {
    Ok(addresses_at(Ipv6Addr::LOCALHOST.into(), five_ports()?))
}

/// Addresses of several controllers: all have the same ports, each at a loopback address of its own, from 127.0.0.1 on.
pub(crate) fn several_addresses(count: u8) -> Result<Vec<Addresses>, LabError> {
    let ports = five_ports()?;
    Ok((1..=count)
        .map(|n| addresses_at(Ipv4Addr::new(127, 0, 0, n).into(), ports))
        .collect())
}

fn five_ports() -> Result<[u16; 5], LabError> {
    let mut ports = [0; 5];
    for port in &mut ports {
        *port = free_port().map_err(LabError::io("find a free port"))?;
    }
    Ok(ports)
}

fn addresses_at(host: IpAddr, [api, openflow, ovsdb, metrics, page]: [u16; 5]) -> Addresses {
    Addresses {
        api: (host, api).into(),
        openflow: (host, openflow).into(),
        ovsdb: (host, ovsdb).into(),
        metrics: (host, metrics).into(),
        page: (host, page).into(),
    }
}

/// A folder of this process, removed when dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn make() -> Result<Self, LabError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sextant-loopback-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).map_err(LabError::io(format!("make {}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
