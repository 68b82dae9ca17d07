//! `sextant support-bundle`: what others need to help, in one file.

use super::ClientError;
use super::client::rows_of;
use super::verbs::Request;
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Options of `support-bundle`.
#[derive(Clone, Debug, Args)]
pub struct SupportBundle {
    /// The file, which must not exist. Each line is a JSON object: which verb (`of`), and a row of its answer (`row`) or why
    /// there is none (`refused`).
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The control socket to ask: /run/sextant/control unless given.
    #[arg(long, value_name = "SOCKET", env = "SEXTANT_CONTROL_SOCKET")]
    pub socket: Option<PathBuf>,
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum SupportBundleError {
    /// Sextant does not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The file cannot be written.
    #[error("cannot write {0}: {1}")]
    File(PathBuf, io::Error),
}

/// What is asked. Port by port, it would be too much.
fn questions() -> [(&'static str, Request); 10] {
    [
        ("status", Request::Status(Default::default())),
        ("hypervisors", Request::Hypervisors(Default::default())),
        ("networks", Request::Networks(Default::default())),
        ("routers", Request::Routers(Default::default())),
        ("ports", Request::Ports(Default::default())),
        ("prefixes", Request::Prefixes(Default::default())),
        ("neighbors", Request::Neighbors(Default::default())),
        ("drops", Request::Drops(Default::default())),
        ("facts", Request::Facts(Default::default())),
        ("metrics", Request::Metrics(Default::default())),
    ]
}

impl SupportBundle {
    /// Asks, and writes the file. Returns what to say of it.
    ///
    /// # Errors
    /// [`SupportBundleError`]: Sextant does not answer at all, or the file cannot be written.
    pub fn write(&self) -> Result<String, SupportBundleError> {
        let version = env!("CARGO_PKG_VERSION");
        let mut text = format!("{}\n", json!({"of": "version", "row": version}));
        let (mut rows, mut refused) = (0, 0);
        for (name, request) in questions() {
            match rows_of(self.socket.as_deref(), &request) {
                Ok(answer) => {
                    rows += answer.len();
                    answer
                        .iter()
                        .for_each(|row| add(&mut text, name, "row", row));
                }
                // One verb may fail, and the others still help.
                Err(ClientError::Refused(why)) => {
                    refused += 1;
                    add(&mut text, name, "refused", &Value::String(why));
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.store(&text)
            .map_err(|error| SupportBundleError::File(self.file.clone(), error))?;
        let file = self.file.display();
        Ok(format!(
            "{file}: {rows} rows, {refused} verbs refused. It has names and addresses of tenants, and no secrets.\n"
        ))
    }

    fn store(&self, text: &str) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.file)?;
        file.write_all(text.as_bytes())
    }
}

fn add(text: &mut String, of: &str, key: &str, value: &Value) {
    // A text takes everything.
    let _ = writeln!(text, "{}", json!({"of": of, key: value}));
}
