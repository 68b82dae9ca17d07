//! Actions and instructions as text, as `ofpacts_format()` of `lib/ofp-actions.c` prints them.

use bytes::Bytes;
use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;

use super::raw;
use super::values::{Dotted, Hex, Masked};
use crate::actions::{
    Action, BundleAction, Ct, HashFields, LEARN_DELETE_LEARNED, LEARN_SEND_FLOW_REMOVED, Learn,
    LearnSpec, LearnTarget, Multipath, Nat, NatKind, NatRange, WHOLE_PACKET, Zone,
};
use crate::fields::Field;
use crate::instructions::Instruction;
use crate::numbers::{PortNo, TableId};
use crate::oxm::FieldId;
use crate::packets::PacketInReason;
use crate::ports;
use crate::subfield::Subfield;

/// The table that resubmit does not print.
const SAME_TABLE: TableId = TableId(0xff);
/// The priority that is not printed.
const DEFAULT_PRIORITY: u16 = 32768;

/// Items with commas between them.
pub(super) fn list(
    f: &mut Formatter<'_>,
    items: impl IntoIterator<Item = impl Display>,
) -> fmt::Result {
    for (position, item) in items.into_iter().enumerate() {
        write!(f, "{}{item}", if position == 0 { "" } else { "," })?;
    }
    Ok(())
}

/// A list of actions; nothing to do is `drop`.
pub(super) struct Actions<'a>(pub(super) &'a [Action]);

impl Display for Actions<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            f.write_str("drop")
        } else {
            list(f, self.0)
        }
    }
}

/// All that a flow does; nothing is `drop`. Open vSwitch keeps instructions in the order in which they take effect.
pub(super) struct Instructions<'a>(pub(super) &'a [Instruction]);

impl Display for Instructions<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<_> = self.0.iter().filter(|part| !part.is_nothing()).collect();
        parts.sort_by_key(|part| part.rank());
        if parts.is_empty() {
            f.write_str("drop")
        } else {
            list(f, parts)
        }
    }
}

impl Instruction {
    fn is_nothing(&self) -> bool {
        matches!(self, Instruction::Apply(actions) if actions.is_empty())
    }

    fn rank(&self) -> u8 {
        match self {
            Instruction::Meter(_) => 0,
            Instruction::Apply(_) => 1,
            Instruction::Clear => 2,
            Instruction::Write(_) => 3,
            Instruction::WriteMetadata { .. } => 4,
            Instruction::GotoTable(_) => 5,
            Instruction::Raw(_) => 6,
        }
    }
}

impl Display for Instruction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Instruction::GotoTable(table) => write!(f, "goto_table:{table}"),
            Instruction::WriteMetadata {
                value,
                mask: u64::MAX,
            } => write!(f, "write_metadata:{}", Hex(u128::from(*value))),
            Instruction::WriteMetadata { value, mask } => {
                write!(
                    f,
                    "write_metadata:{}/{}",
                    Hex(u128::from(*value)),
                    Hex(u128::from(*mask))
                )
            }
            Instruction::Write(actions) => write!(f, "write_actions({})", Actions(actions)),
            Instruction::Apply(actions) => Actions(actions).fmt(f),
            Instruction::Clear => f.write_str("clear_actions"),
            Instruction::Meter(meter) => write!(f, "meter:{meter}"),
            Instruction::Raw(bytes) => write!(f, "raw_instruction:{}", Dotted(bytes)),
        }
    }
}

impl Display for Subfield {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Subfield {
            field,
            offset,
            bits,
        } = *self;
        f.write_str(field.subfield_name())?;
        match (offset, bits) {
            (0, bits) if bits == field.bits() => f.write_str("[]"),
            (_, 1) => write!(f, "[{offset}]"),
            _ => write!(
                f,
                "[{offset}..{}]",
                u32::from(offset) + u32::from(bits) - u32::from(bits != 0)
            ),
        }
    }
}

