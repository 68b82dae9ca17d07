//! The points, each in a file of its own.

mod p01_join;
mod p02_api;
mod p03_router_advertisements;
mod p04_dhcpv6;
mod p05_connectivity;
mod p06_neighbors;
mod p07_unsolicited;
mod p08_controller_dies;
mod p09_switch_dies;
mod p10_metrics;
mod p11_why;

use super::Point;

/// All points, in order.
pub const POINTS: &[Point] = &[
    p01_join::POINT,
    p02_api::POINT,
    p03_router_advertisements::POINT,
    p04_dhcpv6::POINT,
    p05_connectivity::POINT,
    p06_neighbors::POINT,
    p07_unsolicited::POINT,
    p08_controller_dies::POINT,
    p09_switch_dies::POINT,
    p10_metrics::POINT,
    p11_why::POINT,
];
