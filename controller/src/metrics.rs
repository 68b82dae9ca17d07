//! Every metric that Sextant exports, declared once: the doc comment is the help text.

mod beginning;
mod by_hypervisor;
mod labels;

pub use by_hypervisor::{
    HypervisorCounter, HypervisorCounters, HypervisorFamily, HypervisorGauge, HypervisorGauges,
    HypervisorMetric, TotalsOnly,
};
pub use labels::{
    AdvertisementCause, CommitOutcome, Computation, DoubtfulEndpoint, Drift, FlowOperation,
    FlowOutcome, HEARD, KeystoneOutcome, KeystoneRequest, NovaEventName, NovaOutcome,
    OpenFlowError, PrefixChange, PrefixState, RefusedConnection, RevisionWait, SENT, TokenCheck,
    TransactionOutcome,
};

use by_hypervisor::OnPage;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    TextEncoder,
};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

/// Everything that is on a page.
#[derive(Clone, Debug, Default)]
struct Registry {
    others: prometheus::Registry,
    by_hypervisor: Vec<Arc<dyn OnPage>>,
    totals_only: TotalsOnly,
}

/// How a metric of one type is made from its declaration.
trait Declared: Sized {
    fn declare(
        registry: &mut Registry,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> prometheus::Result<Self>;
}

macro_rules! declared {
    ($($kind:ty: |$opts:ident, $labels:ident| $make:expr, $options:ident;)*) => {$(
        impl Declared for $kind {
            fn declare(registry: &mut Registry, name: &'static str, help: &'static str, $labels: &'static [&'static str]) -> prometheus::Result<Self> {
                let $opts = $options::new(name, help);
                let metric = $make?;
                registry.others.register(Box::new(metric.clone()))?;
                Ok(metric)
            }
        }
    )*};
}

/// Seconds, from a packet's answer to a slow reconciliation.
const SECONDS: &[f64] = &[
    0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Keys and octets, from one to sixteen million.
const SIZES: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
];

/// How large something is, where other histograms say how long it took.
#[derive(Clone, Debug)]
pub struct HistogramOfSizes(Histogram);

impl Deref for HistogramOfSizes {
    type Target = Histogram;

    fn deref(&self) -> &Histogram {
        &self.0
    }
}

impl Declared for HistogramOfSizes {
    fn declare(
        registry: &mut Registry,
        name: &'static str,
        help: &'static str,
        _labels: &'static [&'static str],
    ) -> prometheus::Result<Self> {
        let options = HistogramOpts::new(name, help).buckets(SIZES.to_vec());
        let histogram = Histogram::with_opts(options)?;
        registry.others.register(Box::new(histogram.clone()))?;
        Ok(Self(histogram))
    }
}

declared! {
    IntCounter: |opts, _labels| IntCounter::with_opts(opts), Opts;
    IntGauge: |opts, _labels| IntGauge::with_opts(opts), Opts;
    IntCounterVec: |opts, labels| IntCounterVec::new(opts, labels), Opts;
    IntGaugeVec: |opts, labels| IntGaugeVec::new(opts, labels), Opts;
    Histogram: |opts, _labels| Histogram::with_opts(opts.buckets(SECONDS.to_vec())), HistogramOpts;
    HistogramVec: |opts, labels| HistogramVec::new(opts.buckets(SECONDS.to_vec()), labels), HistogramOpts;
}

