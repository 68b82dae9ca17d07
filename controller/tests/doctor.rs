//! `sextant doctor` looks at installations with faults in them, by the real command.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "../../tests/src/free_port.rs"]
mod free_port;
mod serving;

use free_port::free_port;
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use serving::Serving;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder with an installation, which is gone with its test.
struct Installation(PathBuf);

impl Drop for Installation {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Installation {
    /// One that can start, with this in its configuration besides.
    fn new(more: &str) -> (Self, [u16; 4]) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sextant-doctor-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(folder.join("disk")).unwrap();
        let ports = [(); 4].map(|()| free_port().unwrap());
        let mut text = format!(
            "data_dir = '{0}/disk/data'\ncontrol.socket = '{0}/control'\nweb.listen = ''\n",
            folder.display()
        );
        for (name, port) in ["api", "openflow", "ovsdb", "metrics"].iter().zip(ports) {
            text += &format!("{name}_listen = '[::1]:{port}'\n");
        }
        std::fs::write(folder.join("sextant.toml"), text + more).unwrap();
        (Self(folder), ports)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Writes a certificate, and the key of another one.
    fn write_mixed_up_pair(&self) {
        let keys = [(); 2].map(|()| KeyPair::generate().unwrap());
        let certificate = CertificateParams::new(vec!["::1".to_owned()]).unwrap();
        let certificate = certificate.self_signed(&keys[0]).unwrap();
        std::fs::write(self.0.join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(self.0.join("key.pem"), keys[1].serialize_pem()).unwrap();
    }

    fn examined(&self) -> Examined {
        self.examined_by(Command::new(env!("CARGO_BIN_EXE_sextant")))
    }

    fn examined_by(&self, mut command: Command) -> Examined {
        let file = self.path("sextant.toml");
        command.args(["doctor", "--json", "--config", &file]);
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        Examined {
            code: output.status.code(),
            rows: text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        }
    }
}

struct Examined {
    code: Option<i32>,
    rows: Vec<Value>,
}

impl Examined {
    fn with(&self, state: &str) -> Vec<String> {
        let rows = self.rows.iter().filter(|row| row["state"] == state);
        rows.map(|row| {
            let text = |key: &str| row[key].as_str().unwrap_or_default();
            format!("{}: {}", text("check"), text("says"))
        })
        .collect()
    }

