//! What holds for every cloud, however it came about.

mod consistency;
mod reachability;
mod steps;
