//! What holds for every cloud, however it came about.

mod consistency;
mod crowd;
mod declarations;
mod delegations;
mod gateways;
mod groups;
mod names;
mod reachability;
mod steps;
mod strategies;
