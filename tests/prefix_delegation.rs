//! Prefixes that real DHCPv6 servers outside delegate to subnets, on three real Open vSwitches.

#[path = "prefix_delegation/another_gateway.rs"]
mod another_gateway;
#[path = "prefix_delegation/guide.rs"]
mod guide;
#[path = "prefix_delegation/lifetimes.rs"]
mod lifetimes;
#[path = "prefix_delegation/many.rs"]
mod many;
#[path = "prefix_delegation/servers.rs"]
mod servers;
#[path = "prefix_delegation/setbacks.rs"]
mod setbacks;
#[path = "prefix_delegation/stage.rs"]
mod stage;
#[path = "prefix_delegation/survival.rs"]
mod survival;
#[path = "prefix_delegation/wire.rs"]
mod wire;
#[path = "prefix_delegation/workflow.rs"]
mod workflow;
