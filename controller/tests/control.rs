//! People ask a process that runs, with the real command, over a real socket.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "written for the tests of flows, which use all of it"
)]
#[path = "../../flows/tests/pipeline/support/cloud.rs"]
mod cloud;
#[path = "control/trace.rs"]
mod trace;
#[path = "control/why.rs"]
mod why;

use cloud::Cloud;
use sextant_controller::captures::Captures;
use sextant_controller::control::{self, ControlSocket, OperatorView, StoredCloud};
use sextant_controller::flow_counters::FlowCounters;
use sextant_controller::metrics::Metrics;
use sextant_controller::neighbors::{Neighbor, Neighbors};
use sextant_controller::port_history::PortHistory;
use sextant_controller::probes::TunnelProbes;
use sextant_controller::seat::Seats;
use sextant_controller::snapshot::{Publisher, Snapshot, Snapshots};
use sextant_controller::state;
use sextant_controller::store::{Embedded, Store, backup};
use sextant_model::{Change, ChassisId, MacAddr, NetworkId, Object, ServerIdentity};
use std::future::pending;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// A served socket in a folder of its own.
struct Door {
    folder: PathBuf,
    neighbors: Neighbors,
    store: Arc<dyn Store>,
    databases: Seats<ChassisId>,
    switches: Seats<ChassisId>,
    _publisher: Publisher,
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Door {
    fn open(name: &str) -> Self {
        Self::open_to(name, Snapshot::default())
    }

    fn of(cloud: Cloud, name: &str) -> Self {
        let snapshot = Snapshot {
            intent: cloud.intent,
            facts: cloud.facts,
            ..Snapshot::default()
        };
        Self::open_to(name, snapshot)
    }

    fn open_to(name: &str, snapshot: Snapshot) -> Self {
        let folder = std::env::temp_dir().join(format!("sx-door-{name}-{}", std::process::id()));
        let neighbors = neighbors();
        std::fs::create_dir_all(&folder).unwrap();
        let store: Arc<dyn Store> = Arc::new(Embedded::open(&folder.join("store")).unwrap());
        let (publisher, snapshots) = Snapshots::new(snapshot);
        let (databases, switches) = (Seats::default(), Seats::default());
        let known = OperatorView {
            snapshots,
            neighbors: neighbors.clone(),
            history: PortHistory::default(),
            counters: FlowCounters::default(),
            metrics: Metrics::new().unwrap(),
            probes: TunnelProbes::default(),
            captures: Captures::default(),
            events: state::events().0,
            databases: databases.clone(),
            switches: switches.clone(),
            store: StoredCloud(store.clone()),
        };
        let socket = ControlSocket::bind(&folder.join("control")).unwrap();
        tokio::spawn(control::serve(socket, known, pending()));
        Self {
            folder,
            neighbors,
            store,
            databases,
            switches,
            _publisher: publisher,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.join("control")
    }

    async fn ask(&self, arguments: &[&str]) -> Said {
        sextant(arguments, &self.path()).await
    }

    /// What comes back for these octets, until the other end hangs up.
    async fn converse(&self, octets: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.path()).await.unwrap();
        let _ = stream.write_all(octets).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }
}

/// What a command said, and whether it was content.
struct Said {
    success: bool,
    out: String,
    err: String,
}

async fn sextant(arguments: &[&str], socket: &Path) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sextant"));
    command.args(arguments).arg("--socket").arg(socket);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap();
    Said {
        success: output.status.success(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn neighbors() -> Neighbors {
    let neighbors = Neighbors::default();
    let neighbor = Neighbor {
        address: "fe80::1".parse().unwrap(),
        mac: Some(MacAddr([2, 0, 0, 0, 0, 1])),
        state: "reachable",
        is_default_router: true,
    };
    let unknown = Neighbor {
        address: "192.0.2.1".parse().unwrap(),
        mac: None,
        state: "incomplete",
        is_default_router: false,
    };
    let known = vec![neighbor, unknown];
    neighbors.set(&ChassisId::new("h1"), NetworkId::MIN, known);
    neighbors
}

#[tokio::test]
async fn neighbors_are_shown_to_people_and_to_programs() {
    let door = Door::open("rows");
    let said = door.ask(&["neighbors"]).await;
    assert!(said.success, "{}", said.err);
    let nil = NetworkId::MIN.to_string();
    let expected = format!(
        "HYPERVISOR  NETWORK                               ADDRESS    MAC                STATE       ROUTER\n\
         h1          {nil}  fe80::1    02:00:00:00:00:01  reachable   default\n\
         h1          {nil}  192.0.2.1  -                  incomplete  -\n"
    );
    assert_eq!(said.out, expected);
    let said = door.ask(&["neighbors", "--json"]).await;
    let first: serde_json::Value = serde_json::from_str(said.out.lines().next().unwrap()).unwrap();
    let expected = serde_json::json!({
        "chassis": "h1", "network_id": nil, "address": "fe80::1", "mac": "02:00:00:00:00:01",
        "state": "reachable", "default_router": true,
    });
    assert_eq!(first, expected);
    assert_eq!(said.out.lines().count(), 2);
}

#[tokio::test]
async fn everything_that_is_stored_is_written_to_a_file_of_who_asks() {
    let door = Door::open("backup");
    let identity = Object::ServerIdentity(ServerIdentity {
        uuid: uuid::Uuid::from_u128(1),
    });
    let stored = vec![Change::Put(identity.clone())];
    door.store.commit(stored, vec![]).await.unwrap();
    let file = door.folder.join("cloud.backup");
    let said = door.ask(&["backup", file.to_str().unwrap()]).await;
    let expected = format!(
        "1 objects were written to {}, and read back\n",
        file.display()
    );
    assert_eq!((said.out, said.err), (expected, String::new()));
    assert_eq!(backup::read(&file).unwrap(), [identity]);
    let again = door
        .ask(&["backup", file.to_str().unwrap(), "--json"])
        .await;
    assert!(
        !again.success && again.err.contains("exists"),
        "{}",
        again.err
    );
}

#[tokio::test]
async fn a_flush_reaches_the_sessions() {
    let door = Door::open("flush");
    let mut flushes = door.neighbors.flushes();
    let said = door.ask(&["neighbors", "flush"]).await;
    assert!(said.success && said.out.is_empty(), "{}", said.err);
    assert_eq!(*flushes.borrow_and_update(), 1);
}

#[tokio::test]
async fn where_nobody_can_be_asked_the_command_says_why() {
    let folder = std::env::temp_dir().join(format!("sx-door-none-{}", std::process::id()));
    let path = folder.join("control");
    let said = sextant(&["neighbors"], &path).await;
    assert!(
        !said.success && said.err.contains("Does it run"),
        "{}",
        said.err
    );

    std::fs::create_dir_all(&folder).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let said = sextant(&["neighbors"], &path).await;
    assert!(
        !said.success && said.err.contains("nobody listens"),
        "{}",
        said.err
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn what_is_no_request_is_refused_in_words() {
    let door = Door::open("noise");
    for (octets, reason) in [
        (&b"GET / HTTP/1.0\r\n\r\n"[..], "does not understand"),
        (b"{\"dance\":{}}\n", "does not understand"),
        (
            b"{\"neighbors\":{\"chassis\":\"h1\"}}\n",
            "does not understand",
        ),
        (b"{\"neighbors\":{}}", "before its line does"),
        (&[b'x'; 70_000], "longer than"),
    ] {
        let answer = door.converse(octets).await;
        // Octets that are left unread make the kernel take the answer back.
        let cut_off = answer.is_empty() && octets.len() > 65_536;
        assert!(answer.contains(reason) || cut_off, "{answer}");
    }
    assert!(door.ask(&["neighbors"]).await.success);
}

#[tokio::test]
async fn clients_that_say_nothing_take_no_more_than_the_places() {
    let door = Door::open("silent");
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(UnixStream::connect(door.path()).await.unwrap());
    }
    let said = door.ask(&["neighbors"]).await;
    assert!(
        !said.success && said.err.contains("too many ask at once"),
        "{}",
        said.err
    );
    drop(silent);
    let mut said = door.ask(&["neighbors"]).await;
    while !said.success {
        said = door.ask(&["neighbors"]).await;
    }
}

#[tokio::test]
async fn a_hypervisor_that_never_joined_is_named() {
    let door = Door::open("stranger");
    for arguments in [&["flows", "--chassis", "h9"], &["facts", "--chassis", "h9"]] {
        let said = door.ask(arguments).await;
        let expected = "sextant: there is no hypervisor h9: none has joined yet\n";
        assert_eq!((said.success, said.err.as_str()), (false, expected));
    }
    let said = door.ask(&["flows", "--object", "port/7"]).await;
    assert!(
        !said.success && said.err.contains("is not an object"),
        "{}",
        said.err
    );
    let said = door.ask(&["facts", "gateways"]).await;
    let expected = "Routers' external gateways\nROUTER  NETWORK  HYPERVISOR\n";
    assert_eq!(said.out, expected);
}

/// `a1` on h1 and `a2` on h2, on one network; h1 has a bridge to `physnet`.
fn two_guests() -> Snapshot {
    let mut cloud = Cloud::with_hypervisors(2);
    cloud.attach("h1", "physnet");
    cloud.network("red");
    cloud.subnet("red6", "red", "2001:db8:a::/64", None);
    cloud.guest("a1", "red", "h1");
    cloud.guest("a2", "red", "h2");
    Snapshot {
        intent: cloud.intent,
        facts: cloud.facts,
        ..Snapshot::default()
    }
}

fn ping_from_a1_to_a2(snapshot: &Snapshot) -> [String; 2] {
    let [a1, a2] = ["a1", "a2"].map(|name| &snapshot.intent.ports[&cloud::port_id(name)]);
    let (_, address) = a2.addresses().next().unwrap();
    let mac = a2.mac_address;
    let packet = format!("icmp6,dl_dst={mac},ipv6_dst={address},icmp_type=128");
    [format!("port/{}", a1.id), packet]
}

#[tokio::test]
async fn a_packet_is_followed_from_guest_to_guest() {
    let snapshot = two_guests();
    let [from, packet] = ping_from_a1_to_a2(&snapshot);
    let door = Door::open_to("trace", snapshot);
    let said = door.ask(&["trace", &packet, "--from", &from]).await;
    assert!(said.success, "{}", said.err);
    let lines: Vec<&str> = said.out.lines().collect();
    let starts = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    assert!(
        lines[0].starts_with("# hypervisor h1: icmp6,in_port=11,"),
        "{}",
        said.out
    );
    assert!(lines[1].starts_with("  0 classify "), "{}", said.out);
    let port = cloud::port_id("a1");
    let network = cloud::network_id("red");
    assert!(
        lines[1].ends_with(&format!(" port {port} of network {network}")),
        "{}",
        said.out
    );
    assert_eq!(
        starts("=> to hypervisor h2 at 2001:db8:77::2: "),
        1,
        "{}",
        said.out
    );
    assert_eq!(starts("# hypervisor h2: icmp6,tun_id="), 1, "{}", said.out);
    let end = format!("=> port {} gets it: icmp6,", cloud::port_id("a2"));
    let [.., gets_it, sentence] = &lines[..] else {
        panic!("{}", said.out)
    };
    assert!(gets_it.starts_with(&end), "{}", said.out);
    let port = cloud::port_id("a2");
    let expected =
        format!("It is delivered to port {port} on hypervisor h2, through the tunnel from h1.");
    assert_eq!(*sentence, expected);

    let said = door
        .ask(&["trace", "--json", &packet, "--from", &from])
        .await;
    let rows = said.out.lines();
    let rows: Vec<serde_json::Value> = rows.map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!(rows.len(), lines.len());
    assert_eq!(rows[1]["step"], "looked_up");
    assert_eq!(rows[1]["table"], 0);
}

#[tokio::test]
async fn what_a_guest_may_not_send_is_dropped_by_name() {
    let snapshot = two_guests();
    let [from, packet] = ping_from_a1_to_a2(&snapshot);
    let door = Door::open_to("forged", snapshot);
    let forged = format!("{packet},dl_src=02:00:00:00:00:99");
    let said = door.ask(&["trace", &forged, "--from", &from]).await;
    let lines: Vec<&str> = said.out.lines().collect();
    let [.., dropped, sentence] = &lines[..] else {
        panic!("{}", said.err)
    };
    assert_eq!(*dropped, "=> dropped in guard: no flow matches it");
    let port = cloud::port_id("a1");
    let expected = format!(
        "It is dropped in stage 'guard' on hypervisor h1: port {port} may not send from this MAC or address, or may not send \
         such packets."
    );
    assert_eq!(*sentence, expected);
}

#[tokio::test]
async fn a_packet_that_cannot_come_in_that_way_is_refused_in_words() {
    let snapshot = two_guests();
    let [from, packet] = ping_from_a1_to_a2(&snapshot);
    let unplugged = "port/00000000-0000-0000-0000-000000000000";
    let door = Door::open_to("nowhere", snapshot);
    for (arguments, reason) in [
        (vec![packet.as_str()], "say where the packet comes in"),
        (vec!["icmp6,in_port=11"], "say with --chassis"),
        (vec!["ipv7", "--from", &from], "'ipv7' is no field"),
        (
            vec!["ipv6,ipv6_dst=fe80::/10", "--from", &from],
            "one value in each field",
        ),
        (
            vec![&packet, "--from", unplugged],
            "not plugged in anywhere",
        ),
        (
            vec![&packet, "--from", &from, "--chassis", "h2"],
            "plugged in on hypervisor h1",
        ),
        (
            vec![&packet, "--from", "guest/7"],
            "is not where a packet can come in",
        ),
        (
            vec![&packet, "--from", "tunnel/h9", "--chassis", "h1"],
            "there is no hypervisor h9",
        ),
        (
            vec![&packet, "--from", "tunnel/h1", "--chassis", "h1"],
            "no tunnel to h1",
        ),
        (
            vec![&packet, "--from", "physical/physnet", "--chassis", "h2"],
            "no bridge to physical",
        ),
    ] {
        let said = door.ask(&[vec!["trace"], arguments].concat()).await;
        assert!(
            !said.success && said.err.contains(reason),
            "{reason}: {}{}",
            said.out,
            said.err
        );
    }
    for way in ["tunnel/h2", "physical/physnet"] {
        let said = door
            .ask(&["trace", "ipv6", "--from", way, "--chassis", "h1"])
            .await;
        assert!(
            said.success && said.out.contains("=> dropped in "),
            "{way}: {}{}",
            said.out,
            said.err
        );
    }
}

#[tokio::test]
async fn flows_of_one_object_are_shown() {
    let door = Door::open_to("flows", two_guests());
    let port = cloud::port_id("a1");
    let object = format!("port/{port}");
    let said = door
        .ask(&["flows", "--chassis", "h1", "--object", &object])
        .await;
    assert!(
        said.out.starts_with("# hypervisor h1, flows: "),
        "{}",
        said.err
    );
    let flows: Vec<&str> = said
        .out
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert!(flows.len() > 5, "{}", said.out);
    assert!(
        flows
            .iter()
            .all(|line| line.contains(&format!("port {port}"))),
        "{}",
        said.out
    );
    let all = door.ask(&["flows", "--chassis", "h1"]).await;
    assert!(all.out.lines().count() > said.out.lines().count());
}

#[tokio::test]
async fn one_that_does_not_read_takes_no_place_for_long() {
    let door = Door::open_to("deaf", two_guests());
    let mut deaf = Vec::new();
    for _ in 0..4 {
        let mut stream = UnixStream::connect(door.path()).await.unwrap();
        let request = b"{\"flows\":{}}\n";
        stream.write_all(request).await.unwrap();
        deaf.push(stream);
    }
    let said = door.ask(&["flows"]).await;
    assert!(said.success, "{}", said.err);
}
