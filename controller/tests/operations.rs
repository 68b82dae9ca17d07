//! What whoever runs the process sees of it: signals, logs, a disk that is full.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "../../tests/src/free_port.rs"]
mod free_port;
mod serving;

use free_port::free_port;
use serde_json::{Value, json};
use serving::Serving;
use std::io::{BufReader, Lines};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that is gone with its test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sextant-operations-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("sextant.toml")
    }

    fn data(&self) -> PathBuf {
        self.0.join("disk").join("data")
    }

    /// Writes the configuration: where to listen, and this.
    fn configure(&self, ports: [u16; 4], more: &str) {
        let names = ["api", "openflow", "ovsdb", "metrics"];
        let listen = names
            .iter()
            .zip(ports)
            .map(|(name, port)| format!("{name}_listen = '[::1]:{port}'\n"));
        let data = self.data();
        let text = format!(
            "{}data_dir = '{}'\ncontrol.socket = '{}'\nweb.listen = ''\n{more}",
            listen.collect::<String>(),
            data.display(),
            self.0.join("control").display()
        );
        std::fs::write(self.file(), text).unwrap();
    }
}

fn free_ports() -> [u16; 4] {
    [(); 4].map(|()| free_port().unwrap())
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A controller, ended with the test.
struct Controller {
    process: Serving,
    log: Lines<BufReader<ChildStderr>>,
    api: u16,
}

impl Controller {
    fn start(folder: &Folder, mut command: Command, api: u16) -> Self {
        command
            .args(["--json", "serve", "--config"])
            .arg(folder.file());
        let (process, log) = Serving::spawn(command.env_remove("SEXTANT_LOG"));
        let mut controller = Self { process, log, api };
        controller.says("ready");
        controller
    }

    /// The next line of the log with this message.
    fn says(&mut self, message: &str) -> Value {
        let lines = self.log.by_ref().map(Result::unwrap);
        let mut lines = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        let found = lines.find(|line| line["message"].as_str() == Some(message));
        found.unwrap_or_else(|| panic!("the controller says {message:?}"))
    }

    fn hang_up(&self) {
        let id = self.process.id().to_string();
        let told = Command::new("kill").args(["-HUP", &id]).status();
        assert!(told.unwrap().success());
    }

    /// Status and body of the answer to a request.
    fn ask(&self, method: &str, path: &str, headers: &[&str], body: &Value) -> (u16, Value) {
        let url = format!("http://[::1]:{}/v2.0/{path}", self.api);
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "-w",
            "\n%{http_code}",
        ]);
        curl.args(["-X", method, &url]);
        for header in headers {
            curl.args(["-H", header]);
        }
        if !body.is_null() {
            curl.args(["-d", &body.to_string()]);
        }
        let output = curl.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        let body = serde_json::from_str(body).unwrap_or_default();
        (status.parse().unwrap(), body)
    }

    fn make_network(&self, name: &str) -> (u16, Value) {
        let body = json!({"network": {"name": name}});
        self.ask("POST", "networks", &[], &body)
    }
}

fn sextant() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sextant"))
}

#[test]
fn a_hangup_has_the_configuration_read_again_and_ends_nothing() {
    let (folder, ports) = (Folder::new(), free_ports());
    folder.configure(ports, "");
    let mut controller = Controller::start(&folder, sextant(), ports[0]);
    controller.hang_up();
    controller.says("the configuration was read again");

    folder.configure(
        ports,
        "log = 'debug'\n[quotas]\nquota_network = 0\n[ra]\nlifetime = 0\n",
    );
    controller.hang_up();
    let said = controller.says("the configuration was read again");
    assert_eq!(said["changed"], "log, quotas");
    let waits = "these keys of the configuration take effect with the next start";
    assert_eq!(controller.says(waits)["keys"], "ra");
    let refused = loop {
        let (status, answer) = controller.make_network("blue");
        if status != 201 {
            break (status, answer);
        }
    };
    assert_eq!(refused.0, 409, "{refused:?}");

    std::fs::write(folder.file(), "log = 'loud'").unwrap();
    controller.hang_up();
    let said = controller.says("the configuration stays as it was");
    assert!(said["error"].as_str().unwrap().contains("loud"), "{said}");
    assert_eq!(controller.ask("GET", "networks", &[], &Value::Null).0, 200);
}

