//! The database file itself: made readable by its owner only, and watched. A
//! file that is removed or replaced under a running process goes on taking
//! writes that nobody will ever read; they must not be acknowledged.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// It holds ticket text, webhook bodies and model output.
const OWNER_ONLY: u32 = 0o600;

/// The file that was opened.
#[derive(Debug, Clone)]
pub(super) struct File {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl File {
    /// Makes the file when there is none. SQLite's own side files take its mode.
    pub(super) fn make(path: &Path) -> Result<(), StoreError> {
        if path == Path::new(":memory:") || path.as_os_str().is_empty() {
            return Err(StoreError::Open(
                "a file is needed; a database in memory forgets what it acknowledged".to_owned(),
            ));
        }
        let made = OpenOptions::new().create_new(true).write(true).mode(OWNER_ONLY).open(path);
        match made {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(StoreError::Open(format!("{}: {error}", path.display())))
            }
            _ => Ok(()),
        }
    }

    /// Remembers which file lies at `path`.
    pub(super) fn at(path: &Path) -> Result<File, StoreError> {
        let found = fs::metadata(path).map_err(|error| StoreError::Open(format!("{}: {error}", path.display())))?;
        Ok(File { path: path.to_owned(), device: found.dev(), inode: found.ino() })
    }

    /// Refuses when another file, or none, lies there now.
    pub(super) fn must_be_there(&self) -> Result<(), StoreError> {
        match fs::metadata(&self.path) {
            Ok(found) if found.dev() == self.device && found.ino() == self.inode => Ok(()),
            _ => Err(StoreError::Gone),
        }
    }
}