impl Display for FieldId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self, self.as_tunnel_metadata()) {
            (FieldId::Field { field, .. }, _) => field.fmt(f),
            (FieldId::Raw(_), Some(number)) => write!(f, "tun_metadata{number}"),
            (FieldId::Raw(bytes), None) => Dotted(bytes).fmt(f),
        }
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Action::Output { port, max_len } => output(f, *port, *max_len),
            Action::OutputReg { src, .. } => write!(f, "output:{src}"),
            Action::OutputTrunc { port, max_len } => {
                write!(f, "output(port={},max_len={max_len})", port)
            }
            Action::Controller {
                max_len,
                id,
                reason,
                userdata,
                pause,
                meter,
            } => controller(f, *max_len, *id, *reason, userdata, *pause, *meter),
            Action::Group(group) => write!(f, "group:{group}"),
            Action::SetQueue(queue) => write!(f, "set_queue:{queue}"),
            Action::PopQueue => f.write_str("pop_queue"),
            Action::SetField { field, value, mask } => set_field(f, *field, *value, *mask),
            Action::Move { src, dst } => write!(f, "move:{src}->{dst}"),
            Action::Load { value, dst } => write!(f, "load:{}->{dst}", Hex(u128::from(*value))),
            Action::DeleteField(field) => write!(f, "delete_field:{field}"),
            Action::Resubmit { in_port, table } => resubmit(f, *in_port, *table, ""),
            Action::ResubmitCt { in_port, table } => resubmit(f, *in_port, *table, ",ct"),
            Action::DecTtl => f.write_str("dec_ttl"),
            Action::DecTtlIds(ids) => dec_ttl_ids(f, ids),
            Action::SetTtl(ttl) => write!(f, "mod_nw_ttl:{ttl}"),
            Action::PushVlan(kind) => write!(f, "push_vlan:{:#x}", kind),
            Action::PopVlan => f.write_str("pop_vlan"),
            Action::PushMpls(kind) => write!(f, "push_mpls:{kind:#06x}"),
            Action::PopMpls(kind) => write!(f, "pop_mpls:{kind:#06x}"),
            Action::SetMplsTtl(ttl) => write!(f, "set_mpls_ttl({ttl})"),
            Action::DecMplsTtl => f.write_str("dec_mpls_ttl"),
            Action::Ct(ct) => ct.fmt(f),
            Action::Nat(nat) => nat.fmt(f),
            Action::CtClear => f.write_str("ct_clear"),
            Action::Learn(learn) => learn.fmt(f),
            Action::Note(note) => write!(f, "note:{}", Dotted(note)),
            Action::Conjunction {
                id,
                clause,
                clauses,
            } => {
                write!(f, "conjunction({id},{}/{clauses})", u16::from(*clause) + 1)
            }
            Action::Clone(actions) => write!(f, "clone({})", Actions(actions)),
            Action::Multipath(multipath) => multipath.fmt(f),
            Action::Bundle(bundle) => bundle.fmt(f),
            Action::CheckPktLarger { length, dst } => {
                write!(f, "check_pkt_larger({length})->{dst}")
            }
            Action::StackPush(part) => write!(f, "push:{part}"),
            Action::StackPop(part) => write!(f, "pop:{part}"),
            Action::Exit => f.write_str("exit"),
            Action::Raw(bytes) => raw_action(f, bytes),
        }
    }
}

fn dec_ttl_ids(f: &mut Formatter<'_>, ids: &[u16]) -> fmt::Result {
    f.write_str("dec_ttl(")?;
    list(f, ids)?;
    f.write_str(")")
}

fn set_field(f: &mut Formatter<'_>, field: Field, value: u128, mask: u128) -> fmt::Result {
    write!(f, "set_field:{}->{field}", Masked::of(field, value, mask))
}

fn raw_action(f: &mut Formatter<'_>, bytes: &Bytes) -> fmt::Result {
    match raw::named(bytes) {
        Some(text) => f.write_str(&text),
        None => write!(f, "raw:{}", Dotted(bytes)),
    }
}

fn output(f: &mut Formatter<'_>, port: PortNo, max_len: u16) -> fmt::Result {
    match port {
        ports::CONTROLLER => write!(f, "CONTROLLER:{max_len}"),
        port if port < ports::MAX => write!(f, "output:{port}"),
        port => write!(f, "{}", port),
    }
}