#[test]
fn a_hangup_can_have_callers_known_by_keystone() {
    let (folder, ports) = (Folder::new(), free_ports());
    folder.configure(ports, "");
    let mut controller = Controller::start(&folder, sextant(), ports[0]);
    assert_eq!(controller.make_network("open").0, 201);
    // Nobody listens there.
    let nowhere = free_port().unwrap();
    let who = "username = 'sextant'\npassword = 'hunter2'\n";
    folder.configure(
        ports,
        &format!("auth = 'keystone'\n[keystone]\nauth_url = 'http://[::1]:{nowhere}'\n{who}"),
    );
    controller.hang_up();
    let said = controller.says("the configuration was read again");
    assert_eq!(said["changed"], "auth, keystone");
    controller.says("Keystone cannot be asked: callers with tokens that are not known yet get 503");
    assert_eq!(controller.make_network("closed").0, 401);
    let token = ["X-Auth-Token: t"];
    assert_eq!(
        controller.ask("GET", "networks", &token, &Value::Null).0,
        503
    );
}

#[test]
fn a_hangup_has_the_rules_read_again() {
    const UNKNOWN: &str = "these rules count for nothing: Sextant has none of these names";
    let (folder, ports) = (Folder::new(), free_ports());
    let rules = folder.0.join("policy.yaml");
    std::fs::write(&rules, "create_network: '!'\ncreate_trunk: '!'\n").unwrap();
    folder.configure(ports, &format!("policy_file = {rules:?}\n"));
    let mut controller = Controller::start(&folder, sextant(), ports[0]);
    assert_eq!(controller.make_network("refused").0, 403);

    std::fs::write(&rules, "create_router: '!'\nget_trunk: '!'\nget_qos: '!'\n").unwrap();
    controller.hang_up();
    let said = controller.says(UNKNOWN);
    assert_eq!(said["rules"], "get_qos, get_trunk");
    controller.says("the configuration was read again");
    assert_eq!(controller.make_network("allowed").0, 201);

    std::fs::write(&rules, "create_network: '!'\nget_port: nobody\n").unwrap();
    controller.hang_up();
    let said = controller.says("the configuration stays as it was");
    let error = said["error"].as_str().unwrap();
    assert!(error.contains("policy.yaml: line 2: "), "{error}");
    assert_eq!(controller.make_network("allowed").0, 201);
}

#[test]
fn a_level_that_is_none_is_refused() {
    let folder = Folder::new();
    folder.configure(free_ports(), "");
    let mut command = sextant();
    command.args(["serve", "--config"]).arg(folder.file());
    let output = command.env("SEXTANT_LOG", "inof").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("SEXTANT_LOG") && said.contains("\"inof\" is not a level"),
        "{said}"
    );
}

