//! What ovsdb-server does for one connection to a manager (RFC 7047 §4.1).

use super::database::{Changes, Monitored, MonitoredTable, NAME, SimulatedDatabase};
use super::line::Line;
use super::locks::SessionNumber;
use serde_json::{Deserializer, Value as Json, json};

/// Who keeps no history of transactions calls each by this.
const NO_TRANSACTION: &str = "00000000-0000-0000-0000-000000000000";

pub(super) struct Manager {
    pub(super) line: Line,
    /// Numbers the connection.
    pub(super) session: SessionNumber,
    monitored: Monitored,
    monitor: Json,
}

/// What a request asks of the whole hypervisor.
pub(super) enum Request {
    Monitor,
    Transact(Vec<Json>),
    Lock(String),
    Steal(String),
    Unlock(String),
}

impl Manager {
    pub(super) fn new(line: Line) -> Self {
        Self {
            line,
            session: 0,
            monitored: Monitored::new(),
            monitor: Json::Null,
        }
    }

    /// It has connected.
    pub(super) fn begin(&mut self, session: SessionNumber) {
        self.session = session;
        self.monitored.clear();
    }

    /// What has come.
    pub(super) fn requests(&mut self) -> Vec<Json> {
        let incoming = self.line.incoming.split();
        let mut messages = Deserializer::from_slice(&incoming).into_iter::<Json>();
        let mut taken = 0;
        let mut requests = vec![];
        while let Some(Ok(request)) = messages.next() {
            taken = messages.byte_offset();
            requests.push(request);
        }
        self.line.incoming.extend_from_slice(&incoming[taken..]);
        requests
    }

    /// Answers what concerns nobody else, and returns what does.
    pub(super) fn take(&mut self, request: &Json, database: &SimulatedDatabase) -> Option<Request> {
        let params = &request["params"];
        let lock = params[0].as_str().unwrap_or_default().to_owned();
        match request["method"].as_str()? {
            "echo" => self.answer(request, params),
            "list_dbs" => self.answer(request, &json!([NAME])),
            "get_schema" => self.answer(request, database.schema()),
            "set_db_change_aware" => self.answer(request, &json!({})),
            "monitor_cond_since" => return Some(Request::Monitor),
            "monitor_cond_change" => self.select(request, database),
            "transact" => {
                let operations = params.as_array().map(|all| &all[1..]);
                return Some(Request::Transact(operations.unwrap_or_default().to_vec()));
            }
            "lock" => return Some(Request::Lock(lock)),
            "steal" => return Some(Request::Steal(lock)),
            "unlock" => return Some(Request::Unlock(lock)),
            _ => self.refuse(request, "unknown method"),
        }
        None
    }

    pub(super) fn watch(&mut self, request: &Json, database: &SimulatedDatabase) {
        self.monitor = request["params"][1].clone();
        self.monitored = monitored(&request["params"][2]);
        let contents = database.contents(&self.monitored);
        self.answer(request, &json!([false, NO_TRANSACTION, contents]));
    }

    /// It monitors other rows from now on, which it is told before the answer.
    fn select(&mut self, request: &Json, database: &SimulatedDatabase) {
        let before = self.monitored.clone();
        let tables = request["params"][2].as_object().into_iter().flatten();
        for (table, request) in tables {
            if let Some(table) = self.monitored.get_mut(table) {
                table.has_rows = has_rows(request);
            }
        }
        let moved = database.selection(&before, &self.monitored);
        if moved.as_object().is_some_and(|moved| !moved.is_empty()) {
            self.update(&moved);
        }
        self.answer(request, &json!({}));
    }

    pub(super) fn answer(&mut self, request: &Json, result: &Json) {
        self.put(&json!({"id": request["id"], "result": result, "error": null}));
    }

    pub(super) fn refuse(&mut self, request: &Json, error: &str) {
        self.put(&json!({"id": request["id"], "result": null, "error": error}));
    }

    pub(super) fn notify(&mut self, method: &str, lock: &str) {
        self.put(&json!({"id": null, "method": method, "params": [lock]}));
    }

    pub(super) fn probe(&mut self) {
        self.put(&json!({"id": "echo", "method": "echo", "params": []}));
    }

    /// Tells what has changed of what it monitors.
    pub(super) fn tell(&mut self, changes: &Changes, database: &SimulatedDatabase) {
        if let Some(update) = database.update(changes, &self.monitored) {
            self.update(&update);
        }
    }

    fn update(&mut self, update: &Json) {
        let params = json!([self.monitor, NO_TRANSACTION, update]);
        self.put(&json!({"id": null, "method": "update3", "params": params}));
    }

    fn put(&mut self, message: &Json) {
        if self.line.is_connected() {
            let octets = message.to_string();
            self.line.outgoing.extend_from_slice(octets.as_bytes());
        }
    }
}

fn monitored(requests: &Json) -> Monitored {
    let tables = requests.as_object().into_iter().flatten();
    tables
        .map(|(name, request)| {
            (name.clone(), {
                let columns = request[0]["columns"].as_array().into_iter().flatten();
                let columns = columns.filter_map(|name| name.as_str().map(str::to_owned));
                MonitoredTable {
                    columns: columns.collect(),
                    has_rows: has_rows(request),
                }
            })
        })
        .collect()
}

/// Whether a request is for all rows of a table. One with a condition is for none.
fn has_rows(request: &Json) -> bool {
    let conditions = request[0]["where"].as_array();
    conditions.is_none_or(Vec::is_empty)
}
