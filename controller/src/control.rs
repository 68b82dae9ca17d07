//! The operator's door: a local socket on which people ask a Sextant that runs.
//!
//! A connection carries one request, which is a line of JSON, and its answer, which is a line a row and one that ends it
//! (`protocol`). What can be asked is the table in [`verbs`]: a verb is a file there and a row. The same type is the
//! verb's options on the command line, the request on the wire and what computes the answer; its rows are printed as a
//! table, or as JSON. Verbs read snapshots in threads of their own, so that no session waits for them.

pub mod client;
mod protocol;
mod server;
mod socket;
mod table;
pub mod verbs;

pub use client::{Ask, ClientError};
pub use server::serve;
pub(crate) use socket::LONGEST_PATH;
pub use socket::{ControlSocket, SocketError};
pub use verbs::{Request, Verbs};

use crate::neighbors::Neighbors;
use crate::seat::Seats;
use crate::snapshot::Snapshots;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sextant_model::ChassisId;

/// Where root's Sextant listens.
pub const SOCKET: &str = "/run/sextant/control";
/// Where anybody else's does, unless it is configured: below the folder with the data.
pub const OWN_SOCKET: &str = "sextant-data/control";

/// What verbs read.
#[derive(Clone, Debug)]
pub struct Known {
    /// Intent and facts.
    pub snapshots: Snapshots,
    /// What sessions know of neighbours outside.
    pub neighbors: Neighbors,
    /// Whose databases are connected.
    pub databases: Seats<ChassisId>,
    /// Whose switches are.
    pub switches: Seats<ChassisId>,
}

/// Takes the rows of an answer, in order.
pub type Give<'a, R> = &'a mut dyn FnMut(R) -> Result<(), VerbError>;

/// What can be asked.
pub trait Verb {
    /// A row of the answer.
    type Row: Serialize + DeserializeOwned;

    /// Computes the answer.
    ///
    /// # Errors
    /// [`VerbError`]: there is none, or nobody takes it.
    fn answer(&self, known: &Known, give: Give<'_, Self::Row>) -> Result<(), VerbError>;

    /// The answer for people.
    fn show(&self, rows: &[Self::Row]) -> String;
}

/// Why an answer ends early.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerbError {
    /// The request names a hypervisor that has never joined.
    #[error("there is no hypervisor {id}{}", of_those(.known))]
    NoSuchChassis {
        /// The name.
        id: ChassisId,
        /// The names that there are.
        known: Vec<ChassisId>,
    },
    /// The request does not fit this cloud.
    #[error("{0}")]
    Unfit(String),
    /// Whoever asked has gone.
    #[error("nobody waits for the answer")]
    Abandoned,
}

/// So many names help to find a mistake in one.
const SHOWN: usize = 20;

fn of_those(known: &[ChassisId]) -> String {
    if known.is_empty() {
        return ": none has joined yet".to_owned();
    }
    let names: Vec<&str> = known.iter().take(SHOWN).map(ChassisId::as_str).collect();
    let more = if known.len() > SHOWN { ", …" } else { "" };
    format!("; there are {}{more}", names.join(", "))
}
