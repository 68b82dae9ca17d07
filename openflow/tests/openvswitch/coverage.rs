//! The texts cover everything that has a type: a field, action or instruction that is added to the crate without a text
//! here fails a test, or does not compile.

use std::collections::BTreeSet;

use rust_openflow::{
    Action, Band, Bucket, Field, FieldMatch, GroupType, HashFields, Instruction, LearnSpec,
    LearnTarget, Message, NatKind, Zone,
};

use crate::ofctl::{GROUPS, METERS, flow_mod, recorded, recorded_flows};
use crate::support::corpus;

/// `kinds!(NAMES, name, Type { patterns })`: the names of all variants, and that of a value. A variant without a row does
/// not compile.
macro_rules! kinds {
    ($names:ident, $name:ident, $kind:ident { $($variant:ident),* $(,)? }) => {
        const $names: &[&str] = &[$(stringify!($variant)),*];

        fn $name(value: &$kind) -> &'static str {
            match value {
                $($kind::$variant { .. } => stringify!($variant),)*
            }
        }
    };
}

kinds!(
    ACTIONS,
    action,
    Action {
        Output,
        OutputReg,
        OutputTrunc,
        Controller,
        Group,
        SetQueue,
        PopQueue,
        SetField,
        Move,
        Load,
        DeleteField,
        Resubmit,
        ResubmitCt,
        DecTtl,
        DecTtlIds,
        SetTtl,
        PushVlan,
        PopVlan,
        PushMpls,
        PopMpls,
        SetMplsTtl,
        DecMplsTtl,
        Ct,
        Nat,
        CtClear,
        Learn,
        Note,
        Conjunction,
        Clone,
        Multipath,
        Bundle,
        CheckPktLarger,
        StackPush,
        StackPop,
        Exit,
        Raw,
    }
);
kinds!(
    INSTRUCTIONS,
    instruction,
    Instruction {
        GotoTable,
        WriteMetadata,
        Write,
        Apply,
        Clear,
        Meter,
        Raw
    }
);
kinds!(
    TARGETS,
    target,
    LearnTarget {
        Match,
        Load,
        Output
    }
);
kinds!(SPECS, spec, LearnSpec { Field, Value });
kinds!(
    HASHES,
    hash,
    HashFields {
        EthSrc,
        SymmetricL4,
        SymmetricL3L4,
        SymmetricL3L4Udp,
        NwSrc,
        NwDst,
        SymmetricL3,
        Other,
    }
);
kinds!(
    ENDS,
    end,
    NatKind {
        Source,
        Destination
    }
);
kinds!(ZONES, zone, Zone { Value, Field });
kinds!(
    GROUP_TYPES,
    group_type,
    GroupType {
        All,
        Select,
        Indirect,
        FastFailover
    }
);
kinds!(
    BANDS,
    band,
    Band {
        Drop,
        DscpRemark,
        Raw
    }
);

/// What was seen of one kind of thing.
type Seen = BTreeSet<&'static str>;

