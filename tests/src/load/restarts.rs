//! What guests notice when a control plane is killed and started again, and what it costs.
//!
//! Two guests on two hypervisors: one asks the other for echoes across the tunnel, and its router for advertisements. Then the
//! control plane is killed with SIGKILL, stays away for a while, and is started. Sextant and OVN have two hypervisors each, of
//! the same kind, and take turns.
//!
//! Sextant is one process, on a host of its own. OVN is two databases and ovn-northd, and ovn-controller on each hypervisor. Its
//! databases are reached by Unix sockets here, which is faster than the network that is between hosts.

mod planes;

use super::packets::Asker;
use super::rig::asker;
use super::usage::Usage;
use super::{ovn_cloud, through_ovs};
use crate::cloud::PortSpec;
use crate::error::LabError;
use crate::flow_dump::FlowDump;
use crate::ovn::Ovn;
use crate::tools::Tools;
use crate::{Guest, Hypervisor, Lab, LabOptions};
use planes::{ControlPlane, OvnPart, OvnPlane, SextantPlane};
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(60);
/// Between two echo requests, and between two solicitations.
const INTERVAL: Duration = Duration::from_millis(5);
/// Answers before a kill and after everything is as before.
const STEADY: usize = 100;
/// Echoes that a guest gets while nobody controls its switch: in the first round, and more of them in each further one. Open
/// vSwitch tries to connect each second, so the time that it has been alone decides how long a controller waits for it.
const ALONE: (usize, usize) = (20, 60);
const HYPERVISORS: u16 = 2;

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct RestartCourse {
    /// How often each is killed.
    pub rounds: u16,
    /// Whether OVN takes part.
    pub ovn: bool,
}

/// One kill, and what followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// Echo requests sent all the while.
    pub echoes: u32,
    /// How many of them had no answer.
    pub lost: usize,
    /// Flows of both hypervisors before the kill.
    pub flows: usize,
    /// How many of these were written anew or are gone, and how many came.
    pub written: usize,
    /// From the kill to the start.
    pub away: Duration,
    /// From the start until a Router Solicitation was answered.
    pub until_answer: Duration,
}

/// A control plane, after all its kills.
#[derive(Clone, Debug)]
pub struct Restarts {
    /// What was killed.
    pub killed: &'static str,
    /// Each time.
    pub rounds: Vec<Restart>,
    /// Its processes in the end, with resident memory in bytes.
    pub memory: Vec<(&'static str, u64)>,
}

impl Restarts {
    /// Until a solicitation was answered: the median, and the longest.
    #[must_use]
    pub fn until_answer(&self) -> (Duration, Duration) {
        let mut times: Vec<Duration> = self.rounds.iter().map(|round| round.until_answer).collect();
        times.sort();
        let longest = times.last().copied().unwrap_or_default();
        (
            times.get(times.len() / 2).copied().unwrap_or_default(),
            longest,
        )
    }

