//! Any bytes as a message: see `property::what_is_decoded_survives`.
#![no_main]

#[path = "../../tests/any_bytes/mod.rs"]
#[allow(dead_code, reason = "each target has one property")]
mod any_bytes;

libfuzzer_sys::fuzz_target!(|input: &[u8]| any_bytes::property::what_is_decoded_survives(input));
