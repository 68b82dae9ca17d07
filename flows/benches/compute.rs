//! What it costs to compute a hypervisor's flows: all of them, and those of one port that is made and deleted again.
//!
//! The cloud has 50 guests a hypervisor, 20 guests a network, and a router for each two networks. Each 20 hypervisors
//! have 50 networks to themselves, and a network has a guest on each of them. Only the number of such blocks differs
//! between the sizes, so one port's cost should not. Where everybody is a member of one group that rules are about, a
//! hypervisor has flows for every guest, and one more guest still costs the same.

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "written for the tests, which use all of it"
)]
#[path = "../tests/pipeline/support/cloud.rs"]
mod cloud;

use cloud::{Cloud, OPEN, anything, group_id};
use divan::Bencher;
use sextant_flows::{Flows, SharedFlows};
use sextant_model::{ChassisId, Direction, EncapKind, Ipv6Mode, RemoteEnd, SecurityGroupRule};
use std::hint::black_box;
use std::net::Ipv6Addr;
use std::sync::Arc;

const SIZES: [usize; 2] = [1_000, 10_000];
const GUESTS_OF_A_HYPERVISOR: usize = 50;
const GUESTS_OF_A_NETWORK: usize = 20;
const HYPERVISORS_OF_A_BLOCK: usize = 20;

fn main() {
    divan::main();
}

fn cloud(guests: usize) -> Cloud {
    let mut cloud = Cloud::new();
    let hypervisors = guests / GUESTS_OF_A_HYPERVISOR;
    for number in 0..hypervisors {
        let host = u128::try_from(number).unwrap_or_default();
        let endpoint = Ipv6Addr::from_bits(0x2001_0db8_0077_u128 << 80 | host);
        cloud.hypervisor(&format!("h{number}"), endpoint.into(), EncapKind::Vxlan);
    }
    for number in 0..guests / GUESTS_OF_A_NETWORK {
        add_network(&mut cloud, number);
    }
    for number in 0..guests {
        add_guest(&mut cloud, number);
    }
    cloud
}

fn add_guest(cloud: &mut Cloud, number: usize) {
    let (guest, network) = (format!("g{number}"), number / GUESTS_OF_A_NETWORK);
    cloud.port(&guest, &format!("n{network}"));
    let block = number / (HYPERVISORS_OF_A_BLOCK * GUESTS_OF_A_HYPERVISOR);
    let hypervisor = block * HYPERVISORS_OF_A_BLOCK + number % HYPERVISORS_OF_A_BLOCK;
    let ofport = u16::try_from(11 + number / HYPERVISORS_OF_A_BLOCK % GUESTS_OF_A_HYPERVISOR);
    cloud.plug_as(&guest, &format!("h{hypervisor}"), ofport.ok());
}

fn add_network(cloud: &mut Cloud, number: usize) {
    let (network, router) = (format!("n{number}"), format!("r{}", number / 2));
    cloud.network(&network);
    let cidr = format!("2001:db8:{number:x}::/64");
    cloud.subnet(
        &format!("s{number}"),
        &network,
        &cidr,
        Some(Ipv6Mode::Slaac),
    );
    if number.is_multiple_of(2) {
        cloud.router(&router);
    }
    cloud.interface(&format!("i{number}"), &router, &network);
}

fn h0() -> ChassisId {
    ChassisId::new("h0")
}

#[divan::bench(args = SIZES)]
fn all_flows_of_a_hypervisor(bencher: Bencher<'_, '_>, guests: usize) {
    let cloud = cloud(guests);
    bencher.bench_local(|| Flows::compute(black_box(&cloud.intent), &cloud.facts, &h0()));
}

/// The same, and guests take connections from each other alone.
fn closed_cloud(guests: usize) -> Cloud {
    let mut cloud = cloud(guests);
    let from_each_other = SecurityGroupRule {
        remote: RemoteEnd::Group(group_id(OPEN)),
        ..anything(Direction::Ingress)
    };
    cloud.rule("open-in6", OPEN, from_each_other);
    cloud
}

#[divan::bench(args = SIZES)]
fn all_flows_where_everybody_is_in_one_group(bencher: Bencher<'_, '_>, guests: usize) {
    let cloud = closed_cloud(guests);
    bencher.bench_local(|| Flows::compute(black_box(&cloud.intent), &cloud.facts, &h0()));
}

