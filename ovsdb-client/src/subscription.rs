//! The life of one monitor: schema, request with the best method that the server knows, contents, changes.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::event::SessionError;
use crate::monitor::{Method, MonitorRequest, UpdateError, read_updates};
use crate::replica::{Replica, RowChange};
use crate::schema::{DatabaseSchema, Name, TableSchema};
use crate::transaction::read_error;

#[derive(Debug)]
pub(crate) struct Subscription {
    request: MonitorRequest,
    /// The monitor's name in requests and notifications.
    id: Json,
    method: Method,
    tables: BTreeMap<Name, TableSchema>,
}

/// What the reply to a monitor request led to.
#[derive(Debug)]
pub(crate) enum Progress {
    /// The contents have arrived, and changed the replica thus.
    Contents(Vec<RowChange>),
    /// The server is to be asked in an older way.
    Retry,
}

impl Subscription {
    pub(crate) fn new(request: MonitorRequest, number: u64) -> Self {
        Self {
            request,
            id: json!(number),
            method: Method::CondSince,
            tables: BTreeMap::new(),
        }
    }

    pub(crate) fn id(&self) -> &Json {
        &self.id
    }

    /// The request for the schema: method and parameters.
    pub(crate) fn schema_request(&self) -> (&'static str, Json) {
        ("get_schema", json!([self.request.database()]))
    }

    /// The monitor request: method and parameters.
    pub(crate) fn monitor_request(&self, replica: &Replica) -> (&'static str, Json) {
        let since = replica.last_transaction();
        let params = self
            .request
            .params(self.method, &self.id, &self.tables, since);
        (self.method.name(), params)
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

    pub(crate) fn handle_reply(
        &mut self,
        reply: Result<Json, Json>,
        replica: &mut Replica,
    ) -> Result<Progress, SessionError> {
        match (reply, self.method.fallback()) {
            (Ok(json), _) => Ok(Progress::Contents(self.contents(&json, replica)?)),
            (Err(error), Some(older)) if read_error(&error).0 == "unknown method" => {
                self.method = older;
                Ok(Progress::Retry)
            }
            (Err(error), _) => Err(self.refused(&error)),
        }
    }

    fn contents(&self, json: &Json, replica: &mut Replica) -> Result<Vec<RowChange>, UpdateError> {
        let (found, transaction, updates) = match (self.method, json.as_array().map(Vec::as_slice))
        {
            (Method::CondSince, Some([Json::Bool(found), transaction, updates])) => {
                (*found, read_transaction(transaction)?, updates)
            }
            (Method::Cond | Method::Plain, None) => (false, Uuid::nil(), json),
            (Method::CondSince | Method::Cond | Method::Plain, _) => {
                return Err(UpdateError::malformed(json));
            }
        };
        let updates = read_updates(self.method, updates, &self.tables)?;
        replica.set_last_transaction(transaction);
        match found {
            true => replica.apply(updates),
            false => replica.replace(updates),
        }
    }

    /// Applies a notification; `None` if it belongs to another monitor.
    pub(crate) fn handle_update(
        &self,
        method: Method,
        params: &Json,
        replica: &mut Replica,
    ) -> Result<Option<Vec<RowChange>>, UpdateError> {
        let (id, transaction, updates) = match (method, params.as_array().map(Vec::as_slice)) {
            (Method::CondSince, Some([id, transaction, updates])) => {
                (id, read_transaction(transaction)?, updates)
            }
            (Method::Cond | Method::Plain, Some([id, updates])) => (id, Uuid::nil(), updates),
            (Method::CondSince | Method::Cond | Method::Plain, _) => {
                return Err(UpdateError::malformed(params));
            }
        };
        if *id != self.id {
            return Ok(None);
        }
        let updates = read_updates(method, updates, &self.tables)?;
        replica.set_last_transaction(transaction);
        replica.apply(updates).map(Some)
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
