//! Everything through a real ovs-vswitchd: bundles, dumps, meters, packets. Needs root, for a network namespace of its own.

use std::process::Command;
use std::time::Duration;

use crate::support::{Folder, attempt, corpus, hex, ofctl, run};
use bytes::Bytes;
use rust_openflow::multipart::{FlowStats, FlowStatsRequest};
use rust_openflow::{
    Action, Bundle, BundleError, Connection, Cookie, Field, FlowMod, Instruction, Match, Message,
    MeterMod, MultipartBody, MultipartRequest, NO_BUFFER, Options, PacketIn, PacketIn2,
    PacketInFormat, PacketInReason, PacketOut, SwitchConfig, TableId, Xid, ports,
};
use tokio::net::UnixStream;

/// An Open vSwitch with one bridge in a namespace and a folder of its own.
pub(crate) struct Switch {
    folder: Folder,
    namespace: String,
}

impl Switch {
    pub(crate) fn start() -> Self {
        let folder = Folder::new();
        let namespace = folder
            .path()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let namespace_made = attempt(Command::new("ip").args(["netns", "add", &namespace]));
        assert!(
            namespace_made.status.success(),
            "this test needs root, to make a network namespace"
        );
        let switch = Switch { folder, namespace };
        switch.daemons();
        switch
    }

    fn daemons(&self) {
        let database = self.file("conf.db");
        run(self.inside("ovsdb-tool").args([
            "create",
            &database,
            "/usr/share/openvswitch/vswitch.ovsschema",
        ]));
        let server = [
            "--remote=punix:db.sock",
            "--detach",
            "--no-chdir",
            "--pidfile=db.pid",
            "--unixctl=db.ctl",
            "--log-file=db.log",
        ];
        run(self.inside("ovsdb-server").arg(&database).args(server));
        run(self.vsctl().args(["--no-wait", "init"]));
        let daemon = [
            "unix:db.sock",
            "--detach",
            "--no-chdir",
            "--pidfile=switch.pid",
            "--unixctl=switch.ctl",
            "--log-file=switch.log",
            "--enable-dummy",
        ];
        run(self.inside("ovs-vswitchd").args(daemon));
        let bridge = [
            "add-br",
            "br0",
            "--",
            "set",
            "bridge",
            "br0",
            "datapath_type=netdev",
            "fail_mode=secure",
        ];
        run(self.vsctl().args(bridge).arg("protocols=OpenFlow13"));
    }

    fn vsctl(&self) -> Command {
        let mut command = self.inside("ovs-vsctl");
        command.args(["--db=unix:db.sock", "--timeout=20"]);
        command
    }

    /// A port whose packets are [`Switch::receive`]d.
    pub(crate) fn add_port(&self, name: &str, number: u32) {
        let interface = ["--", "set", "interface", name, "type=dummy"];
        run(self
            .vsctl()
            .args(["add-port", "br0", name])
            .args(interface)
            .arg(format!("ofport_request={number}")));
    }

    /// Gives a port two queues.
    pub(crate) fn add_queues(&self, port: &str) {
        let words = "-- --id=@qos create qos type=linux-htb other-config:max-rate=1000000000 queues=0=@a,3=@b \
             -- --id=@a create queue other-config:min-rate=100000000 -- --id=@b create queue other-config:max-rate=500000000";
        let set = ["set", "port", port, "qos=@qos"];
        run(self.vsctl().args(set).args(words.split_whitespace()));
    }

