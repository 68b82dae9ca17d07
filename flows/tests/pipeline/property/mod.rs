//! What holds for every cloud, however it came about.

mod consistency;
mod gateways;
mod reachability;
mod steps;
