//! All of Sextant that touches the world: configuration, REST API, store, sessions with switches and hypervisors,
//! reconciliation, metrics.
//!
//! Data flows as `ARCHITECTURE.md` draws it. Intent enters through the [`store`]'s watch, facts through the
//! hypervisors' OVSDB sessions. One task owns both and publishes a [`snapshot`]. Each switch's session computes its
//! flows from the snapshot, and answers punted packets by itself.

pub mod admission;
pub mod api;
pub mod audit_file;
pub mod captures;
pub mod cli;
mod clock;
pub mod cluster;
pub mod config;
pub mod control;
pub mod doctor;
mod fair;
pub mod flow_counters;
pub mod http;
pub mod hypervisor;
pub mod keystone;
pub mod liveness;
pub mod logging;
pub mod memory;
pub mod metadata;
pub mod metrics;
pub mod neighbors;
pub mod nova;
pub mod outgoing;
pub mod port_history;
pub mod probes;
pub mod reference;
pub mod renumbering;
pub mod rules;
pub mod runtime;
pub mod scarcity;
pub mod scrape;
pub mod seat;
pub mod series;
pub mod service_manager;
pub mod snapshot;
pub mod state;
pub mod store;
pub mod stream;
pub mod switch;
pub mod tls;
pub mod transfer;
pub mod web;
