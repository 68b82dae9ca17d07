//! `sextant doctor` looks at clusters that are whole, and that are not.

use super::member::{Member, cluster};
use crate::free_port::free_port;
use crate::world::Folder;
use serde_json::Value;
use std::process::Command;

/// What is said of etcd, as `STATE SAYS`.
fn said_of(members: &[Member]) -> Vec<String> {
    let folder = Folder::new("doctor");
    let urls: Vec<String> = members.iter().map(Member::url).collect();
    let mut text = "control.socket = ''\nweb.listen = ''\n".to_owned();
    for name in ["api", "openflow", "ovsdb", "metrics"] {
        text += &format!("{name}_listen = '[::1]:{}'\n", free_port().unwrap());
    }
    text += &format!("[store]\nkind = 'etcd'\nendpoints = {urls:?}\n");
    let file = folder.0.join("sextant.toml");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sextant"));
    let command = command.args(["doctor", "--json", "--config"]).arg(file);
    let output = command.output().unwrap();
    let rows = String::from_utf8(output.stdout).unwrap();
    let rows = rows
        .lines()
        .map(|row| serde_json::from_str::<Value>(row).unwrap());
    let rows = rows.filter(|row| row["check"] == "etcd" || row["check"] == "clock");
    let said: Vec<String> = rows
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap().to_owned();
            format!("{} {}", text("state"), text("says"))
        })
        .collect();
    let is_wrong = said.iter().any(|line| line.starts_with("bad"));
    assert_eq!(output.status.code(), Some(i32::from(is_wrong)), "{said:#?}");
    said
}

fn count(said: &[String], state: &str, part: &str) -> usize {
    let lines = said
        .iter()
        .filter(|line| line.starts_with(state) && line.contains(part));
    lines.count()
}

#[test]
fn a_cluster_is_told_by_its_members_its_majority_its_bounds_and_its_clocks() {
    let mut members = cluster(3, &["--max-txn-ops", "10000"]);
    let said = said_of(&members);
    assert_eq!(count(&said, "good", "answers: etcd 3."), 3, "{said:#?}");
    assert_eq!(
        count(&said, "good", "no store under store.prefix"),
        1,
        "{said:#?}"
    );
    assert_eq!(
        count(&said, "good", "takes 10000 operations"),
        1,
        "{said:#?}"
    );
    assert_eq!(
        count(&said, "good", "It agrees with that of"),
        3,
        "{said:#?}"
    );
    assert_eq!(count(&said, "bad", ""), 0, "{said:#?}");

    members[0].kill();
    let said = said_of(&members);
    assert_eq!(count(&said, "bad", ""), 1, "{said:#?}");
    assert_eq!(count(&said, "bad", "does not answer"), 1, "{said:#?}");
    assert_eq!(count(&said, "good", "has a majority"), 1, "{said:#?}");

    members[1].kill();
    let said = said_of(&members);
    assert_eq!(count(&said, "bad", "does not answer"), 2, "{said:#?}");
    assert_eq!(
        count(&said, "bad", "The store cannot be read"),
        1,
        "{said:#?}"
    );
}

#[test]
fn etcds_own_bound_of_operations_is_found_out() {
    let member = Member::alone();
    let said = said_of(&[member]);
    assert_eq!(
        count(&said, "note", "It takes 128 operations"),
        1,
        "{said:#?}"
    );
}