fn missing(all: &[&'static str], seen: &Seen) -> Vec<&'static str> {
    all.iter()
        .copied()
        .filter(|name| !seen.contains(name))
        .collect()
}

/// Everything that the recorded flows and groups say.
#[derive(Default)]
struct Said {
    instructions: Seen,
    actions: Seen,
    specs: Seen,
    targets: Seen,
    hashes: Seen,
    ends: Seen,
    zones: Seen,
    exact: BTreeSet<Field>,
    masked: BTreeSet<Field>,
    set: BTreeSet<Field>,
    read: BTreeSet<Field>,
}

impl Said {
    fn of_flows() -> Self {
        let mut said = Said::default();
        for frame in &recorded_flows() {
            let flow = flow_mod(frame);
            flow.matches.fields().for_each(|entry| said.matched(entry));
            flow.instructions
                .iter()
                .for_each(|part| said.instruction(part));
        }
        said
    }

    fn matched(&mut self, entry: &FieldMatch) {
        let seen = if entry.is_exact() {
            &mut self.exact
        } else {
            &mut self.masked
        };
        seen.insert(entry.field);
    }

    fn instruction(&mut self, part: &Instruction) {
        self.instructions.insert(instruction(part));
        if let Instruction::Apply(actions) | Instruction::Write(actions) = part {
            self.list(actions);
        }
    }

    fn list(&mut self, actions: &[Action]) {
        for one in actions {
            self.actions.insert(action(one));
            self.fields(one);
            self.inside(one);
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "few actions name a field")]
    fn fields(&mut self, action: &Action) {
        match action {
            Action::SetField { field, .. } => {
                self.set.insert(*field);
            }
            Action::Load { dst, .. } | Action::StackPop(dst) => {
                self.set.insert(dst.field);
            }
            Action::CheckPktLarger { dst, .. } => {
                self.set.insert(dst.field);
            }
            Action::Move { src, dst } => {
                self.read.insert(src.field);
                self.set.insert(dst.field);
            }
            Action::OutputReg { src, .. } | Action::StackPush(src) => {
                self.read.insert(src.field);
            }
            _ => {}
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "few actions have parts")]
    fn inside(&mut self, action: &Action) {
        match action {
            Action::Clone(actions) => self.list(actions),
            Action::Ct(ct) => {
                self.zones.insert(zone(&ct.zone));
                self.list(&ct.exec);
            }
            Action::Nat(nat) => self.ends.extend(nat.kind.iter().map(end)),
            Action::Multipath(multipath) => {
                self.hashes.insert(hash(&multipath.fields));
            }
            Action::Learn(learn) => {
                self.specs.extend(learn.specs.iter().map(spec));
                let targets = learn.specs.iter().map(|spec| match spec {
                    LearnSpec::Field { target, .. } | LearnSpec::Value { target, .. } => target,
                });
                self.targets.extend(targets.map(target));
            }
            _ => {}
        }
    }
}

/// Fields that `ovs-ofctl` matches as others where it speaks OpenFlow 1.3: `in_port_oxm`, `vlan_vid`, `ip_dscp`, registers.
fn is_matched_as_another(field: &Field) -> bool {
    let name = field.name();
    [Field::IN_PORT_NXM, Field::VLAN_TCI, Field::NW_TOS].contains(field)
        || name.starts_with("xreg")
        || name.starts_with("xxreg")
}

/// Fields of which it compares fewer bits than are on the wire.
const NEVER_WHOLE: &[Field] = &[
    Field::CT_STATE,
    Field::TUN_FLAGS,
    Field::TUN_ERSPAN_VER,
    Field::TUN_ERSPAN_DIR,
    Field::TUN_ERSPAN_HWID,
];

/// Fields that no action may write (ovs-fields(7), "Access").
const READ_ONLY: &[Field] = &[
    Field::DP_HASH,
    Field::RECIRC_ID,
    Field::PACKET_TYPE,
    Field::CONJ_ID,
    Field::TUN_GTPU_FLAGS,
    Field::TUN_GTPU_MSGTYPE,
    Field::ACTSET_OUTPUT,
    Field::CT_STATE,
    Field::CT_ZONE,
    Field::CT_NW_PROTO,
    Field::CT_NW_SRC,
    Field::CT_NW_DST,
    Field::CT_IPV6_SRC,
    Field::CT_IPV6_DST,
    Field::CT_TP_SRC,
    Field::CT_TP_DST,
    Field::ETH_TYPE,
    Field::MPLS_BOS,
    Field::IP_PROTO,
    Field::IP_FRAG,
    Field::TCP_FLAGS,
    Field::NSH_MDTYPE,
    Field::NSH_NP,
];

fn lacking(wanted: impl Iterator<Item = Field>, seen: &BTreeSet<Field>) -> Vec<Field> {
    wanted.filter(|field| !seen.contains(field)).collect()
}

#[test]
fn the_flows_match_every_field_wholly_and_in_part() {
    let said = Said::of_flows();
    let fields = || Field::all().filter(|field| !is_matched_as_another(field));
    let whole = fields().filter(|field| !NEVER_WHOLE.contains(field));
    let in_part = fields().filter(|field| field.maskable());
    assert_eq!(
        [lacking(whole, &said.exact), lacking(in_part, &said.masked)],
        [const { Vec::<Field>::new() }; 2]
    );
}

#[test]
fn the_flows_read_and_set_every_field() {
    let said = Said::of_flows();
    let writable = Field::all().filter(|field| !READ_ONLY.contains(field));
    assert_eq!(
        [
            lacking(Field::all(), &said.read),
            lacking(writable, &said.set)
        ],
        [const { Vec::<Field>::new() }; 2]
    );
}

#[test]
fn the_flows_have_every_instruction_and_action_with_all_their_parts() {
    let said = Said::of_flows();
    assert!(recorded_flows().len() >= 400);
    assert_eq!(missing(ACTIONS, &said.actions), [""; 0]);
    // One that is unknown to us is unknown to ovs-ofctl.
    assert_eq!(missing(INSTRUCTIONS, &said.instructions), ["Raw"]);
    assert_eq!(missing(SPECS, &said.specs), [""; 0]);
    assert_eq!(missing(TARGETS, &said.targets), [""; 0]);
    assert_eq!(missing(HASHES, &said.hashes), ["Other"]);
    assert_eq!(missing(ENDS, &said.ends), [""; 0]);
    assert_eq!(missing(ZONES, &said.zones), [""; 0]);
}

#[test]
fn the_groups_and_meters_have_every_type_and_band() {
    let (mut types, mut bands, mut said) = (Seen::new(), Seen::new(), Said::default());
    let groups = recorded("add-group", &corpus(GROUPS));
    let meters = recorded("add-meter", &corpus(METERS));
    for frame in groups.iter().chain(&meters) {
        let (_, message) = Message::decode(frame).unwrap();
        if let Message::GroupMod(group) = message {
            types.insert(group_type(&group.kind));
            group
                .buckets
                .iter()
                .for_each(|Bucket { actions, .. }| said.list(actions));
        } else if let Message::MeterMod(meter) = message {
            bands.extend(meter.bands.iter().map(band));
        }
    }
    assert_eq!(missing(GROUP_TYPES, &types), [""; 0]);
    assert_eq!(missing(BANDS, &bands), ["Raw"]);
    assert!(said.actions.len() > 10, "{:?}", said.actions);
}
