//! An agent that dies anywhere loses and doubles nothing.

use super::*;

fn output(root: &Path, container: &str) -> Output {
    Output {
        container: container.to_owned(),
        task: "web".to_owned(),
        dir: root.to_owned(),
        logs: root.to_owned(),
        settings: LogSettings { max_files: 3, max_file_mb: 1, disabled: false },
    }
}

/// Entry `n`; three share each timestamp, as entries of one write do.
fn entry(n: u64) -> Vec<u8> {
    format!("2026-11-24T01:58:{:02}.250239535Z line {n}\n", n / 3).into_bytes()
}

fn written(root: &Path) -> String {
    std::fs::read_to_string(root.join("web.stdout.0")).unwrap()
}

fn expected(count: u64) -> String {
    (0..count).map(|n| format!("line {n}\n")).collect()
}

/// Reads entries up to `until`, saving after `save_at` entries only, and then dies.
fn read(root: &Path, until: u64, save_at: u64) {
    let output = output(root, "c1");
    let mut file = PositionFile::open(root).unwrap().unwrap();
    let mut sink = Sink::open(&mut file, &output).unwrap();
    for n in 0..until {
        sink.take(LogKind::Stdout, &entry(n)).unwrap();
        if n + 1 == save_at {
            sink.save().unwrap();
        }
    }
}

#[test]
fn every_point_of_death_is_survived() {
    for saved in 0..12 {
        for written_until in saved..12 {
            let dir = tempfile::tempdir().unwrap();
            read(dir.path(), written_until, saved);
            // Part of the next entry made it too.
            if written_until > saved {
                let mut log = OpenOptions::new().append(true).open(dir.path().join("web.stdout.0")).unwrap();
                let next = format!("line {written_until}\n");
                log.write_all(&next.as_bytes()[..4]).unwrap();
            }
            read(dir.path(), 14, 13);
            read(dir.path(), 20, 20);
            assert_eq!(written(dir.path()), expected(20), "saved {saved}, written {written_until}");
        }
    }
}

#[test]
fn the_next_container_goes_on_in_the_same_files() {
    let dir = tempfile::tempdir().unwrap();
    read(dir.path(), 3, 2);
    let output = output(dir.path(), "c2");
    for _ in 0..2 {
        let mut file = PositionFile::open(dir.path()).unwrap().unwrap();
        let mut sink = Sink::open(&mut file, &output).unwrap();
        // Dies without saving, the first time.
        sink.take(LogKind::Stdout, &entry(0)).unwrap();
    }
    assert_eq!(written(dir.path()), expected(3) + "line 0\n");
}

#[test]
fn a_clock_set_back_loses_nothing_while_reading() {
    let dir = tempfile::tempdir().unwrap();
    read(dir.path(), 6, 6);
    let output = output(dir.path(), "c1");
    let mut file = PositionFile::open(dir.path()).unwrap().unwrap();
    let mut sink = Sink::open(&mut file, &output).unwrap();
    sink.take(LogKind::Stdout, &entry(6)).unwrap();
    sink.take(LogKind::Stdout, b"2020-01-01T00:00:00.000000000Z old\n").unwrap();
    sink.take(LogKind::Stdout, b"no timestamp\n").unwrap();
    assert_eq!(written(dir.path()), expected(7) + "old\nno timestamp\n");
}

#[test]
fn only_one_reads_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let held = PositionFile::open(dir.path()).unwrap();
    assert!(held.is_some() && PositionFile::open(dir.path()).unwrap().is_none());
    drop(held);
    assert!(PositionFile::open(dir.path()).unwrap().is_some());
}
