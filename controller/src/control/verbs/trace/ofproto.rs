//! What `ovs-appctl ofproto/trace` prints, read.
//!
//! A line with a table's number is a look-up; the lines below it are what its flow does. Open vSwitch follows a packet that
//! comes back from the connection tracker in a section of its own. Where a flow asks for the packet's length, it follows both
//! answers, the longer packet first and deeper. Patch ports lead through other bridges, which are deeper, too.

use sextant_flows::pipeline::BACK;
use std::collections::VecDeque;

/// What a switch does with a packet on one bridge.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SwitchTrace {
    /// The look-ups.
    pub(super) visits: Vec<SwitchVisit>,
    /// The OpenFlow ports that it leaves by.
    pub(super) outputs: Vec<u32>,
    /// How often it goes up to the controller.
    pub(super) punts: usize,
}

/// A look-up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SwitchVisit {
    /// The table.
    pub(super) table: u8,
    /// The cookie of the flow that matched, 0 for none. `None`: no flow matched.
    pub(super) cookie: Option<u64>,
    /// What the flow matches, as the switch says it.
    pub(super) flow: String,
}

/// Reads what is printed for a packet of so many octets that came to a bridge by a port. `None`: it is no trace of that
/// bridge.
pub(super) fn read(text: &str, bridge: &str, in_port: u32, length: u16) -> Option<SwitchTrace> {
    let mut reader = TraceReader::new(bridge, in_port, length);
    text.lines().for_each(|line| reader.line(line));
    (!reader.found.visits.is_empty()).then_some(reader.found)
}

/// A question for the packet's length.
struct LengthCheck {
    depth: usize,
    is_longer: bool,
}

struct TraceReader<'t> {
    bridge: &'t str,
    in_port: u32,
    length: u16,
    found: SwitchTrace,
    /// The bridges that the packet is on, the innermost last, with the depth of their titles.
    bridges: Vec<(usize, &'t str)>,
    check: Option<LengthCheck>,
    /// Whether a packet of this length comes to the lines here.
    is_under_way: bool,
    /// Whether it came to each of the places from where it goes to the tracker, whose sections follow in order.
    forks: VecDeque<bool>,
}

impl<'t> TraceReader<'t> {
    fn new(bridge: &'t str, in_port: u32, length: u16) -> Self {
        Self {
            bridge,
            in_port,
            length,
            found: SwitchTrace::default(),
            bridges: vec![],
            check: None,
            is_under_way: true,
            forks: VecDeque::new(),
        }
    }

    fn line(&mut self, line: &'t str) {
        let said = line.trim_start();
        let depth = line.len() - said.len();
        if said.starts_with("recirc(") && said.contains(" - resume") {
            self.check = None;
            self.is_under_way = self.forks.pop_front().unwrap_or(true);
        } else if let Some(name) = said.strip_prefix("bridge(\"") {
            self.enter(depth, name.trim_end_matches("\")"));
        } else if !said.is_empty() && !said.starts_with("---") {
            self.leave(depth);
            self.step(depth, said);
        }
    }

    fn enter(&mut self, depth: usize, bridge: &'t str) {
        if depth == 0 {
            self.bridges.clear();
        }
        self.bridges.push((depth, bridge));
    }

    /// Leaves the bridges whose titles are as deep as this line, or deeper. Nothing leaves the first one.
    fn leave(&mut self, depth: usize) {
        while let Some((title, _)) = self.bridges.last()
            && *title > 0
            && depth <= *title
        {
            self.bridges.pop();
        }
    }

    fn step(&mut self, depth: usize, said: &str) {
        let visit = visited(said);
        if let Some(most) = said.strip_prefix("check_pkt_larger(") {
            let most = most.split(')').next().and_then(|most| most.parse().ok());
            let is_longer = most.is_some_and(|most: u16| self.length > most);
            self.check = Some(LengthCheck { depth, is_longer });
        } else if let Some(check) = self
            .check
            .take_if(|check| visit.is_some() && depth < check.depth)
        {
            // What becomes of a packet that is short enough begins.
            self.is_under_way &= !check.is_longer;
        }
        let is_counted =
            self.is_under_way && self.check.as_ref().is_none_or(|check| check.is_longer);
        if said.starts_with("-> A clone of the packet is forked to recirculate") {
            self.forks.push_back(is_counted);
        }
        let is_here = self
            .bridges
            .last()
            .is_some_and(|(_, name)| *name == self.bridge);
        if is_counted && is_here {
            match visit {
                Some(visit) => self.found.visits.push(visit),
                None => self.act(said),
            }
        }
    }

    fn act(&mut self, said: &str) {
        if said.starts_with("CONTROLLER") || said.starts_with("controller(") {
            self.found.punts += 1;
        } else if said == "IN_PORT" {
            self.found.outputs.push(self.in_port);
        } else if said.starts_with(">> skipping output to input port") {
            self.found.outputs.pop();
        } else {
            let port = said.strip_prefix("output:");
            let port = port.or_else(|| said.strip_prefix("-> output port is "));
            let port: Option<u32> = port.and_then(|port| port.parse().ok());
            let port = port.map(|port| match port {
                BACK => self.in_port,
                port => port,
            });
            self.found.outputs.extend(port);
        }
    }
}

/// `12. in_port=1,…, priority 100, cookie 0x…`, or `12. No match.`
fn visited(said: &str) -> Option<SwitchVisit> {
    let (table, rest) = said.split_once(". ")?;
    let table = table.parse().ok()?;
    if rest.starts_with("No match") {
        return Some(SwitchVisit {
            table,
            cookie: None,
            flow: String::new(),
        });
    }
    let (flow, cookie) = match rest.rsplit_once(", cookie 0x") {
        Some((flow, cookie)) => (flow, u64::from_str_radix(cookie, 16).ok()?),
        None => (rest, 0),
    };
    flow.contains("priority ").then(|| SwitchVisit {
        table,
        cookie: Some(cookie),
        flow: flow.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by Open vSwitch 3.1.0.
    const SAID: &str = include_str!("ofproto_trace.txt");

    fn visits(trace: &SwitchTrace) -> Vec<(u8, Option<u64>)> {
        let visits = trace.visits.iter();
        visits.map(|visit| (visit.table, visit.cookie)).collect()
    }

    #[test]
    fn one_way_of_the_packet_is_read_and_other_bridges_are_not() {
        let short = read(SAID, "br-int", 1, 0).unwrap();
        let expected = [
            (0, Some(0x11)),
            (4, Some(0x12)),
            (8, Some(0x13)),
            (20, Some(0)),
            (21, None),
        ];
        assert_eq!(visits(&short), expected);
        assert_eq!(short.visits[3].flow, "ipv6, priority 7");
        assert_eq!((&short.outputs[..], short.punts), (&[2, 3, 2, 1, 2][..], 1));
        assert_eq!(read(SAID, "br-none", 1, 0), None);
        assert_eq!(read("br-int: unknown bridge", "br-int", 1, 0), None);
    }

    #[test]
    fn a_longer_packet_takes_the_other_way() {
        let long = read(SAID, "br-int", 1, 1500).unwrap();
        let expected = [(0, Some(0x11)), (4, Some(0x12)), (8, None)];
        assert_eq!(visits(&long), expected);
        assert_eq!((&long.outputs[..], long.punts), (&[][..], 0));
    }
}
