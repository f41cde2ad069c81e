//! The mock driver passes the suite, as far as a driver without programs can.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use driver::Driver;
use driver::conformance::{Harness, Program, conformance};
use driver::mock::MockDriver;
use serde_json::{Value, json};

struct Mock {
    driver: MockDriver,
    dir: tempfile::TempDir,
}

fn block(value: Value) -> BTreeMap<String, Value> {
    serde_json::from_value(value).unwrap()
}

#[async_trait]
impl Harness for Mock {
    async fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(self.driver.restarted())
    }

    fn program(&self, program: &Program) -> Option<BTreeMap<String, Value>> {
        match program {
            Program::Exit(code) => Some(block(json!({ "exit_code": code }))),
            Program::Forever => Some(block(json!({ "run_for": "1000h" }))),
            Program::Shell(..) => None,
        }
    }

    fn missing_program(&self) -> Option<(BTreeMap<String, Value>, String)> {
        Some((block(json!({ "start_error": "no such thing" })), "no such thing".to_owned()))
    }

    fn bad_configs(&self) -> Vec<(BTreeMap<String, Value>, String)> {
        vec![
            (block(json!({ "run_fro": "1s" })), "did you mean \"run_for\"".to_owned()),
            (block(json!({ "run_for": "soon" })), "in duration".to_owned()),
            (block(json!({ "exit_code": [] })), "whole number".to_owned()),
        ]
    }

    fn base_dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }
}

#[tokio::test]
async fn mock_driver_conforms() {
    let mock = Mock { driver: MockDriver::new(), dir: tempfile::tempdir().unwrap() };
    assert_eq!(conformance(&mock).await, 11);
    assert!(mock.driver.tasks().is_empty(), "nothing is left");
}

#[tokio::test]
async fn tests_steer_the_mock() {
    let mock = Mock { driver: MockDriver::new(), dir: tempfile::tempdir().unwrap() };
    let driver = &mock.driver;
    driver.fail_next_start(driver::DriverError::Recoverable("engine is down".to_owned()));
    let task = serde_json::from_value(json!({
        "id": {"alloc": "64b7c15e-78da-7d8a-228e-2b89f5050782", "task": "web", "attempt": 0},
        "labels": {}, "config": {"run_for": "1h", "stdout_string": "hi\n"}, "env": {}, "user": "", "cpu_mhz": 0,
        "node_cpu_mhz": 0, "memory_mb": 0, "memory_max_mb": 0, "ports": [], "hostname": "", "dns_servers": [],
        "dns_searches": [], "dns_options": [], "kill_signal": "", "logs":
        {"max_files": 1, "max_file_mb": 1, "disabled": false},
        "dirs": {"alloc": "", "task": "", "local": "", "secrets": "", "logs": mock.dir.path()},
    }))
    .unwrap();
    let (progress, _lines) = tokio::sync::mpsc::unbounded_channel();
    assert!(driver.start(&task, progress.clone()).await.unwrap_err().is_recoverable());
    let handle = driver.start(&task, progress).await.unwrap();
    driver.until(|driver| driver.running().len() == 1).await;
    assert_eq!(std::fs::read_to_string(mock.dir.path().join("web.stdout.0")).unwrap(), "hi\n");
    let crash = driver::ExitResult { exit_code: 3, ..Default::default() };
    assert!(driver.finish(&handle.id, crash.clone()));
    assert_eq!(driver.wait(&handle).await.unwrap(), crash);
    driver.forget(&handle.id);
    assert!(driver.recover(&handle, &task).await.is_err());
}