    /// The sum over all processes, in bytes.
    #[must_use]
    pub fn resident(&self) -> u64 {
        self.memory.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// Kills and starts Sextant, and OVN as a whole and its controllers alone if it takes part.
///
/// # Errors
/// [`LabError::MissingTools`] where OVN is to take part and is not installed; what failed on the way.
pub fn restart(course: RestartCourse) -> Result<Vec<Restarts>, LabError> {
    if course.ovn {
        Tools::check(Ovn::TOOLS)?;
    }
    let clouds = if course.ovn { 2 } else { 1 };
    let options = LabOptions {
        hypervisors: HYPERVISORS * clouds,
        ..LabOptions::default()
    };
    Lab::tell(options, |lab| {
        let (sextants, ovns) = lab.hypervisors().split_at(HYPERVISORS.into());
        let mut sextant = start_sextant(lab, sextants)?;
        let mut ovn = match course.ovn {
            true => Some(start_ovn(lab, ovns)?),
            false => None,
        };
        let mut restarts = Vec::new();
        for round in 0..usize::from(course.rounds) {
            let alone = ALONE.0 + ALONE.1 * round;
            restarts.push(sextant.restart(alone)?);
            for part in OvnPart::ALL {
                if let Some(ovn) = &mut ovn {
                    ovn.plane.part = part;
                    restarts.push(ovn.restart(alone)?);
                }
            }
        }
        Ok(gathered(restarts))
    })
}

/// Rounds of the same are put together, in the order of their first.
fn gathered(restarts: Vec<Restarts>) -> Vec<Restarts> {
    let mut gathered: Vec<Restarts> = Vec::new();
    for restart in restarts {
        match gathered
            .iter_mut()
            .find(|same| same.killed == restart.killed)
        {
            Some(same) => {
                same.rounds.extend(restart.rounds);
                same.memory = restart.memory;
            }
            None => gathered.push(restart),
        }
    }
    gathered
}

/// A control plane, and those who notice what happens to it.
struct Stage<'a, P> {
    plane: P,
    hosts: &'a [Hypervisor],
    guest: Guest,
    peer: Ipv6Addr,
    /// Whom the guest asks for echoes. It lives as long as this.
    _other: Guest,
}

impl<P: ControlPlane> Stage<'_, P> {
    /// Kills the control plane and starts it when the guest has had so many echoes without it.
    fn restart(&mut self, alone: usize) -> Result<Restarts, LabError> {
        let before = FlowDump::read(self.hosts)?;
        let echo = self.guest.spawn_echo(self.peer, INTERVAL)?;
        let asking = self.guest.spawn_solicitations(INTERVAL)?;
        echo.wait_answers(STEADY, Instant::now(), SOON)?;
        asking.wait_answers(STEADY, Instant::now(), SOON)?;
        let killed = Instant::now();
        self.plane.kill();
        echo.wait_answers(alone, Instant::now(), SOON)?;
        let started = Instant::now();
        self.plane.start()?;
        asking.wait_answers(1, started, SOON)?;
        self.plane.settle()?;
        asking.wait_answers(STEADY, Instant::now(), SOON)?;
        echo.wait_answers(STEADY, Instant::now(), SOON)?;
        let (asked, echo) = (asking.stop()?, echo.stop()?);
        let after = FlowDump::read(self.hosts)?;
        let answer = asked.answered.iter().find(|at| **at > started);
        let answer = answer.ok_or_else(|| LabError::unexpected("an answer", &asked))?;
        let round = Restart {
            echoes: echo.sent,
            lost: echo.lost.len(),
            flows: before.flows.len(),
            written: after.came_or_went_since(&before) + after.installed_anew_since(&before),
            away: started - killed,
            until_answer: *answer - started,
        };
        Ok(Restarts {
            killed: self.plane.killed(),
            rounds: vec![round],
            memory: self.memory()?,
        })
    }

    fn memory(&self) -> Result<Vec<(&'static str, u64)>, LabError> {
        let pids = self.plane.pids().into_iter();
        pids.map(|(name, pid)| Ok((name, Usage::of(pid)?.resident)))
            .collect()
    }
}

/// Sextant with two guests of one network, one on each hypervisor.
fn start_sextant<'a>(
    lab: &'a Lab,
    hosts: &'a [Hypervisor],
) -> Result<Stage<'a, SextantPlane<'a>>, LabError> {
    let controller = lab.start_controller(through_ovs::unhindered(lab)?)?;
    for host in hosts {
        host.join("vxlan")?;
    }
    let network = through_ovs::make_network(lab.api(), "slaac")?;
    let ports = ["asking", "asked"].map(|name| {
        let port = lab.api().create_port(&network, &PortSpec::default())?;
        let spec = port.guest(name);
        Ok((spec, asker(&port.mac, &port.addresses)?))
    });
    let plane = SextantPlane::new(lab, hosts.len(), controller);
    stage(plane, hosts, ports)
}

/// The same in OVN.
fn start_ovn<'a>(
    lab: &'a Lab,
    hosts: &'a [Hypervisor],
) -> Result<Stage<'a, OvnPlane<'a>>, LabError> {
    let ovn = Ovn::start(lab)?;
    ovn_cloud::make_network(&ovn, "slaac")?;
    let ports = [(4, "ovn-asking"), (5, "ovn-asked")].map(|(number, name)| {
        let asker = Asker {
            mac: [0xfa, 0x16, 0x3e, 0, 0, number],
            address: Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0xf816, 0x3eff, 0xfe00, number.into()),
        };
        let spec = ovn_cloud::guest(name, &asker);
        ovn_cloud::make_port(&ovn, &spec, &asker)?;
        Ok((spec, asker))
    });
    let plane = OvnPlane::start(ovn, hosts)?;
    stage(plane, hosts, ports)
}

/// Plugs in a guest on each hypervisor, and waits until both have what they need.
fn stage<P: ControlPlane>(
    plane: P,
    hosts: &[Hypervisor],
    ports: [Result<(crate::GuestSpec, Asker), LabError>; 2],
) -> Result<Stage<'_, P>, LabError> {
    let mut guests = Vec::new();
    for (host, port) in hosts.iter().zip(ports) {
        let (spec, asker) = port?;
        let guest = host.add_guest(&spec)?;
        guest.wait_default_route(SOON)?;
        guest.wait_address(asker.address, SOON)?;
        guests.push((guest, asker.address));
    }
    plane.settle()?;
    let (Some((other, peer)), Some((guest, _))) = (guests.pop(), guests.pop()) else {
        return Err(LabError::unexpected("two guests", guests.len()));
    };
    Ok(Stage {
        plane,
        hosts,
        guest,
        peer,
        _other: other,
    })
}
