//! A replica and the monitor that feeds it: schema, request with the best method that the server knows, contents, changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::event::SessionError;
use crate::monitor::{Method, MonitorRequest, UpdateError, conditions_json, read_updates};
use crate::replica::{Replica, RowChange};
use crate::schema::{DatabaseSchema, Name, TableSchema};
use crate::transaction::{Condition, read_error};

/// A monitor's name in requests and notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SubscriptionId(pub(crate) u64);

/// A replica, and the monitor that feeds it at present.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    pub(crate) replica: Replica,
    pub(crate) subscription: Option<Subscription>,
}

impl Feed {
    /// Whether this monitor feeds it.
    pub(crate) fn is(&self, id: SubscriptionId) -> bool {
        let subscription = self.subscription.as_ref();
        subscription.is_some_and(|subscription| subscription.id == id)
    }

    /// The monitor of this name, and what it feeds.
    pub(crate) fn get(&mut self, id: SubscriptionId) -> Option<(&mut Subscription, &mut Replica)> {
        let subscription = self.subscription.as_mut()?;
        (subscription.id == id).then_some((subscription, &mut self.replica))
    }
}

/// A monitor, from the wish to its end.
#[derive(Debug)]
pub(crate) struct Subscription {
    id: SubscriptionId,
    request: MonitorRequest,
    method: Method,
    /// Shared with the replica.
    tables: Arc<BTreeMap<Name, TableSchema>>,
    /// Whether the contents have arrived.
    live: bool,
    /// How many changes of conditions are unanswered.
    changes: usize,
}

/// What a wish for other conditions comes to.
#[derive(Debug)]
pub(crate) enum ConditionChange {
    /// The server is to be asked, with these parameters.
    Ask(Json),
    /// The server knows no conditions, and sends all rows.
    Unknown,
    /// There are no contents yet: the request is to be made again.
    Restart,
}

/// What the reply to a monitor request led to.
#[derive(Debug)]
pub(crate) enum Progress {
    /// The contents have arrived, and differ thus from what was known before; nothing is news where nothing was known.
    Contents(Vec<RowChange>),
    /// The server is to be asked in an older way.
    Retry,
}

impl Subscription {
    pub(crate) fn new(request: MonitorRequest, id: SubscriptionId) -> Self {
        Self {
            id,
            request,
            method: Method::CondSince,
            tables: Arc::default(),
            live: false,
            changes: 0,
        }
    }

    pub(crate) fn id(&self) -> SubscriptionId {
        self.id
    }

    pub(crate) fn is_live(&self) -> bool {
        self.live
    }

    pub(crate) fn request(&self) -> &MonitorRequest {
        &self.request
    }

    pub(crate) fn into_request(self) -> MonitorRequest {
        self.request
    }

    pub(crate) fn database(&self) -> &str {
        self.request.database()
    }

    /// Which method is in use, and the parameters of its request.
    pub(crate) fn call(&self, replica: &Replica) -> (Method, Json) {
        let since = replica.resumable(self.request.selection());
        let id = json!(self.id.0);
        let params = self.request.params(self.method, &id, &self.tables, since);
        (self.method, params)
    }

    pub(crate) fn handle_schema(
        &mut self,
        reply: Result<Json, Json>,
        replica: &mut Replica,
    ) -> Result<(), SessionError> {
        let json = reply.map_err(|error| self.refused(&error))?;
        let schema = DatabaseSchema::from_json(&json)?;
        self.tables = self.request.resolve(&schema)?;
        replica.prepare(self.tables.clone());
        Ok(())
    }

    pub(crate) fn handle_contents(
        &mut self,
        reply: Result<Json, Json>,
        replica: &mut Replica,
    ) -> Result<Progress, SessionError> {
        match (reply, self.method.fallback()) {
            (Ok(json), _) => {
                self.live = true;
                Ok(Progress::Contents(self.contents(&json, replica)?))
            }
            (Err(error), Some(older)) if read_error(&error).0 == "unknown method" => {
                self.method = older;
                Ok(Progress::Retry)
            }
            (Err(error), _) => Err(self.refused(&error)),
        }
    }

