//! One file per command (or per noun, for small ones). Each reads what it needs, prints, and says its exit code.

pub mod alloc;
pub mod eval;
pub mod explain;
pub mod fmt;
pub mod job_file;
pub mod job_folder;
pub mod job_init;
pub mod job_inspect;
pub mod job_plan;
pub mod job_run;
pub mod job_status;
pub mod job_stop;
pub mod job_validate;
pub mod logs;
pub mod monitor;
pub mod node;
pub mod reasons;
pub mod service;
pub mod what_if;
