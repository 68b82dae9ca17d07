//! Everything of Sextant that touches the world: configuration, REST API, store, switch and hypervisor sessions,
//! reconciliation, metrics.
//!
//! Data flows in two ways, as `ARCHITECTURE.md` draws them: intent enters through the [`store`]'s watch, facts through
//! the hypervisors' OVSDB sessions; one task owns both and publishes a [`snapshot`]; each switch's session computes from
//! it which flows should be there, and answers punted packets by itself.

pub mod admission;
pub mod api;
pub mod cli;
mod clock;
pub mod config;
pub mod control;
pub mod http;
pub mod hypervisor;
pub mod liveness;
pub mod logging;
pub mod memory;
pub mod metrics;
pub mod neighbors;
pub mod reference;
pub mod renumbering;
pub mod runtime;
pub mod scrape;
pub mod seat;
pub mod series;
pub mod snapshot;
pub mod state;
pub mod store;
pub mod stream;
pub mod switch;
pub mod tls;
