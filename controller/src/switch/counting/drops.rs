//! Counts the packets that a stage dropped since no flow of it took them. That is how most rules drop: the guard and the
//! rules of security groups say what passes.
//!
//! A switch counts how many packets it looked up in each table, and how many matched. It goes on counting while Sextant
//! restarts, so the metric goes on from where it was.

use crate::series::CounterSeries;
use rust_openflow::multipart::TableStats;
use rust_openflow::{Message, MultipartBody, MultipartRequest, Xid};
use sextant_flows::pipeline::Stage;
use std::collections::BTreeMap;

/// What a switch says that does not count packets (OpenFlow 1.3.5 §7.3.5.5).
const NOT_COUNTED: u64 = u64::MAX;

/// The stages that drop what a policy does not let pass. The others have a series once they have dropped something.
const POLICIES: [Stage; 3] = [Stage::Guard, Stage::EgressRules, Stage::IngressRules];

#[derive(Debug)]
pub(super) struct Drops {
    total: CounterSeries<Stage>,
    asked: Option<Xid>,
    /// Packets that each stage had dropped when it was read last.
    counted: BTreeMap<Stage, u64>,
}

impl Drops {
    pub(super) fn new(mut total: CounterSeries<Stage>) -> Self {
        for stage in POLICIES {
            total.show(&stage).inc_by(0);
        }
        Self {
            total,
            asked: None,
            counted: BTreeMap::new(),
        }
    }

    pub(super) fn ask(&mut self, send: impl FnOnce(&Message) -> Option<Xid>) {
        self.asked = send(&Message::MultipartRequest(MultipartRequest::Table));
    }

    pub(super) fn take(&mut self, xid: Xid, message: &Message) {
        if self.asked != Some(xid) {
            return;
        }
        let Message::MultipartReply(reply) = message else {
            self.asked = None;
            return;
        };
        if let MultipartBody::Table(tables) = &reply.body {
            tables.iter().for_each(|table| self.count(table));
        }
        if !reply.more {
            self.asked = None;
        }
    }

    /// A counter that is lower than it was began anew.
    fn count(&mut self, table: &TableStats) {
        let Some(stage) = Stage::of(table.table) else {
            return;
        };
        if table.lookups == NOT_COUNTED || table.matched == NOT_COUNTED {
            return;
        }
        let dropped = table.lookups.saturating_sub(table.matched);
        let before = self.counted.insert(stage, dropped).unwrap_or(0);
        let more = dropped.checked_sub(before).unwrap_or(dropped);
        if more > 0 {
            self.total.show(&stage).inc_by(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::seat::Seats;
    use crate::series::Series;
    use rust_openflow::{MultipartReply, TableId};
    use sextant_model::ChassisId;
    use std::net::{IpAddr, Ipv6Addr};
    use std::sync::Arc;

    fn reply(tables: &[(TableId, u64, u64)], more: bool) -> Message {
        let table = |&(table, lookups, matched): &(TableId, u64, u64)| TableStats {
            table,
            active: 1,
            lookups,
            matched,
        };
        let body = MultipartBody::Table(tables.iter().map(table).collect());
        Message::MultipartReply(MultipartReply { more, body })
    }

    #[test]
    fn what_no_flow_took_is_counted_by_stage_once() {
        let metrics = Metrics::new().unwrap();
        let address = IpAddr::from(Ipv6Addr::LOCALHOST);
        let seat = Seats::default()
            .take(&ChassisId::new("h1"), address)
            .unwrap();
        let seat = Arc::new(seat);
        let mut drops = Drops::new(Series::new(&metrics.packets_dropped, &seat));
        let (guard, switch) = (Stage::Guard.table(), Stage::Switch.table());
        let series = |stage: &str| {
            format!("sextant_packets_dropped_total{{chassis=\"h1\",stage=\"{stage}\"}} ")
        };
        for (tables, expected) in [
            (vec![(guard, 10, 7), (switch, 5, 5)], "3\n"),
            (vec![(guard, 20, 13), (switch, 9, 9)], "7\n"),
            (
                vec![(guard, 2, 1), (switch, NOT_COUNTED, NOT_COUNTED)],
                "8\n",
            ),
        ] {
            drops.ask(|_| Some(Xid(7)));
            let (first, last) = tables.split_at(1);
            drops.take(Xid(8), &reply(&[(guard, 99, 0)], false));
            drops.take(Xid(7), &reply(first, true));
            drops.take(Xid(7), &reply(last, false));
            drops.take(Xid(7), &reply(&[(guard, 99, 0)], false));
            let page = metrics.render().unwrap();
            assert!(
                page.contains(&format!("{}{expected}", series("guard"))),
                "{page}"
            );
            assert!(!page.contains(&series("switch")), "{page}");
        }
        drop(drops);
        assert!(!metrics.render().unwrap().contains(&series("guard")));
    }
}
