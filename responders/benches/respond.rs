//! What an answer costs: the frame of the packet-in to the frame of the packet-out, checksums on both sides included.
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

#[path = "../tests/guest/mod.rs"]
mod guest;

use divan::{Bencher, black_box};
use guest::*;
use sextant_model::Punt;
use sextant_responders::dhcpv4;
use sextant_responders::dhcpv6::codec::Dhcpv6MessageType;
use sextant_responders::dhcpv6::option;
use sextant_responders::ra::{self, Destination};
use sextant_responders::respond;

fn main() {
    divan::main();
}

fn answer(bencher: Bencher<'_, '_>, punt: &Punt, frame: &[u8]) {
    assert_eq!(respond(punt, frame).frames.len(), 1);
    bencher.bench(|| respond(black_box(punt), black_box(frame)));
}

#[divan::bench]
fn solicitation_to_advertisement(bencher: Bencher<'_, '_>) {
    answer(bencher, &solicitation_punt(), &usual_solicitation());
}

#[divan::bench]
fn solicit_to_advertise(bencher: Bencher<'_, '_>) {
    let query = Query::new(Dhcpv6MessageType::Solicit)
        .ia_na(7, &[])
        .asking(&[option::DNS_SERVERS, option::DOMAIN_LIST])
        .with(option::ELAPSED_TIME, &[0, 0]);
    answer(bencher, &dhcpv6(service()), &query.frame());
}

#[divan::bench]
fn discover_to_offer(bencher: Bencher<'_, '_>) {
    let query = ipv4::Query::new(dhcpv4::codec::Dhcpv4MessageType::Discover)
        .asking(&ipv4::USUAL_REQUEST)
        .with(dhcpv4::option::CLIENT_ID, &[1, 0xfa, 0x16, 0x3e, 0, 0, 2]);
    answer(bencher, &ipv4::dhcpv4(ipv4::service()), &query.frame());
}

#[divan::bench]
fn information_request_to_reply(bencher: Bencher<'_, '_>) {
    let query = Query::new(Dhcpv6MessageType::InformationRequest)
        .asking(&[option::DNS_SERVERS, option::DOMAIN_LIST]);
    answer(bencher, &dhcpv6(stateless_service()), &query.frame());
}

#[divan::bench]
fn unsolicited_advertisement(bencher: Bencher<'_, '_>) {
    let advertisement = advertisement();
    bencher.bench(|| ra::advertise(black_box(&advertisement), Destination::AllNodes));
}
