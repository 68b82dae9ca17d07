//! Reads back what a switch has: the table and cookie of each flow, and its meters.

use rust_openflow::multipart::{FlowStatsRequest, MeterConfig};
use rust_openflow::{METER_ALL, Message, MultipartBody, MultipartRequest};
use sextant_flows::{Doing, Flows, InstalledFlow};
use std::collections::{BTreeMap, BTreeSet};

/// What a switch has, as its replies tell it.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    /// Its flows, and what each does.
    pub(super) flows: BTreeMap<InstalledFlow, Option<Doing>>,
    /// Those that it has more than once: one is not Sextant's.
    pub(super) doubled: BTreeSet<InstalledFlow>,
    /// Its meters, by number.
    pub(super) meters: BTreeMap<u32, MeterConfig>,
    flows_read: bool,
    meters_read: bool,
}

/// The requests whose replies [`Inventory::take`] reads; that for meters is the last.
pub(super) fn requests() -> [Message; 2] {
    [
        Message::MultipartRequest(MultipartRequest::Flow(FlowStatsRequest::all())),
        Message::MultipartRequest(MultipartRequest::MeterConfig(METER_ALL)),
    ]
}

impl Inventory {
    /// The flows that others have changed: those that do otherwise than is wanted, and those that it has twice.
    pub(super) fn changed(&self, wanted: &Flows) -> BTreeSet<InstalledFlow> {
        let wanted = wanted.doings();
        let otherwise = self
            .flows
            .iter()
            .filter(|(flow, doing)| doing.is_none_or(|doing| wanted.differ(flow, doing)));
        let otherwise = otherwise.map(|(flow, _)| *flow);
        self.doubled.iter().copied().chain(otherwise).collect()
    }

    /// Whether both replies have been read to their end.
    pub(super) fn is_complete(&self) -> bool {
        self.flows_read && self.meters_read
    }

    /// Reads a message if it is part of a reply. A switch that is asked for its meters and refuses has none.
    pub(super) fn take(&mut self, message: &Message) {
        self.meters_read |= matches!(message, Message::Error(_));
        let Message::MultipartReply(reply) = message else {
            return;
        };
        if let MultipartBody::Flow(flows) = &reply.body {
            for stats in flows {
                let (table, cookie) = (stats.table, stats.cookie);
                let flow = InstalledFlow { table, cookie };
                let doing = Doing::of(&stats.instructions);
                if self.flows.insert(flow, doing).is_some() {
                    self.doubled.insert(flow);
                }
            }
            self.flows_read |= !reply.more;
        }
        if let MultipartBody::MeterConfig(meters) = &reply.body {
            self.meters
                .extend(meters.iter().map(|meter| (meter.meter, meter.clone())));
            self.meters_read |= !reply.more;
        }
    }
}
