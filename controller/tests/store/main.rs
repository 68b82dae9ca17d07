//! The stores: what all of them promise, as one suite, and what is each one's own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod contract;
mod embedded;
mod etcd;
mod facts;
#[path = "../../../tests/src/free_port.rs"]
mod free_port;
mod transfer;
mod world;
