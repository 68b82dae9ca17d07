//! Open vSwitch's own tools as the other side.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::{Bytes, BytesMut};
use rust_openflow::{Framer, Hello, Message, Xid};

/// Runs a program of Open vSwitch and fails the test with its own words if it fails.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = attempt(command);
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Runs a program that may fail.
pub(crate) fn attempt(command: &mut Command) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output();
    output.unwrap_or_else(|error| {
        panic!("{name}: {error}; install Debian's package openvswitch-switch")
    })
}

/// `ovs-ofctl` speaking OpenFlow 1.3; it asks for no names of tables and ports.
pub(crate) fn ofctl() -> Command {
    let mut command = Command::new("ovs-ofctl");
    command.args(["-O", "OpenFlow13", "--timeout=20", "--no-names"]);
    command
}

/// A folder of its own, removed at the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "rust-openflow-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What `ovs-ofctl ARGUMENTS unix:SOCKET MORE` sends to a switch that agrees with everything: all but hello, echo and barrier.
pub(crate) fn record(command: &str, more: &[&str]) -> Vec<Bytes> {
    let folder = Folder::new();
    let socket = folder.path().join("switch");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut child = ofctl();
    child
        .arg(command)
        .arg(format!("unix:{}", socket.display()))
        .args(more);
    child.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = child.spawn().unwrap_or_else(|error| {
        panic!("ovs-ofctl: {error}; install Debian's package openvswitch-common")
    });
    let switch = std::thread::spawn(move || listen(&listener));
    let output = child.wait_with_output().unwrap();
    // Wakes a listener that the program never called, because its arguments were wrong.
    drop(UnixStream::connect(&socket));
    assert!(
        output.status.success(),
        "ovs-ofctl {command}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    switch.join().unwrap()
}

/// Serves connections until one says nothing.
fn listen(listener: &UnixListener) -> Vec<Bytes> {
    let mut recorded = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        if !serve(&mut stream, &mut recorded) {
            return recorded;
        }
    }
}

/// Plays the switch on one connection; whether the peer said anything.
fn serve(stream: &mut UnixStream, recorded: &mut Vec<Bytes>) -> bool {
    let mut incoming = BytesMut::new();
    let mut chunk = [0; 65536];
    let mut spoken = false;
    reply(stream, 0, &Message::Hello(Hello::openflow13()));
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        spoken = true;
        incoming.extend_from_slice(&chunk[..count]);
        while let Some(frame) = Framer.next(&mut incoming).unwrap() {
            answer(stream, &frame, recorded);
        }
    }
    spoken
}

fn answer(stream: &mut UnixStream, frame: &Bytes, recorded: &mut Vec<Bytes>) {
    let xid = u32::from_be_bytes(frame[4..8].try_into().unwrap());
    match frame[1] {
        0 | 3 => {}
        2 => reply(stream, xid, &Message::EchoReply(frame.slice(8..))),
        20 => reply(stream, xid, &Message::BarrierReply),
        _ => recorded.push(frame.clone()),
    }
}

fn reply(stream: &mut UnixStream, xid: u32, message: &Message) {
    // A peer that has gone is noticed when nothing more can be read.
    let _ = stream.write_all(&encode(xid, message));
}

/// The bytes of a message.
pub(crate) fn encode(xid: impl Into<Xid>, message: &Message) -> Bytes {
    let mut buffer = BytesMut::new();
    message.encode(xid, &mut buffer).unwrap();
    buffer.freeze()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What `ovs-ofctl ofp-parse` makes of each message, one text a message.
pub(crate) fn ofp_print(messages: &[Bytes]) -> Vec<String> {
    let mut child = Command::new("ovs-ofctl")
        .args(["ofp-parse", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("ovs-ofctl: {error}; install Debian's package openvswitch-common")
        });
    let stream = messages.concat();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&stream).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut printed: Vec<String> = Vec::new();
    for line in text.lines() {
        if ["OFP", "ONFT", "NXT_", "***"]
            .iter()
            .any(|word| line.starts_with(word))
        {
            printed.push(line.to_owned());
        } else if let Some(last) = printed.last_mut() {
            *last += &format!("\n{line}");
        }
    }
    printed
}

/// Lines of a corpus file without comments.
pub(crate) fn corpus(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}
