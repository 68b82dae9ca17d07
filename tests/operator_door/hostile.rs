//! Those who ask badly, and sockets that are not free. Needs neither root nor Open vSwitch.

use sextant_lab::{LabError, Loopback};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Longer than any answer of an idle process takes, shorter than it waits for a request.
const AT_ONCE: Duration = Duration::from_secs(4);

fn connect(controller: &Loopback) -> UnixStream {
    let stream = UnixStream::connect(controller.control_socket()).expect("the socket is there");
    let patience = Some(Duration::from_secs(30));
    stream.set_read_timeout(patience).expect("a time-out");
    stream.set_write_timeout(patience).expect("a time-out");
    stream
}

/// What comes back for these octets, until the other end hangs up.
fn converse(controller: &Loopback, octets: &[u8]) -> String {
    let mut stream = connect(controller);
    // One that says too much is hung up on while it speaks.
    let _ = stream.write_all(octets);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn sextant(controller: &Loopback, words: &[&str], socket: &Path) -> Output {
    let mut command = Command::new(controller.binary());
    let command = command.args(words).arg("--socket").arg(socket);
    command.output().expect("the program starts")
}

/// Everybody else is served as ever.
fn expect_untouched(controller: &Loopback, after: &str) -> Result<(), LabError> {
    let start = Instant::now();
    let said = sextant(controller, &["facts"], &controller.control_socket());
    assert!(said.status.success(), "after {after}: {said:?}");
    controller.api()?.create_network(after)?;
    assert!(start.elapsed() < AT_ONCE, "after {after}");
    Ok(())
}

#[test]
fn whoever_asks_badly_hears_why_and_keeps_nobody_waiting() -> Result<(), LabError> {
    let controller = Loopback::without_quotas()?;
    for (what, octets, reason) in [
        ("noise", &b"\x00\xff\xfe\x80\n"[..], "does not understand"),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n", "does not understand"),
        (
            "an unknown verb",
            b"{\"dance\":{}}\n",
            "unknown variant `dance`",
        ),
        (
            "an unknown option",
            b"{\"facts\":{\"colour\":1}}\n",
            "unknown field `colour`",
        ),
        (
            "an unknown hypervisor",
            b"{\"facts\":{\"chassis\":\"h9\"}}\n",
            "there is no hypervisor h9",
        ),
        (
            "a packet that is none",
            b"{\"trace\":{\"words\":[\"ipv7\"]}}\n",
            "'ipv7' is no field",
        ),
        (
            "half a request",
            b"{\"facts\":",
            "ends before its line does",
        ),
        ("nothing", b"", "ends before its line does"),
    ] {
        let answer = converse(&controller, octets);
        assert!(
            answer.starts_with("{\"refused\":") && answer.contains(reason),
            "{what}: {answer}"
        );
        assert!(answer.ends_with("}\n"), "{what}: {answer}");
        expect_untouched(&controller, what)?;
    }
    let endless = vec![b'{'; 10 << 20];
    let answer = converse(&controller, &endless);
    // Octets that are left unread make the kernel take the answer back.
    assert!(
        answer.is_empty() || answer.contains("longer than"),
        "{answer}"
    );
    expect_untouched(&controller, "an endless line")
}

#[test]
fn whoever_says_nothing_or_reads_nothing_keeps_nobody_waiting() -> Result<(), LabError> {
    let controller = Loopback::without_quotas()?;
    let mut silent = connect(&controller);
    let mut slow = connect(&controller);
    slow.write_all(b"{\"facts\"").expect("half a request");
    let mut deaf = connect(&controller);
    deaf.write_all(b"{\"facts\":{}}\n").expect("a request");
    expect_untouched(&controller, "three who wait")?;
    for stream in [&mut silent, &mut slow] {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.contains("no request within 5s"), "{answer}");
    }
    let crowd: Vec<UnixStream> = (0..40).map(|_| connect(&controller)).collect();
    let said = sextant(&controller, &["facts"], &controller.control_socket());
    let error = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(error.contains("too many ask at once"), "{said:?}");
    controller.api()?.create_network("beside a crowd")?;
    drop(crowd);
    let start = Instant::now();
    while !sextant(&controller, &["facts"], &controller.control_socket())
        .status
        .success()
    {
        assert!(start.elapsed() < AT_ONCE, "the crowd has gone");
    }
    Ok(())
}

#[test]
fn a_socket_that_a_killed_process_left_is_replaced() -> Result<(), LabError> {
    let mut controller = Loopback::start(&[])?;
    controller.kill();
    let socket = controller.control_socket();
    assert!(socket.exists(), "SIGKILL leaves it behind");
    let said = sextant(&controller, &["facts"], &socket);
    let error = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        !said.status.success() && error.contains("nobody listens"),
        "{error}"
    );
    controller.start_again()?;
    expect_untouched(&controller, "a kill")
}

/// What `serve` says when it cannot have this socket. Its folder of data is its own.
fn refused(controller: &Loopback, socket: &Path) -> String {
    let any = "[::1]:0";
    let data = controller.folder().join("other-data");
    let mut command = Command::new("timeout");
    command.arg("20").arg(controller.binary()).arg("serve");
    command.arg("--web-listen=");
    for listener in ["api", "openflow", "ovsdb", "metrics"] {
        command.arg(format!("--{listener}-listen={any}"));
    }
    command
        .arg("--data-dir")
        .arg(data)
        .arg("--control-socket")
        .arg(socket);
    let said = command.output().expect("the program starts");
    let log = [said.stdout, said.stderr].concat();
    let log = String::from_utf8_lossy(&log).into_owned();
    assert_eq!(said.status.code(), Some(1), "{log}");
    log
}

#[test]
fn a_socket_that_cannot_be_had_is_named_at_the_start() -> Result<(), LabError> {
    let controller = Loopback::start(&[])?;
    let socket = controller.control_socket();
    let log = refused(&controller, &socket);
    assert!(log.contains("another process listens there"), "{log}");
    assert!(log.contains("control.socket"), "{log}");
    expect_untouched(&controller, "a second process")?;

    let file = controller.folder().join("file");
    std::fs::write(&file, "a letter").expect("a file");
    let log = refused(&controller, &file);
    assert!(log.contains("and is not a socket"), "{log}");
    // Root may write everywhere: a folder below a file, or where the kernel has its own, is still none.
    for socket in [file.join("control"), "/proc/sextant/control".into()] {
        let log = refused(&controller, &socket);
        assert!(
            log.contains(&format!("control.socket {}: ", socket.display())),
            "{log}"
        );
    }
    Ok(())
}