    /// A frame comes in by a port.
    fn receive(&self, port: &str, frame: &[u8]) {
        let target = format!("--target={}", self.file("switch.ctl"));
        run(Command::new("ovs-appctl").args([&target, "netdev-dummy/receive", port, &hex(frame)]));
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A program in the switch's namespace and folder.
    fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.namespace, program])
            .current_dir(self.folder.path());
        let path = self.folder.path();
        command
            .env("OVS_RUNDIR", path)
            .env("OVS_DBDIR", path)
            .env("OVS_LOGDIR", path);
        command
    }

    async fn connect(&self) -> Connection<UnixStream> {
        let stream = UnixStream::connect(self.file("br0.mgmt")).await.unwrap();
        Connection::handshake(stream, Options::default())
            .await
            .unwrap()
    }

    fn dump_flows(&self) -> Vec<String> {
        let target = format!("unix:{}", self.file("br0.mgmt"));
        let output = run(ofctl().args(["--no-stats", "dump-flows", &target]));
        let text = String::from_utf8(output.stdout).unwrap();
        sorted(text.lines().map(|line| line.trim().to_owned()))
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        for daemon in ["switch.ctl", "db.ctl"] {
            let target = format!("--target={}", self.file(daemon));
            let _ = attempt(Command::new("ovs-appctl").args([&target, "exit"]));
        }
        let _ = attempt(Command::new("ip").args(["netns", "delete", &self.namespace]));
    }
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines
}

async fn commit(
    connection: &mut Connection<UnixStream>,
    flows: Vec<FlowMod>,
) -> Result<(), BundleError> {
    let mut bundle = Bundle::new(1, flows);
    loop {
        connection.drive(&mut bundle).unwrap();
        let (xid, message) = heard(connection).await;
        if let Some(outcome) = bundle.on_message(xid, &message) {
            return outcome;
        }
    }
}

async fn flows(connection: &mut Connection<UnixStream>) -> Vec<FlowStats> {
    let request = MultipartRequest::Flow(FlowStatsRequest::all());
    let asked = connection
        .send(&Message::MultipartRequest(request))
        .unwrap();
    let mut found = Vec::new();
    loop {
        let (xid, message) = heard(connection).await;
        let Message::MultipartReply(reply) = message else {
            panic!("{message:?}")
        };
        let MultipartBody::Flow(part) = reply.body else {
            panic!("{:?}", reply.body)
        };
        assert_eq!(xid, asked);
        found.extend(part);
        if !reply.more {
            return found;
        }
    }
}

fn apply(actions: Vec<Action>) -> Vec<Instruction> {
    vec![Instruction::Apply(actions)]
}

#[tokio::test]
async fn a_bundle_is_taken_whole_or_not_at_all() {
    let switch = Switch::start();
    let mut connection = switch.connect().await;
    assert!(connection.features().tables > 0);
    let flow = |cookie| {
        FlowMod::add(
            1,
            cookie as u16,
            Match::new(),
            apply(vec![Action::output(7)]),
        )
        .with_cookie(cookie)
    };
    commit(&mut connection, (1..=500).map(flow).collect())
        .await
        .unwrap();
    assert_eq!(flows(&mut connection).await.len(), 500);
    let bad = FlowMod::add(0, 1, Match::new().with(Field::ND_TARGET, 1_u8), Vec::new());
    let refused = commit(&mut connection, vec![flow(501), bad, flow(502)])
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "flow-mods of the bundle were refused: 1: OFPBMC_BAD_PREREQ"
    );
    assert_eq!(flows(&mut connection).await.len(), 500);
    let deletions = (1..=400)
        .map(|cookie| FlowMod::delete_by_cookie(1, cookie))
        .collect();
    commit(&mut connection, deletions).await.unwrap();
    assert_eq!(flows(&mut connection).await.len(), 100);
}

/// Flows that a switch takes without being told of groups, meters or tunnel options first, and without a kernel datapath.
fn installable() -> Vec<&'static str> {
    let foreign = [
        "group",
        "meter",
        "tun_metadata",
        "check_overlap",
        "recirc_id",
        "dp_hash",
        "set_field:1->in_port",
        "encap",
        "decap",
    ];
    let lines = corpus(include_str!("../corpus/flows.txt"));
    lines
        .into_iter()
        .filter(|line| !foreign.iter().any(|word| line.contains(word)))
        .collect()
}

