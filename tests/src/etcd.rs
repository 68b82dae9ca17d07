//! A cluster of real etcd: members `e1` and so on, each in a namespace of its own on the management link, with its data in the
//! lab's folder. Members can be killed, started again with their data, and cut off.

use crate::api::Api;
use crate::deadline::wait_for;
use crate::error::LabError;
use crate::lab::Lab;
use crate::leftovers;
use crate::namespace::Namespace;
use crate::plan;
use crate::process::{Process, running};
use crate::tools::Tools;
use crate::topology::{self, Wire};
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::time::Duration;

const CLIENTS: u16 = 2379;
const PEERS: u16 = 2380;
const SERVING: Duration = Duration::from_secs(20);
/// What is the same for all members. No test waits for a disk, or for a leader that is far away.
const SETTINGS: &[&str] = &[
    "--unsafe-no-fsync",
    "--heartbeat-interval=50",
    "--election-timeout=500",
    "--max-txn-ops=10000",
    "--max-request-bytes=10485760",
    "--logger=zap",
    "--log-outputs=stderr",
];

/// A cluster, whose members may be running or not.
#[derive(Debug)]
pub struct Etcd {
    members: Vec<Member>,
    control: Namespace,
}

impl Etcd {
    /// Starts so many members, and waits until all serve.
    ///
    /// # Errors
    /// [`LabError::MissingTools`]; [`LabError::Ended`] or [`LabError::Timeout`] with a member's log.
    pub fn start(lab: &Lab, size: u16) -> Result<Self, LabError> {
        Tools::check(&["etcd"])?;
        let members = (1..=size).map(|number| Member::new(lab, number, size));
        let mut members = members.collect::<Result<Vec<_>, _>>()?;
        // A member serves once there is a majority, so all are launched first.
        members.iter_mut().try_for_each(Member::launch)?;
        members.iter_mut().try_for_each(Member::wait_serving)?;
        let control = lab.control().clone();
        Ok(Self { members, control })
    }

    /// The URLs that clients use.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(Member::url).collect()
    }

    /// How many members there are, running or not.
    #[must_use]
    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// A member by its number, from 1.
    pub fn member(&mut self, number: usize) -> &mut Member {
        &mut self.members[number - 1]
    }

    /// Waits until all running members have the same leader, and returns its number.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with what the members say.
    pub fn wait_leader(&self) -> Result<usize, LabError> {
        wait_for("a leader of etcd", SERVING, || {
            let statuses = self.statuses().map_err(|error| error.to_string())?;
            agreed(&statuses).ok_or_else(|| format!("{statuses:?}"))
        })
    }

    /// What each running member says, by its number.
    fn statuses(&self) -> Result<Vec<(usize, Status)>, LabError> {
        let running = (1..).zip(&self.members);
        let running = running.filter(|(_, member)| member.process.is_some());
        running
            .map(|(number, member)| Ok((number, member.status(&self.control)?)))
            .collect()
    }
}

/// Who a member is to its cluster, and who leads it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Status {
    id: String,
    leader: String,
}

/// The number of the leader if all name the same, and it is among them.
fn agreed(statuses: &[(usize, Status)]) -> Option<usize> {
    let (_, first) = statuses.first()?;
    let same = statuses
        .iter()
        .all(|(_, status)| status.leader == first.leader);
    let leader = statuses
        .iter()
        .find(|(_, status)| status.id == first.leader)?;
    same.then_some(leader.0)
}

/// One member.
#[derive(Debug)]
pub struct Member {
    name: String,
    address: Ipv6Addr,
    namespace: Namespace,
    wire: Wire,
    data: PathBuf,
    cluster: String,
    process: Option<Process>,
}

impl Member {
    fn new(lab: &Lab, number: u16, size: u16) -> Result<Self, LabError> {
        let name = format!("e{number}");
        let address = plan::member(number);
        let (namespace, wire) = topology::managed(lab.control(), &name, address)?;
        let peers = (1..=size).map(|peer| format!("e{peer}={}", url(plan::member(peer), PEERS)));
        Ok(Self {
            address,
            namespace,
            wire,
            data: lab.home().join(format!("{name}-data")),
            cluster: peers.collect::<Vec<_>>().join(","),
            name,
            process: None,
        })
    }

    /// Where clients reach it.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.address, CLIENTS)
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Halts it with SIGSTOP: its connections stay, and it answers nobody.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] when it does not run.
    pub fn halt(&self) -> Result<(), LabError> {
        running(self.process.as_ref(), "the running member")?.halt()
    }

    /// Lets it go on after [`Member::halt`].
    ///
    /// # Errors
    /// [`LabError::Unexpected`] when it does not run.
    pub fn wake(&self) -> Result<(), LabError> {
        running(self.process.as_ref(), "the running member")?.wake()
    }

    /// Starts it again with its data, and does not wait: the majority may be missing.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn launch(&mut self) -> Result<(), LabError> {
        let data = self.data.to_string_lossy();
        let words = [
            &["etcd", "--name", &self.name, "--data-dir", &data],
            SETTINGS,
        ]
        .concat();
        let mut command = self.namespace.command(&words);
        for (option, port) in [("client", CLIENTS), ("peer", PEERS)] {
            let url = url(self.address, port);
            command.arg(format!("--listen-{option}-urls={url}"));
            let advertise = match option {
                "peer" => "--initial-advertise-peer-urls",
                _ => "--advertise-client-urls",
            };
            command.arg(format!("{advertise}={url}"));
        }
        command.arg(format!("--initial-cluster={}", self.cluster));
        let lab = self.namespace.lab();
        let log = leftovers::home(lab).join(format!("{}.log", self.name));
        let records = leftovers::records(lab);
        self.process = Some(Process::spawn(&mut command, &log, &records)?);
        Ok(())
    }

    /// Waits until it serves clients after [`Member::launch`].
    ///
    /// # Errors
    /// [`LabError::Ended`] or [`LabError::Timeout`] with its log.
    pub fn wait_serving(&mut self) -> Result<(), LabError> {
        match &mut self.process {
            Some(process) => process.wait_line("its service", SERVING, |line| {
                line.contains("serving client traffic").then_some(())
            }),
            None => Err(LabError::unexpected("the running member", "stopped")),
        }
    }

    /// Cuts it off from everybody.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn cut(&self) -> Result<(), LabError> {
        self.wire.cut()
    }

    /// Undoes [`Member::cut`].
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn mend(&self) -> Result<(), LabError> {
        self.wire.mend()
    }

    fn status(&self, control: &Namespace) -> Result<Status, LabError> {
        let path = format!("{}/v3/maintenance/status", self.url());
        let api = Api::of(control, self.address)?;
        let body = api.request("POST", &path, &[], "{}")?.json();
        let numbers = [&body["header"]["member_id"], &body["leader"]];
        let [id, leader] = numbers.map(|number| number.as_str().unwrap_or("0").to_owned());
        Ok(Status { id, leader })
    }
}

fn url(address: Ipv6Addr, port: u16) -> String {
    format!("http://[{address}]:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_one_whom_all_follow() {
        let says = |id: &str, leader: &str| Status {
            id: id.to_owned(),
            leader: leader.to_owned(),
        };
        let one = [(1, says("a", "b")), (3, says("b", "b"))];
        assert_eq!(agreed(&one), Some(3));
        let unsure = [(1, says("a", "b")), (2, says("b", "0"))];
        assert_eq!(agreed(&unsure), None);
        let gone = [(1, says("a", "c")), (2, says("b", "c"))];
        assert_eq!(agreed(&gone), None);
        assert_eq!(agreed(&[]), None);
    }
}
