//! Real members of etcd, each a process on loopback with its data in a folder of its own. They end with their values.

use crate::free_port::free_port;
use crate::world::Folder;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How often other ports are tried. Somebody else may take one between its choice and its use.
const ATTEMPTS: usize = 5;

/// A member, with what it needs to be started again.
pub(crate) struct Member {
    name: String,
    client: u16,
    scheme: &'static str,
    arguments: Vec<String>,
    folder: Folder,
    process: Option<Child>,
}

impl Member {
    /// A cluster of one.
    pub(crate) fn alone() -> Self {
        Self::with(&[])
    }

    /// A cluster of one with more arguments.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        let members = cluster(1, arguments);
        members.into_iter().next().unwrap()
    }

    /// Where clients reach it.
    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.client)
    }

    /// The port of [`Self::url`].
    pub(crate) fn port(&self) -> u16 {
        self.client
    }

    /// Halts it, as SIGSTOP does: its connections stay, and it does not answer.
    pub(crate) fn halt(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn wake(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().unwrap();
        kill_process(Pid::from_child(process), signal).unwrap();
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it again, and waits until it serves clients.
    pub(crate) fn start(&mut self) {
        let mut output = self.launch();
        assert!(serves(&mut output), "{} ended", self.name);
        drain(output);
    }

    /// Starts it again, and waits for nothing: the majority may be missing still.
    pub(crate) fn restart(&mut self) {
        drain(self.launch());
    }

    fn launch(&mut self) -> BufReader<ChildStderr> {
        let mut command = Command::new("etcd");
        command.args(["--name", &self.name, "--data-dir"]);
        command
            .arg(self.folder.0.join("data"))
            .args(&self.arguments);
        let spawned = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut process = spawned.expect("etcd is missing: `make setup` installs it (etcd-server)");
        let output = process.stderr.take().unwrap();
        self.process = Some(process);
        BufReader::new(output)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A cluster of so many members, which serves clients.
pub(crate) fn cluster(size: usize, arguments: &[&str]) -> Vec<Member> {
    for _ in 0..ATTEMPTS {
        let mut members = describe(size, arguments);
        // A member serves once the cluster has a leader, so all are launched first.
        let outputs: Vec<_> = members.iter_mut().map(Member::launch).collect();
        let serve = outputs.into_iter().map(|mut output| {
            let serves = serves(&mut output);
            drain(output);
            serves
        });
        if serve.collect::<Vec<_>>().into_iter().all(|serves| serves) {
            return members;
        }
    }
    panic!("etcd does not start");
}

/// Members that are not started yet, on ports that are free.
fn describe(size: usize, arguments: &[&str]) -> Vec<Member> {
    static CLUSTERS: AtomicUsize = AtomicUsize::new(0);
    let cluster = CLUSTERS.fetch_add(1, Ordering::Relaxed);
    let ports: Vec<u16> = (0..2 * size).map(|_| free_port().unwrap()).collect();
    let peers = ports.iter().step_by(2).enumerate();
    let peers = peers.map(|(n, port)| format!("m{n}=http://127.0.0.1:{port}"));
    let peers = peers.collect::<Vec<_>>().join(",");
    let scheme = match arguments.contains(&"--cert-file") {
        true => "https",
        false => "http",
    };
    let describe = |(n, ports): (usize, &[u16])| {
        let (peer, client) = (format!("http://127.0.0.1:{}", ports[0]), ports[1]);
        let client_url = format!("{scheme}://127.0.0.1:{client}");
        let own = [
            "--listen-peer-urls",
            &peer,
            "--initial-advertise-peer-urls",
            &peer,
            "--listen-client-urls",
            &client_url,
            "--advertise-client-urls",
            &client_url,
            "--initial-cluster",
            &peers,
            // No test waits for a disk, or for a leader that is far away.
            "--unsafe-no-fsync",
            "--heartbeat-interval",
            "50",
            "--election-timeout",
            "500",
        ];
        Member {
            name: format!("m{n}"),
            client,
            scheme,
            arguments: own
                .iter()
                .chain(arguments)
                .map(|part| (*part).to_owned())
                .collect(),
            folder: Folder::new(&format!("etcd-{cluster}-{n}")),
            process: None,
        }
    };
    ports.chunks(2).enumerate().map(describe).collect()
}

/// Reads what a member says until it serves clients. False: it has ended.
fn serves(output: &mut BufReader<ChildStderr>) -> bool {
    let says_so = |line: String| line.contains("ready to serve client requests");
    output.lines().map_while(Result::ok).any(says_so)
}

/// Reads on, so that the member never waits for a reader.
fn drain(output: BufReader<ChildStderr>) {
    thread::spawn(move || output.lines().map_while(Result::ok).for_each(drop));
}
