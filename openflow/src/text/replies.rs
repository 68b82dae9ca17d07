//! Multipart requests and replies as text.

use std::fmt::{self, Display, Formatter};

use super::flows::duration;
use super::groups;
use super::ports::{Bits, port_lines};
use super::values::Hex;
use crate::flow_mod::ALL_TABLES;
use crate::groups::{GROUP_ALL, GroupType};
use crate::meters::METER_ALL;
use crate::multipart::{
    FeatureId, FlowKind, FlowStatsRequest, GroupFeatures, GroupStats, MeterFeatures, MeterStats,
    MultipartBody, MultipartRequest, PortStats, QueueStats, TableFeatures, TableProperty,
    TableStats,
};
use crate::ports;

const NAMES: [&str; 14] = [
    "OFPST_DESC",
    "OFPST_FLOW",
    "OFPST_AGGREGATE",
    "OFPST_TABLE",
    "OFPST_PORT",
    "OFPST_QUEUE",
    "OFPST_GROUP",
    "OFPST_GROUP_DESC",
    "OFPST_GROUP_FEATURES",
    "OFPST_METER",
    "OFPST_METER_CONFIG",
    "OFPST_METER_FEATURES",
    "OFPST_TABLE_FEATURES",
    "OFPST_PORT_DESC",
];

/// Another part follows.
pub(super) const MORE: &str = " flags=[more]";

pub(super) fn name(kind: u16) -> String {
    NAMES
        .get(usize::from(kind))
        .map_or_else(|| format!("OFPST_{kind}"), |name| (*name).to_owned())
}

pub(super) fn request(f: &mut Formatter<'_>, request: &MultipartRequest) -> fmt::Result {
    match request {
        MultipartRequest::Desc
        | MultipartRequest::Table
        | MultipartRequest::GroupFeatures
        | MultipartRequest::MeterFeatures => Ok(()),
        MultipartRequest::Flow(which) | MultipartRequest::Aggregate(which) => flows(f, which),
        MultipartRequest::PortStats(port) => write!(f, " port_no={}", port),
        MultipartRequest::Queue { port, queue } => {
            write!(f, " port={} queue=", port)?;
            match *queue {
                u32::MAX => f.write_str("ALL"),
                queue => write!(f, "{queue}"),
            }
        }
        MultipartRequest::Group(GROUP_ALL) => f.write_str(" group_id=ALL"),
        MultipartRequest::Group(group) => write!(f, " group_id={group}"),
        // The standard has no way to ask for one of them.
        MultipartRequest::GroupDesc => f.write_str(" group_id=ALL"),
        MultipartRequest::PortDesc => f.write_str(" port=ANY"),
        MultipartRequest::Meter(METER_ALL) | MultipartRequest::MeterConfig(METER_ALL) => {
            f.write_str(" meter=all")
        }
        MultipartRequest::Meter(meter) | MultipartRequest::MeterConfig(meter) => {
            write!(f, " meter={meter}")
        }
        MultipartRequest::TableFeatures(tables) => table_features(f, tables),
        MultipartRequest::More(part) => {
            f.write_str(MORE)?;
            self::request(f, part)
        }
        MultipartRequest::Raw { body, .. } => write!(f, " {} bytes", body.len()),
    }
}

fn flows(f: &mut Formatter<'_>, which: &FlowStatsRequest) -> fmt::Result {
    if which.table != ALL_TABLES {
        write!(f, " table={}", which.table)?;
    }
    if which.out_port != ports::ANY {
        write!(f, " out_port={}", which.out_port)?;
    }
    write!(f, " {}", which.matches)
}

