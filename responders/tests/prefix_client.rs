//! The client that asks for prefixes (RFC 9915 §18.2): what it says when, and what it makes of the answers.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

#[path = "prefix_client/extension.rs"]
mod extension;
#[path = "prefix_client/grants.rs"]
mod grants;
#[path = "prefix_client/heard.rs"]
mod heard;
#[path = "prefix_client/property.rs"]
mod property;
#[path = "prefix_client/recorded.rs"]
mod recorded;
#[path = "prefix_client/release.rs"]
mod release;
#[path = "prefix_client/search.rs"]
mod search;
