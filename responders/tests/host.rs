//! What routers do on links of their own accord, under a clock that the tests turn.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

#[path = "host/advertising.rs"]
mod advertising;
#[path = "host/announcing.rs"]
mod announcing;
#[path = "host/chaos.rs"]
mod chaos;
#[path = "host/clock.rs"]
mod clock;
#[path = "host/held.rs"]
mod held;
#[path = "host/lossy.rs"]
mod lossy;
#[path = "host/outside.rs"]
mod outside;
#[path = "host/prefix_clients.rs"]
mod prefix_clients;
#[path = "host/uplinks.rs"]
mod uplinks;