pub(super) fn reply(f: &mut Formatter<'_>, body: &MultipartBody) -> fmt::Result {
    match body {
        MultipartBody::Desc(desc) => {
            let parts = [
                ("Manufacturer", &desc.manufacturer),
                ("Hardware", &desc.hardware),
                ("Software", &desc.software),
                ("Serial Num", &desc.serial),
                ("DP Description", &desc.datapath),
            ];
            parts
                .into_iter()
                .try_for_each(|(name, text)| write!(f, "\n{name}: {}", text.escape_debug()))
        }
        MultipartBody::Flow(flows) => flows.iter().try_for_each(|flow| write!(f, "\n {flow:#}")),
        MultipartBody::Aggregate(sum) => {
            let (packets, bytes, flows) = (sum.packets, sum.bytes, sum.flows);
            write!(
                f,
                " packet_count={packets} byte_count={bytes} flow_count={flows}"
            )
        }
        MultipartBody::Table(tables) => table_stats(f, tables),
        MultipartBody::PortStats(ports) => {
            write!(f, " {} ports", ports.len())?;
            ports.iter().try_for_each(|port| port_stats(f, port))
        }
        MultipartBody::Queue(queues) => {
            write!(f, " {} queues", queues.len())?;
            queues.iter().try_for_each(|queue| queue_stats(f, queue))
        }
        MultipartBody::Group(groups) => groups.iter().try_for_each(|group| group_stats(f, group)),
        MultipartBody::GroupDesc(found) => found.iter().try_for_each(|group| {
            f.write_str("\n ")?;
            groups::group(f, group.group, group.kind, &group.buckets)
        }),
        MultipartBody::GroupFeatures(features) => group_features(f, features),
        MultipartBody::Meter(meters) => meters.iter().try_for_each(|meter| meter_stats(f, meter)),
        MultipartBody::MeterConfig(meters) => meters.iter().try_for_each(|meter| {
            f.write_str("\n")?;
            groups::meter(f, meter.meter, meter.flags, &meter.bands)
        }),
        MultipartBody::MeterFeatures(features) => meter_features(f, features),
        MultipartBody::TableFeatures(tables) => table_features(f, tables),
        MultipartBody::PortDesc(ports) => {
            let mut ports: Vec<_> = ports.iter().collect();
            ports.sort_by_key(|port| port.number);
            ports.into_iter().try_for_each(|port| {
                f.write_str("\n ")?;
                port_lines(f, port)
            })
        }
        MultipartBody::Raw { body, .. } => write!(f, " {} bytes", body.len()),
    }
}

