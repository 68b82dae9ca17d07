//! The whole process on etcd, as callers of its API see it.

use super::member::{Member, cluster};
use super::wire::{State, Wire};
use crate::free_port::free_port;
use crate::world::Folder;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A controller, ended with the test.
struct Controller {
    process: Child,
    api: u16,
    metrics: u16,
    _folder: Folder,
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An answer of the API.
struct Answer {
    status: u16,
    head: String,
    body: Value,
}

impl Controller {
    fn on(members: &[Member], name: &str) -> Self {
        let urls: Vec<String> = members.iter().map(Member::url).collect();
        Self::reaching(&urls, name)
    }

    /// One that reaches etcd at these URLs.
    fn reaching(urls: &[String], name: &str) -> Self {
        let mut started = Self::start(urls, name, name);
        let log = BufReader::new(started.process.stderr.take().unwrap());
        let mut lines = log.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("ready")), "it did not start");
        std::thread::spawn(move || lines.for_each(drop));
        started
    }

    /// Starts one of this name, whether or not it becomes ready.
    fn start(urls: &[String], folder: &str, name: &str) -> Self {
        let folder = Folder::new(folder);
        let controller = name;
        let ports = [(); 4].map(|()| free_port().unwrap());
        let mut text = String::new();
        for (name, port) in ["api", "openflow", "ovsdb", "metrics"].iter().zip(ports) {
            text += &format!("{name}_listen = '[::1]:{port}'\n");
        }
        text += &format!(
            "control.socket = ''\nweb.listen = ''\n[store]\nkind = 'etcd'\nendpoints = {urls:?}\n"
        );
        text += &format!("[controllers]\nname = '{controller}'\n");
        text += "[quotas]\nquota_port = -1\n";
        let file = folder.0.join("sextant.toml");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sextant"));
        command.arg("serve").arg("--config").arg(&file);
        let process = command.stderr(Stdio::piped()).spawn().unwrap();
        Self {
            process,
            api: ports[0],
            metrics: ports[3],
            _folder: folder,
        }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.ask_with(method, path, body, &[])
    }

    /// The same with more headers.
    fn ask_with(&self, method: &str, path: &str, body: &Value, headers: &[String]) -> Answer {
        let url = format!("http://[::1]:{}/v2.0/{path}", self.api);
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--include", "--max-time", "60"]);
        curl.args(["-X", method, &url]);
        headers.iter().for_each(|header| {
            curl.args(["-H", header]);
        });
        if !body.is_null() {
            curl.args(["-d", "@-"]).stdin(Stdio::piped());
        }
        let mut curl = curl.stdout(Stdio::piped()).spawn().unwrap();
        if let Some(mut input) = curl.stdin.take() {
            std::io::Write::write_all(&mut input, body.to_string().as_bytes()).unwrap();
        }
        let output = curl.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let text = text.trim_start_matches("HTTP/1.1 100 Continue\r\n\r\n");
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: serde_json::from_str(body).unwrap_or_default(),
        }
    }

    fn make_network(&self, name: &str) -> Answer {
        self.ask("POST", "networks", &json!({"network": {"name": name}}))
    }

    fn has_network(&self, name: &str) -> Answer {
        let path = format!("networks?name={name}");
        self.ask("GET", &path, &Value::Null)
    }

    /// The value of a metric.
    fn metric(&self, name: &str) -> f64 {
        let url = format!("http://[::1]:{}/metrics", self.metrics);
        let page = Command::new("curl")
            .args(["--silent", &url])
            .output()
            .unwrap();
        let page = String::from_utf8(page.stdout).unwrap();
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap().parse().unwrap()
    }
}

#[test]
fn two_controllers_serve_one_cloud() {
    let members = [Member::alone()];
    let one = Controller::on(&members, "one");
    let two = Controller::on(&members, "two");
    for (n, (writer, reader)) in [(&one, &two), (&two, &one)].into_iter().enumerate() {
        let name = format!("n{n}");
        assert_eq!(writer.make_network(&name).status, 201);
        // The other is told by its watch, and is asked until it knows.
        while reader.has_network(&name).body["networks"] == json!([]) {}
    }
}

