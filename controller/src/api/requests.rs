//! Requests and answers: HTTP, who calls, lists, and the commit of a write.

mod abandon;
mod actions;
mod agent;
mod answer;
pub(crate) mod api;
mod asked;
mod audit;
mod availability_zone;

mod commit;
mod discovery;
mod gate;
mod host_bindings;
pub(crate) mod identity;
mod incoming;
mod ip_availability;
mod listing;
mod middleware;
mod operator;
mod query;
mod quotas;
pub(crate) mod renumber;
mod resources;
mod revision;
pub(crate) mod service;
mod tags;
mod withdrawals;
