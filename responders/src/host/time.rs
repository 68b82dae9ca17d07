//! The time as protocols need it.

use std::time::Instant;

/// The time by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// By the clock that only runs.
    pub instant: Instant,
    /// By the clock that people set, in seconds since 1970.
    pub unix: i64,
}
