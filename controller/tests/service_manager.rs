//! What a service manager hears of a process: it is ready once everything listens, it reads its configuration again, it works, it ends.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "../../tests/src/free_port.rs"]
mod free_port;

use free_port::free_port;
use std::net::{Ipv6Addr, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

/// How long the manager waits for news.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process, and the manager that started it. Both end with the test.
struct Managed {
    folder: PathBuf,
    ports: [u16; 5],
    manager: UnixDatagram,
    process: Child,
}

impl Drop for Managed {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Managed {
    fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("sextant-managed-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let notify = folder.join("notify");
        let manager = UnixDatagram::bind(&notify).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        let ports = [(); 5].map(|()| free_port().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_sextant"));
        command
            .args(["serve", "--data-dir"])
            .arg(folder.join("data"));
        command.arg("--control-socket").arg(folder.join("control"));
        let listeners = ["api", "openflow", "ovsdb", "metrics", "web"];
        for (name, port) in listeners.iter().zip(ports) {
            command.args([format!("--{name}-listen"), format!("[::1]:{port}")]);
        }
        command
            .env("NOTIFY_SOCKET", &notify)
            .env("WATCHDOG_USEC", "900000");
        let process = command.spawn().unwrap();
        Self {
            folder,
            ports,
            manager,
            process,
        }
    }

    /// The next news but that it works.
    fn hears(&self) -> String {
        loop {
            let news = self.hears_anything();
            if news != "WATCHDOG=1" {
                return news;
            }
        }
    }

    fn hears_anything(&self) -> String {
        let mut buffer = [0; 256];
        let length = self.manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        let told = Command::new("kill").args([name, &id]).status();
        assert!(told.unwrap().success());
    }
}

#[test]
fn a_manager_hears_when_everything_listens_and_what_comes_after() {
    let mut managed = Managed::start();
    assert_eq!(managed.hears(), "READY=1");
    for port in managed.ports {
        TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
    }
    UnixStream::connect(managed.folder.join("control")).unwrap();
    while managed.hears_anything() != "WATCHDOG=1" {}
    managed.signal("-HUP");
    let reloading = managed.hears();
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(managed.hears(), "READY=1");
    managed.signal("-TERM");
    assert_eq!(managed.hears(), "STOPPING=1");
    assert!(managed.process.wait().unwrap().success());
}
