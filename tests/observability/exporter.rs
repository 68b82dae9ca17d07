//! A stand-in for Sextant that only exports: every metric moves with each scrape, so that every
//! rate and quantile has an answer.

use sextant_controller::metrics::Metrics;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

/// Answers every request on the metrics address of a lab's controller. Does not return.
pub(crate) fn serve(metrics: &Metrics) -> io::Result<()> {
    let listener = TcpListener::bind("[::]:9697")?;
    eprintln!("ready");
    for stream in listener.incoming() {
        // A scraper that goes away in the middle is no concern of the next.
        let _ = answer(&stream?, metrics);
    }
    Ok(())
}

fn answer(stream: &TcpStream, metrics: &Metrics) -> io::Result<()> {
    for line in BufReader::new(stream).lines() {
        if line?.is_empty() {
            break;
        }
    }
    touch(metrics);
    let text = metrics.render().map_err(io::Error::other)?;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close";
    write!(
        &mut &*stream,
        "{head}\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    )
}

/// Three hypervisors of which one lacks its switch, and a bit of everything on each scrape.
fn touch(metrics: &Metrics) {
    metrics.hypervisors_connected.set(3);
    metrics.switches_connected.set(2);
    metrics.ports_bound.set(7);
    metrics.ports_active.set(6);
    metrics.flows_wanted.with_label_values(&["h1"]).set(120);
    metrics
        .flows_refused
        .with_label_values(&["h1", "ct"])
        .set(3);
    touch_tunnels(metrics);
    touch_delegation(metrics);
    touch_packets(metrics);
    touch_stores(metrics);
    touch_services(metrics);
    metrics.reconcile_seconds.observe(0.02);
    for of in ["all", "change"] {
        let seconds = &metrics.compute_seconds;
        seconds.with_label_values(&[of]).observe(0.000_3);
    }
}

fn touch_tunnels(metrics: &Metrics) {
    metrics.tunnels_missing.set(1);
    metrics
        .tunnel_bfd_state
        .with_label_values(&["h1", "h2"])
        .set(1);
    metrics
        .tunnel_unknown_endpoint_packets
        .with_label_values(&["h1"])
        .inc_by(1);
    metrics
        .packets_dropped
        .with_label_values(&["h1", "guard"])
        .inc_by(1);
    metrics.gateways.with_label_values(&["h1"]).set(4);
    metrics.gateway_moves.inc();
}

fn touch_delegation(metrics: &Metrics) {
    metrics
        .delegated_subnets
        .with_label_values(&["waiting"])
        .set(1);
    metrics
        .delegation_changes
        .with_label_values(&["delegated"])
        .inc();
    let next_hops = &metrics.next_hops;
    next_hops.with_label_values(&["h1", "reachable"]).set(1);
    let outside = &metrics.outside_packets;
    outside.with_label_values(&["advertisement", "taken"]).inc();
    let clients = &metrics.delegation_clients;
    clients.with_label_values(&["h1", "bound"]).set(2);
    let messages = &metrics.delegation_messages;
    messages.with_label_values(&["solicit", "sent"]).inc();
}

fn touch_stores(metrics: &Metrics) {
    for outcome in ["confirmed", "refused"] {
        metrics
            .flow_operations
            .with_label_values(&["add", outcome])
            .inc();
        metrics
            .ovsdb_transactions
            .with_label_values(&[outcome])
            .inc();
    }
    for outcome in ["committed", "conflict", "unavailable"] {
        metrics.store_commits.with_label_values(&[outcome]).inc();
        let seconds = &metrics.store_commit_seconds;
        seconds.with_label_values(&[outcome]).observe(0.002);
    }
    metrics.store_commit_keys.observe(3.0);
    metrics.store_commit_octets.observe(2_000.0);
    metrics.store_watch_lag.observe(0.001);
    let waits = &metrics.api_revision_waits;
    waits.with_label_values(&["reached"]).inc();
}

/// What the API answers, and what other services do.
fn touch_services(metrics: &Metrics) {
    for by in ["cache", "asked"] {
        metrics.token_checks.with_label_values(&[by]).inc();
    }
    let asked = &metrics.keystone_requests;
    asked.with_label_values(&["validate", "ok"]).inc();
    metrics.keystone_request_seconds.observe(0.02);
    let told = &metrics.nova_events;
    told.with_label_values(&["network-vif-plugged", "taken"])
        .inc();
    metrics.nova_plug_seconds.observe(0.01);
    for status in ["200", "503"] {
        metrics
            .api_requests
            .with_label_values(&["GET", "/v2.0/ports", status])
            .inc();
    }
    metrics
        .api_request_seconds
        .with_label_values(&["GET", "/v2.0/ports"])
        .observe(0.004);
}

fn touch_packets(metrics: &Metrics) {
    metrics.packet_ins.with_label_values(&["dhcpv6"]).inc();
    metrics
        .packet_ins_refused
        .with_label_values(&["dhcpv6", "fragment"])
        .inc();
    metrics
        .router_advertisements
        .with_label_values(&["solicited"])
        .inc();
    metrics
        .dhcpv6_messages
        .with_label_values(&["solicit", "answered"])
        .inc();
    metrics
        .dhcpv4_messages
        .with_label_values(&["discover", "answered"])
        .inc();
    metrics
        .icmp_errors
        .with_label_values(&["no_route", "answered"])
        .inc();
    metrics.punt_seconds.observe(0.000_2);
}
