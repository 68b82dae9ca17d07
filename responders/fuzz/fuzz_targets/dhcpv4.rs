//! Any frame from any port that DHCPv4 serves, or any octets as a message: see `guest::property::fuzz_dhcpv4`.
#![no_main]

#[path = "../../tests/guest/mod.rs"]
mod guest;

libfuzzer_sys::fuzz_target!(|input: &[u8]| guest::property::fuzz_dhcpv4(input));
