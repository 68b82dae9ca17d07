//! `sextant backup`: everything that is stored, as of one revision, in a file where it was asked for.

use crate::control::{Give, OperatorView, Verb, VerbError};
use crate::store::backup;
use clap::Args;
use serde::{Deserialize, Serialize};
use sextant_model::{Change, Object};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How long the store may take to show what it has.
const READ: Duration = Duration::from_secs(30);

/// Options of `backup`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackupVerb {
    /// The file to write. It must not exist.
    // Only who asks knows it: the file is written there.
    #[arg(value_name = "FILE")]
    #[serde(skip)]
    pub file: PathBuf,
}

/// A row of the answer, and what the client makes of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupRow {
    /// Something that is stored.
    Stored(Object),
    /// What was written.
    Written {
        /// The file.
        file: PathBuf,
        /// How many objects it has.
        objects: usize,
    },
}

impl Verb for BackupVerb {
    type Row = BackupRow;

    fn answer(&self, known: &OperatorView, give: Give<'_, BackupRow>) -> Result<(), VerbError> {
        let read = async {
            let mut watch = known.store.0.watch().await?;
            watch.next().await
        };
        let read = Handle::current().block_on(async { timeout(READ, read).await });
        let read = read.map_err(|_| {
            VerbError::Unfit(format!("the store could not be read within {READ:?}"))
        })?;
        let committed = read.map_err(|error| VerbError::Unfit(error.to_string()))?;
        tracing::info!(revision = %committed.revision, "what is stored is read for a backup");
        for change in committed.changes {
            if let Change::Put(object) = change {
                give(BackupRow::Stored(object))?;
            }
        }
        Ok(())
    }

    /// It reads everything at once, which is for administrators of this machine alone.
    fn only_reads(&self) -> bool {
        false
    }

    fn receive(&self, rows: Vec<BackupRow>) -> Result<Vec<BackupRow>, String> {
        let objects: Vec<Object> = rows.into_iter().filter_map(BackupRow::object).collect();
        write(&self.file, &objects)?;
        let (file, objects) = (self.file.clone(), objects.len());
        Ok(vec![BackupRow::Written { file, objects }])
    }

    fn show(&self, rows: &[BackupRow]) -> String {
        let written = rows.iter().filter_map(|row| match row {
            BackupRow::Written { file, objects } => Some((file.display(), objects)),
            BackupRow::Stored(_) => None,
        });
        written
            .map(|(file, objects)| {
                format!("{objects} objects were written to {file}, and read back\n")
            })
            .collect()
    }
}

impl BackupRow {
    fn object(self) -> Option<Object> {
        match self {
            Self::Stored(object) => Some(object),
            Self::Written { .. } => None,
        }
    }
}

/// Writes the file, and reads it back.
fn write(file: &Path, objects: &[Object]) -> Result<(), String> {
    backup::write(file, objects).map_err(|error| error.to_string())?;
    let written = backup::read(file).map_err(|error| error.to_string())?;
    let [written, wanted] = [&written[..], objects].map(|objects| {
        let keyed = objects.iter().map(|object| (object.key(), object));
        keyed.collect::<BTreeMap<_, _>>()
    });
    match written == wanted {
        true => Ok(()),
        false => Err(format!(
            "{} does not have what was written: do not use it",
            file.display()
        )),
    }
}
