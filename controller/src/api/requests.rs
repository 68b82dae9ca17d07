//! Requests and answers: HTTP, who calls, lists, and the commit of a write.

mod abandon;
mod agent;
pub(crate) mod answer;
mod audit;
mod availability_zone;

pub(crate) mod commit;
mod discovery;
mod fair;
mod gate;
pub(crate) mod identity;
pub(crate) mod incoming;
mod ip_availability;
mod middleware;
pub(crate) mod query;
mod quotas;
pub(crate) mod renumber;
mod resources;
pub(crate) mod service;
pub(crate) mod tags;
