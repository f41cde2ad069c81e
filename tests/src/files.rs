//! Where built binaries, example jobs and scratch job files are.

use std::path::{Path, PathBuf};

/// A binary of this workspace, built beside the running test.
///
/// # Panics
/// When it has not been built.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let profile = test.ancestors().nth(2).expect("tests lie in <target>/<profile>/deps");
    let path = profile.join(name);
    assert!(path.exists(), "{} is not built; run: cargo build -p drover -p hello-web", path.display());
    path
}

/// The root of the source tree.
///
/// # Panics
/// Never: the path is known when this is compiled.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above this crate")
}

/// A job file of `jobspecs/examples`.
pub fn example(name: &str) -> String {
    workspace().join("jobspecs/examples").join(name).to_string_lossy().into_owned()
}

/// Writes a job file that lives as long as the returned directory.
///
/// # Panics
/// When it cannot be written.
pub fn job_file(text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let path = dir.path().join("job.nomad.hcl");
    std::fs::write(&path, text).expect("a job file");
    let path = path.to_string_lossy().into_owned();
    (dir, path)
}