    /// Asserts that this is wrong, and only this.
    fn only_wrong_is(&self, parts: &[&str]) {
        let wrong = self.with("bad");
        let is_told = |part: &&&str| wrong.iter().any(|line| line.contains(**part));
        let untold: Vec<_> = parts.iter().filter(|part| !is_told(part)).collect();
        assert!(untold.is_empty(), "untold: {untold:?}\n{wrong:#?}");
        assert_eq!(wrong.len(), parts.len(), "{wrong:#?}");
        assert_eq!(self.code, Some(i32::from(!parts.is_empty())), "{wrong:#?}");
        let advised = self.rows.iter().filter(|row| row["state"] == "bad");
        assert!(advised.clone().all(|row| row["advice"].is_string()));
    }
}

#[test]
fn an_installation_that_can_start_has_nothing_wrong() {
    let (installation, [api, ..]) = Installation::new("");
    let examined = installation.examined();
    examined.only_wrong_is(&[]);
    let good = examined.with("good").join("\n");
    assert!(good.contains("every key makes sense"), "{good}");
    assert!(good.contains("is made when Sextant starts"), "{good}");
    assert!(good.contains(&format!("api_listen [::1]:{api}")), "{good}");
    let notes = examined.with("note").join("\n");
    assert!(notes.contains("Sextant does not run here"), "{notes}");
}

#[test]
fn everything_that_would_keep_it_from_starting_is_told_at_once() {
    let more = "[gateway]\ngone_after = 0\n[tls]\ncertificate = 'cert.pem'\nprivate_key = 'key.pem'\n[hypervisor_tls]\ncertificate = '/nowhere/cert.pem'\nprivate_key = '/nowhere/key.pem'\nclient_ca = 'cert.pem'\n";
    let (installation, [api, ..]) = Installation::new("");
    let file = installation.path("sextant.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let more = ["cert.pem", "key.pem"]
        .iter()
        .fold(more.to_owned(), |more, name| {
            more.replace(
                &format!("'{name}'"),
                &format!("'{}'", installation.path(name)),
            )
        });
    std::fs::write(&file, text + &more).unwrap();
    installation.write_mixed_up_pair();
    let taken = TcpListener::bind(("::1", api)).unwrap();
    let held = format!("api_listen [::1]:{api}: process {} (", std::process::id());
    installation.examined().only_wrong_is(&[
        "configuration: gateway.gone_after = 0",
        "certificates: tls.certificate = ",
        "certificates: hypervisor_tls.certificate = /nowhere/cert.pem",
        "files: tls.private_key = ",
        &held,
    ]);
    drop(taken);
}

#[test]
fn a_hypervisor_that_cannot_be_reached_is_told_and_where_to_ask() {
    let port = free_port().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sextant"));
    command.args(["doctor", "--hypervisor", &format!("tcp:[::1]:{port}")]);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.starts_with("BAD      database"), "{said}");
    assert!(
        said.contains("--hypervisor unix:/run/openvswitch/db.sock"),
        "{said}"
    );
}

#[test]
fn a_file_that_is_no_configuration_is_told_line_by_line() {
    let (installation, _) = Installation::new("log = 3\nunknown = 1\n");
    installation
        .examined()
        .only_wrong_is(&["in `log`", "unknown field `unknown`"]);
}

#[test]
fn a_disk_that_cannot_be_written_to_is_told() {
    let (installation, _) = Installation::new("");
    let script =
        "mkdir \"$0/data\" && mount -t tmpfs -o ro,mode=700 tmpfs \"$0/data\" && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    command.arg(installation.path("disk"));
    command.arg(env!("CARGO_BIN_EXE_sextant"));
    installation
        .examined_by(command)
        .only_wrong_is(&["mounted read-only"]);
}

#[test]
fn a_data_folder_in_a_file_a_foreign_address_and_an_audit_nowhere_are_told() {
    let (installation, [_, openflow, ..]) = Installation::new("");
    let file = installation.path("sextant.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("/disk/data'", "/sextant.toml/data'");
    let own = format!("openflow_listen = '[::1]:{openflow}'");
    let foreign = format!("openflow_listen = '[2001:db8::7]:{openflow}'\nallow_plaintext = true");
    let text = format!(
        "audit_file = '/nowhere/audit.jsonl'\n{}",
        text.replace(&own, &foreign)
    );
    std::fs::write(&file, text).unwrap();
    installation.examined().only_wrong_is(&[
        "data folder: ",
        "no interface of this machine has that address",
        "files: audit_file = /nowhere/audit.jsonl: ",
    ]);
}

#[test]
fn a_process_that_runs_has_its_addresses_and_says_first_what_it_knows() {
    let (installation, [api, ..]) = Installation::new("");
    let running = Serving::start(installation.path("sextant.toml").as_ref());
    let examined = installation.examined();
    examined.only_wrong_is(&[]);
    assert_eq!(examined.rows[0]["check"], "hypervisors");
    let first = examined.with("note").join("\n");
    assert!(
        first.contains("hypervisors: None has joined yet."),
        "{first}"
    );
    let good = examined.with("good").join("\n");
    let pid = running.id();
    for words in [
        &format!("process: Sextant runs as process {pid}."),
        &format!("listeners: Sextant listens at: api_listen [::1]:{api}"),
        "open files: It may open",
    ] {
        assert!(good.contains(words), "{words}: {good}");
    }
}

/// Answers one request after another with a time long ago, until nobody asks any more.
fn keystone_of_long_ago() -> (u16, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = std::thread::spawn(move || {
        // The login, and the question for the time.
        for stream in listener.incoming().take(2) {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let answer = "HTTP/1.1 401 Unauthorized\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (port, answering)
}

#[test]
fn a_keystone_that_refuses_the_login_and_has_another_time_is_told() {
    let (port, answering) = keystone_of_long_ago();
    let (installation, _) = Installation::new(&format!(
        "auth = 'keystone'\n[keystone]\nauth_url = 'http://[::1]:{port}'\nusername = 'u'\npassword = 'wrong'\n"
    ));
    let file = installation.path("sextant.toml");
    let mut mode = std::fs::metadata(&file).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o600);
    std::fs::set_permissions(&file, mode.clone()).unwrap();
    installation.examined().only_wrong_is(&[
        "Keystone refuses the credentials in [keystone]",
        "s ahead of that of Keystone",
    ]);
    answering.join().unwrap();
    // Nobody listens there now, and everybody may read the password.
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o644);
    std::fs::set_permissions(&file, mode).unwrap();
    installation.examined().only_wrong_is(&[
        "Nobody can use the API",
        "everybody on this machine may read what is secret",
    ]);
}
