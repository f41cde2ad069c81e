//! openraft's own suite over our store, and what the store does when files or the disk fail.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arc_swap::ArcSwap;
use model::time::Timestamp;
use openraft::testing::{StoreBuilder, Suite};
use state::{Op, SnapshotError, State, Touched};

use super::ahead::{Ahead, Applied};
use super::database::SnapshotRecord;
use super::log_store::LogStore;
use super::snapshot_files::SnapshotFiles;
use super::state_machine::{Listener, StateMachine};
use super::types::{SnapshotMeta, StorageError, TypeConfig};
use super::{Log, LogOptions};

struct Nobody;

impl Listener for Nobody {
    fn applied(&self, _state: &Arc<State>, _touched: Touched, _commands: u64) {}
    fn replaced(&self, _state: &Arc<State>) {}
}

struct OnDisk;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, tempfile::TempDir> for OnDisk {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, StateMachine), StorageError> {
        let directory = tempfile::tempdir().unwrap();
        let log = LogStore::open(&directory.path().join("server.db")).unwrap();
        let published = Arc::new(ArcSwap::from_pointee(State::new()));
        let machine = StateMachine::restore(log.clone(), published, Arc::new(Nobody)).unwrap();
        Ok((directory, log, machine))
    }
}

#[test]
fn a_snapshot_is_whole_or_refused_and_leftovers_go() {
    let directory = tempfile::tempdir().unwrap();
    let files = SnapshotFiles::beside(&directory.path().join("server.db"));
    let mut second = State::new();
    second.apply(1, &crate::server::command(Op::Gc { before: Timestamp(0), force: false }));
    let record = |generation, size| SnapshotRecord { meta: SnapshotMeta::default(), generation, size };
    files.write(1, |sink| State::new().write_to(sink)).unwrap();
    let size = files.write(2, |sink| second.write_to(sink)).unwrap();
    let broken = files.write(3, |_| Err(SnapshotError::Sink("no more room".to_owned())));
    assert!(broken.unwrap_err().to_string().contains("no more room"));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "what failed leaves nothing");
    assert_eq!(files.read(&record(2, size)).unwrap(), second);
    let short = files.read(&record(2, size + 1)).unwrap_err().to_string();
    assert!(short.contains(&format!("{size} of {} bytes", size + 1)), "{short}");
    std::fs::write(directory.path().join("server.snapshot-9-unfinished"), "").unwrap();
    std::fs::write(directory.path().join("server.db"), "").unwrap();
    files.keep_only(Some(2));
    let mut left: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["server.db", "server.snapshot-2"]);
    assert!(files.read(&record(1, 3)).unwrap_err().to_string().contains("server.snapshot-1"));
}

#[test]
fn the_store_passes_openrafts_suite() {
    Suite::test_all(OnDisk).unwrap();
}

fn registration(id: &str) -> state::Command {
    let job = model::job::Job { id: Some(id.to_owned()), ..model::job::Job::default() };
    let job = Box::new(model::document::Document::from(job));
    crate::server::command(Op::RegisterJob { job, submission: None, enforce: None, eval_priority: 0 })
}

#[tokio::test]
async fn an_outcome_is_taken_over_once_and_only_by_the_state_it_was_worked_out_for() {
    let commands = [registration("a"), registration("b"), registration("a")];
    let applied = Applied::of(State::new(), &commands);
    assert_eq!(applied.replies.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2, 3]);

    let ahead = Ahead::default();
    ahead.work(&State::new(), &commands).await;
    let taken = ahead.take(0).await.unwrap();
    assert_eq!((&taken.state, &taken.touched, &taken.replies), (&applied.state, &applied.touched, &applied.replies));
    assert!(ahead.take(0).await.is_none(), "an old state is not kept alive");
    ahead.work(&State::new(), &commands).await;
    assert!(ahead.take(0).await.is_none(), "who applies was here before");

    let ahead = Ahead::default();
    ahead.work(&State::new(), &commands).await;
    assert!(ahead.take(3).await.is_none(), "another state would become another one");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_worked_out_is_not_shown_when_the_disk_refuses_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.db");
    let options = LogOptions { path: path.clone(), snapshot_every: 100, advertise_rpc: "127.0.0.1:1".to_owned() };
    let log = Log::open(options, Arc::new(Nobody), Arc::default()).await.unwrap();
    log.propose(registration("kept")).await.unwrap();
    let before = log.state();
    // From now on the writer finds no place for an entry.
    rusqlite::Connection::open(&path).unwrap().execute_batch("DROP TABLE log").unwrap();
    let refused = log.propose(registration("lost")).await.unwrap_err();
    assert!(refused.to_string().contains("log"), "{refused}");
    assert_eq!(*log.state(), *before);
    log.shutdown().await;
}
