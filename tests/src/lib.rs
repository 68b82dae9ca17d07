//! The lab: hypervisors with real Open vSwitch, an IPv6 underlay with a router, a controller
//! and guests, each in a network namespace of one machine. Tests and the demo share it.
//!
//! ```text
//!        ctl ── management (fd00:c::/64) ──┬──────────────┐
//!    controller                            │              │
//!                                       ┌──┴──┐        ┌──┴──┐
//!                   guest ── br-int ──  │ h1  │        │ h2  │  ── br-int ── guest
//!                                       └──┬──┘        └──┬──┘
//!                                   br-phy │    ┌───┐     │ br-phy
//!                                          └────┤ r ├─────┘
//!                          2001:db8:77:1::/64   └───┘   2001:db8:77:2::/64
//! ```
//!
//! So it is on the userspace datapath. On the kernel's there is no `br-phy`: the endpoint is the underlay interface.
//!
//! A lab starts in a second or two, several run side by side, and all of it goes when the
//! [`Lab`] is dropped. Waiting is for events (lines of logs, the kernel's notifications, file
//! changes), never for time to pass.

mod api;
mod browser;
mod capture;
mod cloud;
mod cluster;
mod command;
mod controller;
mod dashboard;
mod datapath;
mod deadline;
mod dhcp;
mod error;
mod etcd;
mod flow;
mod flow_dump;
mod free_port;
mod guest;
mod guest_network;
mod hypervisor;
mod lab;
mod leftovers;
pub mod load;
mod log;
mod loopback;
mod metadata;
mod namespace;
mod netlink;
pub mod openstack;
mod ovn;
mod ovs;
mod ping;
mod plan;
mod process;
mod prometheus;
mod record;
mod roles;
pub mod story;
mod stream;
mod tools;
mod topology;
mod upstream;

pub use api::{Api, Reply};
pub use browser::Browser;
pub use capture::{Capture, Packets};
pub use cloud::{Network, Port, PortSpec, Router, Subnet, SubnetSpec};
pub use cluster::{Cluster, Peer};
pub use command::Output;
pub use controller::{Controller, ControllerOptions, find_binary};
pub use dashboard::{Dashboard, PanelQuery, grafana};
pub use datapath::Datapath;
pub use deadline::wait_for;
pub use dhcp::ipv4::Dhcpv4Lease;
pub use dhcp::networkd::Networkd;
pub use dhcp::{DhcpClient, DhcpLease};
pub use error::LabError;
pub use etcd::{Etcd, Member};
pub use flow::InstalledFlow;
pub use flow_dump::{FlowDump, KnownFlow};
pub use guest::{Guest, GuestSpec};
pub use guest_network::{Address, Neighbor, Route};
pub use hypervisor::Hypervisor;
pub use lab::{Lab, LabOptions};
pub use leftovers::{remove_kept, remove_orphans};
pub use loopback::{Addresses, Loopback};
pub use metadata::{
    METADATA, METADATA_IPV6, NovaRequest, PlayedNova, SECRET, ask_metadata, start_metadata,
};
pub use namespace::Namespace;
pub use ping::{BackgroundPing, PingReport};
pub use plan::{CONTROLLER, UNDERLAY_DEVICE, UNDERLAY_MTU, Underlay};
pub use process::Process;
pub use prometheus::{Prometheus, Rule, Sample};
pub use roles::SwitchController;
pub use stream::{Stream, StreamReport};
pub use tools::{MissingTool, Tools};
pub use upstream::{
    Advertised, Advertiser, DelegatedLease, DelegatingServer, Lifetimes, OutsideRouter, PrefixPool,
    Upstream,
};