/// Tables that count the same as the one before are told together.
fn table_stats(f: &mut Formatter<'_>, tables: &[TableStats]) -> fmt::Result {
    let runs = tables
        .chunk_by(|a, b| (a.active, a.lookups, a.matched) == (b.active, b.lookups, b.matched));
    for run in runs {
        let Some((first, rest)) = run.split_first() else {
            continue;
        };
        let (active, lookups, matched) = (first.active, first.lookups, first.matched);
        writeln!(f, "\n  table {}:", first.table)?;
        writeln!(
            f,
            "    active={active}, lookup={lookups}, matched={matched}"
        )?;
        match (rest.first(), rest.last()) {
            (Some(one), Some(last)) if one.table == last.table => {
                writeln!(f, "\n  table {}: ditto", one.table)?;
            }
            (Some(one), Some(last)) => {
                writeln!(f, "\n  tables {}...{}: ditto", one.table, last.table)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// A counter, or that the switch does not keep it.
struct Count(u64);

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            u64::MAX => f.write_str("?"),
            count => count.fmt(f),
        }
    }
}

fn port_stats(f: &mut Formatter<'_>, port: &PortStats) -> fmt::Result {
    let received = [
        ("pkts", port.rx_packets),
        ("bytes", port.rx_bytes),
        ("drop", port.rx_dropped),
        ("errs", port.rx_errors),
        ("frame", port.rx_frame_errors),
        ("over", port.rx_over_errors),
        ("crc", port.rx_crc_errors),
    ];
    let sent = [
        ("pkts", port.tx_packets),
        ("bytes", port.tx_bytes),
        ("drop", port.tx_dropped),
        ("errs", port.tx_errors),
        ("coll", port.collisions),
    ];
    let number = port.number.to_string();
    write!(f, "\n  port {number:>2}: rx {}", counters(&received))?;
    write!(f, "\n           tx {}", counters(&sent))?;
    match lived(port.duration_sec, port.duration_nsec) {
        Some(lived) => write!(f, "\n           duration={lived}"),
        None => Ok(()),
    }
}

/// How long something has been there, where the switch says it.
fn lived(seconds: u32, nanoseconds: u32) -> Option<String> {
    (seconds != u32::MAX).then(|| duration(seconds, nanoseconds))
}

fn counters(counters: &[(&str, u64)]) -> String {
    let words: Vec<String> = counters
        .iter()
        .map(|(name, count)| format!("{name}={}", Count(*count)))
        .collect();
    words.join(", ")
}

fn queue_stats(f: &mut Formatter<'_>, queue: &QueueStats) -> fmt::Result {
    let sent = [
        ("bytes", queue.tx_bytes),
        ("pkts", queue.tx_packets),
        ("errors", queue.tx_errors),
    ];
    let lived = lived(queue.duration_sec, queue.duration_nsec);
    let lived = lived.unwrap_or_else(|| "?".to_owned());
    let (port, number) = (queue.port, queue.queue);
    write!(
        f,
        "\n  port {port} queue {number}: {}, duration={lived}",
        counters(&sent)
    )
}

fn group_stats(f: &mut Formatter<'_>, group: &GroupStats) -> fmt::Result {
    write!(f, "\n group_id={},", group.group)?;
    if let Some(lived) = lived(group.duration_sec, group.duration_nsec) {
        write!(f, "duration={lived},")?;
    }
    write!(f, "ref_count={}", group.references)?;
    write!(
        f,
        ",packet_count={},byte_count={}",
        group.packets, group.bytes
    )?;
    for (place, (packets, bytes)) in group.buckets.iter().enumerate() {
        write!(
            f,
            ",bucket{place}:packet_count={packets},byte_count={bytes}"
        )?;
    }
    Ok(())
}

/// Actions in the order in which Open vSwitch lists them, by their bit (`OFPAT_*`).
const ACTIONS: &[(u32, &str)] = &[
    (1, "output"),
    (1 << 22, "group"),
    (1 << 25, "set_field"),
    (1 << 18, "strip_vlan"),
    (1 << 17, "push_vlan"),
    (1 << 23, "mod_nw_ttl"),
    (1 << 24, "dec_ttl"),
    (1 << 15, "set_mpls_ttl"),
    (1 << 16, "dec_mpls_ttl"),
    (1 << 19, "push_mpls"),
    (1 << 20, "pop_mpls"),
    (1 << 21, "set_queue"),
];

fn group_features(f: &mut Formatter<'_>, features: &GroupFeatures) -> fmt::Result {
    f.write_str("\n Group table:")?;
    write!(f, "\n    Types:  {:#x}", features.types)?;
    write!(f, "\n    Capabilities:  {:#x}", features.capabilities)?;
    let kinds = [
        GroupType::All,
        GroupType::Select,
        GroupType::Indirect,
        GroupType::FastFailover,
    ];
    for (place, kind) in kinds.into_iter().enumerate() {
        if features.types & 1 << place != 0 {
            let name = match kind {
                GroupType::FastFailover => "fast failover".to_owned(),
                GroupType::All | GroupType::Select | GroupType::Indirect => kind.to_string(),
            };
            write!(f, "\n    {name} group:")?;
            write!(f, "\n       max_groups={:#x}", features.max_groups[place])?;
            write!(
                f,
                "\n       actions: {}",
                Bits(features.actions[place], ACTIONS)
            )?;
        }
    }
    Ok(())
}

fn meter_stats(f: &mut Formatter<'_>, meter: &MeterStats) -> fmt::Result {
    write!(f, "\nmeter:{} flow_count:{}", meter.meter, meter.flows)?;
    write!(
        f,
        " packet_in_count:{} byte_in_count:{}",
        meter.packets, meter.bytes
    )?;
    let lived = duration(meter.duration_sec, meter.duration_nsec);
    writeln!(f, " duration:{lived} bands:")?;
    for (place, band) in meter.bands.iter().enumerate() {
        writeln!(
            f,
            "{place}: packet_count:{} byte_count:{}",
            band.packets, band.bytes
        )?;
    }
    Ok(())
}

fn meter_features(f: &mut Formatter<'_>, features: &MeterFeatures) -> fmt::Result {
    const BANDS: &[(u32, &str)] = &[(1 << 1, "drop"), (1 << 2, "dscp_remark")];
    const FLAGS: &[(u32, &str)] = &[(1, "kbps"), (2, "pktps"), (4, "burst"), (8, "stats")];
    let (meters, bands, colours) = (features.max_meters, features.max_bands, features.max_color);
    write!(
        f,
        "\nmax_meter:{meters} max_bands:{bands} max_color:{colours}"
    )?;
    write!(f, "\nband_types: {}", Bits(features.band_types, BANDS))?;
    write!(f, "\ncapabilities: {}", Bits(features.capabilities, FLAGS))
}

/// Not in Open vSwitch's words, which compare tables with each other and fields with masks that they imply.
fn table_features(f: &mut Formatter<'_>, tables: &[TableFeatures]) -> fmt::Result {
    for table in tables {
        write!(
            f,
            "\n  table {} (\"{}\"):",
            table.table,
            table.name.escape_debug()
        )?;
        let (matched, written) = (table.metadata_match, table.metadata_write);
        write!(
            f,
            "\n    metadata: match={} write={}",
            Hex(matched.into()),
            Hex(written.into())
        )?;
        write!(f, "\n    max_entries={}", table.max_entries)?;
        for property in &table.properties {
            write!(f, "\n    {}", Listed(property))?;
        }
    }
    Ok(())
}

struct Listed<'a>(&'a TableProperty);