#[test]
fn writes_and_refusals_are_a_line_each() {
    let (folder, ports) = (Folder::new(), free_ports());
    folder.configure(ports, "auth = 'headers'\n");
    let mut controller = Controller::start(&folder, sextant(), ports[0]);
    let ann = ["X-User-Id: ann", "X-Project-Id: one", "X-Roles: member"];
    let body = json!({"network": {"name": "blue"}});
    assert_eq!(controller.ask("GET", "networks", &ann, &Value::Null).0, 200);
    let (_, made) = controller.ask("POST", "networks", &ann, &body);
    let said = controller.says("write");
    let field = |name: &str| said[name].clone();
    assert_eq!(
        ["level", "user", "project", "method", "path"].map(field),
        ["INFO", "ann", "one", "POST", "/v2.0/networks"].map(Value::from)
    );
    assert_eq!(said["status"], 201);
    assert!(said["request_id"].as_str().unwrap().starts_with("req-"));
    assert!(said["ms"].is_u64(), "{said}");

    let network = made["network"]["id"].as_str().unwrap();
    let path = format!("networks/{network}");
    let shared = json!({"network": {"shared": true}});
    controller.ask("PUT", &path, &ann, &shared);
    let said = controller.says("request refused");
    assert_eq!(
        (&said["status"], &said["user"]),
        (&json!(403), &json!("ann"))
    );
    controller.ask("GET", "networks", &[], &Value::Null);
    let said = controller.says("request refused");
    assert_eq!(
        (&said["status"], &said["user"]),
        (&json!(401), &Value::Null)
    );
    controller.ask("DELETE", &path, &ann, &Value::Null);
    assert_eq!(controller.says("write")["method"], "DELETE");
}

fn audited(path: &Path, least: usize) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.len() >= least, "{text}");
    lines
}

/// The value of a counter.
fn counted(port: u16, metric: &str) -> String {
    let url = format!("http://[::1]:{port}/metrics");
    let output = Command::new("curl").args(["-s", &url]).output().unwrap();
    let page = String::from_utf8(output.stdout).unwrap();
    let mut lines = page.lines();
    let line = lines.find_map(|line| line.strip_prefix(&format!("{metric} ")));
    line.unwrap().to_owned()
}

/// The headers of a caller behind a proxy.
const ANN: [&str; 5] = [
    "X-User-Id: ann",
    "X-User-Name: Ann",
    "X-Project-Id: one",
    "X-Roles: member",
    "X-Forwarded-For: 192.0.2.7",
];

