//! `sextant neighbors`.

use crate::neighbors::{ClientError, Server, Told, ask};
use crate::tls::ClientFiles;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Options of `neighbors`.
#[derive(Debug, Args)]
pub struct Neighbors {
    /// What to do instead of showing them.
    #[command(subcommand)]
    pub action: Option<NeighborsAction>,
    /// The metrics listener of the Sextant to ask.
    #[arg(
        long,
        global = true,
        value_name = "ADDRESS:PORT",
        default_value = "[::1]:9697",
        env = "SEXTANT_METRICS_LISTEN"
    )]
    pub metrics: String,
    /// It speaks TLS: PEM file with the authorities of its certificate.
    #[arg(long, global = true, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// It asks clients for a certificate: PEM file with the one to show; needs --private-key and --ca.
    #[arg(long, global = true, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// PEM file with the private key of --certificate.
    #[arg(long, global = true, value_name = "FILE")]
    pub private_key: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum NeighborsAction {
    /// Have every hypervisor forget what it learned of them, and ask anew; only from the machine that Sextant runs on.
    Flush,
}

/// Why `neighbors` failed.
#[derive(Debug, thiserror::Error)]
pub enum NeighborsError {
    /// There is no answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Options do not go together.
    #[error(
        "--certificate, --private-key and --ca: the first two are of no use without each other and the third"
    )]
    Options,
    /// The operating system refused something.
    #[error(transparent)]
    System(#[from] std::io::Error),
}

impl Neighbors {
    /// Does it, and returns what to print.
    ///
    /// # Errors
    /// [`NeighborsError`] says why not.
    pub fn run(&self, json: bool) -> Result<String, NeighborsError> {
        let server = self.server()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        match self.action {
            None => {
                let answer = runtime.block_on(ask(&server, "GET /neighbors"))?;
                let unreadable = |error| ClientError::Unreadable(server.address, error);
                let all: Vec<Told> = serde_json::from_str(&answer).map_err(unreadable)?;
                Ok(if json { lines(&all) } else { table(&all) })
            }
            Some(NeighborsAction::Flush) => {
                runtime.block_on(ask(&server, "POST /neighbors/flush"))?;
                Ok(String::new())
            }
        }
    }

    fn server(&self) -> Result<Server, NeighborsError> {
        let pair = self.certificate.clone().zip(self.private_key.clone());
        let halves =
            usize::from(self.certificate.is_some()) + usize::from(self.private_key.is_some());
        if halves == 1 || (halves == 2 && self.ca.is_none()) {
            return Err(NeighborsError::Options);
        }
        let tls = self.ca.clone().map(|authority| ClientFiles {
            authority,
            certificate: pair,
        });
        Ok(Server {
            address: self.metrics.clone(),
            tls,
        })
    }
}

/// One object a line.
fn lines(all: &[Told]) -> String {
    let line = |told: &Told| format!("{}\n", serde_json::json!(told));
    all.iter().map(line).collect()
}

/// Columns for people.
fn table(all: &[Told]) -> String {
    let header = ["HYPERVISOR", "NETWORK", "ADDRESS", "MAC", "STATE", "ROUTER"];
    let row = |told: &Told| {
        [
            told.chassis.clone(),
            told.network_id.to_string(),
            told.address.to_string(),
            told.mac.map_or("-".to_owned(), |mac| mac.to_string()),
            told.state.clone(),
            if told.default_router { "default" } else { "-" }.to_owned(),
        ]
    };
    let rows: Vec<[String; 6]> = std::iter::once(header.map(str::to_owned))
        .chain(all.iter().map(row))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..header.len()).filter_map(width).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths);
        let padded: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sextant_model::{MacAddr, NetworkId};

    #[test]
    fn people_get_columns_and_programs_a_line_each() {
        let told = |chassis: &str, mac, default_router| Told {
            chassis: chassis.to_owned(),
            network_id: NetworkId::MIN,
            address: "fe80::1".parse().unwrap(),
            mac,
            state: "stale".to_owned(),
            default_router,
        };
        let all = [
            told("h1", Some(MacAddr([2, 0, 0, 0, 0, 1])), true),
            told("compute-2", None, false),
        ];
        let nil = NetworkId::MIN;
        let expected = format!(
            "HYPERVISOR  NETWORK                               ADDRESS  MAC                STATE  ROUTER\n\
             h1          {nil}  fe80::1  02:00:00:00:00:01  stale  default\n\
             compute-2   {nil}  fe80::1  -                  stale  -\n"
        );
        assert_eq!(table(&all), expected);
        let lines = lines(&all);
        let second: Told = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
        assert_eq!(second, all[1]);
        assert_eq!(lines.lines().count(), 2);
    }
}
