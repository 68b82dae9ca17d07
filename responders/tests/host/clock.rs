//! Time and randomness that are the same in every run.

use sextant_responders::host::Time;
use std::time::Instant;

/// A time from which tests go on.
#[expect(clippy::disallowed_methods, reason = "an instant has no other origin")]
pub(crate) fn start() -> Time {
    Time {
        instant: Instant::now(),
        unix: 1_800_000_000,
    }
}

/// Numbers that follow from a seed (SplitMix64).
pub(crate) struct Seeded(u64);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// The same as an argument of machines.
    pub(crate) fn draw(&mut self) -> impl FnMut() -> u64 {
        || self.next()
    }
}
