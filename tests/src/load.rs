//! Load on the controller: many guests' questions at once, and what it costs to answer them.
//!
//! [`Rig`] starts a controller and simulates `N` hypervisors around it over loopback. Each has a real ovsdb-server,
//! whose rows the rig fills like ovs-vswitchd. Its switch is simulated here. It takes flows, remembers the cookies of
//! those that send packets up, and sends packet-ins with them. Answers are checked byte for byte: the first to each
//! guest is read and verified, all others must equal it.
//!
//! [`Fleet`] simulates hypervisors as well. They follow their Sextant while the API is measured.
//!
//! [`Inventory`] has none, but many ports, whose lists Nova asks for.
//!
//! [`Crowd`] has a thousand and more hypervisors, all in one process: a [`Simulator`].
//!
//! [`Several`] has several controllers and a cluster of etcd, with the same simulator.
//!
//! [`compare`] measures the same through a real Open vSwitch, beside OVN and the least possible controller. The
//! controller's place makes much of the difference. So Sextant and the least controller are measured on a host of their
//! own and on the hypervisor, where ovn-controller is.
//!
//! [`restart`] kills both control planes and starts them again.

mod asking;
mod bench;
mod bundles;
mod clients;
mod crowd;
mod database;
mod fleet;
mod hostile;
mod inventory;
mod latency;
mod members;
mod networks;
mod ovn_cloud;
mod packets;
mod page;
mod place;
mod printing;
mod report;
mod restarts;
mod rig;
mod scraping;
mod several;
mod share;
mod simulator;
mod switch;
mod through_ovs;
mod traffic;
mod transact;
mod trivial;
mod usage;

pub use asking::Asked;
pub use bench::{Contender, Course, Spent};
pub use clients::Clients;
pub use crowd::{Crowd, Episode, Lives};
pub use fleet::{Connecting, Fleet};
pub use hostile::{Waited, hostile};
pub use inventory::{Cycles, Inventory, Listed};
pub use latency::Latencies;
pub use networks::Dimensions;
pub use packets::Question;
pub use page::{PageAnswer, PageVisit};
pub use place::{Both, ControllerPlace};
pub use printing::{exit_code, milliseconds, say};
pub use report::Report;
pub use restarts::{Restart, RestartCourse, Restarts, restart};
pub use rig::{Rig, Size};
pub use scraping::Scrapes;
pub use several::{Change, Cost, Return, Several, Shares, Spending, Start, Takeover, Targets};
pub use share::ProcessorShare;
pub use simulator::{Count, Side, Simulator};
pub use through_ovs::{Comparison, compare};
pub use traffic::{Pace, Traffic};
pub use usage::Usage;
