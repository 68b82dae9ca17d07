//! A file and a backup that the release before wrote are served by this one, and nothing of them is lost; and what this one
//! writes the release before can read, as long as the format is the same.
//!
//! `stored/format-2.redb.gz` and `stored/format-2.backup.gz` were written by a release build of November 2026, driven through its
//! API: an external network, networks with subnets of each mode, a pool in a scope, ports with pairs, options, tags and groups,
//! a router with four interfaces, a gateway and a route, a policy that shares, and a quota. `stored/format-2.json.gz` is what its
//! API showed of all that.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "../../tests/src/free_port.rs"]
mod free_port;
mod serving;

use free_port::free_port;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde_json::Value;
use serving::Serving;
use sextant_controller::store::FORMAT;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

const OBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
const FILE: &str = "sextant.redb";

/// A folder that is gone with its test.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sextant-upgrade-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(path.join("data")).unwrap();
        Self(path)
    }

    fn store(&self) -> PathBuf {
        self.0.join("data").join(FILE)
    }

    fn configure(&self) -> (PathBuf, u16) {
        let ports = [(); 4].map(|()| free_port().unwrap());
        let mut text = format!(
            "data_dir = '{0}/data'\ncontrol.socket = ''\nweb.listen = ''\n",
            self.0.display()
        );
        for (name, port) in ["api", "openflow", "ovsdb", "metrics"].iter().zip(ports) {
            text += &format!("{name}_listen = '[::1]:{port}'\n");
        }
        let file = self.0.join("sextant.toml");
        std::fs::write(&file, text).unwrap();
        (file, ports[0])
    }
}

/// What is in a compressed file of the release before.
fn stored(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stored");
    let mut command = Command::new("gzip");
    let output = command.arg("-dc").arg(folder.join(name)).output().unwrap();
    assert!(output.status.success(), "{name}");
    output.stdout
}

/// A controller, ended with the test.
struct Controller {
    process: Serving,
    api: u16,
}

impl Controller {
    fn start(folder: &Folder) -> Self {
        let (file, api) = folder.configure();
        let process = Serving::start(&file);
        Self { process, api }
    }

    fn get(&self, path: &str) -> Value {
        let url = format!("http://[::1]:{}/v2.0/{path}", self.api);
        let mut command = Command::new("curl");
        command.args([
            "-s",
            "--fail",
            "--max-time",
            "20",
            "-H",
            "X-Project-Id: one",
            &url,
        ]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{path}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Ends as an upgrade has it end.
    fn stop(mut self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
        assert!(self.process.wait().unwrap().success());
    }
}

/// Everything that the API of the release before showed is shown the same.
fn nothing_is_lost(controller: &Controller) {
    let before: Value = serde_json::from_slice(&stored("format-2.json.gz")).unwrap();
    let mut compared = 0;
    for (path, before) in before.as_object().unwrap() {
        let answer = controller.get(path);
        if path.starts_with("quotas/") {
            assert!(has_all(before, &answer), "{path}: {before} {answer}");
            continue;
        }
        let shown = answer.as_object().unwrap().values().next().unwrap();
        let shown: BTreeMap<&str, &Value> = by_id(shown);
        let wanted = by_id(before);
        assert_eq!(shown.len(), wanted.len(), "{path}");
        for (id, resource) in wanted {
            let found = shown
                .get(id)
                .unwrap_or_else(|| panic!("{path} {id} is lost"));
            for (name, value) in resource.as_object().unwrap() {
                assert_eq!(&found[name], value, "{name} of {path} {id}");
                compared += 1;
            }
        }
    }
    assert!(compared > 400, "{compared} attributes");
}

fn by_id(list: &Value) -> BTreeMap<&str, &Value> {
    let list = list.as_array().unwrap().iter();
    list.map(|one| (one["id"].as_str().unwrap(), one)).collect()
}

/// Whether a value has everything that another one has, member by member.
fn has_all(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => before
            .iter()
            .all(|(name, value)| after.get(name).is_some_and(|after| has_all(value, after))),
        _ => before == after,
    }
}

/// Format and rows, read without the store.
fn raw(file: &Path) -> (u64, BTreeMap<String, Value>) {
    let database = Database::create(file).unwrap();
    let transaction = database.begin_read().unwrap();
    let numbers = transaction.open_table(NUMBERS).unwrap();
    let format = numbers.get("format").unwrap().unwrap().value();
    let rows = transaction.open_table(OBJECTS).unwrap();
    let rows = rows.iter().unwrap().map(|row| {
        let (key, value) = row.unwrap();
        let key = String::from_utf8(key.value().to_vec()).unwrap();
        (key, serde_json::from_slice(value.value()).unwrap())
    });
    (format, rows.collect())
}

#[test]
fn a_file_of_the_release_before_is_served_whole_and_stays_one_that_it_reads() {
    let folder = Folder::new();
    std::fs::write(folder.store(), stored("format-2.redb.gz")).unwrap();
    let (format, before) = raw(&folder.store());
    let controller = Controller::start(&folder);
    nothing_is_lost(&controller);
    controller.stop();
    // The next start finds what this one left.
    let controller = Controller::start(&folder);
    nothing_is_lost(&controller);
    controller.stop();

    let (same, after) = raw(&folder.store());
    assert_eq!(
        (format, same),
        (FORMAT, FORMAT),
        "a new format needs a migration, and its own file here"
    );
    for (key, row) in &before {
        let now = after.get(key).unwrap_or_else(|| panic!("{key} is lost"));
        assert!(has_all(row, now), "{key}: {row} {now}");
        // Written again by this version, it still has all that the release before reads.
        let object: sextant_model::Object = serde_json::from_value(row.clone()).unwrap();
        let again = serde_json::to_value(&object).unwrap();
        assert!(has_all(row, &again), "{key}: {row} {again}");
    }
}

#[test]
fn a_backup_of_the_release_before_is_restored_whole() {
    let folder = Folder::new();
    let backup = folder.0.join("cloud.backup");
    std::fs::write(&backup, stored("format-2.backup.gz")).unwrap();
    let (file, _) = folder.configure();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sextant"));
    command
        .args(["store", "copy", "--to", "embedded", "--config"])
        .arg(file);
    let output = command.arg("--from").arg(backup).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let controller = Controller::start(&folder);
    nothing_is_lost(&controller);
}

#[test]
fn a_file_of_a_later_format_is_refused_in_words_and_left_alone() {
    let folder = Folder::new();
    std::fs::write(folder.store(), stored("format-2.redb.gz")).unwrap();
    let database = Database::create(folder.store()).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut numbers = transaction.open_table(NUMBERS).unwrap();
    numbers.insert("format", FORMAT + 1).unwrap();
    drop(numbers);
    transaction.commit().unwrap();
    drop(database);
    let before = raw(&folder.store());
    let (file, _) = folder.configure();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sextant"));
    let output = command
        .arg("serve")
        .arg("--config")
        .arg(file)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let formats = format!(
        "format is {}, this version knows up to {FORMAT}",
        FORMAT + 1
    );
    assert!(said.contains(&formats), "{said}");
    assert_eq!(raw(&folder.store()), before);
}
