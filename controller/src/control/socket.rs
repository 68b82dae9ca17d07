//! The socket's file. Its owner and the owner's group may write to it, and so ask.
//!
//! A killed process leaves its socket behind. So that no Sextant takes the socket of another that runs, each locks a
//! file beside it. The lock ends with the process.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdListener, UnixStream};
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

const MODE: u32 = 0o660;
const FOLDER_MODE: u32 = 0o750;
/// The longest path in octets: the room in `sun_path` (unix(7)), less the `.new` of a socket in the making.
pub(crate) const LONGEST_PATH: usize = 107 - ".new".len();

/// The socket. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// The lock, which is held while the socket exists.
    _lock: File,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another Sextant listens there.
    #[error("control.socket {0}: another process listens there; give each a socket of its own")]
    InUse(PathBuf),
    /// Something else has this name.
    #[error("control.socket {0}: this file exists and is not a socket")]
    NotASocket(PathBuf),
    /// The operating system refused.
    #[error("control.socket {0}: {1}")]
    System(PathBuf, io::Error),
}

impl ControlSocket {
    /// Makes the socket, and its folder if that is missing. A dead process's socket is replaced.
    ///
    /// # Errors
    /// [`SocketError`] says why there is no socket.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        if let Some(folder) = path.parent() {
            make_folder(folder).map_err(failed(path))?;
        }
        let lock = File::create(with_suffix(path, ".lock")).map_err(failed(path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SocketError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed(path)(error)),
        }
        make_sure_it_is_free(path)?;
        let listener = listen(path).map_err(failed(path))?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            _lock: lock,
        })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // If it cannot be removed, the next process replaces it.
        let _ = fs::remove_file(&self.path);
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> SocketError {
    move |error| SocketError::System(path.to_owned(), error)
}

fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(FOLDER_MODE).create(folder)
}

/// The lock excludes other Sextants. This check excludes other programs.
fn make_sure_it_is_free(path: &Path) -> Result<(), SocketError> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            Err(SocketError::NotASocket(path.to_owned()))
        }
        Ok(_) if UnixStream::connect(path).is_ok() => Err(SocketError::InUse(path.to_owned())),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The socket gets its name last, after its permissions. So nobody else can ever write to a file of that name.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let young = with_suffix(path, ".new");
    let _ = fs::remove_file(&young);
    let listener = StdListener::bind(&young)?;
    fs::set_permissions(&young, Permissions::from_mode(MODE))?;
    fs::rename(&young, path)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("sextant-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[tokio::test]
    async fn the_socket_is_for_its_owner_and_group_and_goes_with_the_process() {
        let folder = folder("socket");
        let path = folder.join("deep").join("control");
        let socket = ControlSocket::bind(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o660);
        assert_eq!(mode(&folder.join("deep")), 0o750);
        drop(socket);
        assert!(!path.exists());
        fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn a_socket_is_replaced_only_if_nobody_listens() {
        let folder = folder("taken");
        let path = folder.join("control");
        let first = ControlSocket::bind(&path).unwrap();
        let refused = ControlSocket::bind(&path).unwrap_err();
        assert!(matches!(refused, SocketError::InUse(_)), "{refused}");
        UnixStream::connect(&path).unwrap();
        drop(first);

        let foreign = StdListener::bind(&path).unwrap();
        let refused = ControlSocket::bind(&path).unwrap_err();
        assert!(matches!(refused, SocketError::InUse(_)), "{refused}");
        drop(foreign);
        assert!(path.exists(), "left behind by one that was killed");
        drop(ControlSocket::bind(&path).unwrap());

        fs::write(&path, "a letter").unwrap();
        let refused = ControlSocket::bind(&path).unwrap_err();
        assert!(matches!(refused, SocketError::NotASocket(_)), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), b"a letter");
        fs::remove_dir_all(folder).unwrap();
    }
}
