//! A backup: everything that is stored, in one file of JSON lines.
//!
//! The first line says what it is: the format of keys and objects, as in the embedded store's file, and how many there are. Each other line is
//! one of them. The last one has a checksum of all before. A file without it is not whole, and is refused.

use super::FORMAT;
use super::embedded::formats::{self, Newness, Rows};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sextant_model::{Key, Object};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

/// Why a backup cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file cannot be made, written or read.
    #[error("{0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// It is no backup, or not whole.
    #[error("{0} is not a backup or is damaged: {1}")]
    Damaged(PathBuf, String),
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
}

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    /// What the file is.
    sextant: String,
    format: u64,
    rows: usize,
}

/// The last line.
#[derive(Serialize, Deserialize)]
struct Foot {
    xxh3: String,
}

/// The value of [`Head::sextant`].
const NAME: &str = "backup";

/// Only the owner may read the stored cloud.
const OWNER_ONLY: u32 = 0o600;

/// Writes a backup of these objects. It has its name once it is whole.
///
/// # Errors
/// [`BackupError::Io`], also if there is a file of this name.
pub fn write(path: &Path, objects: &[Object]) -> Result<(), BackupError> {
    write_new(path, objects).map_err(|error| BackupError::Io(path.to_owned(), error))
}

fn write_new(path: &Path, objects: &[Object]) -> io::Result<()> {
    if path.try_exists()? {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let file = options.mode(OWNER_ONLY).open(&unfinished)?;
    let mut lines = Lines::new(BufWriter::new(file));
    lines.write(&Head {
        sextant: NAME.to_owned(),
        format: FORMAT,
        rows: objects.len(),
    })?;
    for object in objects {
        lines.write(&(object.key(), object))?;
    }
    lines.finish()?.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Lines with a checksum.
struct Lines {
    file: BufWriter<File>,
    sum: Xxh3,
}

impl Lines {
    fn new(file: BufWriter<File>) -> Self {
        let sum = Xxh3::new();
        Self { file, sum }
    }

    fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.sum.update(&text);
        self.file.write_all(&text)
    }

    fn finish(mut self) -> io::Result<File> {
        let xxh3 = digest(&self.sum);
        self.write(&Foot { xxh3 })?;
        self.file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
    }
}

fn digest(sum: &Xxh3) -> String {
    format!("{:032x}", sum.digest128())
}

/// Reads a backup whole, of this version's format or an older one.
///
/// # Errors
/// See [`BackupError`].
pub fn read(path: &Path) -> Result<Vec<Object>, BackupError> {
    let text = std::fs::read(path).map_err(|error| BackupError::Io(path.to_owned(), error))?;
    let (format, lines) = parse(&text).map_err(|why| BackupError::Damaged(path.to_owned(), why))?;
    if format > FORMAT {
        let (path, found) = (path.to_owned(), format);
        return Err(BackupError::Newer { path, found });
    }
    objects(&lines, format).map_err(|why| BackupError::Damaged(path.to_owned(), why))
}

/// The format, and the lines after the first. On errors, why the file is damaged.
fn parse(text: &[u8]) -> Result<(u64, Vec<&[u8]>), String> {
    let mut lines = whole(text)?.into_iter();
    let head = lines.next().ok_or("it is empty")?;
    let head: Head = serde_json::from_slice(head).map_err(|error| error.to_string())?;
    if head.sextant != NAME || head.rows != lines.len() {
        return Err("its first line says something else".to_owned());
    }
    Ok((head.format, lines.collect()))
}

/// All lines but the last, whose checksum they have.
fn whole(text: &[u8]) -> Result<Vec<&[u8]>, String> {
    let text = text.strip_suffix(b"\n").ok_or("its last line has no end")?;
    let mut lines: Vec<&[u8]> = text.split(|octet| *octet == b'\n').collect();
    let foot = lines.pop().unwrap_or_default();
    let said: Foot = serde_json::from_slice(foot).map_err(|_| "its last line is no checksum")?;
    let mut sum = Xxh3::new();
    sum.update(&text[..text.len() - foot.len()]);
    match said.xxh3 == digest(&sum) {
        true => Ok(lines),
        false => Err("its checksum is another".to_owned()),
    }
}

fn objects(lines: &[&[u8]], format: u64) -> Result<Vec<Object>, String> {
    let rows = lines.iter().map(|line| {
        let (key, object): (Value, Value) = serde_json::from_slice(line)?;
        Ok((key.to_string().into_bytes(), object))
    });
    let rows = rows.collect::<serde_json::Result<Rows>>();
    let rows = rows.map_err(|error| error.to_string())?;
    if rows.len() != lines.len() {
        return Err("a key is there twice".to_owned());
    }
    let rows = formats::migrate(rows, format, Newness::now())?;
    rows.into_iter().map(object).collect()
}

fn object((key, value): (Vec<u8>, Value)) -> Result<Object, String> {
    let key: Key = serde_json::from_slice(&key).map_err(|error| error.to_string())?;
    let object: Object = serde_json::from_value(value).map_err(|error| error.to_string())?;
    match object.key() == key {
        true => Ok(object),
        false => Err(format!("something else is stored under {key:?}")),
    }
}