impl Display for Listed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            TableProperty::Instructions(flows, list) => {
                write!(f, "instructions{}: {}", miss(flows), features(list))
            }
            TableProperty::NextTables(flows, tables) => {
                write!(f, "next tables{}: {}", miss(flows), joined(tables))
            }
            TableProperty::WriteActions(flows, list) => {
                write!(f, "write actions{}: {}", miss(flows), features(list))
            }
            TableProperty::ApplyActions(flows, list) => {
                write!(f, "apply actions{}: {}", miss(flows), features(list))
            }
            TableProperty::Match(fields) => write!(f, "match: {}", joined(fields)),
            TableProperty::Wildcards(fields) => write!(f, "wildcards: {}", joined(fields)),
            TableProperty::WriteSetField(flows, fields) => {
                write!(f, "write set_field{}: {}", miss(flows), joined(fields))
            }
            TableProperty::ApplySetField(flows, fields) => {
                write!(f, "apply set_field{}: {}", miss(flows), joined(fields))
            }
            TableProperty::Raw { kind, value } => {
                write!(f, "property {kind}: {} bytes", value.len())
            }
        }
    }
}

fn miss(flows: &FlowKind) -> &'static str {
    match flows {
        FlowKind::Ordinary => "",
        FlowKind::Miss => " (table miss)",
    }
}

fn features(list: &[FeatureId]) -> String {
    let words = list.iter().map(|id| match id {
        FeatureId::Standard(kind) => kind.to_string(),
        FeatureId::Raw(bytes) => super::values::Dotted(bytes).to_string(),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn joined(list: &[impl Display]) -> String {
    let words: Vec<String> = list.iter().map(ToString::to_string).collect();
    words.join(" ")
}