fn controller(
    f: &mut Formatter<'_>,
    max_len: u16,
    id: u16,
    reason: PacketInReason,
    userdata: &[u8],
    pause: bool,
    meter: Option<u32>,
) -> fmt::Result {
    if reason == PacketInReason::Action
        && id == 0
        && userdata.is_empty()
        && !pause
        && meter.is_none()
    {
        return write!(f, "CONTROLLER:{max_len}");
    }
    let parts = [
        (reason != PacketInReason::Action).then(|| format!("reason={reason}")),
        (max_len != WHOLE_PACKET).then(|| format!("max_len={max_len}")),
        (id != 0).then(|| format!("id={id}")),
        (!userdata.is_empty()).then(|| format!("userdata={}", Dotted(userdata))),
        pause.then(|| "pause".to_owned()),
        meter.map(|meter| format!("meter_id={meter}")),
    ];
    f.write_str("controller(")?;
    list(f, parts.into_iter().flatten())?;
    f.write_str(")")
}

impl Display for PacketInReason {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PacketInReason::NoMatch => "no_match",
            PacketInReason::Action => "action",
            PacketInReason::InvalidTtl => "invalid_ttl",
            PacketInReason::Other(3) => "action_set",
            PacketInReason::Other(4) => "group",
            PacketInReason::Other(5) => "packet_out",
            PacketInReason::Other(number) => return write!(f, "{number}"),
        })
    }
}

fn resubmit(
    f: &mut Formatter<'_>,
    in_port: Option<u16>,
    table: Option<TableId>,
    suffix: &str,
) -> fmt::Result {
    let port = in_port.map(PortNo::from_short);
    match (port, table.filter(|table| *table != SAME_TABLE)) {
        (Some(port), None) => write!(f, "resubmit:{port}"),
        (None, None) => write!(f, "resubmit(,{suffix})"),
        (None, Some(table)) => write!(f, "resubmit(,{table}{suffix})"),
        (Some(port), Some(table)) => write!(f, "resubmit({port},{table}{suffix})"),
    }
}

impl Display for Ct {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let zone = match self.zone {
            Zone::Value(0) => None,
            Zone::Value(zone) => Some(format!("zone={zone}")),
            Zone::Field(part) => Some(format!("zone={part}")),
        };
        let (nat, rest) = match self.exec.split_first() {
            Some((Action::Nat(nat), rest)) => (Some(nat.to_string()), rest),
            _ => (None, self.exec.as_slice()),
        };
        let parts = [
            self.commit.then(|| "commit".to_owned()),
            self.force.then(|| "force".to_owned()),
            self.table.map(|table| format!("table={table}")),
            zone,
            nat,
            (!rest.is_empty()).then(|| format!("exec({})", Actions(rest))),
            match self.alg {
                0 => None,
                21 => Some("alg=ftp".to_owned()),
                69 => Some("alg=tftp".to_owned()),
                other => Some(format!("alg={other}")),
            },
        ];
        f.write_str("ct(")?;
        list(f, parts.into_iter().flatten())?;
        f.write_str(")")
    }
}

impl Display for Nat {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let end = match self.kind {
            None => return f.write_str("nat"),
            Some(NatKind::Source) => "src",
            Some(NatKind::Destination) => "dst",
        };
        if self.range.min_address.is_none() && self.range.max_address.is_none() {
            return write!(f, "nat({end})");
        }
        write!(f, "nat({end}={}", self.range)?;
        let words = [
            (self.persistent, ",persistent"),
            (self.hash, ",hash"),
            (self.random, ",random"),
        ];
        words
            .into_iter()
            .filter(|(set, _)| *set)
            .try_for_each(|(_, word)| f.write_str(word))?;
        f.write_str(")")
    }
}

impl Display for NatRange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let with_port = self.min_port.is_some();
        if let Some(first) = self.min_address {
            write_address(f, first, with_port)?;
        }
        if let Some(last) = self
            .max_address
            .filter(|last| Some(*last) != self.min_address)
        {
            f.write_str("-")?;
            write_address(f, last, with_port)?;
        }
        if let Some(first) = self.min_port {
            write!(f, ":{first}")?;
            if let Some(last) = self.max_port.filter(|last| *last != first) {
                write!(f, "-{last}")?;
            }
        }
        Ok(())
    }
}

fn write_address(f: &mut Formatter<'_>, address: IpAddr, with_port: bool) -> fmt::Result {
    match address.is_ipv6() && with_port {
        true => write!(f, "[{address}]"),
        false => write!(f, "{address}"),
    }
}

