//! The Neutron v2.0 REST API: how intent comes in and is read.
//!
//! Three layers, each of which knows only those before it: the `contract` says what resources are, `rights` say who may do
//! what with them, `requests` speak HTTP.
//!
//! Reads answer from the latest snapshot. A write is planned on it as a pure function (`contract::draft`), committed to the
//! store with what it rests on as preconditions (`requests::commit`), and answered once the snapshot has reached it. Time,
//! randomness and ids enter in `commit` and nowhere else.

mod contract;
mod requests;
mod rights;

pub use requests::api::Api;
pub use requests::identity::{Identity, loopback};
pub(crate) use requests::renumber::RenumberError;
pub use requests::service::service;
