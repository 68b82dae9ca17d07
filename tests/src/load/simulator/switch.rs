//! A switch that keeps its flows and meters, and says of them what Open vSwitch would. Does no IO. A flow monitor tells of the
//! changes of its own connection alone.

use super::flow_table::{BundledFlow, FlowTable};
use super::roles::{AskedRole, Roles};
use crate::load::bundles::reply_to;
use bytes::{Bytes, BytesMut};
use rust_openflow::multipart::{GroupDesc, MeterConfig};
use rust_openflow::{
    ALL_TABLES, BundleControl, BundleControlType, Capabilities, ErrorCode, ErrorMessage, Features,
    FlowUpdate, GroupCommand, GroupMod, Hello, Message, MeterCommand, MeterMod, MultipartBody,
    MultipartReply, MultipartRequest, SwitchConfig, Xid, flow_update_reply,
};
use std::collections::BTreeMap;

/// 24 octets each.
const METERS_A_PART: usize = 1000;
const UPDATES_A_PART: usize = 4000;

/// What stays while connections come and go.
#[derive(Debug)]
pub(super) struct SimulatedSwitch {
    datapath_id: u64,
    flows: FlowTable,
    meters: BTreeMap<u32, MeterConfig>,
    groups: BTreeMap<u32, GroupDesc>,
    config: SwitchConfig,
    roles: Roles,
}

/// What belongs to one connection.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// The flow-mods of the bundle that is open.
    bundle: Vec<BundledFlow>,
    /// Whether changes of flows are told.
    is_watched: bool,
    /// Whether the controller has read the flows back.
    pub(super) is_read: bool,
    role: AskedRole,
    pub(super) outgoing: BytesMut,
}

impl SimulatedSwitch {
    pub(super) fn new() -> Self {
        let config = SwitchConfig {
            flags: 0,
            miss_send_len: 128,
        };
        Self {
            datapath_id: 0,
            flows: FlowTable::default(),
            meters: BTreeMap::new(),
            groups: BTreeMap::new(),
            config,
            roles: Roles::default(),
        }
    }

    /// Begins to talk.
    pub(super) fn greet(&mut self, datapath_id: u64) -> Talk {
        self.datapath_id = datapath_id;
        let mut talk = Talk {
            role: self.roles.connect(),
            ..Talk::default()
        };
        talk.put(Xid(0), &Message::Hello(Hello::openflow13()));
        talk
    }

    /// How many flows it has.
    pub(super) fn flows(&self) -> usize {
        self.flows.len()
    }

    /// Whether a connection may change flows, and has read them back.
    pub(super) fn is_in_hand(&self, talk: &Talk) -> bool {
        talk.is_read && self.roles.may_change(&talk.role)
    }

    /// Takes a message that adds a flow-mod to a bundle. Says whether it is one.
    pub(super) fn take_bundled(&self, talk: &mut Talk, frame: &Bytes) -> bool {
        let Some(flow) = BundledFlow::of(frame) else {
            return false;
        };
        match self.roles.may_change(&talk.role) {
            true => talk.bundle.push(flow),
            false => talk.refuse(flow.xid, ErrorCode::IS_SECONDARY),
        }
        true
    }