impl Display for Learn {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "learn(table={}", self.table)?;
        let timeouts = [
            (self.idle_timeout, "idle_timeout"),
            (self.hard_timeout, "hard_timeout"),
            (self.fin_idle_timeout, "fin_idle_timeout"),
            (self.fin_hard_timeout, "fin_hard_timeout"),
        ];
        timeouts
            .into_iter()
            .filter(|(time, _)| *time != 0)
            .try_for_each(|(time, name)| write!(f, ",{name}={time}"))?;
        if self.priority != DEFAULT_PRIORITY {
            write!(f, ",priority={}", self.priority)?;
        }
        let words = [
            (LEARN_SEND_FLOW_REMOVED, ",send_flow_rem"),
            (LEARN_DELETE_LEARNED, ",delete_learned"),
        ];
        words
            .into_iter()
            .filter(|(bit, _)| self.flags & bit != 0)
            .try_for_each(|(_, word)| f.write_str(word))?;
        if self.cookie.0 != 0 {
            write!(f, ",cookie={}", self.cookie)?;
        }
        if self.limit != 0 {
            write!(f, ",limit={}", self.limit)?;
        }
        if let Some(bit) = self.result {
            write!(f, ",result_dst={bit}")?;
        }
        self.specs
            .iter()
            .try_for_each(|spec| write!(f, ",{spec}"))?;
        f.write_str(")")
    }
}

impl Display for LearnSpec {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self, self.target()) {
            (LearnSpec::Value { value, .. }, LearnTarget::Match(dst))
                if dst == Subfield::whole(dst.field) =>
            {
                let field = dst.field;
                write!(
                    f,
                    "{field}={}",
                    Masked::of(field, *value, field.full_mask())
                )
            }
            (LearnSpec::Value { value, .. }, LearnTarget::Match(dst)) => {
                write!(f, "{dst}={}", Hex(*value))
            }
            (LearnSpec::Value { value, .. }, LearnTarget::Load(dst)) => {
                write!(f, "load:{}->{dst}", Hex(*value))
            }
            (LearnSpec::Value { value, .. }, LearnTarget::Output) => write!(f, "output:{value}"),
            (LearnSpec::Field { src, .. }, LearnTarget::Match(dst))
                if src.field == dst.field && src.offset == dst.offset =>
            {
                write!(f, "{dst}")
            }
            (LearnSpec::Field { src, .. }, LearnTarget::Match(dst)) => write!(f, "{dst}={src}"),
            (LearnSpec::Field { src, .. }, LearnTarget::Load(dst)) => {
                write!(f, "load:{src}->{dst}")
            }
            (LearnSpec::Field { src, .. }, LearnTarget::Output) => write!(f, "output:{src}"),
        }
    }
}

impl Display for HashFields {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HashFields::EthSrc => "eth_src",
            HashFields::SymmetricL4 => "symmetric_l4",
            HashFields::SymmetricL3L4 => "symmetric_l3l4",
            HashFields::SymmetricL3L4Udp => "symmetric_l3l4+udp",
            HashFields::NwSrc => "nw_src",
            HashFields::NwDst => "nw_dst",
            HashFields::SymmetricL3 => "symmetric_l3",
            HashFields::Other(_) => "<unknown>",
        })
    }
}

impl Display for Multipath {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let algorithms = ["modulo_n", "hash_threshold", "hrw", "iter_hash"];
        let algorithm = algorithms
            .get(usize::from(self.algorithm))
            .unwrap_or(&"<unknown>");
        let Multipath {
            fields,
            basis,
            argument,
            dst,
            ..
        } = self;
        write!(
            f,
            "multipath({fields},{basis},{algorithm},{},{argument},{dst})",
            u32::from(self.max_link) + 1
        )
    }
}

impl Display for BundleAction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let algorithm = ["active_backup", "hrw"]
            .get(usize::from(self.algorithm))
            .unwrap_or(&"<unknown>");
        let name = if self.dst.is_some() {
            "bundle_load"
        } else {
            "bundle"
        };
        write!(
            f,
            "{name}({},{},{algorithm},ofport,",
            self.fields, self.basis
        )?;
        if let Some(dst) = self.dst {
            write!(f, "{dst},")?;
        }
        f.write_str("members:")?;
        list(f, self.members.iter().map(|port| PortNo::from_short(*port)))?;
        f.write_str(")")
    }
}
