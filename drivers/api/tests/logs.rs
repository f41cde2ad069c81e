//! Rotating logs: nothing is lost or doubled, sizes and counts hold, planted obstacles do no harm.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use driver::{LogKind, LogSettings, RotatingLog};
use proptest::prelude::*;

/// The files of `name` in `dir`, by number.
fn files(dir: &Path, name: &str) -> Vec<(u64, Vec<u8>)> {
    let mut found: Vec<(u64, Vec<u8>)> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter_map(|entry| {
            let text = entry.file_name().into_string().unwrap();
            let index = text.strip_prefix(name)?.strip_prefix('.')?.parse().ok()?;
            Some((index, std::fs::read(entry.path()).unwrap()))
        })
        .collect();
    found.sort();
    found
}

proptest! {
    #[test]
    fn files_hold_what_was_written_and_stay_bounded(
        max_bytes in 1u64..200,
        max_files in 1u32..6,
        writes in proptest::collection::vec(("[a-z\n]{0,90}", any::<bool>()), 0..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut log = RotatingLog::with_limits(dir.path(), "web.stdout", max_bytes, max_files).unwrap();
        let mut written = Vec::new();
        for (text, reopen) in &writes {
            if *reopen {
                log = RotatingLog::with_limits(dir.path(), "web.stdout", max_bytes, max_files).unwrap();
            }
            log.write_all(text.as_bytes()).unwrap();
            written.extend_from_slice(text.as_bytes());
        }
        let files = files(dir.path(), "web.stdout");
        prop_assert!(files.len() <= max_files as usize);
        prop_assert!(files.iter().all(|(_, bytes)| bytes.len() as u64 <= max_bytes));
        prop_assert!(files.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0), "numbers have no gap");
        let kept: Vec<u8> = files.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        prop_assert!(written.ends_with(&kept), "what is kept is the newest part");
        if files.first().is_none_or(|(index, _)| *index == 0) {
            prop_assert_eq!(kept, written);
        } else {
            prop_assert_eq!(files.len(), max_files as usize, "nothing is deleted before it must be");
        }
    }

    #[test]
    fn whole_lines_stay_whole_when_each_is_written_at_once(lines in proptest::collection::vec("[a-z]{0,19}\n", 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let mut log = RotatingLog::with_limits(dir.path(), "t.stderr", 50, 1000).unwrap();
        for line in &lines {
            log.write_all(line.as_bytes()).unwrap();
        }
        for (_, bytes) in files(dir.path(), "t.stderr") {
            prop_assert!(bytes.is_empty() || bytes.ends_with(b"\n"));
        }
    }
}

#[test]
fn settings_count_megabytes_and_name_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let settings = LogSettings { max_files: 2, max_file_mb: 1, disabled: false };
    let mut log = RotatingLog::open(dir.path(), "web", LogKind::Stderr, settings).unwrap();
    log.write_all(&vec![b'x'; 3 * 1024 * 1024]).unwrap();
    let sizes: Vec<(u64, usize)> = files(dir.path(), "web.stderr").iter().map(|(i, b)| (*i, b.len())).collect();
    assert_eq!(sizes, [(1, 1024 * 1024), (2, 1024 * 1024)]);
    assert_eq!(log.index(), 2);
}

#[test]
fn planted_names_are_stepped_over() {
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, dir.path().join("t.stdout.0")).unwrap();
    std::fs::create_dir(dir.path().join("t.stdout.1")).unwrap();
    std::fs::write(dir.path().join("t.stdout.18446744073709551615"), "").unwrap();
    std::fs::write(dir.path().join("t.stdout.007"), "").unwrap();
    let mut log = RotatingLog::with_limits(dir.path(), "t.stdout", 4, 2).unwrap();
    log.write_all(b"abcdefghijklmnop").unwrap();
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(std::fs::read_to_string(dir.path().join("t.stdout.5")).unwrap(), "mnop");
    assert!(dir.path().join("t.stdout.007").exists());
}

#[test]
fn a_name_with_a_slash_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(RotatingLog::with_limits(dir.path(), "../x", 1, 1).is_err());
}
