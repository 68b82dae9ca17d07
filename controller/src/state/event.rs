//! What the owner of state is told.

use sextant_model::{
    Binding, Chassis, ChassisId, Delegation, MacAddr, NetworkId, Outside, Plugged, PortId,
    Settings, Shortfall, SubnetId, TunnelWatches,
};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// An observation.
#[derive(Debug)]
pub enum Event {
    /// A hypervisor's database was read completely: these are its ports, and there are no others.
    HypervisorRead {
        /// The hypervisor.
        chassis: Chassis,
        /// The interfaces with a port's id, each with its OpenFlow port if it has one.
        interfaces: BTreeMap<PortId, Option<u16>>,
    },
    /// The host name of a hypervisor's machine. Ports may be bound to it.
    HostNamed(ChassisId, Option<String>),
    /// What is known of a hypervisor changed.
    HypervisorChanged(Chassis),
    /// An interface appeared, or its OpenFlow port changed.
    Plugged(PortId, Plugged),
    /// A guest sends from its port's interface on a hypervisor where it is expected.
    Appeared(PortId, ChassisId),
    /// An interface is gone.
    Unplugged(PortId, ChassisId),
    /// This controller, one of several, owns a hypervisor, by this generation. Its sessions tell of no other.
    Owned(ChassisId, u64),
    /// Another controller owns a hypervisor, which this one owned by this generation.
    Disowned(ChassisId, u64),
    /// A hypervisor does not take part in the cloud any more.
    HypervisorLeft(ChassisId),
    /// A hypervisor is silent for so long that others take its gateways (true), or is back (false).
    Gone(ChassisId, bool),
    /// A hypervisor hears this from its peers by BFD. Empty: nothing is known any more.
    TunnelsHeard(ChassisId, TunnelWatches),
    /// A hypervisor has learned this on an external network. `None`: it knows nothing there any more.
    Outside(ChassisId, NetworkId, Option<Outside>),
    /// A guest on a hypervisor announced an address from its port's pairs, at a MAC.
    Announced(ChassisId, (PortId, IpAddr, MacAddr)),
    /// By a hypervisor's router, a server delegated this prefix to a subnet, or extended it. `None`: the subnet has no delegated prefix
    /// any more.
    Delegated(ChassisId, SubnetId, Option<Arc<Delegation>>),
    /// No router asks for this delegation any more. It is forgotten, unless another has replaced it.
    Undelegated(SubnetId, Arc<Delegation>),
    /// A switch has confirmed the flows of these ports, for the interfaces that they had then.
    Confirmed(Vec<(PortId, Binding)>),
    /// A hypervisor's switch accepts all its flows except these.
    FellShort(ChassisId, Arc<Shortfall>),
    /// Somebody begins to capture a port's frames (true), or ends it.
    Captured(PortId, bool),
    /// The configuration was read again.
    Configured(Settings),
    /// Somebody wants to know whether the owner still works.
    Asked(oneshot::Sender<()>),
}

impl Event {
    /// The hypervisor that this tells of, if only its owner may.
    pub(super) fn chassis(&self) -> Option<&ChassisId> {
        match self {
            Self::HypervisorRead { chassis, .. } | Self::HypervisorChanged(chassis) => {
                Some(&chassis.id)
            }
            Self::HostNamed(chassis, _)
            | Self::TunnelsHeard(chassis, _)
            | Self::Outside(chassis, ..)
            | Self::Announced(chassis, _)
            | Self::FellShort(chassis, _)
            | Self::Appeared(_, chassis)
            | Self::Delegated(chassis, ..)
            | Self::Unplugged(_, chassis) => Some(chassis),
            Self::Plugged(_, plugged) => Some(&plugged.chassis),
            Self::Owned(..)
            | Self::Disowned(..)
            | Self::HypervisorLeft(_)
            | Self::Gone(..)
            | Self::Undelegated(..)
            | Self::Confirmed(_)
            | Self::Captured(..)
            | Self::Configured(_)
            | Self::Asked(_) => None,
        }
    }
}

/// How many events may wait for the owner before senders wait.
pub(super) const QUEUE: usize = 1024;

/// Where events are sent.
pub type Events = mpsc::Sender<Event>;

/// A queue of events for [`super::Owner::run`].
pub fn events() -> (Events, mpsc::Receiver<Event>) {
    mpsc::channel(QUEUE)
}
