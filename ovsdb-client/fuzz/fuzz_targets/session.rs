//! Any words of a server: see `property::a_session_survives_its_server`.
#![no_main]

#[path = "../../tests/any_bytes/mod.rs"]
#[allow(dead_code, reason = "each target has one property")]
mod any_bytes;

libfuzzer_sys::fuzz_target!(|input: &[u8]| any_bytes::property::a_session_survives_its_server(input));