#[test]
fn a_second_process_with_a_name_that_is_taken_answers_nobody_and_ends() {
    let members = [Member::alone()];
    let urls: Vec<String> = members.iter().map(Member::url).collect();
    let one = Controller::on(&members, "taken");
    let mut second = Controller::start(&urls, "second", "taken");
    // Its listener takes the request, which is answered by nobody.
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--retry-connrefused", "--retry", "100"]);
    curl.args(["--retry-delay", "1", "--retry-max-time", "20"]);
    curl.arg(format!("http://[::1]:{}/v2.0/networks", second.api));
    let mut asked = curl.stdout(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(second.process.stderr.take().unwrap());
    let said: Vec<String> = log.lines().map_while(Result::ok).collect();
    assert!(!second.process.wait().unwrap().success());
    assert!(!said.iter().any(|line| line.contains("ready")), "{said:#?}");
    let why = "another controller has the name taken";
    assert!(said.iter().any(|line| line.contains(why)), "{said:#?}");
    let _ = asked.kill();
    let answer = asked.wait_with_output().unwrap().stdout;
    assert_eq!(String::from_utf8(answer).unwrap(), "");
    assert_eq!(one.make_network("still").status, 201);
}

#[test]
fn while_etcd_has_no_majority_writes_are_refused_and_reads_say_how_old_they_are() {
    let mut members = cluster(3, &[]);
    let controller = Controller::on(&members, "majority");
    assert_eq!(controller.make_network("before").status, 201);
    members[0].kill();
    members[1].kill();
    // At first a writer waits, at most for as long as curl does.
    let refused = controller.make_network("during");
    assert_eq!(refused.status, 503);
    let reason = refused.body["NeutronError"]["message"].as_str().unwrap();
    assert!(reason.contains("etcd"), "{reason}");
    let read = loop {
        let read = controller.has_network("before");
        assert_eq!(read.status, 200);
        assert_eq!(read.body["networks"][0]["name"], "before");
        if read.head.contains("x-sextant-state-age: ") {
            break read;
        }
    };
    let age = read.head.split("x-sextant-state-age: ").nth(1).unwrap();
    let age: u64 = age.split("\r\n").next().unwrap().parse().unwrap();
    assert!(age >= 5, "{age}");
    while controller.metric("sextant_store_age_seconds") < 5.0 {}

    members[0].start();
    members[1].start();
    while controller.make_network("after").status != 201 {}
    let read = controller.has_network("after");
    assert!(!read.head.contains("x-sextant-state-age"), "{}", read.head);
    while controller.metric("sextant_store_age_seconds") > 1.0 {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_is_behind_says_so_to_who_has_seen_more() {
    let members = [Member::alone()];
    let wire = Wire::to(members[0].port()).await;
    let one = Controller::on(&members, "ahead");
    let two = Controller::reaching(&[wire.url()], "behind");
    wire.set(State::Silent);
    let made = one.make_network("new");
    assert_eq!(made.status, 201, "{}", made.body);
    let seen = made.head.split("x-sextant-revision: ").nth(1).unwrap();
    let seen: u64 = seen.split("\r\n").next().unwrap().parse().unwrap();
    let seen = [format!("X-Sextant-Revision: {seen}")];
    let path = "networks?name=new";
    let old = two.ask("GET", path, &Value::Null);
    assert_eq!((old.status, &old.body["networks"]), (200, &json!([])));
    let refused = two.ask_with("GET", path, &Value::Null, &seen);
    assert_eq!(refused.status, 503, "{}", refused.body);
    let reason = refused.body["NeutronError"]["message"].as_str().unwrap();
    assert!(reason.contains("has revision"), "{reason}");
    let counted = ["too_late", "out_of_reach"].map(|outcome| {
        two.metric(&format!(
            "sextant_api_revision_waits_total{{outcome=\"{outcome}\"}}"
        ))
    });
    assert_eq!(counted[0] + counted[1], 1.0);

    wire.set(State::Whole);
    let read = loop {
        let read = two.ask_with("GET", path, &Value::Null, &seen);
        if read.status != 503 {
            break read;
        }
    };
    assert_eq!(read.body["networks"][0]["name"], "new");
}

/// A bulk create of so many ports.
fn ports(controller: &Controller, count: usize) -> Answer {
    let network = controller.make_network("bulk").body["network"]["id"].clone();
    let subnet = json!({"network_id": network, "ip_version": 6, "cidr": "2001:db8::/64"});
    let subnet = controller.ask("POST", "subnets", &json!({"subnet": subnet}));
    assert_eq!(subnet.status, 201, "{}", subnet.body);
    let port = json!({"network_id": network});
    controller.ask("POST", "ports", &json!({"ports": vec![port; count]}))
}

#[test]
fn what_is_too_large_for_etcd_is_refused_whole_and_names_the_setting() {
    let few_keys = ["--max-request-bytes", "10485760"];
    let few_octets = ["--max-txn-ops", "10000", "--max-request-bytes", "20000"];
    for (arguments, setting) in [
        (&few_keys[..], "--max-txn-ops"),
        (&few_octets, "--max-request-bytes"),
    ] {
        let members = [Member::with(arguments)];
        let controller = Controller::on(&members, "bounds");
        let refused = ports(&controller, 100);
        assert_eq!(refused.status, 413, "{}", refused.body);
        let reason = refused.body["NeutronError"]["message"].as_str().unwrap();
        assert!(reason.contains(setting), "{reason}");
        let listed = controller.ask("GET", "ports", &Value::Null);
        assert_eq!(listed.body["ports"], json!([]));
        assert_eq!(ports(&controller, 3).status, 201, "fewer pass");
    }
}

#[test]
fn with_the_settings_of_the_guide_a_hundred_ports_are_made_at_once() {
    let members = [Member::with(&[
        "--max-txn-ops",
        "10000",
        "--max-request-bytes",
        "10485760",
    ])];
    let controller = Controller::on(&members, "bulk");
    let made = ports(&controller, 100);
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.body["ports"].as_array().unwrap().len(), 100);
}
