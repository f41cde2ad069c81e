//! Files that functions of a job file may read, on the command line only.

use std::fmt;

/// Access to files beside a job file. Paths are relative to its folder unless they begin with a slash.
///
/// The parser itself touches no file: whoever runs it decides what can be read.
pub trait Files: fmt::Debug + Send + Sync {
    /// The folder that relative paths begin in, as an absolute path.
    fn base(&self) -> String;

    /// What `~` stands for, when it is known.
    fn home(&self) -> Option<String>;

    /// The bytes of a regular file.
    ///
    /// # Errors
    /// A sentence that says why there are none.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;

    /// Whether there is a regular file.
    ///
    /// # Errors
    /// When there is something else at the path, or it cannot be told.
    fn exists(&self, path: &str) -> Result<bool, String>;

    /// The regular files below a folder, each as its path from there, folders parted by slashes.
    ///
    /// # Errors
    /// A sentence that says why they cannot be listed.
    fn list(&self, folder: &str) -> Result<Vec<String>, String>;
}
