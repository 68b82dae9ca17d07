//! The operator's door: a local socket where people ask a running Sextant.
//!
//! One type is the verb's options on the command line, the request on the socket, and the code that computes the
//! answer. Its rows are printed as a table or as JSON.

mod bundle;
pub mod client;
mod protocol;
mod server;
mod socket;
mod table;
pub mod verbs;
mod visible;

pub use bundle::{SupportBundle, SupportBundleError};
pub(crate) use client::rows_of;
pub use client::{Ask, ClientError};
pub(crate) use protocol::LONGEST_REQUEST;
pub use server::serve;
pub(crate) use server::{STALL, answer_lines};
pub(crate) use socket::LONGEST_PATH;
pub use socket::{ControlSocket, SocketError};
pub use verbs::finding::{Finding, FindingState};
pub use verbs::{Request, Verbs};

use crate::captures::Captures;
use crate::flow_counters::FlowCounters;
use crate::metrics::Metrics;
use crate::neighbors::Neighbors;
use crate::port_history::PortHistory;
use crate::probes::TunnelProbes;
use crate::seat::Seats;
use crate::snapshot::Snapshots;
use crate::state::Events;
use crate::store::Store;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sextant_model::ChassisId;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The control socket of root's Sextant.
pub const SOCKET: &str = "/run/sextant/control";
/// The default control socket of other users' Sextants: below their data folder.
pub const OWN_SOCKET: &str = "sextant-data/control";

/// The data that verbs read.
#[derive(Clone, Debug)]
pub struct OperatorView {
    /// Intent and facts.
    pub snapshots: Snapshots,
    /// What sessions know of neighbours on external networks.
    pub neighbors: Neighbors,
    /// What happened at ports.
    pub history: PortHistory,
    /// How many packets the flows of connected switches took.
    pub counters: FlowCounters,
    /// Who waits for probes of tunnels.
    pub probes: TunnelProbes,
    /// Who captures the frames of ports.
    pub captures: Captures,
    /// Where the owner of state is told of captures.
    pub events: Events,
    /// The metrics.
    pub metrics: Metrics,
    /// The hypervisors whose databases are connected.
    pub databases: Seats<ChassisId>,
    /// The hypervisors whose switches are connected.
    pub switches: Seats<ChassisId>,
    /// What is stored.
    pub store: StoredCloud,
}

/// The store, as verbs read it.
#[derive(Clone)]
pub struct StoredCloud(pub Arc<dyn Store>);

impl fmt::Debug for StoredCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredCloud")
    }
}

/// Takes the rows of an answer, in order.
pub type Give<'a, R> = &'a mut dyn FnMut(R) -> Result<(), VerbError>;

/// Takes rows one by one, as they come.
pub type RowTaker<R> = Box<dyn FnMut(R) -> Result<(), String>>;

/// A verb: something that can be asked.
pub trait Verb: Clone {
    /// A row of the answer.
    type Row: Serialize + DeserializeOwned + PartialEq;

    /// Computes the answer.
    ///
    /// # Errors
    /// [`VerbError`]: there is no answer, or the client has left.
    fn answer(&self, known: &OperatorView, give: Give<'_, Self::Row>) -> Result<(), VerbError>;

    /// Whether it leaves everything as it is.
    fn only_reads(&self) -> bool {
        true
    }

    /// What who asked does with the whole answer before it is shown. Returns the rows to show.
    ///
    /// # Errors
    /// Why that cannot be done.
    fn receive(&self, rows: Vec<Self::Row>) -> Result<Vec<Self::Row>, String> {
        Ok(rows)
    }

    /// How long the answer is meant to take at most, where it goes on until somebody ends it.
    fn lasts(&self) -> Option<Duration> {
        None
    }

    /// What takes the rows as they come, where the answer is not shown as a whole.
    ///
    /// # Errors
    /// Why they cannot be taken.
    fn taker(&self) -> Result<Option<RowTaker<Self::Row>>, String> {
        Ok(None)
    }

    /// What to ask for what comes after the last row, if this is to be followed.
    fn following(&self, _last: Option<&Self::Row>) -> Option<Self> {
        None
    }

    /// The answer as text for people.
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
        /// The names that exist.
        known: Vec<ChassisId>,
    },
    /// The request makes no sense for this cloud.
    #[error("{0}")]
    Unfit(String),
    /// The client has left.
    #[error("nobody waits for the answer")]
    Abandoned,
}

/// How many names an error lists, to help find a mistake.
const SHOWN: usize = 20;

fn of_those(known: &[ChassisId]) -> String {
    if known.is_empty() {
        return ": none has joined yet".to_owned();
    }
    let names: Vec<&str> = known.iter().take(SHOWN).map(ChassisId::as_str).collect();
    let more = if known.len() > SHOWN { ", …" } else { "" };
    format!("; there are {}{more}", names.join(", "))
}
