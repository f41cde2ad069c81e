//! openraft's own suite over our store.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arc_swap::ArcSwap;
use openraft::testing::{StoreBuilder, Suite};
use state::{State, Touched};

use super::log_store::LogStore;
use super::state_machine::{Listener, StateMachine};
use super::types::{StorageError, TypeConfig};

struct Nobody;

impl Listener for Nobody {
    fn applied(&self, _state: &Arc<State>, _touched: &Touched, _commands: u64) {}
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
fn the_store_passes_openrafts_suite() {
    Suite::test_all(OnDisk).unwrap();
}
