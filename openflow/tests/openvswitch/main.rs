//! Against Open vSwitch itself: its tools (`ofctl`) and its daemon (`switch`).

#![allow(clippy::unwrap_used)]

mod coverage;
mod messages;
mod ofctl;
mod support;
mod switch;
