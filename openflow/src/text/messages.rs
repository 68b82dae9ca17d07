//! Whole messages as `ovs-ofctl ofp-print` prints them: a line that says what they are, and lines with what they say.
//!
//! Packets are printed as bytes, not taken apart; so are messages of experimenters without a name here.

use std::fmt::{self, Display, Formatter, Write};

use super::actions::Instructions;
use super::flows::{duration, flags};
use super::matches::describe;
use super::packets::{Dump, format_name, packet_in, packet_in2, packet_out};
use super::ports::port_lines;
use super::values::{Dotted, Hex};
use super::{groups, replies};
use crate::bundle_wire::{BundleAdd, BundleControl};
use crate::failure::{ErrorMessage, ErrorType};
use crate::flags::Capabilities;
use crate::flow_mod::{ALL_TABLES, Command, FlowMod, FlowRemoved, NO_BUFFER, RemovedReason};
use crate::groups::{GROUP_ANY, GroupCommand, GroupMod};
use crate::message::{HEADER, Message};
use crate::meters::{MeterCommand, MeterMod};
use crate::numbers::{Cookie, Xid};
use crate::port::{PortMod, PortReason, PortStatus};
use crate::ports;
use crate::queues::{QueueConfig, QueueProperty};
use crate::setup::{AsyncConfig, Features, Hello, Role, RoleMessage, SwitchConfig};

/// A message and its xid, to be printed.
#[derive(Clone, Copy, Debug)]
pub struct Printed<'a> {
    message: &'a Message,
    xid: Xid,
}

impl Message {
    /// The message as `ovs-ofctl ofp-print` prints it, without the newline at its end.
    ///
    /// ```
    /// use rust_openflow::{FlowMod, Match, Message};
    ///
    /// let flow = Message::FlowMod(FlowMod::add(3, 7, Match::new(), Vec::new()));
    /// assert_eq!(
    ///     flow.print(0x2a).to_string(),
    ///     "OFPT_FLOW_MOD (OF1.3) (xid=0x2a): ADD table:3 priority=7 actions=drop"
    /// );
    /// ```
    pub fn print(&self, xid: impl Into<Xid>) -> Printed<'_> {
        let xid = xid.into();
        Printed { message: self, xid }
    }
}

impl Display for Printed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (name, body) = (name(self.message), Body(self.message).to_string());
        write!(f, "{name} (OF1.3) (xid={}):{}", self.xid, body.trim_end())
    }
}

fn name(message: &Message) -> String {
    let name = match message {
        Message::Hello(_) => "OFPT_HELLO",
        Message::Error(_) => "OFPT_ERROR",
        Message::EchoRequest(_) => "OFPT_ECHO_REQUEST",
        Message::EchoReply(_) => "OFPT_ECHO_REPLY",
        Message::Experimenter(_) => "OFPT_EXPERIMENTER",
        Message::FeaturesRequest => "OFPT_FEATURES_REQUEST",
        Message::FeaturesReply(_) => "OFPT_FEATURES_REPLY",
        Message::GetConfigRequest => "OFPT_GET_CONFIG_REQUEST",
        Message::GetConfigReply(_) => "OFPT_GET_CONFIG_REPLY",
        Message::SetConfig(_) => "OFPT_SET_CONFIG",
        Message::PacketIn(_) => "OFPT_PACKET_IN",
        Message::FlowRemoved(_) => "OFPT_FLOW_REMOVED",
        Message::PortStatus(_) => "OFPT_PORT_STATUS",
        Message::PacketOut(_) => "OFPT_PACKET_OUT",
        Message::FlowMod(_) => "OFPT_FLOW_MOD",
        Message::GroupMod(_) => "OFPT_GROUP_MOD",
        Message::PortMod(_) => "OFPT_PORT_MOD",
        Message::TableMod { .. } => "OFPT_TABLE_MOD",
        Message::MultipartRequest(request) => {
            return format!("{} request", replies::name(request.kind()));
        }
        Message::MultipartReply(reply) => {
            return format!("{} reply", replies::name(reply.body.kind()));
        }
        Message::BarrierRequest => "OFPT_BARRIER_REQUEST",
        Message::BarrierReply => "OFPT_BARRIER_REPLY",
        Message::QueueGetConfigRequest(_) => "OFPT_QUEUE_GET_CONFIG_REQUEST",
        Message::QueueGetConfigReply(_) => "OFPT_QUEUE_GET_CONFIG_REPLY",
        Message::RoleRequest(_) => "OFPT_ROLE_REQUEST",
        Message::RoleReply(_) => "OFPT_ROLE_REPLY",
        Message::GetAsyncRequest => "OFPT_GET_ASYNC_REQUEST",
        Message::GetAsyncReply(_) => "OFPT_GET_ASYNC_REPLY",
        Message::SetAsync(_) => "OFPT_SET_ASYNC",
        Message::MeterMod(_) => "OFPT_METER_MOD",
        Message::BundleControl(_) => "ONFT_BUNDLE_CONTROL",
        Message::BundleAdd(_) => "ONFT_BUNDLE_ADD_MESSAGE",
        Message::SetPacketInFormat(_) => "NXT_SET_PACKET_IN_FORMAT",
        Message::PacketIn2(_) => "NXT_PACKET_IN2",
        Message::Resume(_) => "NXT_RESUME",
        Message::Unknown { kind, .. } => return format!("OFPT_{kind}"),
    };
    name.to_owned()
}

