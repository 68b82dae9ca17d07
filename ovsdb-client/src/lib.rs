//! A client of OVSDB: RFC 7047 and the extensions of `ovsdb-server(7)`.
//!
//! Three layers, each usable without the next:
//!
//! - **Data** ([`Value`], [`Row`], [`Transaction`], [`MonitorRequest`]): what a database holds, and what is asked of it.
//!   [`tables!`] makes types of rows.
//! - **Session** ([`Session`]): a connection as a state machine, octets and time in, octets and events out. It keeps a
//!   [`Replica`] of what is monitored.
//! - **Connection** ([`Connection`], feature `tokio`): a session on any stream of tokio.
//!
//! A session speaks first, and needs neither a socket nor a clock:
//!
//! ```
//! use std::time::Instant;
//! use sextant_ovsdb_client::{Event, MonitorRequest, Options, Session};
//!
//! let mut session = Session::new(Options::default(), Instant::now());
//! session.monitor(MonitorRequest::new("Open_vSwitch").table("Bridge", ["name"]));
//! let request = session.poll_output().expect("it asks for the schema");
//! assert!(String::from_utf8_lossy(&request).contains(r#""method":"get_schema""#));
//!
//! // Whatever arrives goes in as it comes; here nothing has come yet.
//! session.handle_input(b"", Instant::now());
//! assert_eq!(session.poll_event()?, None::<Event>);
//! # Ok::<(), sextant_ovsdb_client::SessionError>(())
//! ```

pub mod cluster;
#[cfg(feature = "tokio")]
pub mod connection;
pub mod event;
pub mod failover;
mod feed;
pub mod framing;
mod liveness;
pub mod monitor;
pub mod remote;
pub mod replica;
pub mod row;
pub mod rpc;
pub mod schema;
pub mod session;
pub mod table;
pub mod transaction;
pub mod value;

pub use cluster::Member;
#[cfg(feature = "tokio")]
pub use connection::{Connection, Error, accept, connect, reconnect, reconnect_with};
pub use event::{Event, Refusal, SessionError};
pub use failover::Failover;
pub use framing::Limits;
pub use monitor::MonitorRequest;
pub use remote::Remote;
pub use replica::{Replica, RowChange};
pub use row::{ColumnError, Row};
pub use rpc::RequestId;
pub use session::{Options, Session};
pub use table::{Table, TextMap};
pub use transaction::{
    Comparison, Condition, Mutation, Mutator, OperationResult, Transaction, TransactionError,
    TransactionResult, Until,
};
pub use value::{Atom, AtomSet, Real, Value};

/// The README's examples, compiled.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;
