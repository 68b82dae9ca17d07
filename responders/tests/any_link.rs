//! Whatever is sent on the link outside: no panic, no growth, no haste, and the best router is the best.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

use guest::link::everything;
use guest::neighborhood::{Neighborhood, fuzz_neighbor};
use guest::property::honest;
use proptest::prelude::*;
use sextant_responders::default_routers::Reachability;
use sextant_responders::neighbor::HeardNeighbor;
use std::time::Duration;

#[test]
fn everything_is_heard() {
    for frame in everything() {
        assert!(HeardNeighbor::parse(&frame).is_ok(), "{frame:02x?}");
    }
}

#[test]
fn a_frame_cut_anywhere_is_refused() {
    for frame in everything() {
        for length in 0..frame.len() {
            assert!(HeardNeighbor::parse(&frame[..length]).is_err());
        }
    }
}

proptest! {
    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        fuzz_neighbor(&bytes);
    }

    #[test]
    fn any_sequence_of_frames(steps in prop::collection::vec(
        (0_u64..12_000, any::<prop::sample::Index>(), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3)),
        0..200,
    )) {
        let all = everything();
        let mut neighborhood = Neighborhood::new();
        for (wait, choice, changes) in steps {
            neighborhood.pass(Duration::from_millis(wait));
            let mut frame = choice.get(&all).clone();
            for (at, octet) in changes {
                let at = at.index(frame.len());
                frame[at] = octet;
            }
            neighborhood.hear(&frame);
            neighborhood.hear(&honest(frame));
            let reachability = match wait % 3 {
                0 => Reachability::Presumed,
                1 => Reachability::Answers,
                _ => Reachability::Unreachable,
            };
            neighborhood.mark(wait as usize % 16, reachability);
        }
    }
}
