//! A cluster of real etcd on loopback. It ends with its value.

use super::usage::Usage;
use crate::command;
use crate::error::LabError;
use crate::free_port::free_port;
use crate::loopback::Folder;
use crate::process::Process;
use std::time::Duration;

const SERVING: Duration = Duration::from_secs(20);
/// How often other ports are tried. Somebody else may take one between its choice and its use.
const ATTEMPTS: usize = 5;
/// Three members on one disk would wait for each other, as those of a cloud do not.
const SETTINGS: &[&str] = &[
    "--unsafe-no-fsync",
    "--max-txn-ops=10000",
    "--max-request-bytes=10485760",
    "--auto-compaction-mode=revision",
    "--auto-compaction-retention=10000",
    "--logger=zap",
    "--log-outputs=stderr",
];

#[derive(Debug)]
pub(super) struct Members {
    members: Vec<Process>,
    endpoints: Vec<String>,
    // The last field: the processes have let go of their files.
    _folder: Folder,
}

impl Members {
    /// So many members, which serve clients.
    pub(super) fn start(size: usize) -> Result<Self, LabError> {
        let mut attempts = 1;
        loop {
            match Self::attempt(size) {
                Err(LabError::Ended { .. }) if attempts < ATTEMPTS => attempts += 1,
                outcome => return outcome,
            }
        }
    }

    fn attempt(size: usize) -> Result<Self, LabError> {
        let folder = Folder::make()?;
        let ports: Result<Vec<u16>, _> = (0..2 * size).map(|_| free_port()).collect();
        let ports = ports.map_err(LabError::io("find a free port"))?;
        let (peers, clients) = ports.split_at(size);
        let cluster = peers.iter().enumerate();
        let cluster = cluster.map(|(n, &port)| format!("m{n}={}", url(port)));
        let cluster = cluster.collect::<Vec<_>>().join(",");
        // A member serves once there is a majority, so all are launched first.
        let members = peers
            .iter()
            .zip(clients)
            .enumerate()
            .map(|(n, (&peer, &client))| {
                let name = format!("m{n}");
                let data = folder.path().join(&name);
                let mut command = command::program("etcd");
                command.args(SETTINGS).args(["--name", &name]);
                command.arg("--data-dir").arg(data);
                for (option, port) in [
                    ("listen-peer-urls", peer),
                    ("initial-advertise-peer-urls", peer),
                    ("listen-client-urls", client),
                    ("advertise-client-urls", client),
                ] {
                    command.arg(format!("--{option}={}", url(port)));
                }
                command.arg(format!("--initial-cluster={cluster}"));
                let log = folder.path().join(format!("{name}.log"));
                Process::spawn(&mut command, &log, folder.path())
            });
        let mut members = members.collect::<Result<Vec<_>, _>>()?;
        members.iter_mut().try_for_each(|member| {
            member.wait_line("its service", SERVING, |line| {
                line.contains("serving client traffic").then_some(())
            })
        })?;
        Ok(Self {
            members,
            endpoints: clients.iter().map(|&port| url(port)).collect(),
            _folder: folder,
        })
    }

    pub(super) fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// What all have used so far.
    pub(super) fn processor(&self) -> Result<Duration, LabError> {
        let used = self.members.iter().map(|member| Usage::of(member.pid()));
        used.map(|usage| usage.map(|usage| usage.processor())).sum()
    }
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
