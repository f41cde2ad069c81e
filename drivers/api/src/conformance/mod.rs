//! The suite that every driver passes, run against the real machine below the driver.
//!
//! A driver's tests implement [`Harness`] and call [`conformance`]. Programs are small `sh` scripts; pipes in the
//! allocation's directory tell the suite when they are up, feed them, and show by their end that the last process that
//! held them is gone. Cases a driver cannot play (the mock runs no scripts) are skipped and counted.

#![allow(clippy::unwrap_used, reason = "this is a test suite: it ends by panicking")]

mod cases;
mod fixture;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::Driver;

/// What the suite wants a task to do.
#[derive(Clone, Debug)]
pub enum Program {
    /// End at once with this exit code.
    Exit(i32),
    /// Run until stopped, and end at the driver's default signal.
    Forever,
    /// Run this script with `sh -c SCRIPT sh ARGS...`.
    Shell(String, Vec<String>),
}

/// Something that runs beside the driver's tasks and is not the driver's: it must survive `reap`.
pub trait Foreign: Send + Sync {
    /// Whether it still runs.
    fn is_alive(&self) -> bool;
}

/// A driver under test and the machine below it.
#[async_trait]
pub trait Harness: Send + Sync {
    /// A new driver object over the same machine. The suite drops the one before, as an agent restart does.
    async fn driver(&self) -> Arc<dyn Driver>;

    /// The `config` block that runs `program`; `None` when this driver cannot.
    fn program(&self, program: &Program) -> Option<BTreeMap<String, Value>>;

    /// A `config` block whose program does not exist, and a text that the permanent error must contain.
    fn missing_program(&self) -> Option<(BTreeMap<String, Value>, String)>;

    /// Wrong `config` blocks, each with a text that the refusal must contain.
    fn bad_configs(&self) -> Vec<(BTreeMap<String, Value>, String)>;

    /// Starts something foreign; stopped when dropped. `None` when there is no such thing for this driver.
    async fn foreign(&self) -> Option<Box<dyn Foreign>> {
        None
    }

    /// Whether processes that left the task's process group are killed too.
    fn kills_detached(&self) -> bool {
        true
    }

    /// An existing directory for the tasks' directories.
    fn base_dir(&self) -> PathBuf;
}

/// Runs every case; panics with the case's name and what went wrong at the first failure. Returns how many cases ran.
pub async fn conformance(harness: &dyn Harness) -> usize {
    cases::run_all(harness).await
}