#[test]
fn writes_and_refusals_are_in_the_audit_file_which_may_be_moved_away() {
    let (folder, ports) = (Folder::new(), free_ports());
    let path = folder.0.join("log").join("audit.jsonl");
    let more = format!("auth = 'headers'\naudit_file = '{}'\n", path.display());
    folder.configure(ports, &more);
    let mut controller = Controller::start(&folder, sextant(), ports[0]);
    // There is no folder yet: the API serves, and what is lost is counted.
    let blue = json!({"network": {"name": "blue"}});
    assert_eq!(controller.ask("POST", "networks", &ANN, &blue).0, 201);
    controller.says("write");
    let counter = "sextant_audit_lines_lost_total";
    while counted(ports[3], counter) == "0" {}
    assert_eq!(counted(ports[3], counter), "1");

    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let (_, made) = controller.ask("POST", "networks", &ANN, &blue);
    let id = made["network"]["id"].as_str().unwrap();
    let network = format!("networks/{id}");
    let shared = json!({"network": {"shared": true}});
    assert_eq!(controller.ask("PUT", &network, &ANN, &shared).0, 403);
    let bad = json!({"network": {"mtu": "long"}});
    assert_eq!(controller.ask("PUT", &network, &ANN, &bad).0, 400);
    assert_eq!(controller.ask("GET", &network, &ANN, &Value::Null).0, 200);
    assert_eq!(
        controller.ask("DELETE", &network, &ANN, &Value::Null).0,
        204
    );
    controller.says("the audit file is written again");

    // As logrotate does. What was asked before is written before the file is another one.
    let moved = path.with_extension("jsonl.1");
    controller.hang_up();
    controller.says("the configuration was read again");
    std::fs::rename(&path, &moved).unwrap();
    controller.hang_up();
    controller.says("the configuration was read again");
    assert_eq!(controller.ask("POST", "networks", &ANN, &blue).0, 201);
    let _ = Command::new("kill")
        .arg(controller.process.id().to_string())
        .status();
    assert!(controller.process.wait().unwrap().success());

    let lines = audited(&moved, 4);
    let statuses: Vec<_> = lines.iter().map(|line| line["status"].as_u64()).collect();
    assert_eq!(statuses, [201, 403, 400, 204].map(Some), "{lines:#?}");
    says_everything(&lines[0], id);
    assert_eq!(lines[1]["attributes"], json!({"shared": true}));
    assert_eq!((&lines[1]["id"], &lines[3]["id"]), (&json!(id), &json!(id)));
    assert_eq!(lines[3]["resources"], json!([{"id": id, "name": "blue"}]));
    assert_eq!(audited(&path, 1).len(), 1);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

fn says_everything(line: &Value, id: &str) {
    for (key, value) in [
        ("user_id", json!("ann")),
        ("user_name", json!("Ann")),
        ("project_id", json!("one")),
        ("roles", json!(["member"])),
        ("source", json!("::1")),
        ("forwarded_for", json!("192.0.2.7")),
        ("method", json!("POST")),
        ("resource", json!("networks")),
        ("resources", json!([{"id": id, "name": "blue"}])),
        ("attributes", json!({"name": "blue"})),
    ] {
        assert_eq!(line[key], value, "{key}: {line}");
    }
    assert!(line["request_id"].as_str().unwrap().starts_with("req-"));
    assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
}

/// The command, with a disk of its own that holds so much.
fn on_a_small_disk(folder: &Folder) -> Command {
    let disk = folder.0.join("disk");
    std::fs::create_dir_all(&disk).unwrap();
    let script = "mount -t tmpfs -o size=3m tmpfs \"$0\" && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    command.arg(disk).arg(env!("CARGO_BIN_EXE_sextant"));
    command
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_full_disk_refuses_writes_and_nothing_else_until_there_is_room() {
    let (folder, ports) = (Folder::new(), free_ports());
    folder.configure(ports, "");
    let command = on_a_small_disk(&folder);
    let mut controller = Controller::start(&folder, command, ports[0]);
    let root = PathBuf::from(format!("/proc/{}/root", controller.process.id()));
    let data = root.join(folder.data().strip_prefix("/").unwrap());
    assert_eq!(
        (mode(&data), mode(&data.join("sextant.redb"))),
        (0o700, 0o600)
    );
    assert_eq!(controller.make_network("first").0, 201);

    let ballast = data.with_file_name("ballast");
    let octets = vec![0; 16 << 20];
    std::fs::write(&ballast, octets).unwrap_err();
    let mut made = 1;
    let refused = loop {
        let (status, answer) = controller.make_network(&"x".repeat(200));
        if status != 201 {
            break (status, answer);
        }
        made += 1;
    };
    assert_eq!(refused.0, 503, "{refused:?}");
    let why = refused.1["NeutronError"]["message"].as_str().unwrap();
    assert!(why.contains("No space left on device"), "{why}");
    controller.says("the store cannot be written. Writes are refused until it can");
    let listed = |controller: &Controller| {
        let (status, answer) = controller.ask("GET", "networks", &[], &Value::Null);
        assert_eq!(status, 200);
        answer["networks"].as_array().unwrap().len()
    };
    assert_eq!(listed(&controller), made);

    std::fs::remove_file(ballast).unwrap();
    while controller.make_network("last").0 != 201 {}
    controller.says("the store can be written again");
    assert_eq!(listed(&controller), made + 1);
}

#[test]
fn a_store_without_anything_in_it_is_refused_and_left_alone() {
    let (folder, ports) = (Folder::new(), free_ports());
    folder.configure(ports, "");
    std::fs::create_dir_all(folder.data()).unwrap();
    let store = folder.data().join("sextant.redb");
    std::fs::write(&store, "").unwrap();
    let mut command = sextant();
    command.args(["serve", "--config"]).arg(folder.file());
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("is not a store or is damaged"), "{said}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(std::fs::read(store).unwrap(), b"");
}
