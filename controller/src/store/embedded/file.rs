//! The content of the file. One table has objects by their keys, both as JSON. The other has numbers: the file's
//! format, and the revision.

use super::Revision;
use super::database;
use super::formats::{self, FORMAT, Newness, Rows};
use imbl::OrdMap;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use sextant_model::{Change, Key, Object};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

const OBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
const FORMAT_ROW: &str = "format";
const REVISION_ROW: &str = "revision";

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses it. The operator has to decide which one may.
    #[error("{0} is in use by another process")]
    InUse(PathBuf),
    /// It was written by a newer version.
    #[error(
        "{path} was written by a newer version: its format is {found}, this version knows up to {FORMAT}"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format in it.
        found: u64,
    },
    /// It cannot be made or read.
    #[error("{0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// It is not a store, or is damaged.
    #[error("{0} is not a store or is damaged: {1}")]
    Damaged(PathBuf, String),
}

/// All stored objects, each with the revision of its last change.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    pub(super) revision: Revision,
    pub(super) objects: OrdMap<Key, (Revision, Object)>,
}

/// The file.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    /// `None` from a failed write to the next one: after a failed write, redb writes no more.
    database: Option<Database>,
}

impl File {
    /// Opens the file, or makes it if it does not exist.
    pub(super) fn open(path: &Path) -> Result<(Self, Contents), OpenError> {
        let there = path.try_exists();
        if !there.map_err(|error| OpenError::Io(path.to_owned(), error))? {
            database::create(path, begin)?;
        }
        let database = database::open(path)?;
        let found = format(&database).map_err(damaged(path))?;
        if found > FORMAT {
            return Err(OpenError::Newer {
                path: path.to_owned(),
                found,
            });
        }
        if found < FORMAT {
            migrate(&database, path, found)?;
        }
        let contents = read(&database, path)?;
        let file = Self {
            path: path.to_owned(),
            database: Some(database),
        };
        Ok((file, contents))
    }

    /// Writes changes and their revision durably and at once. `contents` is the state before.
    ///
    /// # Errors
    /// Why nothing was stored; what comes later may be.
    pub(super) fn write<'a>(
        &mut self,
        changes: impl Iterator<Item = &'a Change>,
        revision: Revision,
        contents: &Contents,
    ) -> Result<(), String> {
        let rows: Vec<_> = changes
            .map(encode)
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        // Put back only after success: a database must not be used after a failed write.
        let database = match self.database.take() {
            Some(database) => database,
            None => self.reopen(contents)?,
        };
        write_rows(&database, &rows, revision).map_err(|error| error.to_string())?;
        self.database = Some(database);
        Ok(())
    }

    /// Opens the file again after a failed write, and removes what may have been written.
    fn reopen(&self, contents: &Contents) -> Result<Database, String> {
        let database = database::open(&self.path).map_err(|error| error.to_string())?;
        let (revision, stored) = rows(&database).map_err(|error| error.to_string())?;
        let mut rows = BTreeMap::new();
        for (_, object) in contents.objects.values() {
            let (key, value) =
                encode(&Change::Put(object.clone())).map_err(|error| error.to_string())?;
            rows.insert(key, value);
        }
        // What is left in `rows` repairs the file: rows that it lacks or has wrong, and `None` for those that it should
        // not have.
        for (key, value) in stored {
            if rows.get(&key) == Some(&Some(value)) {
                rows.remove(&key);
            } else {
                rows.entry(key).or_insert(None);
            }
        }
        if !rows.is_empty() || revision != contents.revision {
            let rows: Vec<WrittenRow> = rows.into_iter().collect();
            write_rows(&database, &rows, contents.revision).map_err(|error| error.to_string())?;
        }
        Ok(database)
    }
}

/// Makes the tables of a new file.
fn begin(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(OBJECTS)?;
    transaction
        .open_table(NUMBERS)?
        .insert(FORMAT_ROW, FORMAT)?;
    Ok(transaction.commit()?)
}

fn damaged<E: ToString>(path: &Path) -> impl Fn(E) -> OpenError {
    move |error| OpenError::Damaged(path.to_owned(), error.to_string())
}

