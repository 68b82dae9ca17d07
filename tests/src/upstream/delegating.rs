//! DHCPv6 servers that delegate prefixes (RFC 9915 §6.3), on a router outside: Kea and dibbler, with every file they write in
//! the lab's folder.
//!
//! Both run a script that routes each prefix by way of the client it is delegated to, as their operators would have it.

mod dibbler;
mod kea;

use super::OutsideRouter;
use crate::deadline::wait_for;
use crate::error::LabError;
use crate::leftovers;
use crate::namespace::Namespace;
use crate::process::Process;
use std::fs;
use std::net::Ipv6Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const STARTING: Duration = Duration::from_secs(20);
const STOPPING: Duration = Duration::from_secs(10);

/// What a server delegates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixPool<'a> {
    /// All of them, such as `2001:db8:2222::/48`.
    pub prefix: &'a str,
    /// The length in bits of each.
    pub length: u8,
    /// For how long.
    pub lifetimes: Lifetimes,
}

/// Times of a lease, in seconds from when it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// T1: when the client is to renew.
    pub renew: u32,
    /// T2: when it is to ask any server.
    pub rebind: u32,
    /// Until when the prefix is preferred.
    pub preferred: u32,
    /// Until when it is the client's.
    pub valid: u32,
}

/// A lease as the server wrote it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelegatedLease {
    /// The client's DUID, its octets in hexadecimal with colons between.
    pub duid: String,
    /// What the client calls it.
    pub iaid: u32,
    /// The prefix.
    pub prefix: Ipv6Addr,
    /// Its length in bits.
    pub length: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Kea,
    Dibbler,
}

/// A delegating server, which may be running or not. Dropped, it is killed.
#[derive(Debug)]
pub struct DelegatingServer {
    program: Program,
    namespace: Namespace,
    folder: PathBuf,
    process: Option<Process>,
}

impl DelegatingServer {
    /// Starts `kea-dhcp6` on a router's interface.
    ///
    /// # Errors
    /// [`LabError::MissingTools`], [`LabError::Ended`] or [`LabError::Timeout`] with its log.
    pub fn kea(router: &OutsideRouter, pool: &PrefixPool<'_>) -> Result<Self, LabError> {
        Self::start(Program::Kea, router, pool)
    }

    /// Starts `dibbler-server` on a router's interface.
    ///
    /// # Errors
    /// As [`DelegatingServer::kea`].
    pub fn dibbler(router: &OutsideRouter, pool: &PrefixPool<'_>) -> Result<Self, LabError> {
        Self::start(Program::Dibbler, router, pool)
    }

    fn start(
        program: Program,
        router: &OutsideRouter,
        pool: &PrefixPool<'_>,
    ) -> Result<Self, LabError> {
        let namespace = router.namespace().clone();
        let folder = leftovers::home(namespace.lab()).join(format!(
            "{}-{}",
            namespace.name(),
            match program {
                Program::Kea => "kea",
                Program::Dibbler => "dibbler-server",
            }
        ));
        let mut server = Self {
            program,
            namespace,
            folder,
            process: None,
        };
        server.start_anew(pool)?;
        Ok(server)
    }

    /// Starts it with these prefixes and its own DUID, but no memory of leases; ends it before if it runs.
    ///
    /// # Errors
    /// As [`DelegatingServer::kea`].
    pub fn start_anew(&mut self, pool: &PrefixPool<'_>) -> Result<(), LabError> {
        self.stop()?;
        let memory = match self.program {
            Program::Kea => {
                kea::prepare(&self.folder, pool)?;
                &[kea::LEASES][..]
            }
            Program::Dibbler => {
                dibbler::prepare(&self.folder, pool)?;
                &[dibbler::LEASES, dibbler::CACHE]
            }
        };
        let memory = memory.iter().map(|file| self.folder.join(file));
        memory.filter(|file| file.exists()).try_for_each(|file| {
            fs::remove_file(&file).map_err(LabError::io(format!("remove {}", file.display())))
        })?;
        self.start_again()
    }

    /// Starts it with what it knew when it was stopped.
    ///
    /// # Errors
    /// As [`DelegatingServer::kea`].
    pub fn start_again(&mut self) -> Result<(), LabError> {
        let (mut process, begun) = match self.program {
            Program::Kea => (kea::spawn(&self.namespace, &self.folder)?, kea::BEGUN),
            Program::Dibbler => (
                dibbler::spawn(&self.namespace, &self.folder)?,
                dibbler::BEGUN,
            ),
        };
        process.wait_line("a server that listens", STARTING, |line| {
            line.contains(begun).then_some(())
        })?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends it with SIGTERM, if it runs. Routes stay.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when it does not end.
    pub fn stop(&mut self) -> Result<(), LabError> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        process.terminate(STOPPING).map(drop)
    }

    /// The leases that it has written down and not ended, by prefix.
    ///
    /// # Errors
    /// [`LabError::Io`] when they cannot be read.
    pub fn leases(&self) -> Result<Vec<DelegatedLease>, LabError> {
        let (file, read): (_, fn(&str) -> Vec<DelegatedLease>) = match self.program {
            Program::Kea => (kea::LEASES, kea::leases),
            Program::Dibbler => (dibbler::LEASES, dibbler::leases),
        };
        let path = self.folder.join(file);
        // Dibbler has none before its first lease.
        if !path.exists() {
            return Ok(vec![]);
        }
        let text = fs::read_to_string(&path);
        let text = text.map_err(LabError::io(format!("read {}", path.display())))?;
        let mut leases = read(&text);
        leases.sort_by_key(|lease| lease.prefix);
        Ok(leases)
    }

    /// Waits until this client has a lease.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the leases that there are.
    pub fn wait_lease(&self, duid: &str, timeout: Duration) -> Result<DelegatedLease, LabError> {
        wait_for(&format!("a lease of {duid}"), timeout, || {
            let leases = self.leases().map_err(|error| error.to_string())?;
            let mut own = leases.iter().filter(|lease| lease.duid == duid);
            own.next().cloned().ok_or_else(|| format!("{leases:?}"))
        })
    }

    /// Waits until this client has none.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the lease.
    pub fn wait_no_lease(&self, duid: &str, timeout: Duration) -> Result<(), LabError> {
        wait_for(&format!("no lease of {duid}"), timeout, || {
            let leases = self.leases().map_err(|error| error.to_string())?;
            let mut own = leases.iter().filter(|lease| lease.duid == duid);
            own.next().map_or(Ok(()), |lease| Err(format!("{lease:?}")))
        })
    }
}

fn write(path: &Path, text: &str) -> Result<(), LabError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(LabError::io(format!("make {}", folder.display())))?;
    }
    fs::write(path, text).map_err(LabError::io(format!("write {}", path.display())))
}

fn write_script(path: &Path, text: &str) -> Result<(), LabError> {
    write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(LabError::io(format!("make {} executable", path.display())))
}

#[cfg(test)]
mod tests {
    const GUIDE: &str = include_str!("../../../docs/guides/prefix-delegation.md");

    #[test]
    fn the_guide_has_the_scripts_that_the_lab_runs() {
        assert!(GUIDE.contains(super::kea::ROUTES));
        assert!(GUIDE.contains(super::dibbler::ROUTES));
    }
}
