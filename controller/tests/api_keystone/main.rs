//! Who calls, by tokens that a played Keystone describes. The real one is in the lab's tests.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "../api/mod.rs"]
mod api;
mod authorities;
mod away;
mod callers;
mod own;
mod played;
mod remembered;
mod services;
mod site;
mod tls;