/// Migrates a file of an older format, at once.
fn migrate(database: &Database, path: &Path, found: u64) -> Result<(), OpenError> {
    let (revision, old) = rows(database).map_err(damaged(path))?;
    let rows = parse(&old).and_then(|rows| formats::migrate(rows, found, Newness::now()));
    let mut new = encode_rows(rows.map_err(damaged(path))?);
    let kept: BTreeSet<Vec<u8>> = new.iter().map(|(key, _)| key.clone()).collect();
    let gone = old.into_iter().filter(|(key, _)| !kept.contains(key));
    new.extend(gone.map(|(key, _)| (key, None)));
    write_rows(database, &new, revision)
        .map_err(|error| OpenError::Io(path.to_owned(), io::Error::other(error)))?;
    tracing::info!(file = %path.display(), from = found, to = FORMAT, "the store was brought to this version's format");
    Ok(())
}

/// The format of the file. A file without one is not a store, since new stores have one from the start.
fn format(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_read()?;
    let numbers = transaction.open_table(NUMBERS)?;
    let found = numbers.get(FORMAT_ROW)?.map(|number| number.value());
    found.ok_or_else(|| redb::Error::Corrupted("it names no format".to_owned()))
}

fn read(database: &Database, path: &Path) -> Result<Contents, OpenError> {
    let (revision, rows) = rows(database).map_err(damaged(path))?;
    let mut contents = Contents {
        revision,
        objects: OrdMap::new(),
    };
    for (key, value) in rows {
        let key: Key = serde_json::from_slice(&key).map_err(damaged(path))?;
        let object: Object = serde_json::from_slice(&value).map_err(damaged(path))?;
        if object.key() != key {
            let why = format!("something else is stored under {key:?}");
            return Err(OpenError::Damaged(path.to_owned(), why));
        }
        contents.objects.insert(key, (revision, object));
    }
    Ok(contents)
}

fn rows(database: &Database) -> Result<(Revision, Vec<Row>), redb::Error> {
    let transaction = database.begin_read()?;
    let numbers = transaction.open_table(NUMBERS)?;
    let revision = numbers
        .get(REVISION_ROW)?
        .map_or(0, |number| number.value());
    let mut rows = Vec::new();
    for row in transaction.open_table(OBJECTS)?.iter()? {
        let (key, value) = row?;
        rows.push((key.value().to_vec(), value.value().to_vec()));
    }
    Ok((Revision(revision), rows))
}

fn write_rows(
    database: &Database,
    rows: &[WrittenRow],
    revision: Revision,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut objects = transaction.open_table(OBJECTS)?;
        for (key, value) in rows {
            match value {
                Some(value) => objects.insert(key.as_slice(), value.as_slice())?,
                None => objects.remove(key.as_slice())?,
            };
        }
        let mut numbers = transaction.open_table(NUMBERS)?;
        numbers.insert(REVISION_ROW, revision.0)?;
        numbers.insert(FORMAT_ROW, FORMAT)?;
    }
    Ok(transaction.commit()?)
}

type Row = (Vec<u8>, Vec<u8>);

/// A row to write. `None`: the key is removed.
type WrittenRow = (Vec<u8>, Option<Vec<u8>>);

fn parse(rows: &[Row]) -> Result<Rows, String> {
    rows.iter()
        .map(|(key, value)| Ok((key.clone(), serde_json::from_slice(value)?)))
        .collect::<serde_json::Result<_>>()
        .map_err(|error| error.to_string())
}

fn encode_rows(rows: Rows) -> Vec<WrittenRow> {
    rows.into_iter()
        .map(|(key, value)| (key, Some(value.to_string().into_bytes())))
        .collect()
}

fn encode(change: &Change) -> serde_json::Result<WrittenRow> {
    let key = serde_json::to_vec(&change.key())?;
    let value = match change {
        Change::Put(object) => Some(serde_json::to_vec(object)?),
        Change::Delete(_) => None,
    };
    Ok((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_newer_version_is_refused_and_left_alone() {
        let folder = std::env::temp_dir().join(format!("sextant-format-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("store");
        {
            let (file, _) = File::open(&path).unwrap();
            let transaction = file.database.as_ref().unwrap().begin_write().unwrap();
            transaction
                .open_table(NUMBERS)
                .unwrap()
                .insert(FORMAT_ROW, FORMAT + 1)
                .unwrap();
            transaction.commit().unwrap();
        }
        for _ in 0..2 {
            let error = File::open(&path).unwrap_err();
            assert!(
                matches!(error, OpenError::Newer { found, .. } if found == FORMAT + 1),
                "{error}"
            );
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
