//! The fuzz targets' corpora, replayed: every input that once was new to the fuzzer, and every crash.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

use std::fs;
use std::path::Path;

fn replay(target: &str, holds: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let inputs: Vec<_> = fs::read_dir(folder).unwrap().collect();
    assert!(inputs.len() > 20, "the corpus is there");
    for input in inputs {
        holds(&fs::read(input.unwrap().path()).unwrap());
    }
}

#[test]
fn any_frame() {
    replay("respond", guest::property::fuzz_respond);
}

#[test]
fn any_options() {
    replay("codec", guest::property::codec_loses_nothing);
}

#[test]
fn any_dhcpv4_frame() {
    replay("dhcpv4", guest::property::fuzz_dhcpv4);
}

#[test]
fn any_frames_on_a_link() {
    replay("neighbor", guest::neighborhood::fuzz_neighbor);
}
