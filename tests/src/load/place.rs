//! Where a controller runs, seen from the switch.

use crate::error::LabError;
use crate::namespace::Namespace;
use crate::{CONTROLLER, Hypervisor, Lab};
use std::net::Ipv6Addr;

/// Where a controller runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControllerPlace {
    /// On a host of its own: TCP over the management link, which is a veth pair and a bridge here.
    /// The kernel carries each packet through all of that while ovs-vswitchd is in `send`, as a
    /// network card would not.
    Apart,
    /// On the hypervisor, as ovn-controller: TCP over loopback.
    Together,
}

impl ControllerPlace {
    pub(super) const ALL: [Self; 2] = [Self::Apart, Self::Together];

    /// Where the switch of a hypervisor finds the controller.
    pub(super) fn address(self) -> Ipv6Addr {
        match self {
            Self::Apart => CONTROLLER,
            Self::Together => Ipv6Addr::LOCALHOST,
        }
    }

    /// Where the controller of a hypervisor runs.
    pub(super) fn namespace<'a>(self, lab: &'a Lab, host: &'a Hypervisor) -> &'a Namespace {
        match self {
            Self::Apart => lab.control(),
            Self::Together => host.namespace(),
        }
    }
}

/// The same in both places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Both<T> {
    /// In [`ControllerPlace::Apart`].
    pub apart: T,
    /// In [`ControllerPlace::Together`].
    pub together: T,
}

impl<T> Both<T> {
    pub(super) fn try_of(
        mut make: impl FnMut(ControllerPlace) -> Result<T, LabError>,
    ) -> Result<Self, LabError> {
        Ok(Self {
            apart: make(ControllerPlace::Apart)?,
            together: make(ControllerPlace::Together)?,
        })
    }

    pub(super) fn at(&self, place: ControllerPlace) -> &T {
        match place {
            ControllerPlace::Apart => &self.apart,
            ControllerPlace::Together => &self.together,
        }
    }

    pub(super) fn each(
        &mut self,
        mut act: impl FnMut(&mut T) -> Result<(), LabError>,
    ) -> Result<(), LabError> {
        act(&mut self.apart)?;
        act(&mut self.together)
    }

    pub(super) fn map<U>(self, mut change: impl FnMut(T) -> U) -> Both<U> {
        Both {
            apart: change(self.apart),
            together: change(self.together),
        }
    }
}
