//! Copies a cloud from one store to another, and checks what is stored. No controller runs on them meanwhile.
//!
//! What was written is read back and compared before a copy counts. A copy that is interrupted leaves no store that would open.

use crate::config::{Config, ConfigError};
use crate::store::backup::{self, BackupError};
use crate::store::{
    CommitError, EMBEDDED_FILE, Embedded, Etcd, EtcdError, OpenError, Store, WatchEnded,
};
use sextant_model::{Change, Key, Object};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// How long reading a store may take.
const READ: Duration = Duration::from_secs(300);

/// Where a cloud is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// The file in the configuration's data folder.
    Embedded,
    /// The cluster that the configuration's `[store]` names.
    Etcd,
    /// A backup in this file.
    Backup(PathBuf),
}

impl FromStr for Location {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "embedded" => Self::Embedded,
            "etcd" => Self::Etcd,
            file => Self::Backup(file.into()),
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Etcd => f.write_str("etcd"),
            Self::Backup(file) => write!(f, "{}", file.display()),
        }
    }
}

/// Why a cloud cannot be copied or checked.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The embedded store cannot be opened.
    #[error(transparent)]
    Embedded(#[from] OpenError),
    /// The store in etcd cannot be opened or filled.
    #[error(transparent)]
    Etcd(#[from] EtcdError),
    /// The backup cannot be read or written.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// Nothing is stored there.
    #[error("{0} does not exist")]
    Missing(PathBuf),
    /// Something is stored at the target already.
    #[error("{0} exists: copy to where nothing is stored")]
    Exists(PathBuf),
    /// A file or folder cannot be made.
    #[error("{0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// The store cannot be read.
    #[error(transparent)]
    Watch(#[from] WatchEnded),
    /// The store did not show what it has.
    #[error("{0} could not be read within {READ:?}")]
    Slow(Location),
    /// The store cannot be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// What was read back is not what was written. Do not use the copy.
    #[error("{0} does not have what was written: {1} and more differ")]
    Differs(Location, String),
}

/// A cloud as it is stored.
pub type Contents = BTreeMap<Key, Object>;

/// Everything at a location. It has to exist.
///
/// # Errors
/// [`TransferError`] says what is wrong with it.
pub async fn read(config: &Config, from: &Location) -> Result<Contents, TransferError> {
    let objects = match from {
        Location::Embedded => {
            let file = config.data_dir.join(EMBEDDED_FILE);
            read_embedded(&file, from).await?
        }
        Location::Etcd => {
            let store = Etcd::open_present(&config.store.etcd()).await?;
            everything(&store, from).await?
        }
        Location::Backup(file) => backup::read(file)?,
    };
    Ok(keyed(objects))
}

/// Copies everything to where nothing is stored, and reads it back. Returns what was copied.
///
/// # Errors
/// [`TransferError`] says which side is wrong.
pub async fn copy(
    config: &Config,
    from: &Location,
    to: &Location,
) -> Result<Contents, TransferError> {
    let contents = read(config, from).await?;
    let objects: Vec<Object> = contents.values().cloned().collect();
    let written = match to {
        Location::Embedded => write_embedded(&config.data_dir, objects, to).await?,
        Location::Etcd => {
            let settings = config.store.etcd();
            Etcd::fill(&settings, &objects).await?;
            let store = Etcd::open_present(&settings).await?;
            everything(&store, to).await?
        }
        Location::Backup(file) => {
            backup::write(file, &objects)?;
            backup::read(file)?
        }
    };
    compare(&contents, written, to)?;
    Ok(contents)
}

/// How many objects of each kind there are.
fn count(contents: &Contents) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for object in contents.values() {
        *counts.entry(kind(object)).or_default() += 1;
    }
    counts
}

/// An object's kind, as it is stored.
fn kind(object: &Object) -> String {
    let stored = serde_json::to_value(object).unwrap_or_default();
    let kind = stored.as_object().and_then(|tagged| tagged.keys().next());
    kind.cloned().unwrap_or_default()
}

fn keyed(objects: Vec<Object>) -> Contents {
    let keyed = objects.into_iter().map(|object| (object.key(), object));
    keyed.collect()
}

fn compare(wanted: &Contents, written: Vec<Object>, to: &Location) -> Result<(), TransferError> {
    let written = keyed(written);
    if *wanted == written {
        return Ok(());
    }
    let mut keys = wanted.keys().chain(written.keys());
    let first = keys.find(|key| wanted.get(key) != written.get(key));
    let first = first.map_or_else(String::new, |key| format!("{key:?}"));
    Err(TransferError::Differs(to.clone(), first))
}

async fn read_embedded(file: &Path, from: &Location) -> Result<Vec<Object>, TransferError> {
    if !file.exists() {
        return Err(TransferError::Missing(file.to_owned()));
    }
    everything(&Embedded::open(file)?, from).await
}

/// The file gets its name when it is whole and was read back.
async fn write_embedded(
    folder: &Path,
    objects: Vec<Object>,
    to: &Location,
) -> Result<Vec<Object>, TransferError> {
    const OWNER_ONLY: u32 = 0o700;
    let file = folder.join(EMBEDDED_FILE);
    if file.exists() {
        return Err(TransferError::Exists(file));
    }
    let mut maker = DirBuilder::new();
    maker
        .recursive(true)
        .mode(OWNER_ONLY)
        .create(folder)
        .map_err(failed(folder))?;
    let unfinished = folder.join(format!("{EMBEDDED_FILE}.copy"));
    if unfinished.exists() {
        std::fs::remove_file(&unfinished).map_err(failed(folder))?;
    }
    let store = Embedded::open(&unfinished)?;
    let changes = objects.into_iter().map(Change::Put).collect();
    store.commit(changes, vec![]).await?;
    drop(store);
    let written = read_embedded(&unfinished, to).await?;
    std::fs::rename(&unfinished, &file).map_err(failed(folder))?;
    let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(failed(folder))?;
    Ok(written)
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> TransferError {
    move |error| TransferError::Io(path.to_owned(), error)
}

async fn everything(store: &dyn Store, at: &Location) -> Result<Vec<Object>, TransferError> {
    let mut watch = store.watch().await?;
    let first = tokio::time::timeout(READ, watch.next()).await;
    let first = first.map_err(|_| TransferError::Slow(at.clone()))??;
    let objects = first.changes.into_iter().filter_map(|change| match change {
        Change::Put(object) => Some(object),
        Change::Delete(_) => None,
    });
    Ok(objects.collect())
}

/// What `store copy` prints.
#[must_use]
pub fn copied(from: &Location, to: &Location, objects: usize, json: bool) -> String {
    if json {
        let said =
            serde_json::json!({"from": from.to_string(), "to": to.to_string(), "objects": objects});
        return format!("{said}\n");
    }
    format!("{objects} objects were copied from {from} to {to}, and read back\n")
}

/// What `store check` prints.
#[must_use]
pub fn checked(at: &Location, contents: &Contents, json: bool) -> String {
    let counts = count(contents);
    if json {
        let said = serde_json::json!({"at": at.to_string(), "objects": counts});
        return format!("{said}\n");
    }
    let mut text = format!("{at}: all {} objects can be read\n", contents.len());
    for (kind, count) in counts {
        text += &format!("{count:>8} {kind}\n");
    }
    text
}
