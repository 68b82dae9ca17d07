//! Any message, and what it is made of.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use rust_openflow::{
    Action, Band, Bucket, BundleAdd, BundleFlags, Command, Cookie, Ct, Field, FieldId, FieldMatch,
    FlowFlags, FlowMod, FlowRemoved, GroupCommand, GroupMod, GroupType, Instruction, Learn,
    LearnSpec, LearnTarget, Match, Message, MeterCommand, MeterFlags, MeterMod, MultipartBody,
    MultipartReply, Nat, NatKind, NatRange, PacketIn, PacketIn2, PacketInReason, PacketOut, PortNo,
    RemovedReason, Subfield, TableId, UnknownOxm, Xid, Zone,
};

fn bytes(longest: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..longest).prop_map(Bytes::from)
}

fn field() -> impl Strategy<Value = Field> {
    let all: Vec<Field> = Field::all().collect();
    proptest::sample::select(all)
}

/// Fields whose header has 4 bytes inside actions: all but those of experimenters.
fn short_field() -> impl Strategy<Value = Field> {
    field().prop_filter("short", |field| {
        !["NXOXM", "ONFOXM"]
            .iter()
            .any(|class| field.subfield_name().starts_with(class))
    })
}

fn term() -> impl Strategy<Value = FieldMatch> {
    (field(), any::<u128>(), option::of(1..u128::MAX)).prop_map(|(field, value, mask)| {
        let full = field.full_mask();
        FieldMatch {
            field,
            value: value & full,
            mask: mask.map_or(full, |mask| mask & full),
        }
    })
}

fn unknown() -> impl Strategy<Value = UnknownOxm> {
    vec(any::<u8>(), 0..32).prop_map(|body| {
        let mut entry = vec![0x12, 0x34, 0x56, body.len() as u8];
        entry.extend(body);
        UnknownOxm::new(entry.into()).unwrap()
    })
}

pub(crate) fn matches() -> impl Strategy<Value = Match> {
    (vec(term(), 0..12), option::of(unknown())).prop_map(|(terms, unknown)| {
        let mut matches = Match::new();
        terms.into_iter().for_each(|term| matches.insert(term));
        unknown
            .into_iter()
            .for_each(|entry| matches.insert_unknown(entry));
        matches
    })
}

fn part() -> impl Strategy<Value = Subfield> {
    short_field().prop_flat_map(|field| {
        let widest = field.bits().min(64);
        (Just(field), 0..field.bits(), 1..=widest)
            .prop_map(|(field, offset, bits)| Subfield::new(field, offset, bits))
    })
}