    /// Does what a message asks, and answers it; gives how many flows were changed.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a controller sends little else"
    )]
    pub(super) fn serve(&mut self, talk: &mut Talk, xid: Xid, message: Message) -> usize {
        if is_change(&message) && !self.roles.may_change(&talk.role) {
            talk.refuse(xid, ErrorCode::IS_SECONDARY);
            return 0;
        }
        match message {
            Message::RoleRequest(wanted) => match self.roles.ask(&mut talk.role, wanted) {
                Ok(reply) => talk.put(xid, &reply),
                Err(code) => talk.refuse(xid, code),
            },
            Message::FeaturesRequest => talk.put(xid, &self.features()),
            Message::EchoRequest(data) => talk.put(xid, &Message::EchoReply(data)),
            Message::BarrierRequest => talk.put(xid, &Message::BarrierReply),
            Message::SetConfig(config) => self.config = config,
            Message::GetConfigRequest => talk.put(xid, &Message::GetConfigReply(self.config)),
            Message::MeterMod(meter) => self.meter(meter),
            Message::GroupMod(group) => self.group(group),
            Message::MultipartRequest(request) => self.tell(talk, xid, &request),
            Message::BundleControl(control) => return self.bundle(talk, xid, control),
            _ => {}
        }
        0
    }

    fn features(&self) -> Message {
        Message::FeaturesReply(Features {
            datapath_id: self.datapath_id,
            buffers: 0,
            tables: 254,
            auxiliary_id: 0,
            capabilities: Capabilities(0x4f),
        })
    }

    fn meter(&mut self, wanted: MeterMod) {
        let config = MeterConfig {
            flags: wanted.flags,
            meter: wanted.meter,
            bands: wanted.bands,
        };
        match wanted.command {
            MeterCommand::Delete => drop(self.meters.remove(&wanted.meter)),
            MeterCommand::Add | MeterCommand::Modify => {
                self.meters.insert(wanted.meter, config);
            }
        }
    }

    fn group(&mut self, wanted: GroupMod) {
        let (number, kind, buckets) = (wanted.group, wanted.kind, wanted.buckets);
        match wanted.command {
            GroupCommand::Delete => drop(self.groups.remove(&number)),
            GroupCommand::Add | GroupCommand::Modify | GroupCommand::AddOrModify => {
                let group = GroupDesc {
                    kind,
                    group: number,
                    buckets,
                };
                self.groups.insert(number, group);
            }
        }
    }

    fn bundle(&mut self, talk: &mut Talk, xid: Xid, control: BundleControl) -> usize {
        let Some(kind) = reply_to(control.kind) else {
            return 0;
        };
        let mut changed = 0;
        if control.kind == BundleControlType::CommitRequest {
            let mods = std::mem::take(&mut talk.bundle);
            changed = mods.len();
            talk.tell_own(&mods);
            mods.iter().for_each(|flow| self.flows.change(flow));
        } else if control.kind != BundleControlType::CloseRequest {
            talk.bundle.clear();
        }
        talk.put(
            xid,
            &Message::BundleControl(BundleControl { kind, ..control }),
        );
        changed
    }

    fn tell(&self, talk: &mut Talk, xid: Xid, request: &MultipartRequest) {
        if let MultipartRequest::Flow(wanted) = request {
            talk.is_read |= wanted.table == ALL_TABLES;
            self.flows.tell(xid, wanted.table, &mut talk.outgoing);
        } else if let MultipartRequest::MeterConfig(_) = request {
            let meters: Vec<MeterConfig> = self.meters.values().cloned().collect();
            let full = meters.chunks(METERS_A_PART).map(<[_]>::to_vec);
            let mut parts: Vec<MultipartBody> = full.map(MultipartBody::MeterConfig).collect();
            if parts.is_empty() {
                parts.push(MultipartBody::MeterConfig(vec![]));
            }
            talk.put_parts(xid, parts);
        } else if let MultipartRequest::GroupDesc = request {
            let groups = self.groups.values().cloned().collect();
            talk.put_parts(xid, vec![MultipartBody::GroupDesc(groups)]);
        } else if let MultipartRequest::PortDesc = request {
            talk.put_parts(xid, vec![MultipartBody::PortDesc(vec![])]);
        } else if let MultipartRequest::Raw { .. } = request {
            talk.is_watched = true;
            talk.put(xid, &Message::MultipartReply(flow_update_reply(&[])));
        } else {
            talk.refuse(xid, ErrorCode::BAD_TYPE);
        }
    }
}

/// What a secondary connection may not send.
fn is_change(message: &Message) -> bool {
    matches!(
        message,
        Message::PacketOut(_)
            | Message::FlowMod(_)
            | Message::GroupMod(_)
            | Message::MeterMod(_)
            | Message::BundleControl(_)
            | Message::BundleAdd(_)
    )
}

impl Talk {
    pub(super) fn put(&mut self, xid: Xid, message: &Message) {
        let encoded = message.encode(xid, &mut self.outgoing);
        debug_assert!(encoded.is_ok(), "{encoded:?}");
    }

    fn refuse(&mut self, xid: Xid, code: ErrorCode) {
        let data = Bytes::new();
        self.put(xid, &Message::Error(ErrorMessage { code, data }));
    }

    fn put_parts(&mut self, xid: Xid, parts: Vec<MultipartBody>) {
        let count = parts.len();
        for (number, body) in parts.into_iter().enumerate() {
            let more = number + 1 < count;
            self.put(xid, &Message::MultipartReply(MultipartReply { more, body }));
        }
    }

    /// A flow monitor tells of the changes of its own connection, too, in short.
    fn tell_own(&mut self, mods: &[BundledFlow]) {
        if !self.is_watched {
            return;
        }
        for mods in mods.chunks(UPDATES_A_PART) {
            let updates = mods.iter().map(|flow| FlowUpdate::Own { xid: flow.xid });
            let updates: Vec<FlowUpdate> = updates.collect();
            self.put(
                Xid(0),
                &Message::MultipartReply(flow_update_reply(&updates)),
            );
        }
    }
}
