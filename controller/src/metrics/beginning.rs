//! The series that there are from the start.

use super::{
    AdvertisementCause, CommitOutcome, DoubtfulEndpoint, Drift, FlowOperation, FlowOutcome,
    KeystoneOutcome, KeystoneRequest, Metrics, NovaEventName, NovaOutcome, OpenFlowError,
    PrefixChange, PrefixState, RefusedConnection, RevisionWait, SENT, TokenCheck,
    TransactionOutcome,
};
use prometheus::IntCounterVec;

impl Metrics {
    /// Creates the series that always have a meaning at the start, so that their rate is 0 and not unknown.
    pub(super) fn begin_at_zero(&self) {
        let zero = |counters: &IntCounterVec, labels: &[&[&str]]| {
            labels
                .iter()
                .for_each(|labels| drop(counters.with_label_values(labels)));
        };
        zero(
            &self.packet_ins,
            &[
                &["router_solicitation"],
                &["dhcpv6"],
                &["dhcpv4"],
                &["icmp_error"],
                &["heard"],
                &["unresolved"],
                &["delegation"],
                &["neighbor_solicitation"],
                &["bare_solicitation"],
                &["announced"],
                &["unheld"],
                &["group_echo"],
            ],
        );
        for cause in AdvertisementCause::ALL {
            zero(&self.router_advertisements, &[&[cause.as_str()]]);
        }
        for kind in [
            "solicit",
            "request",
            "confirm",
            "renew",
            "rebind",
            "release",
            "decline",
            "information_request",
        ] {
            zero(&self.dhcpv6_messages, &[&[kind, "answered"]]);
        }
        for kind in ["discover", "request", "inform"] {
            zero(&self.dhcpv4_messages, &[&[kind, "answered"]]);
        }
        for kind in ["decline", "release"] {
            zero(&self.dhcpv4_messages, &[&[kind, "noted"]]);
        }
        for kind in [
            "time_exceeded",
            "no_route",
            "address_unreachable",
            "packet_too_big",
            "port_unreachable",
            "protocol_unreachable",
            "unrecognized_next_header",
            "unrecognized_option",
            "unrecognized_routing_type",
        ] {
            zero(&self.icmp_errors, &[&[kind, "answered"]]);
        }
        for kind in [
            "router_advertisement",
            "neighbor_advertisement",
            "arp_reply",
            "packet",
        ] {
            zero(&self.outside_packets, &[&[kind, "noted"]]);
        }
        for kind in ["solicit", "request", "renew", "rebind", "release"] {
            zero(&self.delegation_messages, &[&[kind, SENT]]);
        }
        for kind in ["advertise", "reply"] {
            zero(&self.delegation_messages, &[&[kind, "noted"]]);
        }
        for operation in FlowOperation::ALL {
            for outcome in [FlowOutcome::Confirmed, FlowOutcome::Refused] {
                let labels = [operation.as_str(), outcome.as_str()];
                zero(&self.flow_operations, &[&labels]);
            }
        }
        let left_out = [FlowOperation::Add.as_str(), FlowOutcome::LeftOut.as_str()];
        zero(&self.flow_operations, &[&left_out]);
        for (listeners, reasons) in [
            (["openflow", "ovsdb"], RefusedConnection::OF_HYPERVISORS),
            (["api", "metrics"], RefusedConnection::OF_CLIENTS),
        ] {
            for reason in reasons {
                for listener in listeners {
                    zero(&self.connections_refused, &[&[listener, reason.as_str()]]);
                }
            }
        }
        for reason in DoubtfulEndpoint::ALL {
            let gauge = &self.doubtful_endpoints;
            gauge.with_label_values(&[reason.as_str()]).set(0);
        }
        for state in PrefixState::ALL {
            let gauge = &self.delegated_subnets;
            gauge.with_label_values(&[state.as_str()]).set(0);
        }
        for kind in Drift::ALL {
            zero(&self.drift_mended, &[&[kind.as_str()]]);
        }
        for change in PrefixChange::ALL {
            zero(&self.delegation_changes, &[&[change.as_str()]]);
        }
        for kind in OpenFlowError::ALL {
            zero(&self.openflow_errors, &[&[kind.as_str()]]);
        }
        for outcome in TransactionOutcome::ALL {
            zero(&self.ovsdb_transactions, &[&[outcome.as_str()]]);
        }
        for outcome in CommitOutcome::ALL {
            zero(&self.store_commits, &[&[outcome.as_str()]]);
        }
        for outcome in RevisionWait::ALL {
            zero(&self.api_revision_waits, &[&[outcome.as_str()]]);
        }
        for check in TokenCheck::ALL {
            zero(&self.token_checks, &[&[check.as_str()]]);
        }
        for event in NovaEventName::ALL {
            for outcome in NovaOutcome::ALL {
                zero(&self.nova_events, &[&[event.as_str(), outcome.as_str()]]);
            }
        }
        for request in KeystoneRequest::ALL {
            for outcome in KeystoneOutcome::ALL {
                let labels = [request.as_str(), outcome.as_str()];
                zero(&self.keystone_requests, &[&labels]);
            }
        }
    }
}
