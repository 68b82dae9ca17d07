//! Against scapy (Debian's package): what it makes is answered, and what is answered it reads as meant and would have
//! made the same, octet by octet.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

use guest::*;
use insta::assert_snapshot;
use sextant_responders::ra::{self, Destination};
use sextant_responders::respond;
use std::io::Write;
use std::process::{Command, Stdio};

/// What `scapy.py` prints.
fn scapy(mode: &str, frames: &[Vec<u8>]) -> String {
    let mut child = Command::new("/usr/bin/python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scapy.py"))
        .arg(mode)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 starts (Debian package: python3-scapy)");
    let mut input = child.stdin.take().unwrap();
    for frame in frames {
        let line: String = frame.iter().map(|octet| format!("{octet:02x}")).collect();
        writeln!(input, "{line}").unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn octets(line: &str) -> Vec<u8> {
    (0..line.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&line[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn what_scapy_asks_is_answered_and_read_by_it_as_meant() {
    let asked: Vec<_> = scapy("craft", &[]).lines().map(octets).collect();
    let punts = [
        solicitation_punt(),
        dhcpv6(service()),
        ipv4::dhcpv4(ipv4::service()),
    ];
    assert_eq!(asked.len(), punts.len());
    let answers: Vec<_> = punts
        .iter()
        .zip(&asked)
        .flat_map(|(punt, frame)| respond(punt, frame).frames)
        .collect();
    assert_snapshot!(scapy("read", &answers), @"");
}

#[test]
fn the_rarer_options_are_read_as_meant() {
    let advertisement = ra::advertise(&talkative_advertisement(), Destination::AllNodes);
    assert_snapshot!(scapy("read", &[advertisement]), @"");
}
