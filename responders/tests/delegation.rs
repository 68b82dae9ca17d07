//! The client that asks for prefixes (RFC 9915 §18.2): what it says when, and what it makes of the answers.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

#[path = "delegation/extension.rs"]
mod extension;
#[path = "delegation/grants.rs"]
mod grants;
#[path = "delegation/heard.rs"]
mod heard;
#[path = "delegation/property.rs"]
mod property;
#[path = "delegation/recorded.rs"]
mod recorded;
#[path = "delegation/release.rs"]
mod release;
#[path = "delegation/search.rs"]
mod search;
