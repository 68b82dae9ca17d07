//! Counts what came through tunnels from endpoints that no hypervisor has.
//!
//! Flows of their own drop it. A switch is asked for their counters now and then, and what was added since goes to the metric.
//! A restart of Sextant keeps the flows and their counters, so the metric goes on from where it was.

use crate::series::CounterSeries;
use rust_openflow::multipart::FlowStatsRequest;
use rust_openflow::{Message, MultipartBody, MultipartRequest, Xid};
use sextant_flows::{InstalledFlow, View};
use std::collections::BTreeMap;

/// What a switch says that does not count packets (OpenFlow 1.3.5 §7.3.5.2).
const NOT_COUNTED: u64 = u64::MAX;

/// What was counted of one switch.
#[derive(Debug)]
pub(super) struct UnknownEndpoints {
    total: CounterSeries,
    /// The requests of the last round, each about one flow.
    asked: BTreeMap<Xid, InstalledFlow>,
    /// Packets that each flow had counted when it was read last.
    counted: BTreeMap<InstalledFlow, u64>,
}

impl UnknownEndpoints {
    pub(super) fn new(mut total: CounterSeries) -> Self {
        total.show(&()).inc_by(0);
        Self {
            total,
            asked: BTreeMap::new(),
            counted: BTreeMap::new(),
        }
    }

    /// The requests of a round, each sent by `send`, which gives its transaction id if it could be sent.
    pub(super) fn ask(&mut self, view: &View<'_>, send: &mut impl FnMut(&Message) -> Option<Xid>) {
        let flows = view.unknown_endpoints();
        self.counted.retain(|cookie, _| flows.contains(cookie));
        self.asked = flows
            .into_iter()
            .filter_map(|flow| Some((send(&request(flow))?, flow)))
            .collect();
    }

    /// Reads a message if it answers a request.
    pub(super) fn take(&mut self, xid: Xid, message: &Message) {
        let Message::MultipartReply(reply) = message else {
            return;
        };
        let MultipartBody::Flow(flows) = &reply.body else {
            return;
        };
        let Some(asked) = self.asked.remove(&xid) else {
            return;
        };
        if let Some(flow) = flows
            .iter()
            .find(|flow| flow.cookie == asked.cookie && flow.packets != NOT_COUNTED)
        {
            self.count(asked, flow.packets);
        }
    }

    /// A counter that is lower than it was belongs to a flow that was made anew.
    fn count(&mut self, flow: InstalledFlow, packets: u64) {
        let before = self.counted.insert(flow, packets).unwrap_or(0);
        let more = packets.checked_sub(before).unwrap_or(packets);
        self.total.show(&()).inc_by(more);
    }
}

fn request(flow: InstalledFlow) -> Message {
    Message::MultipartRequest(MultipartRequest::Flow(FlowStatsRequest {
        cookie: flow.cookie,
        cookie_mask: u64::MAX,
        ..FlowStatsRequest::table(flow.table)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::HypervisorMetric;
    use crate::metrics::Metrics;
    use crate::seat::Seats;
    use rust_openflow::multipart::FlowStats;
    use rust_openflow::{Cookie, FlowFlags, Match, MultipartReply, TableId};
    use sextant_model::{
        Chassis, ChassisId, Encap, EncapKind, Facts, Intent, IpVersion, Transport,
    };

    fn facts(chassis: &ChassisId) -> Facts {
        let mut facts = Facts::default();
        facts.put_chassis(Chassis {
            tunnel_ports: [(IpVersion::V6, 1), (IpVersion::V4, 2)]
                .map(|(family, port)| {
                    let kind = EncapKind::Vxlan;
                    (Transport { kind, family }, port)
                })
                .into(),
            observed: true,
            ..Chassis::new(
                chassis.clone(),
                Encap {
                    endpoints: "2001:db8::1,192.0.2.1".parse().unwrap(),
                    kind: EncapKind::Vxlan,
                },
            )
        });
        facts
    }

    fn reply(cookie: Cookie, packets: u64) -> Message {
        let flow = FlowStats {
            table: TableId(0),
            duration_sec: 0,
            duration_nsec: 0,
            priority: 10,
            idle_timeout: 0,
            hard_timeout: 0,
            flags: FlowFlags::NONE,
            cookie,
            packets,
            bytes: 0,
            matches: Match::new(),
            instructions: vec![],
        };
        Message::MultipartReply(MultipartReply {
            more: false,
            body: MultipartBody::Flow(vec![flow]),
        })
    }

    /// One round: what is asked, and the switch's answers.
    fn round(unknown_endpoints: &mut UnknownEndpoints, answer: impl Fn(usize, Cookie) -> Message) {
        let chassis = ChassisId::new("h1");
        let facts = facts(&chassis);
        let intent = Intent::default();
        let view = View::new(&intent, &facts, &chassis);
        let mut asked = vec![];
        unknown_endpoints.ask(&view, &mut |request: &Message| {
            let Message::MultipartRequest(MultipartRequest::Flow(request)) = request else {
                panic!("{request:?}");
            };
            asked.push(request.cookie);
            u32::try_from(asked.len()).ok().map(Xid)
        });
        assert_eq!(asked.len(), 2, "a flow for each family");
        for (number, cookie) in asked.into_iter().enumerate() {
            let xid = Xid(u32::try_from(number + 1).unwrap());
            unknown_endpoints.take(xid, &answer(number, cookie));
            unknown_endpoints.take(xid, &reply(cookie, 1 << 40));
        }
    }

    #[test]
    fn what_flows_counted_since_they_were_read_is_added_once() {
        let metrics = Metrics::new().unwrap();
        let chassis = ChassisId::new("h1");
        let address: std::net::IpAddr = std::net::Ipv6Addr::LOCALHOST.into();
        let seat = Seats::default().take(&chassis, address).unwrap();
        let counter = &metrics.tunnel_unknown_endpoint_packets;
        let total = CounterSeries::new(counter, &std::sync::Arc::new(seat));
        let mut unknown_endpoints = UnknownEndpoints::new(total);
        let total = || counter.with_label_values(&["h1"]).value();
        for (packets, expected) in [
            ([5, 7], 12),
            ([5, 9], 14),
            ([2, 9], 16),
            ([NOT_COUNTED, 10], 17),
        ] {
            round(&mut unknown_endpoints, |number, cookie| {
                reply(cookie, packets[number])
            });
            assert_eq!(total(), expected, "{packets:?}");
        }
        round(&mut unknown_endpoints, |_, cookie| {
            reply(Cookie(cookie.0 ^ 1), 99)
        });
        assert_eq!(total(), 17, "another flow was not asked for");
        drop(unknown_endpoints);
        assert!(!metrics.render().unwrap().contains("chassis=\"h1\""));
    }
}