/// What a message says, from the character behind its name's colon on.
struct Body<'a>(&'a Message);

impl Display for Body<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Message::Hello(hello) => versions(f, hello),
            Message::Error(error) => refusal(f, error),
            Message::EchoRequest(data) | Message::EchoReply(data) => {
                write!(f, " {} bytes of payload\n{}", data.len(), Dump(data))
            }
            Message::Experimenter(other) => {
                let (whose, which) = (other.experimenter, other.kind);
                write!(
                    f,
                    " experimenter={whose:#x} type={which}\n{}",
                    Dump(&other.data)
                )
            }
            Message::FeaturesReply(features) => switch(f, features),
            Message::GetConfigReply(config) | Message::SetConfig(config) => fragments(f, *config),
            Message::PacketIn(packet) => packet_in(f, packet),
            Message::FlowRemoved(flow) => removed(f, flow),
            Message::PortStatus(status) => port_status(f, status),
            Message::PacketOut(packet) => packet_out(f, packet),
            Message::FlowMod(flow) => flow_mod(f, flow),
            Message::GroupMod(group) => group_mod(f, group),
            Message::PortMod(port) => port_mod(f, port),
            Message::TableMod {
                table: ALL_TABLES, ..
            } => f.write_str(" table_id: ALL_TABLES"),
            Message::TableMod { table, .. } => write!(f, " table_id={table}"),
            Message::MultipartRequest(request) => replies::request(f, request),
            Message::MultipartReply(reply) => {
                f.write_str(if reply.more { replies::MORE } else { "" })?;
                replies::reply(f, &reply.body)
            }
            Message::QueueGetConfigRequest(port) => write!(f, " port={}", port),
            Message::QueueGetConfigReply(config) => queues(f, config),
            Message::RoleRequest(role) | Message::RoleReply(role) => take_role(f, *role),
            Message::GetAsyncReply(config) | Message::SetAsync(config) => unasked(f, config),
            Message::MeterMod(meter) => meter_mod(f, meter),
            Message::BundleControl(control) => bundle_control(f, *control),
            Message::BundleAdd(add) => bundle_add(f, add),
            Message::SetPacketInFormat(format) => write!(f, " format={}", format_name(*format)),
            Message::PacketIn2(packet) | Message::Resume(packet) => packet_in2(f, packet),
            Message::Unknown { body, .. } => write!(f, "\n{}", Dump(body)),
            Message::FeaturesRequest
            | Message::GetConfigRequest
            | Message::BarrierRequest
            | Message::BarrierReply
            | Message::GetAsyncRequest => Ok(()),
        }
    }
}

/// Text as `ds_put_printable()` prints it: what is none, and what escapes it, in octal.
struct Escaped<'a>(&'a [u8]);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| match byte {
            b'\\' | b'"' => write!(f, "\\{byte:03o}"),
            b' '..=b'~' => f.write_char(char::from(*byte)),
            _ => write!(f, "\\{byte:03o}"),
        })
    }
}

fn versions(f: &mut Formatter<'_>, hello: &Hello) -> fmt::Result {
    // A hello without a bitmap speaks all versions up to that of its header.
    let bitmap = hello.versions.unwrap_or(0b1_1110);
    let spoken = (0..32).filter(|version| bitmap & 1 << version != 0);
    let words: Vec<String> = spoken.map(|version| format!("{version:#04x}")).collect();
    write!(f, "\n version bitmap: {}", words.join(", "))
}

fn refusal(f: &mut Formatter<'_>, error: &ErrorMessage) -> fmt::Result {
    writeln!(f, " {}", error.code)?;
    if error.code.error_type() == ErrorType::HelloFailed {
        return Escaped(&error.data).fmt(f);
    }
    let there = error.data.len();
    let meant = error
        .data
        .get(2..4)
        .map(|length| usize::from(length[0]) << 8 | usize::from(length[1]));
    match meant {
        _ if there == 0 => {}
        Some(meant) if there >= HEADER && meant > there => {
            writeln!(f, "(***truncated to {there} bytes from {meant}***)")?;
        }
        _ if there < HEADER => writeln!(f, "OpenFlow packet too short (only {there} bytes):")?,
        _ => {}
    }
    match Message::decode(&error.data) {
        // An error about an error is not followed, for there may be no end of them.
        Ok((xid, message)) if !matches!(message, Message::Error(_) | Message::BundleAdd(_)) => {
            message.print(xid).fmt(f)
        }
        _ if error.data.is_empty() => f.write_str("OpenFlow message is empty"),
        _ => Dump(&error.data).fmt(f),
    }
}

