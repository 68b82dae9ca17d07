//! One transaction with an ovsdb-server (RFC 7047 §4.1.3), on a connection of its own: what
//! ovs-vsctl does, without starting a program and reading all tables first.

use crate::error::LabError;
use serde_json::{Deserializer, Value, json};
use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// Does all operations on `Open_vSwitch` or none, and returns their results.
pub(super) fn transact(socket: &Path, operations: Vec<Value>) -> Result<Vec<Value>, LabError> {
    let what = format!("ask {}", socket.display());
    let mut stream = UnixStream::connect(socket).map_err(LabError::io(&what))?;
    stream
        .set_read_timeout(Some(PATIENCE))
        .map_err(LabError::io(&what))?;
    let mut params = vec![json!("Open_vSwitch")];
    params.extend(operations);
    let request = json!({"id": 1, "method": "transact", "params": params});
    stream
        .write_all(request.to_string().as_bytes())
        .map_err(LabError::io(&what))?;
    let answers = Deserializer::from_reader(BufReader::new(stream)).into_iter::<Value>();
    for answer in answers {
        let mut answer =
            answer.map_err(|error| LabError::unexpected("an answer of ovsdb-server", error))?;
        if answer["id"] == 1 && answer.get("method").is_none() {
            return results(answer["result"].take());
        }
    }
    Err(LabError::unexpected("an answer of ovsdb-server", "nothing"))
}

fn results(mut results: Value) -> Result<Vec<Value>, LabError> {
    match results.as_array_mut() {
        Some(results) if results.iter().all(|result| result.get("error").is_none()) => {
            Ok(std::mem::take(results))
        }
        Some(_) | None => Err(LabError::unexpected("the result of a transaction", results)),
    }
}
