//! What is in the file: two tables, one of objects by their key, both as JSON, and one of numbers (the format of the
//! file and the revision reached).

use super::Revision;
use super::formats::{self, FORMAT, Newness, Rows};
use imbl::OrdMap;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use sextant_model::{Change, Key, Object};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

const OBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
const FORMAT_ROW: &str = "format";
const REVISION_ROW: &str = "revision";

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it: the operator's to decide which.
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
    /// It is no store, or damaged.
    #[error("{0} is not a store or is damaged: {1}")]
    Damaged(PathBuf, String),
}

/// Everything stored, with the revision of the last change of each.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    pub(super) revision: Revision,
    pub(super) objects: OrdMap<Key, (Revision, Object)>,
}

/// The open file.
#[derive(Debug)]
pub(super) struct File(Database);

impl File {
    pub(super) fn open(path: &Path) -> Result<(Self, Contents), OpenError> {
        let database = Database::create(path).map_err(|error| refusal(path, error))?;
        let file = Self(database);
        let damaged = |error: redb::Error| OpenError::Damaged(path.to_owned(), error.to_string());
        let found = file.format().map_err(damaged)?;
        if found > FORMAT {
            return Err(OpenError::Newer {
                path: path.to_owned(),
                found,
            });
        }
        if found < FORMAT {
            file.migrate(path, found)?;
        }
        let contents = file.read(path)?;
        Ok((file, contents))
    }

    /// Makes a file of an older format one of this version's, all at once.
    fn migrate(&self, path: &Path, found: u64) -> Result<(), OpenError> {
        let damaged = |why: String| OpenError::Damaged(path.to_owned(), why);
        let (revision, old) = self.rows().map_err(|error| damaged(error.to_string()))?;
        let rows = parse(&old).and_then(|rows| formats::migrate(rows, found, Newness::now()));
        let mut new = encode_rows(rows.map_err(damaged)?);
        let kept: BTreeSet<Vec<u8>> = new.iter().map(|(key, _)| key.clone()).collect();
        let gone = old.into_iter().filter(|(key, _)| !kept.contains(key));
        new.extend(gone.map(|(key, _)| (key, None)));
        self.write_rows(&new, revision)
            .map_err(|error| damaged(error.to_string()))?;
        tracing::info!(file = %path.display(), from = found, to = FORMAT, "the store was brought to this version's format");
        Ok(())
    }

    /// The format of the file; a new file gets this version's.
    fn format(&self) -> Result<u64, redb::Error> {
        let transaction = self.0.begin_write()?;
        let found = transaction
            .open_table(NUMBERS)?
            .get(FORMAT_ROW)?
            .map(|number| number.value());
        if let Some(found) = found {
            transaction.abort()?;
            return Ok(found);
        }
        transaction.open_table(OBJECTS)?;
        transaction
            .open_table(NUMBERS)?
            .insert(FORMAT_ROW, FORMAT)?;
        transaction.commit()?;
        Ok(FORMAT)
    }

    fn read(&self, path: &Path) -> Result<Contents, OpenError> {
        let damaged = |why: String| OpenError::Damaged(path.to_owned(), why);
        let (revision, rows) = self.rows().map_err(|error| damaged(error.to_string()))?;
        let mut contents = Contents {
            revision,
            objects: OrdMap::new(),
        };
        for (key, value) in rows {
            let key = serde_json::from_slice(&key).map_err(|error| damaged(error.to_string()))?;
            let object =
                serde_json::from_slice(&value).map_err(|error| damaged(error.to_string()))?;
            contents.objects.insert(key, (revision, object));
        }
        Ok(contents)
    }

    fn rows(&self) -> Result<(Revision, Vec<Row>), redb::Error> {
        let transaction = self.0.begin_read()?;
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

    /// Makes the changes and the revision that they lead to durable, all at once.
    pub(super) fn write<'a>(
        &self,
        changes: impl Iterator<Item = &'a Change>,
        revision: Revision,
    ) -> Result<(), String> {
        let rows: Vec<_> = changes
            .map(encode)
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        self.write_rows(&rows, revision)
            .map_err(|error| error.to_string())
    }

    fn write_rows(&self, rows: &[Written], revision: Revision) -> Result<(), redb::Error> {
        let transaction = self.0.begin_write()?;
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
}

type Row = (Vec<u8>, Vec<u8>);

/// A row as it is to be, or a key under which there is to be none.
type Written = (Vec<u8>, Option<Vec<u8>>);

fn parse(rows: &[Row]) -> Result<Rows, String> {
    let parse = |(key, value): &Row| Ok((key.clone(), serde_json::from_slice(value)?));
    rows.iter()
        .map(parse)
        .collect::<serde_json::Result<_>>()
        .map_err(|error| error.to_string())
}

fn encode_rows(rows: Rows) -> Vec<Written> {
    rows.into_iter()
        .map(|(key, value)| (key, Some(value.to_string().into_bytes())))
        .collect()
}

fn encode(change: &Change) -> serde_json::Result<Written> {
    let key = serde_json::to_vec(&change.key())?;
    let value = match change {
        Change::Put(object) => Some(serde_json::to_vec(object)?),
        Change::Delete(_) => None,
    };
    Ok((key, value))
}

fn refusal(path: &Path, error: redb::DatabaseError) -> OpenError {
    if matches!(error, redb::DatabaseError::DatabaseAlreadyOpen) {
        return OpenError::InUse(path.to_owned());
    }
    if let redb::DatabaseError::Storage(redb::StorageError::Io(source)) = error {
        return match source.kind() == io::ErrorKind::InvalidData {
            true => OpenError::Damaged(path.to_owned(), source.to_string()),
            false => OpenError::Io(path.to_owned(), source),
        };
    }
    OpenError::Damaged(path.to_owned(), error.to_string())
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
            let transaction = file.0.begin_write().unwrap();
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
