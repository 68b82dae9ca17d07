use super::*;
use rust_openflow::multipart::GroupDesc;
use rust_openflow::{
    Cookie, GroupCommand, GroupMod, GroupType, Match, MeterFlags, PortNo, PortState, PortStatus,
    TableId, flow_update_reply,
};
use sextant_flows::pipeline::groups;
use sextant_model::{Reassembly, Settings};

/// A switch's session, as far as it keeps watch.
struct WatchedSwitch {
    vigil: Vigil,
    metrics: Metrics,
    now: Instant,
}

impl WatchedSwitch {
    fn new() -> Self {
        let (metrics, now) = (Metrics::new().unwrap(), Instant::now());
        let vigil = Vigil::new(metrics.clone(), ChassisId::new("h1"), now);
        Self {
            vigil,
            metrics,
            now,
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// How many requests are sent by then.
    fn asks(&mut self, idle: bool) -> usize {
        let (mut sent, now) = (0, self.now);
        self.vigil.ask(now, idle, |_| {
            sent += 1;
            Some(Xid(sent))
        });
        sent as usize
    }

    fn take(&mut self, xid: impl Into<Xid>, message: Message) -> Option<Message> {
        let mut mends = self.vigil.take(xid.into(), &message, self.now);
        assert!(mends.len() < 2);
        mends.pop()
    }

    fn answer(&mut self, xid: impl Into<Xid>, body: MultipartBody) -> Option<Message> {
        let more = false;
        self.take(xid, Message::MultipartReply(MultipartReply { more, body }))
    }

    fn told(&mut self, updates: &[FlowUpdate]) {
        let reply = Message::MultipartReply(flow_update_reply(updates));
        assert_eq!(self.take(0, reply), None);
    }

    fn mended(&self, kind: &str) -> u64 {
        self.metrics.drift_mended.with_label_values(&[kind]).get()
    }
}

fn changed(event: FlowEvent, cookie: impl Into<Cookie>) -> FlowUpdate {
    FlowUpdate::Changed {
        event,
        reason: 0,
        priority: 1,
        table: TableId(3),
        cookie: cookie.into(),
        matches: Match::new(),
    }
}

#[test]
fn what_we_do_ourselves_is_no_reason_to_read_anything_back() {
    let mut story = WatchedSwitch::new();
    story.told(&[FlowUpdate::Own { xid: Xid(7) }]);
    story.told(&[]);
    story.pass(QUIET);
    assert!(!story.vigil.is_suspicious(story.now));
}

#[test]
fn what_others_do_is_gathered_and_then_read_back_once() {
    let mut story = WatchedSwitch::new();
    story.told(&[changed(FlowEvent::Deleted, 1)]);
    assert!(!story.vigil.is_suspicious(story.now), "more may come");
    story.told(&[
        changed(FlowEvent::Modified, 2),
        changed(FlowEvent::Added, 3),
    ]);
    story.pass(GATHER);
    assert!(story.vigil.is_suspicious(story.now));
    let tampered = InstalledFlow {
        table: TableId(3),
        cookie: Cookie(2),
    };
    assert_eq!(story.vigil.reads(story.now), [tampered].into());
    assert!(!story.vigil.is_suspicious(story.now));
}

#[test]
fn one_who_goes_on_is_mended_ever_less_often_but_in_time() {
    let mut story = WatchedSwitch::new();
    let mut waits = vec![];
    for _ in 0..6 {
        let begun = story.now;
        story.told(&[changed(FlowEvent::Deleted, 1)]);
        story.now = story.vigil.deadline(true);
        while !story.vigil.is_suspicious(story.now) {
            // It is time to ask for meters, too.
            story.asks(true);
            story.now = story.vigil.deadline(true);
        }
        story.vigil.reads(story.now);
        waits.push((story.now - begun).as_secs());
    }
    assert_eq!(waits, [0, 1, 2, 4, 8, 8]);
    story.pass(QUIET);
    story.told(&[changed(FlowEvent::Deleted, 1)]);
    story.pass(GATHER);
    assert!(story.vigil.is_suspicious(story.now));
}

#[test]
fn meters_groups_and_fragments_are_looked_at_while_nothing_else_is_under_way() {
    let mut story = WatchedSwitch::new();
    assert_eq!(story.asks(true), 0);
    story.pass(INTERVAL);
    assert_eq!(story.asks(false), 0);
    story.pass(SOON);
    assert_eq!(story.asks(true), 3);
    let meters = Meters::new(&Settings::default(), Reassembly::Flawed);
    let flows = Flows::default();
    assert_eq!(story.answer(3, MultipartBody::MeterConfig(vec![])), None);
    story.vigil.compare_meters(&flows, &meters, story.now);
    story.pass(GATHER);
    assert!(!story.vigil.is_suspicious(story.now), "none are wanted");

    story.pass(INTERVAL);
    assert_eq!(story.asks(true), 3);
    story.vigil.disturbed();
    let meter = MeterConfig {
        flags: MeterFlags::NONE,
        meter: 9,
        bands: vec![],
    };
    let read = || MultipartBody::MeterConfig(vec![meter.clone()]);
    story.answer(3, read());
    story.vigil.compare_meters(&flows, &meters, story.now);
    story.pass(GATHER);
    assert!(!story.vigil.is_suspicious(story.now), "it may be our own");

    story.pass(INTERVAL);
    assert_eq!(story.asks(true), 3);
    story.answer(3, read());
    story.vigil.compare_meters(&flows, &meters, story.now);
    story.pass(GATHER);
    assert!(story.vigil.is_suspicious(story.now));
}

#[test]
fn fragments_are_mended_as_soon_as_they_are_seen() {
    let mut story = WatchedSwitch::new();
    story.pass(INTERVAL);
    story.asks(true);
    let as_wanted = Message::GetConfigReply(SWITCH_CONFIG);
    assert_eq!(story.take(1, as_wanted), None);
    story.pass(INTERVAL);
    story.asks(true);
    let dropped = SwitchConfig {
        flags: 1,
        ..SWITCH_CONFIG
    };
    let mend = story.take(1, Message::GetConfigReply(dropped));
    assert_eq!(mend, Some(Message::SetConfig(SWITCH_CONFIG)));
    assert_eq!(story.mended("switch"), 1);
}

#[test]
fn groups_are_those_of_the_pipeline_and_no_others() {
    let mut story = WatchedSwitch::new();
    let wanted = groups().map(|group| GroupDesc {
        kind: group.kind,
        group: group.group,
        buckets: group.buckets,
    });
    let [recirculate, copy] = wanted;
    let foreign = GroupDesc {
        group: 77,
        ..copy.clone()
    };
    let meddled = GroupDesc {
        buckets: vec![],
        ..copy.clone()
    };
    let delete = Message::GroupMod(GroupMod {
        command: GroupCommand::Delete,
        kind: GroupType::Select,
        group: 77,
        buckets: vec![],
    });
    let install = groups().map(Message::GroupMod);
    let mut mended = 0;
    for (found, more, mends) in [
        (vec![recirculate.clone(), copy.clone()], 0, vec![]),
        (
            vec![copy.clone(), foreign, recirculate.clone()],
            1,
            vec![delete],
        ),
        (vec![], 2, install.to_vec()),
        (vec![recirculate, meddled], 1, install.to_vec()),
    ] {
        story.pass(INTERVAL);
        story.asks(true);
        let (last, first) = (found.len().min(1), found.len() - found.len().min(1));
        // A reply may have several parts.
        let [begin, end] = [
            (&found[..first], true),
            (&found[found.len() - last..], false),
        ]
        .map(|(groups, more)| {
            let body = MultipartBody::GroupDesc(groups.to_vec());
            let reply = Message::MultipartReply(MultipartReply { more, body });
            story.vigil.take(Xid(2), &reply, story.now)
        });
        assert_eq!((begin, end), (vec![], mends));
        mended += more;
        assert_eq!(story.mended("group"), mended);
    }
}

fn port(number: u32, config: PortConfig) -> PortDesc {
    PortDesc {
        number: PortNo(number),
        address: [2, 0, 0, 0, 0, 4],
        name: "tap".to_owned(),
        config,
        state: PortState::NONE,
        current: 0,
        advertised: 0,
        supported: 0,
        peer: 0,
        current_speed: 0,
        max_speed: 0,
    }
}

#[test]
fn ports_that_were_made_deaf_before_the_session_hear_again() {
    let mut story = WatchedSwitch::new();
    let flags = [
        PortConfig::NONE,
        PortConfig::NO_FORWARD,
        PortConfig::NO_RECEIVE,
    ];
    let ports = [1, 2, 3].into_iter().zip(flags);
    let body = MultipartBody::PortDesc(ports.map(|(n, config)| port(n, config)).collect());
    let reply = Message::MultipartReply(MultipartReply { more: false, body });
    let mends = story.vigil.take(Xid(9), &reply, story.now);
    let mended = |mend: &Message| {
        let Message::PortMod(mend) = mend else {
            panic!("{mend:?}");
        };
        mend.number.0
    };
    assert_eq!(mends.iter().map(mended).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(story.mended("port"), 2);
}

#[test]
fn a_port_that_was_made_deaf_hears_again_and_one_without_link_is_left_alone() {
    let mut story = WatchedSwitch::new();
    let status = |reason, config| {
        let port = port(4, config);
        Message::PortStatus(PortStatus { reason, port })
    };
    let down = status(PortReason::Modify, PortConfig::DOWN);
    assert_eq!(story.take(0, down), None);
    let gone = status(PortReason::Delete, PortConfig::NO_RECEIVE);
    assert_eq!(story.take(0, gone), None);
    let deaf = status(PortReason::Modify, PortConfig::NO_RECEIVE);
    let Some(Message::PortMod(mend)) = story.take(0, deaf) else {
        panic!("a port-mod");
    };
    assert_eq!(
        (mend.number, mend.config, mend.mask),
        (PortNo(4), PortConfig::NONE, PORT_FLAGS)
    );
    assert_eq!(story.mended("port"), 1);
}
