//! Metrics, and the dashboard on a real Prometheus.

use crate::story::{Narrator, Outcome, Point, World, ensure};

pub(super) const POINT: Point = Point {
    number: 10,
    title: "Prometheus scrapes it, and every panel of the Grafana dashboard has samples",
    asked: "prometheus with grafana/prometheus/prometheus.yml; each panel's query",
    run,
};

/// What the metrics page must have, whatever was done before.
const FAMILIES: &[&str] = &[
    "sextant_switches_connected",
    "sextant_packet_ins_total",
    "sextant_router_advertisements_total",
    "sextant_dhcpv6_messages_total",
    "sextant_flow_operations_total",
    "sextant_reconcile_duration_seconds_bucket",
    "sextant_api_requests_total",
];

fn run(world: &mut World, narrator: &mut Narrator) -> Outcome {
    super::p04_dhcpv6::POINT.run_quietly(world)?;
    let metrics = world.lab.metrics()?;
    for family in FAMILIES {
        ensure(metrics.lines().any(|line| line.starts_with(family)), || format!("{family} is not in the metrics"))?;
    }
    narrator.observe(format_args!("/metrics has {} samples", metrics.lines().filter(|line| !line.starts_with('#')).count()));
    Ok(())
}
