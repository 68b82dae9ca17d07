//! Makes and opens the file.
//!
//! An empty or damaged store would mean a cloud without guests, and all flows would be removed. So a file gets the
//! store's name only when it is complete. Each time that it is opened, all its octets are checked.

use super::file::OpenError;
use redb::{Database, DatabaseError, RepairSession, StorageError};
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Only the owner may read the stored cloud.
const OWNER_ONLY: u32 = 0o600;

/// Opens a complete file.
pub(super) fn open(path: &Path) -> Result<Database, OpenError> {
    let was_closed = was_closed(path).map_err(|error| unusable(path, error))?;
    let owner_only = Permissions::from_mode(OWNER_ONLY);
    fs::set_permissions(path, owner_only).map_err(|error| unusable(path, error))?;
    checked(path, || {
        Database::builder()
            .set_check_integrity_on_open(true)
            .set_repair_callback(move |session| keep_the_last_commit(session, was_closed))
            .open(path)
    })
}

/// Makes a new store. `prepare` fills it before it gets its name.
pub(super) fn create(
    path: &Path,
    prepare: impl FnOnce(&Database) -> Result<(), redb::Error>,
) -> Result<(), OpenError> {
    let unfinished = unfinished(path);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(path)(error)),
        Ok(()) | Err(_) => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(OWNER_ONLY)
        .open(&unfinished)
        .map_err(failed(path))?;
    let database = checked(path, || Database::create(&unfinished))?;
    prepare(&database)
        .map_err(io::Error::other)
        .map_err(failed(path))?;
    drop(database);
    fs::rename(&unfinished, path).map_err(failed(path))?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::File::open(folder.unwrap_or(Path::new(".")));
    folder
        .and_then(|folder| folder.sync_all())
        .map_err(failed(path))
}

fn failed(path: &Path) -> impl Fn(io::Error) -> OpenError {
    move |error| OpenError::Io(path.to_owned(), error)
}

/// The name of a new store in the making.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// The database trusts its file, so a damaged file can trigger its assertions.
fn checked(
    path: &Path,
    open: impl FnOnce() -> Result<Database, DatabaseError>,
) -> Result<Database, OpenError> {
    let Ok(opened) = catch_unwind(AssertUnwindSafe(open)) else {
        let why = "what is in it contradicts itself";
        return Err(OpenError::Damaged(path.to_owned(), why.to_owned()));
    };
    opened.map_err(|error| refusal(path, error))
}

/// After a crash the last commit may be incomplete, and its writer never got an answer.
fn keep_the_last_commit(session: &mut RepairSession, was_closed: bool) {
    /// The progress at which a check is about to fall back to the commit before the last.
    const FALLS_BACK: std::ops::Range<f64> = 0.1..0.5;
    if was_closed && FALLS_BACK.contains(&session.progress()) {
        session.abort();
    }
}

/// Whether the writer of the file closed it (redb's `docs/design.md`, "Database header").
fn was_closed(path: &Path) -> io::Result<bool> {
    const GOD_BYTE: usize = 9;
    const RECOVERY_REQUIRED: u8 = 2;
    let mut header = [0; GOD_BYTE + 1];
    fs::File::open(path)?.read_exact(&mut header)?;
    Ok(header[GOD_BYTE] & RECOVERY_REQUIRED == 0)
}

fn unusable(path: &Path, error: io::Error) -> OpenError {
    if error.kind() != io::ErrorKind::UnexpectedEof {
        return OpenError::Io(path.to_owned(), error);
    }
    let why = "it ends before it begins; put back a copy of it, or remove it to begin anew";
    OpenError::Damaged(path.to_owned(), why.to_owned())
}

fn refusal(path: &Path, error: DatabaseError) -> OpenError {
    if matches!(error, DatabaseError::DatabaseAlreadyOpen) {
        return OpenError::InUse(path.to_owned());
    }
    if let DatabaseError::Storage(StorageError::Io(source)) = error {
        let damaged = matches!(
            source.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
        );
        return match damaged {
            true => OpenError::Damaged(path.to_owned(), source.to_string()),
            false => OpenError::Io(path.to_owned(), source),
        };
    }
    let why = if matches!(error, DatabaseError::RepairAborted) {
        "its last commit does not verify".to_owned()
    } else {
        error.to_string()
    };
    OpenError::Damaged(path.to_owned(), why)
}
