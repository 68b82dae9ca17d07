//! The pipeline, feature by feature: a small cloud in, flows or what becomes of packets out.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

mod base;
mod capture;
mod dhcpv4;
mod external;
mod extra_routes;
mod fragments;
mod guard;
mod held;
mod icmp_error;
mod ipv4;
mod martian;
mod metadata;
mod meters;
mod moves;
mod neighbor;
mod property;
mod provider;
mod punts;
mod reconciling;
mod refusals;
mod routing;
mod security;
mod switching;
mod tracing;
mod tunnels;
