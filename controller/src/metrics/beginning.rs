//! The series that there are from the start.

use super::{
    AdvertisementCause, CommitOutcome, DoubtfulEndpoint, Drift, FlowOperation, FlowOutcome,
    KeystoneOutcome, KeystoneRequest, Metrics, NovaEventName, NovaOutcome, OpenFlowError,
    PrefixChange, PrefixState, RefusedConnection, RevisionWait, SENT, TokenCheck,
    TransactionOutcome,
};
use prometheus::IntCounterVec;

/// The packets that switches send up, by what is asked.
const PACKET_INS: [&str; 14] = [
    "router_solicitation",
    "dhcpv6",
    "dhcpv4",
    "icmp_error",
    "heard",
    "unresolved",
    "delegation",
    "neighbor_solicitation",
    "bare_solicitation",
    "announced",
    "unheld",
    "group_echo",
    "probe",
    "capture",
];

const DHCPV6_MESSAGES: [&str; 8] = [
    "solicit",
    "request",
    "confirm",
    "renew",
    "rebind",
    "release",
    "decline",
    "information_request",
];

const ICMP_ERRORS: [&str; 9] = [
    "time_exceeded",
    "no_route",
    "address_unreachable",
    "packet_too_big",
    "port_unreachable",
    "protocol_unreachable",
    "unrecognized_next_header",
    "unrecognized_option",
    "unrecognized_routing_type",
];

const OUTSIDE_PACKETS: [&str; 4] = [
    "router_advertisement",
    "neighbor_advertisement",
    "arp_reply",
    "packet",
];

impl Metrics {
    /// Creates the series that always have a meaning at the start, so that their rate is 0 and not unknown.
    pub(super) fn begin_at_zero(&self) {
        self.begin_packets();
        self.begin_delegation();
        self.begin_switches();
        self.begin_connections();
        self.begin_store();
        self.begin_services();
    }

    /// What guests and neighbours outside send.
    fn begin_packets(&self) {
        zero_each(&self.packet_ins, &PACKET_INS);
        for cause in AdvertisementCause::ALL {
            zero(&self.router_advertisements, &[cause.as_str()]);
        }
        zero_with(&self.dhcpv6_messages, &DHCPV6_MESSAGES, "answered");
        let dhcpv4 = &self.dhcpv4_messages;
        zero_with(dhcpv4, &["discover", "request", "inform"], "answered");
        zero_with(dhcpv4, &["decline", "release"], "noted");
        zero_with(&self.icmp_errors, &ICMP_ERRORS, "answered");
        zero_with(&self.outside_packets, &OUTSIDE_PACKETS, "noted");
    }

    fn begin_delegation(&self) {
        let messages = &self.delegation_messages;
        zero_with(
            messages,
            &["solicit", "request", "renew", "rebind", "release"],
            SENT,
        );
        zero_with(messages, &["advertise", "reply"], "noted");
        for state in PrefixState::ALL {
            let gauge = &self.delegated_subnets;
            gauge.with_label_values(&[state.as_str()]).set(0);
        }
        for change in PrefixChange::ALL {
            zero(&self.delegation_changes, &[change.as_str()]);
        }
    }

    fn begin_switches(&self) {
        for operation in FlowOperation::ALL {
            for outcome in [FlowOutcome::Confirmed, FlowOutcome::Refused] {
                let labels = [operation.as_str(), outcome.as_str()];
                zero(&self.flow_operations, &labels);
            }
        }
        let left_out = [FlowOperation::Add.as_str(), FlowOutcome::LeftOut.as_str()];
        zero(&self.flow_operations, &left_out);
        for kind in Drift::ALL {
            zero(&self.drift_mended, &[kind.as_str()]);
        }
        for kind in OpenFlowError::ALL {
            zero(&self.openflow_errors, &[kind.as_str()]);
        }
        for reason in DoubtfulEndpoint::ALL {
            let gauge = &self.doubtful_endpoints;
            gauge.with_label_values(&[reason.as_str()]).set(0);
        }
        for outcome in TransactionOutcome::ALL {
            zero(&self.ovsdb_transactions, &[outcome.as_str()]);
        }
    }

    fn begin_connections(&self) {
        let version = env!("CARGO_PKG_VERSION");
        self.build_info.with_label_values(&[version]).set(1);
        for (listeners, reasons) in [
            (
                &["openflow", "ovsdb"][..],
                RefusedConnection::OF_HYPERVISORS,
            ),
            (&["api", "metrics", "web"], RefusedConnection::OF_CLIENTS),
        ] {
            for reason in reasons {
                for listener in listeners {
                    zero(&self.connections_refused, &[listener, reason.as_str()]);
                }
            }
        }
    }

    fn begin_store(&self) {
        for outcome in CommitOutcome::ALL {
            zero(&self.store_commits, &[outcome.as_str()]);
        }
        for outcome in RevisionWait::ALL {
            zero(&self.api_revision_waits, &[outcome.as_str()]);
        }
    }

    /// The cloud's other services.
    fn begin_services(&self) {
        for check in TokenCheck::ALL {
            zero(&self.token_checks, &[check.as_str()]);
        }
        for event in NovaEventName::ALL {
            for outcome in NovaOutcome::ALL {
                zero(&self.nova_events, &[event.as_str(), outcome.as_str()]);
            }
        }
        for request in KeystoneRequest::ALL {
            for outcome in KeystoneOutcome::ALL {
                let labels = [request.as_str(), outcome.as_str()];
                zero(&self.keystone_requests, &labels);
            }
        }
    }
}

fn zero(counters: &IntCounterVec, labels: &[&str]) {
    drop(counters.with_label_values(labels));
}

fn zero_each(counters: &IntCounterVec, labels: &[&str]) {
    for label in labels {
        zero(counters, &[label]);
    }
}

/// Counters of messages that all have the same verdict.
fn zero_with(counters: &IntCounterVec, messages: &[&str], verdict: &str) {
    for message in messages {
        zero(counters, &[message, verdict]);
    }
}
