//! The pipeline: intent and facts in, OpenFlow flows out.
//!
//! [`Flows::compute`] is a union of pure functions of one object, over the objects present on one hypervisor. The
//! features are these functions, one file each. [`pipeline`] declares the tables and registers that they share.
//! [`Flows::update`] recomputes only the objects that a change touches, and returns what changes on the switch.
//!
//! A flow's cookie is a hash of its content ([`Flow::cookie`]). So reconciling a switch is a difference of two sets of
//! cookies ([`reconcile`]). A packet that comes up with a cookie finds its [`sextant_model::Punt`]. [`trace`] walks a
//! packet through flows without a switch.

#![warn(clippy::must_use_candidate)]

mod advertisement;
mod capability;
mod contribution;
mod dependencies;
mod dhcpv4;
mod difference;
pub mod document;
mod domains;
mod exit;
mod features;
mod flow;
mod flows;
mod link;
pub mod pipeline;
mod purpose;
mod shared;
pub mod trace;
mod uplink;
mod view;
mod withheld;

pub use advertisement::advertised;
pub use capability::is_about_the_flow;
pub use contribution::PipelineObject;
pub use dependencies::Concerned;
pub use difference::{Difference, InstalledFlow, reconcile};
pub use features::capture::is_of_captures;
pub use features::fragments::is_of_fragments;
pub use features::replication::ReceiverShard;
pub use features::tunnel::probing;
pub use flow::{Cookie, Doing, Flow};
pub use flows::{Doings, Flows};
pub use link::Interface;
pub use purpose::{FlowPurpose, purposes};
pub use shared::SharedFlows;
pub use view::View;
pub use withheld::{Withheld, WithheldReason};
