//! What a played Nova is told of guests' ports, with a played Keystone.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod answers;
#[path = "../api/mod.rs"]
mod api;
mod doctor;
mod nova;
#[path = "../api_keystone/played.rs"]
mod played;
mod several;
mod site;
mod told;