/// Measures the two updates when a change of the cloud is made and taken back.
fn there_and_back(bencher: Bencher<'_, '_>, old: Cloud, change: impl FnOnce(&mut Cloud)) {
    let mut new = old.clone();
    change(&mut new);
    let mut flows = Flows::compute(&old.intent, &old.facts, &h0());
    let (old, new) = ((&old.intent, &old.facts), (&new.intent, &new.facts));
    bencher.bench_local(|| {
        let made = flows.update(&h0(), black_box(old), black_box(new));
        let taken_back = flows.update(&h0(), black_box(new), black_box(old));
        (made, taken_back)
    });
}

#[divan::bench(args = SIZES)]
fn one_port_here(bencher: Bencher<'_, '_>, guests: usize) {
    there_and_back(bencher, cloud(guests), |cloud| {
        cloud.port("new", "n0");
        cloud.plug_as("new", "h0", Some(1000));
    });
}

#[divan::bench(args = SIZES)]
fn one_port_elsewhere_on_a_network_that_is_here(bencher: Bencher<'_, '_>, guests: usize) {
    there_and_back(bencher, cloud(guests), |cloud| {
        cloud.port("new", "n0");
        cloud.plug_as("new", "h1", Some(1000));
    });
}

/// A network with a guest on each of so many hypervisors.
fn network_over_all(hypervisors: usize) -> Cloud {
    let mut cloud = Cloud::new();
    add_network(&mut cloud, 0);
    for number in 0..hypervisors {
        let host = u128::try_from(number).unwrap_or_default();
        let endpoint = Ipv6Addr::from_bits(0x2001_0db8_0077_u128 << 80 | host);
        cloud.hypervisor(&format!("h{number}"), endpoint.into(), EncapKind::Vxlan);
        cloud.port(&format!("g{number}"), "n0");
        cloud.plug_as(&format!("g{number}"), &format!("h{number}"), Some(11));
    }
    cloud
}

#[divan::bench(args = [10, 30, 100, 1_000])]
fn one_hypervisor_joins_a_network(bencher: Bencher<'_, '_>, hypervisors: usize) {
    let mut cloud = network_over_all(hypervisors);
    let last = format!("g{}", hypervisors - 1);
    let host = format!("h{}", hypervisors - 1);
    cloud.unplug(&last);
    there_and_back(bencher, cloud, |cloud| {
        cloud.plug_as(&last, &host, Some(11))
    });
}

#[divan::bench(args = [10, 30, 100, 1_000])]
fn all_flows_where_a_network_is_everywhere(bencher: Bencher<'_, '_>, hypervisors: usize) {
    let cloud = network_over_all(hypervisors);
    bencher.bench_local(|| Flows::compute(&cloud.intent, &cloud.facts, &h0()));
}

/// One after another, as when all switches connect.
#[divan::bench(args = [10, 30, 100, 1_000])]
fn all_flows_of_one_hypervisor_of_many_on_a_network(bencher: Bencher<'_, '_>, hypervisors: usize) {
    let cloud = network_over_all(hypervisors);
    let shared = Arc::new(SharedFlows::default());
    let mut other = Flows::sharing(&shared);
    other.recompute(&cloud.intent, &cloud.facts, &ChassisId::new("h1"));
    bencher.bench_local(|| {
        let mut flows = Flows::sharing(&shared);
        flows.recompute(&cloud.intent, &cloud.facts, &h0());
        flows
    });
}

#[divan::bench(args = SIZES)]
fn one_port_that_is_plugged_in_nowhere(bencher: Bencher<'_, '_>, guests: usize) {
    there_and_back(bencher, cloud(guests), |cloud| cloud.port("new", "n0"));
}

#[divan::bench(args = SIZES)]
fn one_member_of_a_group_of_everybody(bencher: Bencher<'_, '_>, guests: usize) {
    there_and_back(bencher, closed_cloud(guests), |cloud| {
        cloud.port("new", "n0");
        cloud.plug_as("new", "h1", Some(1000));
    });
}

#[divan::bench(args = SIZES)]
fn one_rule_of_the_group_of_everybody(bencher: Bencher<'_, '_>, guests: usize) {
    there_and_back(bencher, closed_cloud(guests), |cloud| {
        cloud.rule("new", OPEN, anything(Direction::Ingress));
    });
}
