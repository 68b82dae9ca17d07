//! Metrics, and the dashboards on a real Prometheus.

use crate::story::world::SOON;
use crate::story::{Guests, Narrator, Outcome, Point, World, ensure};
use crate::{Dashboard, Lab, LabError, Prometheus, wait_for};
use serde_json::json;

pub(super) const POINT: Point = Point {
    number: 10,
    title: "Prometheus scrapes it, and every panel of the Grafana dashboards has samples",
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
    let (lab, _, guests) = world.addressed()?;
    stir(lab, guests)?;
    let metrics = world.lab.metrics()?;
    for family in FAMILIES {
        ensure(metrics.lines().any(|line| line.starts_with(family)), || {
            format!("{family} is not in the metrics")
        })?;
    }
    narrator.observe(format_args!(
        "/metrics has {} samples",
        metrics
            .lines()
            .filter(|line| !line.starts_with('#'))
            .count()
    ));
    panels(world, narrator)
}

/// Every panel has samples while things happen.
fn panels(world: &mut World, narrator: &mut Narrator) -> Outcome {
    let prometheus = Prometheus::start(&world.lab)?;
    narrator.observe("prometheus scrapes it, every target up");
    let queries = Dashboard::all_queries("5s")?;
    let (lab, _, guests) = world.ready()?;
    let mut without: Vec<_> = queries.iter().collect();
    let answered = wait_for("samples for every panel", SOON * 2, || {
        stir(lab, guests).map_err(|error| error.to_string())?;
        without.retain(|query| !has_samples(&prometheus, &query.expr));
        let missing: Vec<String> = without
            .iter()
            .map(|query| {
                let (dashboard, panel, letter) = (&query.dashboard, &query.panel, &query.reference);
                format!("{dashboard}: {panel} {letter}: {}", query.expr)
            })
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(missing.join("; "))
        }
    });
    answered?;
    narrator.observe(format_args!(
        "{} queries of the dashboards' panels: all have samples",
        queries.len()
    ));
    world.prometheus = Some(prometheus);
    Ok(())
}

fn has_samples(prometheus: &Prometheus, expression: &str) -> bool {
    prometheus
        .query(expression)
        .is_ok_and(|samples| samples.iter().any(|sample| !sample.value.is_nan()))
}

/// Something of everything that the metrics count: a request, a change of flows, a solicitation, a DHCPv6 message.
fn stir(lab: &Lab, guests: &Guests) -> Result<(), LabError> {
    let port = format!("/v2.0/ports/{}", guests.slaac1b.port.id);
    for up in [false, true] {
        lab.api()
            .put(&port, &json!({"port": {"admin_state_up": up}}))?;
    }
    guests
        .slaac1
        .guest
        .run(&["rdisc6", "-1", "-r", "1", "-w", "1000", "eth0"])?;
    guests.stateless2.guest.dhclient_info(SOON).map(drop)
}
