//! The control planes that are killed, as what they consist of.

use super::SOON;
use crate::error::LabError;
use crate::ovn::Ovn;
use crate::process::Process;
use crate::{Controller, Hypervisor, Lab};

/// What programs switches and answers guests.
pub(super) trait ControlPlane {
    /// What [`ControlPlane::kill`] kills.
    fn killed(&self) -> &'static str;

    /// Kills it with SIGKILL.
    fn kill(&mut self);

    /// Starts what was killed.
    fn start(&mut self) -> Result<(), LabError>;

    /// Waits until it has no more to do.
    fn settle(&self) -> Result<(), LabError>;

    /// All its processes, with what they are.
    fn pids(&self) -> Vec<(&'static str, u32)>;
}

/// Sextant: one process.
pub(super) struct SextantPlane<'a> {
    lab: &'a Lab,
    hypervisors: usize,
    controller: Controller,
}

impl<'a> SextantPlane<'a> {
    pub(super) fn new(lab: &'a Lab, hypervisors: usize, controller: Controller) -> Self {
        Self {
            lab,
            hypervisors,
            controller,
        }
    }
}

impl ControlPlane for SextantPlane<'_> {
    fn killed(&self) -> &'static str {
        "sextant"
    }

    fn kill(&mut self) {
        self.controller.kill();
    }

    fn start(&mut self) -> Result<(), LabError> {
        self.controller.start_again()
    }

    fn settle(&self) -> Result<(), LabError> {
        self.lab.wait_switches(self.hypervisors, SOON)
    }

    fn pids(&self) -> Vec<(&'static str, u32)> {
        let pid = self.controller.pid().into_iter();
        pid.map(|pid| ("sextant", pid)).collect()
    }
}

/// What is killed of OVN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OvnPart {
    /// All of it.
    Whole,
    /// ovn-controller on all hypervisors.
    Controllers,
}

impl OvnPart {
    pub(super) const ALL: [Self; 2] = [Self::Whole, Self::Controllers];
}

/// OVN: databases, ovn-northd, and a controller on each hypervisor.
pub(super) struct OvnPlane<'a> {
    ovn: Ovn,
    hosts: &'a [Hypervisor],
    controllers: Vec<Process>,
    pub(super) part: OvnPart,
}

impl<'a> OvnPlane<'a> {
    /// Starts a controller on each of these hypervisors.
    pub(super) fn start(ovn: Ovn, hosts: &'a [Hypervisor]) -> Result<Self, LabError> {
        let controllers = hosts.iter().map(|host| ovn.start_controller(host));
        Ok(Self {
            controllers: controllers.collect::<Result<_, _>>()?,
            ovn,
            hosts,
            part: OvnPart::Whole,
        })
    }
}

impl ControlPlane for OvnPlane<'_> {
    fn killed(&self) -> &'static str {
        match self.part {
            OvnPart::Whole => "OVN",
            OvnPart::Controllers => "OVN's ovn-controller",
        }
    }

    fn kill(&mut self) {
        self.controllers.clear();
        match self.part {
            OvnPart::Whole => self.ovn.kill(),
            OvnPart::Controllers => {}
        }
    }

    fn start(&mut self) -> Result<(), LabError> {
        match self.part {
            OvnPart::Whole => self.ovn.start_again()?,
            OvnPart::Controllers => {}
        }
        for host in self.hosts {
            self.controllers
                .push(self.ovn.start_controller_again(host)?);
        }
        Ok(())
    }

    /// Until ovn-northd and both controllers have followed.
    fn settle(&self) -> Result<(), LabError> {
        self.ovn.nbctl(&["--wait=hv", "sync"]).map(drop)
    }

    fn pids(&self) -> Vec<(&'static str, u32)> {
        let central = ["northbound database", "southbound database", "ovn-northd"];
        let central = central.into_iter().zip(self.ovn.pids());
        let controllers = self.controllers.iter();
        central
            .chain(controllers.map(|process| ("ovn-controller", process.pid())))
            .collect()
    }
}
