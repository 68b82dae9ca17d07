//! A real ovsdb-server that lives as long as its guard, and Open vSwitch's own tools to look at it.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value as Json;
use sextant_ovsdb_client::connection::Stream;
use sextant_ovsdb_client::{Connection, Error, Event, Options, Remote, connect};
use uuid::Uuid;

pub(crate) const OPEN_VSWITCH: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// A folder that goes with its guard.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sextant-ovsdb-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Where the member of a cluster that lives here talks to the others.
    fn raft_address(&self) -> String {
        format!("unix:{}", text(&self.join("raft")))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One of Open vSwitch's programs, which Debian partly keeps where only root looks.
pub(crate) fn program(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(name);
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

/// Explains a program that cannot be started.
pub(crate) fn started<T>(name: &str, result: std::io::Result<T>) -> T {
    result.unwrap_or_else(|error| {
        panic!("{name} does not start ({error}): install Debian's package openvswitch-switch")
    })
}

/// Runs a program to its end; gives what it printed.
pub(crate) fn run(name: &str, arguments: &[&str]) -> String {
    let output = started(name, program(name).args(arguments).output());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{name} {arguments:?} failed: {errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// How a server is told to end with the test's process, even if that has no time to say so: it watches a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leash {
    /// The server itself runs a command once it listens, and ends with it.
    Command,
    /// A shell kills the server: members of clusters have threads, and run no commands.
    Shell,
}

/// A server on a database file; it ends with its guard, or with the test's process.
#[derive(Debug)]
pub(crate) struct Server {
    folder: Folder,
    arguments: Vec<String>,
    leash: Leash,
    child: Child,
}

impl Server {
    /// Serves a new database of a schema, on a socket of its own and as the arguments say.
    pub(crate) fn start(schema: &Path, arguments: &[String]) -> Self {
        let folder = Folder::new();
        let database = folder.join("db");
        run("ovsdb-tool", &["create", text(&database), text(schema)]);
        Self::serve(folder, arguments, Leash::Command)
    }

    /// Serves the first member's database of a new cluster.
    pub(crate) fn start_cluster(schema: &Path) -> Self {
        let folder = Folder::new();
        let (database, address) = (folder.join("db"), folder.raft_address());
        run(
            "ovsdb-tool",
            &["create-cluster", text(&database), text(schema), &address],
        );
        Self::serve(folder, &[], Leash::Shell)
    }

    /// Serves one more member's database of a cluster.
    pub(crate) fn join_cluster(name: &str, first: &Self) -> Self {
        let folder = Folder::new();
        let (database, address) = (folder.join("db"), folder.raft_address());
        let first = first.folder.raft_address();
        run(
            "ovsdb-tool",
            &["join-cluster", text(&database), name, &address, &first],
        );
        Self::serve(folder, &[], Leash::Shell)
    }

    fn serve(folder: Folder, arguments: &[String], leash: Leash) -> Self {
        let child = spawn(&folder, arguments, leash);
        Self {
            folder,
            arguments: arguments.to_vec(),
            leash,
            child,
        }
    }

    /// Serves what a hypervisor has, and what `ovs-vsctl set-manager` adds.
    pub(crate) fn open_vswitch() -> Self {
        let managers = "--remote=db:Open_vSwitch,Open_vSwitch,manager_options".into();
        let server = Self::start(Path::new(OPEN_VSWITCH), &[managers]);
        server.vsctl(&["init"]);
        server
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("db.sock")
    }

    pub(crate) fn remote(&self) -> Remote {
        Remote::Unix {
            path: self.socket(),
        }
    }

    pub(crate) async fn connect(&self) -> Connection<Box<dyn Stream>> {
        connect(&self.remote(), Options::default()).await.unwrap()
    }

    pub(crate) fn vsctl(&self, arguments: &[&str]) -> String {
        let database = format!("--db={}", self.remote());
        let arguments = [&[&database, "--no-wait"], arguments].concat();
        run("ovs-vsctl", &arguments)
    }

    /// What `ovsdb-client dump` says of a table: rows by identity, of columns by name.
    pub(crate) fn dump(
        &self,
        database: &str,
        table: &str,
    ) -> BTreeMap<Uuid, BTreeMap<String, Json>> {
        let remote = self.remote().to_string();
        let text = run(
            "ovsdb-client",
            &["dump", "--format=json", &remote, database, table],
        );
        let json: Json = serde_json::from_str(&text).unwrap();
        let headings: Vec<&str> = array(&json["headings"])
            .map(|name| name.as_str().unwrap())
            .collect();
        let rows = array(&json["data"]).map(|row| {
            let names = headings.iter().map(ToString::to_string);
            let mut row: BTreeMap<String, Json> = names.zip(array(row).cloned()).collect();
            let uuid = row.remove("_uuid").unwrap();
            (uuid[1].as_str().unwrap().parse().unwrap(), row)
        });
        rows.collect()
    }

    /// Sends a signal, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let arguments = [format!("-{name}"), self.child.id().to_string()];
        run("kill", &[&arguments[0], &arguments[1]]);
    }

    /// Kills the server without notice.
    pub(crate) fn kill(&mut self) {
        drop(self.child.stdin.take());
        if self.leash == Leash::Command {
            self.child.kill().unwrap();
        }
        self.child.wait().unwrap();
    }

    /// Serves the same database again after [`Server::kill`].
    pub(crate) fn restart(&mut self) {
        self.child = spawn(&self.folder, &self.arguments, self.leash);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a server. A member of a cluster may not listen yet.
fn spawn(folder: &Folder, arguments: &[String], leash: Leash) -> Child {
    let socket = folder.join("db.sock");
    let _ = std::fs::remove_file(&socket);
    let mut command = match leash {
        Leash::Command => program("ovsdb-server"),
        Leash::Shell => program("sh"),
    };
    match leash {
        Leash::Command => command.arg("--run=echo ready; exec cat"),
        Leash::Shell => command.args([
            "-c",
            "ovsdb-server \"$@\" & echo ready; cat; kill -9 $!; wait",
            "sh",
        ]),
    };
    command
        .arg(format!("--remote=punix:{}", text(&socket)))
        .args(arguments)
        .arg(format!("--unixctl={}", text(&folder.join("ctl"))))
        .args(["-vconsole:off", "-vsyslog:off"])
        .arg(folder.join("db"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = started("ovsdb-server", command.spawn());
    let mut line = String::new();
    let output = child.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n", "ovsdb-server ended at once");
    child
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn array(json: &Json) -> impl Iterator<Item = &Json> {
    json.as_array().unwrap().iter()
}

/// Runs a test that must not hang.
pub(crate) async fn in_time<T>(test: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(180);
    let outcome = tokio::time::timeout(limit, test).await;
    outcome.expect("the event awaited never came")
}

/// Awaits the first event that `pick` takes.
pub(crate) async fn next<S, T>(
    connection: &mut Connection<S>,
    mut pick: impl FnMut(&Connection<S>, Event) -> Option<T>,
) -> Result<T, Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    loop {
        let event = connection.next_event().await?;
        if let Some(found) = pick(connection, event) {
            return Ok(found);
        }
    }
}

/// Awaits the contents of what is monitored.
pub(crate) async fn synced<S>(connection: &mut Connection<S>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    next(connection, |_, event| {
        (event == Event::Synced).then_some(())
    })
    .await
    .unwrap();
}
