//! What real clients sent, as recorded on the wire (`samples/CLIENT.MESSAGE.hex`): Debian 12's Linux, ISC dhclient,
//! dhcpcd, dibbler and WIDE dhcp6c, as guests of a stateful and of a stateless port; and, as if from a guest, what
//! Neutron's client for prefix delegation and its server said to each other.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant of many"
)]

mod guest;

use guest::*;
use insta::assert_snapshot;
use sextant_model::{Dhcpv6Service, MacAddr, Punt};
use sextant_responders::{PacketVerdict, respond};
use std::fs;
use std::path::{Path, PathBuf};

fn samples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

fn read(path: &Path) -> Vec<u8> {
    let digits: String = fs::read_to_string(path)
        .unwrap()
        .split_whitespace()
        .collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// The port that the clients had: one address, and a server with this DUID.
fn service() -> Dhcpv6Service {
    let mut service = guest::service();
    service.addresses.truncate(1);
    service
}

#[test]
fn every_recorded_message_of_a_guest_is_answered() {
    let mut told = Vec::new();
    for path in samples() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let punt = match name.ends_with("router-solicitation") {
            true => solicitation_punt(),
            false => dhcpv6(service()),
        };
        let answer = respond(&punt, &read(&path));
        let said = match answer.outcome.verdict {
            PacketVerdict::Answered(with) => with.to_owned(),
            verdict => format!("{verdict:?}"),
        };
        let learned = answer.learned.len();
        told.push(format!(
            "{name}: {} -> {said}, learned {learned}",
            answer.outcome.message
        ));
    }
    assert_snapshot!(told.join("\n"), @r#"
    dhclient-stateless.information-request: information_request -> reply, learned 0
    dhclient.confirm: confirm -> reply, learned 0
    dhclient.release: release -> reply, learned 1
    dhclient.renew: renew -> reply, learned 0
    dhclient.request: request -> reply, learned 0
    dhclient.solicit: solicit -> advertise, learned 0
    dhcp6c.release: release -> reply, learned 1
    dhcp6c.request: request -> reply, learned 0
    dhcp6c.solicit: solicit -> advertise, learned 0
    dhcpcd-stateless.information-request: information_request -> reply, learned 0
    dhcpcd.router-solicitation: router_solicitation -> router_advertisement, learned 0
    dhcpcd.solicit: solicit -> reply, learned 0
    dibbler.release: release -> reply, learned 1
    dibbler.request: request -> reply, learned 0
    dibbler.solicit: solicit -> advertise, learned 0
    linux.router-solicitation: router_solicitation -> router_advertisement, learned 0
    neutron-pd.advertise: udp -> Ignored("not to the DHCPv6 server port"), learned 0
    neutron-pd.release: release -> Ignored("foreign server identifier"), learned 0
    neutron-pd.released: udp -> Ignored("not to the DHCPv6 server port"), learned 0
    neutron-pd.reply: udp -> Ignored("not to the DHCPv6 server port"), learned 0
    neutron-pd.request: request -> Ignored("foreign server identifier"), learned 0
    neutron-pd.solicit: solicit -> advertise, learned 0
    "#);
}

#[test]
fn a_stateless_port_answers_information_requests_of_all_clients() {
    let requests: Vec<_> = samples()
        .into_iter()
        .filter(|path| path.to_str().unwrap().contains("information-request"))
        .collect();
    assert_eq!(requests.len(), 2);
    for path in requests {
        let punt: Punt = dhcpv6(stateless_service());
        let frames = respond(&punt, &read(&path)).frames;
        let wire = b"\x07example\x03org\0";
        assert!(
            frames[0].windows(wire.len()).any(|window| window == wire),
            "{path:?}"
        );
        assert_eq!(frames[0][..6], MacAddr([0xfa, 0x16, 0x3e, 0, 0, 2]).0);
    }
}
