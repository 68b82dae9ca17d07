//! Any stream in any pieces: see `property::messages_do_not_depend_on_reads`.
#![no_main]

#[path = "../../tests/any_bytes/mod.rs"]
#[allow(dead_code, reason = "each target has one property")]
mod any_bytes;

libfuzzer_sys::fuzz_target!(|input: &[u8]| any_bytes::property::messages_do_not_depend_on_reads(input));
