//! The Neutron v2.0 REST API: how intent comes in and is read.
//!
//! Three layers, and each knows only those before it. The `contract` says what resources are, `rights` say who may do
//! what, `requests` speak HTTP.
//!
//! A write is planned on a snapshot as a pure function (`contract::draft`). It is committed to the store, with what it
//! rests on as preconditions (`requests::commit`). It is answered once the snapshot has reached it.

mod contract;
mod requests;
mod rights;

pub use requests::api::Api;
pub use requests::identity::{Identity, loopback};
pub(crate) use requests::renumber::RenumberError;
pub use requests::service::service;
pub use rights::{PolicyError, PolicyFile};
