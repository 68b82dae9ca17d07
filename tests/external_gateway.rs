//! Routers' ways out of the cloud, on three real Open vSwitches: the outside is ordinary Linux.
#![allow(clippy::print_stdout, reason = "figures are for people")]

#[path = "external_gateway/distributed.rs"]
mod distributed;
#[path = "external_gateway/dual_stack.rs"]
mod dual_stack;
#[path = "external_gateway/errors.rs"]
mod errors;
#[path = "external_gateway/failover.rs"]
mod failover;
#[path = "external_gateway/forged.rs"]
mod forged;
#[path = "external_gateway/next_hops.rs"]
mod next_hops;