fn nat() -> impl Strategy<Value = Nat> {
    let kind = prop_oneof![
        Just(None),
        Just(Some(NatKind::Source)),
        Just(Some(NatKind::Destination))
    ];
    let v4 = (any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(|(min, max)| (min.into(), max.into()));
    let v6 = (any::<[u8; 16]>(), any::<[u8; 16]>()).prop_map(|(min, max)| (min.into(), max.into()));
    (
        kind,
        option::of(prop_oneof![v4, v6]),
        option::of(any::<u16>()),
        any::<[bool; 3]>(),
    )
        .prop_map(|(kind, addresses, min_port, [persistent, hash, random])| {
            let range = NatRange {
                min_address: addresses.map(|pair| pair.0),
                max_address: addresses.map(|pair| pair.1),
                min_port,
                max_port: None,
            };
            Nat {
                kind,
                range,
                persistent,
                hash,
                random,
            }
        })
}

fn learn() -> impl Strategy<Value = Learn> {
    let target = |dst: Subfield, load: bool| {
        if load {
            LearnTarget::Load(dst)
        } else {
            LearnTarget::Match(dst)
        }
    };
    let spec = prop_oneof![
        (part(), part(), any::<bool>()).prop_map(move |(src, mut dst, load)| {
            dst.bits = src.bits;
            LearnSpec::Field {
                src,
                target: target(dst, load),
            }
        }),
        (part(), any::<u64>(), any::<bool>()).prop_map(move |(dst, value, load)| {
            let value = u128::from(value) & ((1 << dst.bits) - 1);
            LearnSpec::Value {
                value,
                target: target(dst, load),
            }
        }),
        part().prop_map(|src| LearnSpec::Field {
            src,
            target: LearnTarget::Output
        }),
    ];
    let numbers = any::<(u16, u16, u16, u64, u8, u32)>();
    (numbers, vec(spec, 0..6)).prop_map(
        |((idle_timeout, hard_timeout, priority, cookie, table, limit), specs)| Learn {
            idle_timeout,
            hard_timeout,
            priority,
            cookie: Cookie(cookie),
            table: TableId(table),
            limit,
            specs,
            ..Learn::default()
        },
    )
}

fn leaf() -> impl Strategy<Value = Action> {
    prop_oneof![
        any::<(u32, u16)>().prop_map(|(port, max_len)| Action::Output {
            port: PortNo(port),
            max_len
        }),
        (part(), any::<u16>()).prop_map(|(src, max_len)| Action::OutputReg { src, max_len }),
        term().prop_map(|term| Action::SetField {
            field: term.field,
            value: term.value,
            mask: term.mask
        }),
        (part(), field(), any::<u16>()).prop_map(|(src, field, offset)| {
            Action::Move {
                src,
                dst: Subfield::new(field, offset, src.bits),
            }
        }),
        (any::<u64>(), part()).prop_map(|(value, dst)| Action::Load { value, dst }),
        (option::of(0..0xfff0_u16), option::of(table()))
            .prop_map(|(in_port, table)| Action::Resubmit { in_port, table }),
        vec(any::<u16>(), 1..9).prop_map(Action::DecTtlIds),
        controller(),
        learn().prop_map(|learn| Action::Learn(Box::new(learn))),
        any::<(u32, u8, u8)>().prop_map(|(id, clause, clauses)| Action::Conjunction {
            id,
            clause,
            clauses
        }),
        (any::<u16>(), field(), any::<u16>()).prop_map(|(length, field, offset)| {
            Action::CheckPktLarger {
                length,
                dst: Subfield::new(field, offset, 1),
            }
        }),
        (field(), any::<bool>())
            .prop_map(|(field, masked)| Action::DeleteField(FieldId::Field { field, masked })),
        any::<u8>().prop_map(|number| Action::DeleteField(FieldId::tunnel_metadata(number))),
        (field(), any::<u16>(), any::<u16>())
            .prop_map(|(field, from, bits)| Action::StackPush(Subfield::new(field, from, bits))),
        vec(any::<u8>(), 4).prop_map(|body| Action::Raw([vec![0, 77, 0, 8], body].concat().into())),
        any::<u32>().prop_map(Action::Group),
        Just(Action::DecTtl),
        Just(Action::PopVlan),
        Just(Action::CtClear),
        Just(Action::Exit),
    ]
}

fn controller() -> impl Strategy<Value = Action> {
    let reason = (0..9_u8).prop_map(|number| match number {
        0 => PacketInReason::NoMatch,
        1 => PacketInReason::Action,
        2 => PacketInReason::InvalidTtl,
        other => PacketInReason::Other(other),
    });
    (
        any::<(u16, u16, bool)>(),
        reason,
        bytes(20),
        option::of(any::<u32>()),
    )
        .prop_map(
            |((max_len, id, pause), reason, userdata, meter)| Action::Controller {
                max_len,
                id,
                reason,
                userdata,
                pause,
                meter,
            },
        )
}

fn action() -> impl Strategy<Value = Action> {
    leaf().prop_recursive(3, 16, 4, |inner| {
        let zone = prop_oneof![
            any::<u16>().prop_map(Zone::Value),
            part().prop_map(Zone::Field)
        ];
        let ct = (
            any::<(bool, bool, u16)>(),
            zone,
            option::of(table()),
            option::of(nat()),
            vec(inner.clone(), 0..3),
        );
        prop_oneof![
            vec(inner, 0..4).prop_map(Action::Clone),
            ct.prop_map(|((commit, force, alg), zone, table, nat, rest)| {
                let exec = nat.map(Action::Nat).into_iter().chain(rest).collect();
                Action::Ct(Ct {
                    commit,
                    force,
                    zone,
                    table,
                    alg,
                    exec,
                })
            }),
        ]
    })
}

fn table() -> impl Strategy<Value = TableId> {
    (0..255_u8).prop_map(TableId)
}

fn instruction() -> impl Strategy<Value = Instruction> {
    prop_oneof![
        any::<u8>().prop_map(|table| Instruction::GotoTable(TableId(table))),
        any::<(u64, u64)>().prop_map(|(value, mask)| Instruction::WriteMetadata { value, mask }),
        vec(action(), 0..5).prop_map(Instruction::Apply),
        vec(action(), 0..3).prop_map(Instruction::Write),
        Just(Instruction::Clear),
        any::<u32>().prop_map(Instruction::Meter),
    ]
}

pub(crate) fn flow_mod() -> impl Strategy<Value = FlowMod> {
    let command = proptest::sample::select(vec![
        Command::Add,
        Command::Modify,
        Command::Delete,
        Command::DeleteStrict,
    ]);
    (
        any::<(u64, u64, u8, u16, u16, u16, u16)>(),
        command,
        matches(),
        vec(instruction(), 0..4),
    )
        .prop_map(
            |(
                (cookie, cookie_mask, table, idle_timeout, hard_timeout, priority, flags),
                command,
                matches,
                instructions,
            )| {
                FlowMod {
                    cookie: Cookie(cookie),
                    cookie_mask,
                    command,
                    idle_timeout,
                    hard_timeout,
                    flags: FlowFlags(flags),
                    ..FlowMod::add(table, priority, matches, instructions)
                }
            },
        )
}

fn packet_in() -> impl Strategy<Value = PacketIn> {
    (any::<(u32, u16, u8, u64)>(), matches(), bytes(100)).prop_map(
        |((buffer_id, total_len, table, cookie), matches, data)| PacketIn {
            buffer_id,
            total_len,
            reason: PacketInReason::Action,
            table: TableId(table),
            cookie: Cookie(cookie),
            matches,
            data,
        },
    )
}

fn packet_in2() -> impl Strategy<Value = PacketIn2> {
    let numbers = (
        option::of(any::<u32>()),
        option::of(any::<u8>()),
        option::of(any::<u64>()),
    );
    (bytes(60), numbers, matches(), bytes(20), bytes(20)).prop_map(
        |(data, (full_length, table, cookie), metadata, userdata, continuation)| PacketIn2 {
            data,
            full_length,
            buffer_id: full_length,
            table: table.map(TableId),
            cookie: cookie.map(Cookie),
            reason: None,
            metadata,
            userdata,
            continuation,
            unknown: Vec::new(),
        },
    )
}

fn flow_removed() -> impl Strategy<Value = FlowRemoved> {
    (any::<(u64, u16, u8)>(), matches()).prop_map(|((cookie, priority, table), matches)| {
        FlowRemoved {
            cookie: Cookie(cookie),
            priority,
            reason: RemovedReason::IdleTimeout,
            table: TableId(table),
            duration_sec: 1,
            duration_nsec: 2,
            idle_timeout: 3,
            hard_timeout: 4,
            packets: 5,
            bytes: 6,
            matches,
        }
    })
}

pub(crate) fn message() -> impl Strategy<Value = Message> {
    let packet_out = (any::<(u32, u32)>(), vec(action(), 0..5), bytes(100)).prop_map(
        |((buffer_id, in_port), actions, data)| PacketOut {
            buffer_id,
            in_port: PortNo(in_port),
            actions,
            data,
        },
    );
    let bucket = vec(action(), 0..3).prop_map(Bucket::new);
    let group = (any::<u32>(), vec(bucket, 0..4)).prop_map(|(group, buckets)| GroupMod {
        command: GroupCommand::Modify,
        kind: GroupType::Select,
        group,
        buckets,
    });
    let band = any::<(u32, u32)>().prop_map(|(rate, burst)| Band::Drop { rate, burst });
    let meter =
        (any::<(u16, u32)>(), vec(band, 0..4)).prop_map(|((flags, meter), bands)| MeterMod {
            command: MeterCommand::Add,
            flags: MeterFlags(flags),
            meter,
            bands,
        });
    prop_oneof![
        flow_mod().prop_map(Message::FlowMod),
        packet_in().prop_map(Message::PacketIn),
        packet_in2().prop_map(|packet| Message::PacketIn2(Box::new(packet))),
        packet_out.prop_map(Message::PacketOut),
        group.prop_map(Message::GroupMod),
        meter.prop_map(Message::MeterMod),
        flow_removed().prop_map(Message::FlowRemoved),
        bytes(40).prop_map(Message::EchoRequest),
        (any::<(u32, u16, u32)>(), flow_mod()).prop_map(|((bundle, flags, xid), flow)| {
            Message::BundleAdd(BundleAdd {
                bundle,
                flags: BundleFlags(flags),
                xid: Xid(xid),
                message: Box::new(Message::FlowMod(flow)),
            })
        }),
        (any::<(bool, u16)>(), bytes(40)).prop_map(|((more, kind), body)| {
            let body = MultipartBody::Raw {
                kind: kind | 0x8000,
                body,
            };
            Message::MultipartReply(MultipartReply { more, body })
        }),
    ]
}