#[tokio::test]
async fn flows_come_back_with_the_text_that_ovs_ofctl_prints() {
    let switch = Switch::start();
    let target = format!("unix:{}", switch.file("br0.mgmt"));
    // Tables of their own, so that flows of the same match do not replace each other.
    let mut accepted = 0;
    for (number, line) in installable().into_iter().enumerate() {
        let table = format!("table={},{line}", 1 + number % 200);
        let placed = if line.starts_with("table=") {
            line
        } else {
            &table
        };
        accepted += usize::from(
            attempt(ofctl().args(["add-flow", &target, placed]))
                .status
                .success(),
        );
    }
    assert!(accepted > 250, "{accepted}");
    let mut connection = switch.connect().await;
    let ours = sorted(
        flows(&mut connection)
            .await
            .iter()
            .map(ToString::to_string)
            .filter(|line| !line.contains("raw:")),
    );
    let theirs: Vec<String> = switch
        .dump_flows()
        .into_iter()
        .filter(|line| {
            !["sample(", "fin_timeout", "dec_nsh"]
                .iter()
                .any(|word| line.contains(word))
        })
        .collect();
    let only = |some: &[String], others: &[String]| -> Vec<String> {
        let lines = some.iter().filter(|line| !others.contains(line));
        lines.cloned().collect()
    };
    assert_eq!(only(&ours, &theirs), only(&theirs, &ours));
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.len() > 200, "{}", ours.len());
}

#[tokio::test]
async fn a_packet_goes_out_and_comes_up_with_its_cookie() {
    let switch = Switch::start();
    let mut connection = switch.connect().await;
    connection
        .send(&Message::MeterMod(MeterMod::packet_rate(1, 1000, 100)))
        .unwrap();
    let punt = Action::Controller {
        max_len: 0xffff,
        id: 0,
        reason: PacketInReason::Action,
        userdata: Bytes::new(),
        pause: false,
        meter: Some(1),
    };
    let flow = FlowMod::add(
        5,
        10,
        Match::new().with(Field::ETH_TYPE, 0x86dd_u16),
        apply(vec![Action::set(Field::reg(3), 77_u8), punt]),
    );
    commit(&mut connection, vec![flow.with_cookie(0xfeed)])
        .await
        .unwrap();
    let frame = solicitation();
    let packet = PacketOut {
        buffer_id: NO_BUFFER,
        in_port: ports::LOCAL,
        actions: vec![Action::resubmit(5)],
        data: frame.clone(),
    };
    connection
        .send(&Message::SetConfig(SwitchConfig {
            flags: 0,
            miss_send_len: 0xffff,
        }))
        .unwrap();
    connection.send(&Message::PacketOut(packet)).unwrap();
    let packet = next_packet(&mut connection).await;
    assert_eq!(
        (packet.cookie, packet.table, packet.in_port()),
        (Cookie(0xfeed), TableId(5), Some(ports::LOCAL))
    );
    assert_eq!(packet.matches.value(Field::reg(3)), Some(77));
    assert_eq!(packet.data, frame);
}

/// The next message, which the switch must send soon: echoes would keep a connection for ever.
async fn heard(connection: &mut Connection<UnixStream>) -> (Xid, Message) {
    let received = tokio::time::timeout(Duration::from_secs(20), connection.recv()).await;
    received.expect("the switch says nothing").unwrap().unwrap()
}

async fn next_packet(connection: &mut Connection<UnixStream>) -> PacketIn {
    loop {
        let (_, message) = heard(connection).await;
        if let Message::PacketIn(packet) = message {
            return packet;
        }
        assert!(!matches!(message, Message::Error(_)), "{message:?}");
    }
}

