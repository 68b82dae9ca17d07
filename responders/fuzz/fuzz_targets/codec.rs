//! Any octets as DHCPv6 options or a relay agent's message: see `guest::property::codec_loses_nothing`.
#![no_main]

#[path = "../../tests/guest/mod.rs"]
mod guest;

libfuzzer_sys::fuzz_target!(|input: &[u8]| guest::property::codec_loses_nothing(input));
