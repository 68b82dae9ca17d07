#![doc = include_str!("../README.md")]

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
pub use transaction::{
    Comparison, Condition, Mutation, Mutator, OperationResult, Transaction, TransactionError,
    TransactionResult, Until,
};
pub use value::{Atom, Real, Value};