#[tokio::test]
async fn a_packet_comes_up_with_its_userdata() {
    let switch = Switch::start();
    let mut connection = switch.connect().await;
    connection
        .send(&Message::SetPacketInFormat(PacketInFormat::Nicira2))
        .unwrap();
    connection
        .send(&Message::SetConfig(SwitchConfig {
            flags: 0,
            miss_send_len: 0xffff,
        }))
        .unwrap();
    let punt = Action::Controller {
        max_len: 0xffff,
        id: 0,
        reason: PacketInReason::Action,
        userdata: Bytes::from_static(b"router"),
        pause: false,
        meter: None,
    };
    let flow = FlowMod::add(
        5,
        10,
        Match::new(),
        apply(vec![Action::set(Field::reg(1), 5_u8), punt]),
    )
    .with_cookie(9);
    commit(&mut connection, vec![flow]).await.unwrap();
    let actions = vec![Action::resubmit(5)];
    let packet = PacketOut {
        buffer_id: NO_BUFFER,
        in_port: ports::LOCAL,
        actions,
        data: solicitation(),
    };
    connection.send(&Message::PacketOut(packet)).unwrap();
    let packet = next_packet2(&mut connection).await;
    assert_eq!(
        (packet.userdata.as_ref(), packet.cookie, packet.table),
        (&b"router"[..], Some(Cookie(9)), Some(TableId(5)))
    );
    assert_eq!(packet.metadata.value(Field::reg(1)), Some(5));
    assert_eq!(packet.data, solicitation());
    assert!(packet.unknown.is_empty());
}

/// Sends packets up with this userdata.
fn up(userdata: &'static [u8], pause: bool) -> Action {
    Action::Controller {
        max_len: 0xffff,
        id: 0,
        reason: PacketInReason::Action,
        userdata: Bytes::from_static(userdata),
        pause,
        meter: None,
    }
}

#[tokio::test]
async fn a_paused_packet_goes_on_where_it_stopped() {
    let switch = Switch::start();
    switch.add_port("guest", 7);
    let mut connection = switch.connect().await;
    for message in [
        Message::SetPacketInFormat(PacketInFormat::Nicira2),
        Message::SetConfig(SwitchConfig {
            flags: 0,
            miss_send_len: 0xffff,
        }),
    ] {
        connection.send(&message).unwrap();
    }
    let actions = vec![
        Action::set(Field::reg(1), 5_u8),
        up(b"stop", true),
        Action::set(Field::reg(2), 6_u8),
        up(b"went on", false),
    ];
    let from_guest = Match::new().with(Field::IN_PORT, 7_u8);
    commit(
        &mut connection,
        vec![FlowMod::add(0, 10, from_guest, apply(actions)).with_cookie(9)],
    )
    .await
    .unwrap();

    switch.receive("guest", &solicitation());
    let mut paused = next_packet2(&mut connection).await;
    assert_eq!(paused.userdata.as_ref(), b"stop");
    assert!(!paused.continuation.is_empty());
    // What the controller changes, the packet goes on with.
    let changed = Match::new()
        .with(Field::IN_PORT, 7_u8)
        .with(Field::reg(1), 55_u8);
    paused.metadata = changed;
    connection.send(&Message::Resume(paused)).unwrap();

    let packet = next_packet2(&mut connection).await;
    assert_eq!(packet.userdata.as_ref(), b"went on");
    assert!(packet.continuation.is_empty());
    let value = |field| packet.metadata.value(field);
    assert_eq!(
        [Field::IN_PORT, Field::reg(1), Field::reg(2)].map(value),
        [Some(7), Some(55), Some(6)]
    );
    assert_eq!(packet.data, solicitation());
}

async fn next_packet2(connection: &mut Connection<UnixStream>) -> Box<PacketIn2> {
    let (_, message) = heard(connection).await;
    let Message::PacketIn2(packet) = message else {
        panic!("{message:?}")
    };
    packet
}

/// A router solicitation from `::`.
fn solicitation() -> Bytes {
    let mut frame = vec![
        0x33, 0x33, 0, 0, 0, 2, 0xfa, 0x16, 0x3e, 0, 0, 1, 0x86, 0xdd,
    ];
    frame.extend([0x60, 0, 0, 0, 0, 8, 58, 255]);
    frame.extend([0; 16]);
    frame.extend([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    frame.extend([133, 0, 0x7b, 0xb8, 0, 0, 0, 0]);
    frame.into()
}