fn switch(f: &mut Formatter<'_>, features: &Features) -> fmt::Result {
    writeln!(f, " dpid:{:016x}", features.datapath_id)?;
    write!(
        f,
        "n_tables:{}, n_buffers:{}",
        features.tables, features.buffers
    )?;
    if features.auxiliary_id != 0 {
        write!(f, ", auxiliary_id:{}", features.auxiliary_id)?;
    }
    let known = features.capabilities.intersection(Capabilities::KNOWN);
    write!(f, "\ncapabilities: {known}")
}

fn fragments(f: &mut Formatter<'_>, config: SwitchConfig) -> fmt::Result {
    let names = ["normal", "drop", "reassemble", "nx-match"];
    let treated = names[usize::from(config.flags & 3)];
    write!(f, " frags={treated} miss_send_len={}", config.miss_send_len)
}

fn removed(f: &mut Formatter<'_>, flow: &FlowRemoved) -> fmt::Result {
    let reason = match flow.reason {
        RemovedReason::IdleTimeout => "idle".to_owned(),
        RemovedReason::HardTimeout => "hard".to_owned(),
        RemovedReason::Delete => "delete".to_owned(),
        RemovedReason::GroupDelete => "group_delete".to_owned(),
        RemovedReason::Other(4) => "meter_delete".to_owned(),
        RemovedReason::Other(5) => "eviction".to_owned(),
        RemovedReason::Other(number) => number.to_string(),
    };
    write!(
        f,
        " {} reason={reason}",
        describe(&flow.matches, flow.priority)
    )?;
    write!(f, " table_id={}", flow.table)?;
    if flow.cookie.0 != 0 {
        write!(f, " cookie:{}", flow.cookie)?;
    }
    write!(
        f,
        " duration{}",
        duration(flow.duration_sec, flow.duration_nsec)
    )?;
    write!(f, " idle{}", flow.idle_timeout)?;
    if flow.hard_timeout != 0 {
        write!(f, " hard{}", flow.hard_timeout)?;
    }
    write!(f, " pkts{} bytes{}", flow.packets, flow.bytes)
}

fn port_status(f: &mut Formatter<'_>, status: &PortStatus) -> fmt::Result {
    f.write_str(match status.reason {
        PortReason::Add => " ADD: ",
        PortReason::Delete => " DEL: ",
        PortReason::Modify => " MOD: ",
    })?;
    port_lines(f, &status.port)
}

fn port_mod(f: &mut Formatter<'_>, port: &PortMod) -> fmt::Result {
    write!(f, " {}", super::ports::change(port))
}

fn flow_mod(f: &mut Formatter<'_>, flow: &FlowMod) -> fmt::Result {
    f.write_str(match flow.command {
        Command::Add => " ADD ",
        Command::Modify => " MOD ",
        Command::ModifyStrict => " MOD_STRICT ",
        Command::Delete => " DEL ",
        Command::DeleteStrict => " DEL_STRICT ",
    })?;
    if flow.table.0 != 0 {
        write!(f, "table:{} ", flow.table)?;
    }
    let matches = describe(&flow.matches, flow.priority);
    write!(f, "{matches}{}", if matches.is_empty() { "" } else { " " })?;
    match (flow.command, flow.cookie, flow.cookie_mask) {
        (Command::Add, Cookie(0), _) => {}
        (Command::Add, cookie, _) => write!(f, "cookie:{cookie} ")?,
        (_, _, 0) => {}
        (_, cookie, mask) => write!(f, "cookie:{cookie}/{mask:#x} ")?,
    }
    limits_of(f, flow)?;
    flags(f, flow.flags)?;
    write!(f, "actions={}", Instructions(&flow.instructions))
}

fn limits_of(f: &mut Formatter<'_>, flow: &FlowMod) -> fmt::Result {
    let timeouts = [("idle", flow.idle_timeout), ("hard", flow.hard_timeout)];
    for (name, seconds) in timeouts.into_iter().filter(|(_, seconds)| *seconds != 0) {
        write!(f, "{name}:{seconds} ")?;
    }
    if flow.buffer_id != NO_BUFFER {
        write!(f, "buf:{:#x} ", flow.buffer_id)?;
    }
    if flow.out_port != ports::ANY {
        write!(f, "out_port:{} ", flow.out_port)?;
    }
    if flow.out_group != GROUP_ANY {
        write!(f, "out_group:{} ", flow.out_group)?;
    }
    Ok(())
}

