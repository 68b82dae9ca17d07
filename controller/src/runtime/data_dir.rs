//! The data folder. Only its owner may read it, since it shows every tenant's network.

use super::RuntimeError;
use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

const OWNER_ONLY: u32 = 0o700;
/// The permissions of group and others.
const OTHERS: u32 = 0o077;
/// The folder is shared on purpose, as `/tmp` is.
const STICKY: u32 = 0o1000;

/// Makes it if it is missing, and private if only we use it. Otherwise a warning is logged.
pub(super) fn prepare(path: &Path, store: &str) -> Result<(), RuntimeError> {
    make(path, store).map_err(|error| RuntimeError::DataDir {
        path: path.to_owned(),
        error,
    })
}

fn make(path: &Path, store: &str) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(OWNER_ONLY)
        .create(path)?;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & OTHERS == 0 {
        return Ok(());
    }
    if mode & STICKY == 0 && holds_only(path, store)? {
        return fs::set_permissions(path, Permissions::from_mode(OWNER_ONLY));
    }
    tracing::warn!(data_dir = %path.display(), mode = format_args!("{:o}", mode & 0o7777), "other users can read the data folder: use a folder that only Sextant's user can read");
    Ok(())
}

/// Whether a folder contains only what we made, so that nobody else relies on its permissions.
fn holds_only(path: &Path, store: &str) -> io::Result<bool> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(store));
        if !ours || !entry.metadata().as_ref().is_ok_and(Metadata::is_file) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_folder_of_our_own_is_closed_to_others_and_any_other_stays_as_it_is() {
        let own = std::env::temp_dir().join(format!("sextant-folder-{}", std::process::id()));
        let folder = own.join("deep").join("data");
        prepare(&folder, "store").unwrap();
        assert_eq!(mode(&folder), 0o700);
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.join("store"), "").unwrap();
        prepare(&folder, "store").unwrap();
        assert_eq!(mode(&folder), 0o700);
        for (name, with) in [("letter", 0o755), ("store", 0o1777)] {
            fs::set_permissions(&folder, Permissions::from_mode(with)).unwrap();
            fs::write(folder.join(name), "").unwrap();
            prepare(&folder, "store").unwrap();
            assert_eq!(mode(&folder), with);
        }
        fs::remove_dir_all(own).unwrap();
    }
}
