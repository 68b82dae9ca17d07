//! Opens the store under a prefix, and makes it if nothing is there.
//!
//! An empty store would mean a cloud without guests. So a store is made only where no object is, and one without its
//! format is refused.

use super::call::{CallError, timely};
use super::endpoints::{ClusterMembers, Reached};
use super::layout::{Layout, end_of, format_value};
use crate::store::FORMAT;
use etcd_client::{Compare, CompareOp, Txn, TxnOp};
use std::io;
use std::path::PathBuf;

/// Why a store in etcd could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    /// A file for TLS cannot be read.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// No member answers. It may be tried later.
    #[error("etcd at {endpoints} does not answer: {why}")]
    NoAnswer {
        /// The members.
        endpoints: String,
        /// What the last of them did.
        why: String,
    },
    /// The cluster refuses us, such as for a wrong password.
    #[error("etcd at {endpoints} refuses: {why}")]
    Refused {
        /// The members.
        endpoints: String,
        /// What it said.
        why: String,
    },
    /// It was written by another version.
    #[error("the store under {prefix} has format {found:?}, and this version knows {FORMAT}")]
    OtherFormat {
        /// The prefix of its keys.
        prefix: String,
        /// The format that it names.
        found: String,
    },
    /// A cloud is to be copied to where something is.
    #[error("keys of a store are under {0}: copy to a prefix under which nothing is")]
    NotEmpty(String),
    /// There are objects, and nothing says of what format.
    #[error("there is no store under {0}, or only a part of one: no key names a format")]
    NoFormat(String),
}

/// What to do where no store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfMissing {
    Make,
    Refuse,
}

/// Asks each member once, until one has the store ready.
pub(super) async fn prepare(
    endpoints: &ClusterMembers,
    layout: &Layout,
    missing: IfMissing,
) -> Result<(), EtcdError> {
    let mut why = String::new();
    for _ in 0..endpoints.count() {
        match found_or_made(endpoints, layout, missing).await {
            Ok(format) => return check(format, layout),
            Err(CallError::NoAnswer(reason)) => why = reason,
            Err(error) => {
                let (endpoints, why) = (endpoints.names(), error.to_string());
                return Err(EtcdError::Refused { endpoints, why });
            }
        }
    }
    let endpoints = endpoints.names();
    Err(EtcdError::NoAnswer { endpoints, why })
}

/// The format that the store names. `None`: it names none, though objects are there.
async fn found_or_made(
    endpoints: &ClusterMembers,
    layout: &Layout,
    missing: IfMissing,
) -> Result<Option<Vec<u8>>, CallError> {
    let reached = endpoints.reach().await?;
    let answer = match read_format(&reached, layout).await {
        Ok(None) if missing == IfMissing::Make => make(&reached, layout).await,
        answer => answer,
    };
    if answer.is_err() {
        endpoints.failed(&reached).await;
    }
    answer
}

/// The value under the key that names the format.
async fn read_format(reached: &Reached, layout: &Layout) -> Result<Option<Vec<u8>>, CallError> {
    let mut kv = reached.client.kv_client();
    let found = timely(kv.get(layout.format(), None)).await?;
    Ok(found.kvs().first().map(|row| row.value().to_vec()))
}

/// Makes the store, if there is nothing. Another may be faster. Returns the format that is there then.
async fn make(reached: &Reached, layout: &Layout) -> Result<Option<Vec<u8>>, CallError> {
    let objects = layout.objects();
    let nothing = [
        Compare::version(layout.format(), CompareOp::Equal, 0),
        Compare::version(objects.clone(), CompareOp::Equal, 0).with_range(end_of(&objects)),
    ];
    let put = [TxnOp::put(layout.format(), format_value(), None)];
    let making = Txn::new().when(nothing).and_then(put);
    timely(reached.client.kv_client().txn(making)).await?;
    read_format(reached, layout).await
}

fn check(format: Option<Vec<u8>>, layout: &Layout) -> Result<(), EtcdError> {
    let prefix = layout.prefix().to_owned();
    match format {
        Some(found) if found == format_value().as_bytes() => Ok(()),
        Some(found) => {
            let found = String::from_utf8_lossy(&found).into_owned();
            Err(EtcdError::OtherFormat { prefix, found })
        }
        None => Err(EtcdError::NoFormat(prefix)),
    }
}