fn group_mod(f: &mut Formatter<'_>, group: &GroupMod) -> fmt::Result {
    let command = match group.command {
        GroupCommand::Add => "ADD",
        GroupCommand::Modify => "MOD",
        GroupCommand::Delete => "DEL",
        GroupCommand::AddOrModify => "ADD_OR_MOD",
    };
    write!(f, "\n {command} ")?;
    groups::group(f, group.group, group.kind, &group.buckets)
}

fn meter_mod(f: &mut Formatter<'_>, meter: &MeterMod) -> fmt::Result {
    f.write_str(match meter.command {
        MeterCommand::Add => " ADD ",
        MeterCommand::Modify => " MOD ",
        MeterCommand::Delete => " DEL ",
    })?;
    groups::meter(f, meter.meter, meter.flags, &meter.bands)
}

fn queues(f: &mut Formatter<'_>, config: &QueueConfig) -> fmt::Result {
    write!(f, " port={}", config.port)?;
    for queue in &config.queues {
        write!(f, "\nqueue {}:", queue.queue)?;
        for property in &queue.properties {
            match property {
                QueueProperty::MinRate(rate) => write!(f, " min_rate:{}", Share(*rate))?,
                QueueProperty::MaxRate(rate) => write!(f, " max_rate:{}", Share(*rate))?,
                QueueProperty::Raw(bytes) => write!(f, " raw:{}", Dotted(bytes))?,
            }
        }
    }
    Ok(())
}

/// Thousandths as per cent.
struct Share(u16);

impl Display for Share {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            rate @ 0..=1000 => write!(f, "{}.{}%", rate / 10, rate % 10),
            _ => f.write_str("(disabled)"),
        }
    }
}

fn take_role(f: &mut Formatter<'_>, message: RoleMessage) -> fmt::Result {
    let role = match message.role {
        Role::NoChange => return f.write_str(" role=nochange"),
        Role::Equal => "equal",
        Role::Primary => "primary",
        Role::Secondary => "secondary",
    };
    write!(f, " role={role}")?;
    match message.generation {
        u64::MAX => Ok(()),
        generation => write!(f, " generation_id={generation}"),
    }
}

fn unasked(f: &mut Formatter<'_>, config: &AsyncConfig) -> fmt::Result {
    let kinds: [(&str, [u32; 2], &[&str]); 6] = [
        (
            "PACKET_IN",
            config.packet_in,
            &["no_match", "action", "invalid_ttl"],
        ),
        (
            "PORT_STATUS",
            config.port_status,
            &["add", "delete", "modify"],
        ),
        (
            "FLOW_REMOVED",
            config.flow_removed,
            &[
                "idle",
                "hard",
                "delete",
                "group_delete",
                "meter_delete",
                "eviction",
            ],
        ),
        ("ROLE_STATUS", [0; 2], &[]),
        ("TABLE_STATUS", [0; 2], &[]),
        ("REQUESTFORWARD", [0; 2], &[]),
    ];
    for (place, connection) in ["primary", "secondary"].into_iter().enumerate() {
        let gap = if place == 0 { "" } else { "\n" };
        write!(f, "{gap}\n {connection}:")?;
        for (kind, masks, names) in kinds {
            write!(f, "\n{kind:>16}:")?;
            reasons(f, masks[place], names)?;
        }
    }
    Ok(())
}

fn reasons(f: &mut Formatter<'_>, mask: u32, names: &[&str]) -> fmt::Result {
    if mask == 0 {
        return f.write_str(" (off)");
    }
    let named = names
        .iter()
        .enumerate()
        .filter(|(bit, _)| mask & 1 << bit != 0);
    named
        .map(|(_, name)| name)
        .try_for_each(|name| write!(f, " {name}"))
}

fn bundle_control(f: &mut Formatter<'_>, control: BundleControl) -> fmt::Result {
    let names = ["OPEN", "CLOSE", "COMMIT", "DISCARD"];
    let number = control.kind as usize;
    let side = if number.is_multiple_of(2) {
        "REQUEST"
    } else {
        "REPLY"
    };
    let flags = control.flags;
    write!(
        f,
        "\n bundle_id={} type={}_{side} flags={flags}",
        Hex(control.bundle.into()),
        names[number / 2]
    )
}

fn bundle_add(f: &mut Formatter<'_>, add: &BundleAdd) -> fmt::Result {
    let flags = add.flags;
    let bundle = Hex(add.bundle.into());
    writeln!(f, "\n bundle_id={bundle} flags={flags}")?;
    add.message.print(add.xid).fmt(f)
}
