//! Any JSON as a row, a change of it and an update: see `property::an_update_is_applied_or_refused`.
#![no_main]

#[path = "../../tests/any_bytes/mod.rs"]
#[allow(dead_code, reason = "each target has one property")]
mod any_bytes;

libfuzzer_sys::fuzz_target!(|input: &[u8]| any_bytes::property::an_update_is_applied_or_refused(input));
