//! Any frame from any port: see `guest::property::fuzz_respond`.
#![no_main]

#[path = "../../tests/guest/mod.rs"]
mod guest;

libfuzzer_sys::fuzz_target!(|input: &[u8]| guest::property::fuzz_respond(input));
