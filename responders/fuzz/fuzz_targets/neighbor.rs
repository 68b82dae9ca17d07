//! Any frames heard on a link outside, one after the other: see `guest::neighborhood::fuzz_neighbor`.
#![no_main]

#[path = "../../tests/guest/mod.rs"]
mod guest;

libfuzzer_sys::fuzz_target!(|input: &[u8]| guest::neighborhood::fuzz_neighbor(input));