    /// Restricts a table to rows that meet one of the conditions (ovsdb-server(7), 4.1.13).
    pub(crate) fn change_conditions(
        &mut self,
        table: Name,
        conditions: Vec<Condition>,
        replica: &mut Replica,
    ) -> ConditionChange {
        let request = json!({ &*table: [{"where": conditions_json(&conditions)}] });
        self.request.restrict(table, conditions);
        match (self.live, self.method) {
            (false, _) => ConditionChange::Restart,
            (true, Method::Plain) => ConditionChange::Unknown,
            (true, Method::Cond | Method::CondSince) => {
                self.changes += 1;
                replica.set_selection(None);
                ConditionChange::Ask(json!([self.id.0, self.id.0, request]))
            }
        }
    }

    /// Takes the reply to a change of conditions, before which the server has sent the rows that come and go by it. Returns whether
    /// no other change is unanswered.
    pub(crate) fn handle_conditions(
        &mut self,
        reply: Result<Json, Json>,
        replica: &mut Replica,
    ) -> Result<bool, SessionError> {
        reply.map_err(|error| self.refused(&error))?;
        self.changes = self.changes.saturating_sub(1);
        if self.changes == 0 {
            replica.set_selection(Some(self.request.selection().clone()));
        }
        Ok(self.changes == 0)
    }

    fn contents(&self, json: &Json, replica: &mut Replica) -> Result<Vec<RowChange>, UpdateError> {
        let parts = json.as_array().map(Vec::as_slice);
        let (found, transaction, updates) = match (self.method, parts) {
            (Method::CondSince, Some([Json::Bool(found), transaction, updates])) => {
                (*found, read_transaction(transaction)?, updates)
            }
            (Method::Cond | Method::Plain, None) => (false, Uuid::nil(), json),
            (Method::CondSince | Method::Cond | Method::Plain, _) => {
                return Err(UpdateError::malformed(json));
            }
        };
        let updates = read_updates(self.method, updates, &self.tables)?;
        let known = replica.is_synced();
        let changes = match found {
            true => replica.apply(updates)?,
            false => replica.replace(updates)?,
        };
        replica.set_last_transaction(transaction);
        replica.set_selection(Some(self.request.selection().clone()));
        Ok(if known { changes } else { Vec::new() })
    }

    /// Applies an `update`, `update2` or `update3` notification that is for this monitor.
    pub(crate) fn handle_update(
        &self,
        method: Method,
        params: &Json,
        replica: &mut Replica,
    ) -> Result<Vec<RowChange>, UpdateError> {
        let parts = params.as_array().map(Vec::as_slice);
        let (transaction, updates) = match (method, parts) {
            (Method::CondSince, Some([_, transaction, updates])) => {
                (read_transaction(transaction)?, updates)
            }
            (Method::Cond | Method::Plain, Some([_, updates])) => (Uuid::nil(), updates),
            (Method::CondSince | Method::Cond | Method::Plain, _) => {
                return Err(UpdateError::malformed(params));
            }
        };
        let updates = read_updates(method, updates, &self.tables)?;
        let changes = replica.apply(updates)?;
        replica.set_last_transaction(transaction);
        Ok(changes)
    }

    fn refused(&self, error: &Json) -> SessionError {
        let (error, details) = read_error(error);
        SessionError::MonitorRefused {
            database: self.request.database().into(),
            error: match details {
                Some(details) => format!("{error} ({details})"),
                None => error,
            },
        }
    }
}

fn read_transaction(json: &Json) -> Result<Uuid, UpdateError> {
    let uuid = json.as_str().and_then(|text| Uuid::parse_str(text).ok());
    uuid.ok_or_else(|| UpdateError::malformed(json))
}