impl<M: HypervisorMetric> Declared for HypervisorFamily<M> {
    fn declare(
        registry: &mut Registry,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> prometheus::Result<Self> {
        let family = Self::new(name, help, labels, registry.totals_only.clone());
        registry.by_hypervisor.push(Arc::new(family.clone()));
        Ok(family)
    }
}

macro_rules! metrics {
    ($(#[doc = $help:literal] $field:ident: $kind:ty = $name:literal [$($label:literal),*],)*) => {
        /// The metrics of one process. There are thousands of copies, of the same metrics.
        #[derive(Clone, Debug)]
        pub struct Metrics(Arc<MetricHandles>);

        /// Each metric.
        #[derive(Debug)]
        pub struct MetricHandles {
            registry: Registry,
            $(#[doc = $help] pub $field: $kind,)*
        }

        impl Deref for Metrics {
            type Target = MetricHandles;

            fn deref(&self) -> &MetricHandles {
                &self.0
            }
        }

        impl Metrics {
            /// Name, type, labels and help of each metric, for the reference in `docs/`.
            pub const CATALOGUE: &[(&str, &str, &[&str], &str)] =
                &[$(($name, stringify!($kind), &[$($label),*], $help),)*];

            /// Declares all metrics in a registry of their own.
            ///
            /// # Errors
            /// Two metrics have the same name, or a name or label is not one.
            pub fn new() -> prometheus::Result<Self> {
                let mut registry = Registry::default();
                registry.others.register(Box::new(ProcessCollector::for_self()))?;
                $(let $field = <$kind>::declare(&mut registry, $name, $help.trim(), &[$($label),*])?;)*
                let metrics = Self(Arc::new(MetricHandles { registry, $($field),* }));
                metrics.begin_at_zero();
                Ok(metrics)
            }
        }
    };
}

metrics! {
    /// Which version this is, by its number. The value is 1.
    build_info: IntGaugeVec = "sextant_build_info" ["version"],
    /// Requests to the API, by method, route and status code.
    api_requests: IntCounterVec = "sextant_api_requests_total" ["method", "route", "status"],
    /// Time to answer a request to the API, in seconds. A long list counts until its first portion.
    api_request_seconds: HistogramVec = "sextant_api_request_duration_seconds" ["method", "route"],
    /// Requests that had to wait until this controller had the revision in their `X-Sextant-Revision`, by outcome (reached, too_late, out_of_reach). too_late: 503 after 5 seconds. out_of_reach: 503 at once, because the store is.
    api_revision_waits: IntCounterVec = "sextant_api_revision_waits_total" ["outcome"],
    /// Tokens of callers that were checked, by who said whether they hold, with `auth = "keystone"`. cache: it was known. shared: Keystone's answer to another caller with the same token. asked: Keystone.
    token_checks: IntCounterVec = "sextant_token_checks_total" ["by"],
    /// Requests to Keystone, by what was asked for (validate: what a caller's token is; login: a token for Sextant itself) and outcome. refused: Keystone does not know the token, or refuses the credentials or the token of Sextant itself. failed: it did not answer in time, or with something else.
    keystone_requests: IntCounterVec = "sextant_keystone_requests_total" ["request", "outcome"],
    /// Time that requests to Keystone took, in seconds, whatever came of them.
    keystone_request_seconds: Histogram = "sextant_keystone_request_duration_seconds" [],
    /// Hypervisors that take part and whose OVSDB is connected.
    hypervisors_connected: IntGauge = "sextant_hypervisors_connected" [],
    /// Switches of known hypervisors whose OpenFlow session is up.
    switches_connected: IntGauge = "sextant_switches_connected" [],
    /// Hypervisors that this controller owns. Where it is the only one, those that are connected.
    hypervisors_owned: IntGauge = "sextant_hypervisors_owned" [],
    /// Controllers that live, as far as this one knows.
    controllers_live: IntGauge = "sextant_controllers_live" [],
    /// Hypervisors that this controller came to own, where there are several.
    takeovers: IntCounter = "sextant_takeovers_total" [],
    /// Facts of hypervisors that were not stored, since another controller came to own the hypervisor before they were.
    facts_dropped: IntCounter = "sextant_facts_dropped_total" [],
    /// Time from owning a hypervisor until its switch, which was connected, is as it should be, in seconds.
    takeover_seconds: Histogram = "sextant_takeover_duration_seconds" [],
    /// Connections that were refused or ended to make room, by listener (openflow, ovsdb, api, metrics, web) and reason. full: all places are taken. unidentified: too many clients have not identified themselves. origin: too many such clients are from one address. stale: the oldest such client was ended. idle: an idle client was ended for a newer one. address: one address has too many requests under way.
    connections_refused: IntCounterVec = "sextant_connections_refused_total" ["listener", "reason"],
    /// When certificates expire, in seconds since 1970, by owner. Owners are files of the configuration (tls.certificate, hypervisor_tls.client_ca, …), each with its first to expire, and connected hypervisors, by name.
    certificate_not_after: IntGaugeVec = "sextant_certificate_not_after_seconds" ["whose"],
    /// What went wrong between Sextant and switches, by kind. malformed: a switch sent something that is not OpenFlow. refused: it refused a message. unsent: a message is too long for OpenFlow.
    openflow_errors: IntCounterVec = "sextant_openflow_errors_total" ["kind"],
    /// Pairs of hypervisors without a working tunnel. Either their endpoints share no IP version, or one hears nothing from the other by BFD (with `bfd = true` in `[tunnel]`).
    tunnels_missing: IntGauge = "sextant_tunnels_missing" [],
    /// Hypervisors with a doubtful tunnel endpoint, by reason. shared: another one has it, too. impossible: no other can reach it, so the hypervisor does not take part.
    doubtful_endpoints: IntGaugeVec = "sextant_tunnel_endpoints_doubtful" ["reason"],
    /// Interfaces with the id of a port that `binding:host_id` binds to another hypervisor. They get no flows.
    interfaces_elsewhere: IntGauge = "sextant_interfaces_elsewhere" [],
    /// Packets that came through tunnels from endpoints that have no reason to send there and were dropped, by hypervisor. Read every 10 seconds.
    tunnel_unknown_endpoint_packets: HypervisorCounters = "sextant_tunnel_unknown_endpoint_packets_total" ["chassis"],
    /// Packets that no flow of a stage took, which drops them, by hypervisor and stage of the pipeline (`docs/pipeline.md`). Read every 10 seconds. `guard`: not from the port's MAC and addresses, or what only routers and servers send. `egress rules`, `ingress rules`: no rule of a security group allows it.
    packets_dropped: HypervisorCounters = "sextant_packets_dropped_total" ["chassis", "stage"],
    /// BFD sessions between hypervisors, by hypervisor and peer: 3 up, 2 init, 1 down, 0 administratively down or not started. Needs `bfd = true` in `[tunnel]`.
    tunnel_bfd_state: HypervisorGauges = "sextant_tunnel_bfd_state" ["chassis", "peer"],
    /// Packets that switches sent up, by the reason.
    packet_ins: IntCounterVec = "sextant_packet_ins_total" ["punt"],
    /// Packets that switches sent up and that got no answer, by the reason.
    packet_ins_refused: IntCounterVec = "sextant_packet_ins_refused_total" ["punt", "reason"],
    /// Router Advertisements sent, by what caused them (solicited, periodic, final).
    router_advertisements: IntCounterVec = "sextant_router_advertisements_total" ["cause"],
    /// DHCPv6 messages of guests, by message type and outcome.
    dhcpv6_messages: IntCounterVec = "sextant_dhcpv6_messages_total" ["type", "outcome"],
    /// DHCPv4 messages of guests, by message type and outcome.
    dhcpv4_messages: IntCounterVec = "sextant_dhcpv4_messages_total" ["type", "outcome"],
    /// Entries of ports' `extra_dhcp_opts` that are left out of DHCP answers because they cannot be sent, by IP version.
    dhcp_options_left_out: IntGaugeVec = "sextant_dhcp_options_left_out" ["ip_version"],
    /// Packets of guests that routers did not forward or take, by reason and whether an ICMP error was sent.
    icmp_errors: IntCounterVec = "sextant_icmp_errors_total" ["type", "outcome"],
    /// Packets of external networks that show next hops, or wait for one, by type and outcome.
    outside_packets: IntCounterVec = "sextant_outside_packets_total" ["type", "outcome"],
    /// Next hops on external networks, by hypervisor and state (reachable, stale, probe, incomplete, unreachable).
    next_hops: HypervisorGauges = "sextant_next_hops" ["chassis", "state"],
    /// Addresses of guests that are not published on external networks that publish guests (nd-proxy), by the hypervisor with their router's gateway and reason (not_given_out, of_external_network, held_by_others).
    unpublished_addresses: HypervisorGauges = "sextant_unpublished_addresses" ["chassis", "reason"],
    /// DHCPv6 messages that delegate prefixes to routers' subnets, by type and outcome (sent; from servers: noted, ignored, malformed).
    delegation_messages: IntCounterVec = "sextant_delegation_messages_total" ["type", "outcome"],
    /// Subnets whose prefixes are asked for, by the hypervisor that asks and its DHCPv6 client's state (soliciting, requesting, bound, renewing, rebinding, releasing).
    delegation_clients: HypervisorGauges = "sextant_delegation_clients" ["chassis", "state"],
    /// Time from reading a packet-in to queueing its answers and those of packets read with it, in seconds.
    punt_seconds: Histogram = "sextant_punt_duration_seconds" [],
    /// Flows sent to switches, by operation (add, delete) and outcome (confirmed, refused, left_out). refused: with the whole change. left_out: only this flow.
    flow_operations: IntCounterVec = "sextant_flow_operations_total" ["operation", "outcome"],
    /// Sessions with switches that were woken, each time because a change concerns the hypervisor.
    sessions_woken: IntCounter = "sextant_switch_sessions_woken_total" [],
    /// Flows that a switch should have, by hypervisor.
    flows_wanted: HypervisorGauges = "sextant_flows_wanted" ["chassis"],
    /// Flows that a switch should have but refused, by hypervisor and what the switch lacks (nd_ext, ct, ct_nat, check_pkt_larger, meters, message_length, other, …).
    flows_refused: HypervisorGauges = "sextant_flows_refused" ["chassis", "missing"],
    /// Changes by others on hypervisors that Sextant reverted, by kind. flow, meter, group: on the switch. switch: how it treats fragments. bridge: settings and controller of `br-int`. port: ports that Sextant made, or that were set to send or receive nothing.
    drift_mended: IntCounterVec = "sextant_drift_mended_total" ["kind"],
    /// Time from sending a difference of flows to the switch's confirmation, in seconds.
    reconcile_seconds: Histogram = "sextant_reconcile_duration_seconds" [],
    /// Time to compute flows of a switch, in seconds. all: all of them. change: what a change of the cloud makes of them.
    compute_seconds: HistogramVec = "sextant_compute_duration_seconds" ["of"],
    /// Transactions sent to hypervisors' OVSDB, by outcome (confirmed, refused).
    ovsdb_transactions: IntCounterVec = "sextant_ovsdb_transactions_total" ["outcome"],
    /// Commits to the store, by outcome (committed, conflict, unavailable, too_large, uncertain).
    store_commits: IntCounterVec = "sextant_store_commits_total" ["outcome"],
    /// Time that commits to the store took, in seconds, by outcome (committed, conflict, unavailable, too_large, uncertain).
    store_commit_seconds: HistogramVec = "sextant_store_commit_duration_seconds" ["outcome"],
    /// Keys that a commit writes or deletes, whatever its outcome.
    store_commit_keys: HistogramOfSizes = "sextant_store_commit_keys" [],
    /// Octets of the keys and values that a commit writes, whatever its outcome.
    store_commit_octets: HistogramOfSizes = "sextant_store_commit_octets" [],
    /// Time from the store's answer to a write until the write has come back by the watch and can be read, in seconds.
    store_watch_lag: Histogram = "sextant_store_watch_lag_seconds" [],
    /// How old what is known of the store may be, in seconds. From 5 on, it is out of reach and takes no writes.
    store_age: IntGauge = "sextant_store_age_seconds" [],
    /// Events of guests' ports that were sent to Nova, by name and outcome. dismissed: Nova does not know the guest. failed: it is sent again.
    nova_events: IntCounterVec = "sextant_nova_events_total" ["event", "outcome"],
    /// Ports of which this controller is to tell Nova something that Nova has not answered.
    nova_waiting: IntGauge = "sextant_nova_events_waiting" [],
    /// Time from when a guest's port is active until Nova's answer to that, in seconds.
    nova_plug_seconds: Histogram = "sextant_nova_plug_duration_seconds" [],
    /// Ports that are bound to a hypervisor.
    ports_bound: IntGauge = "sextant_ports_bound" [],
    /// Bound ports whose flows are confirmed by their switch.
    ports_active: IntGauge = "sextant_ports_active" [],
    /// Routers' external gateways, by hypervisor.
    gateways: HypervisorGauges = "sextant_gateways" ["chassis"],
    /// Routers' external gateways that no hypervisor can have: none that is connected has a bridge of their physical network.
    gateways_nowhere: IntGauge = "sextant_gateways_nowhere" [],
    /// Routers' external gateways that moved from one hypervisor to another.
    gateway_moves: IntCounter = "sextant_gateway_moves_total" [],
    /// Subnets with ten addresses or more in their pools, of which nine tenths are used. `sextant status` names them.
    subnets_scarce: IntGauge = "sextant_subnets_nearly_used_up" [],
    /// Quotas of ten objects or more, of which a project has nine tenths. `sextant status` names them.
    quotas_scarce: IntGauge = "sextant_quotas_nearly_used_up" [],
    /// Subnets that a router asks prefixes for, by state: a server has delegated one (delegated), or not yet (waiting).
    delegated_subnets: IntGaugeVec = "sextant_delegated_subnets" ["state"],
    /// Writes of the API that could not be written to the audit file. The log has them.
    audit_lines_lost: IntCounter = "sextant_audit_lines_lost_total" [],
    /// Log lines about hypervisors that were left out because too many of their kind came at once. The log says how many of which.
    log_lines_left_out: IntCounter = "sextant_log_lines_left_out_total" [],
    /// Changes of delegated prefixes, by kind. delegated: a subnet got its first. renumbered: it got another. reverted: it has none any more. refused: the prefix overlaps another subnet's.
    delegation_changes: IntCounterVec = "sextant_delegation_changes_total" ["change"],
}

/// Counts one item in a gauge while this exists.
#[derive(Debug)]
pub struct Counted(IntGauge);

impl Counted {
    /// Adds one.
    pub fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Flows of a switch were computed, since then.
    pub fn computed(&self, what: Computation, since: Instant) {
        let seconds = self.compute_seconds.with_label_values(&[what.as_str()]);
        seconds.observe(since.elapsed().as_secs_f64());
    }

    /// Whether pages have the sums over all hypervisors instead of each hypervisor's series.
    pub fn show_totals_only(&self, totals_only: bool) {
        self.registry.totals_only.set(totals_only);
    }

    /// Whether pages have series of each hypervisor.
    pub fn shows_each_hypervisor(&self) -> bool {
        !self.registry.totals_only.get()
    }

    /// The Prometheus text format of all metrics.
    ///
    /// # Errors
    /// A metric could not be written as text.
    pub fn render(&self) -> prometheus::Result<String> {
        let mut page = String::new();
        TextEncoder::new().encode_utf8(&self.registry.others.gather(), &mut page)?;
        for family in &self.registry.by_hypervisor {
            family.write(&mut page);
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_declared_with_its_help() {
        let metrics = Metrics::new().unwrap();
        metrics.packet_ins.with_label_values(&["dhcpv6"]).inc();
        let text = metrics.render().unwrap();
        assert!(
            text.contains(
                "# HELP sextant_packet_ins_total Packets that switches sent up, by the reason.\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("sextant_packet_ins_total{punt=\"dhcpv6\"} 1\n"),
            "{text}"
        );
    }

    #[test]
    fn hypervisors_are_told_apart_unless_totals_are_wanted() {
        let metrics = Metrics::new().unwrap();
        for (chassis, flows) in [("h1", 1), ("h2", 2)] {
            metrics
                .flows_wanted
                .with_label_values(&[chassis])
                .set(flows);
        }
        let shows = |line: &str| metrics.render().unwrap().lines().any(|found| found == line);
        assert!(shows("sextant_flows_wanted{chassis=\"h2\"} 2"));
        metrics.show_totals_only(true);
        assert!(shows("sextant_flows_wanted 3") && !metrics.shows_each_hypervisor());
    }
}
