//! People ask a process that runs, with the real command, over a real socket.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use sextant_controller::control::{self, ControlSocket, Known};
use sextant_controller::neighbors::{Neighbor, Neighbors};
use sextant_controller::seat::Seats;
use sextant_controller::snapshot::{Snapshot, Snapshots};
use sextant_model::{ChassisId, MacAddr, NetworkId};
use std::future::pending;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;

/// A served socket in a folder of its own.
struct Door {
    folder: PathBuf,
    neighbors: Neighbors,
    _publish: watch::Sender<Arc<Snapshot>>,
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Door {
    fn open(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sx-door-{name}-{}", std::process::id()));
        let neighbors = neighbors();
        let (publish, snapshots) = Snapshots::new(Snapshot::default());
        let known = Known {
            snapshots,
            neighbors: neighbors.clone(),
            databases: Seats::default(),
            switches: Seats::default(),
        };
        let socket = ControlSocket::bind(&folder.join("control")).unwrap();
        tokio::spawn(control::serve(socket, known, pending()));
        Self {
            folder,
            neighbors,
            _publish: publish,
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
        !said.success && said.err.contains("names no object"),
        "{}",
        said.err
    );
    let said = door.ask(&["facts", "gateways"]).await;
    let expected = "Routers' external gateways\nROUTER  NETWORK  HYPERVISOR\n";
    assert_eq!(said.out, expected);
}
