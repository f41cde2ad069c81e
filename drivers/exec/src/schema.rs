//! What may stand in the `config` of tasks that are plain processes.

use driver::schema::{Kind, Schema, Setting};

/// The settings of the raw_exec driver.
pub const RAW_EXEC: Schema = Schema {
    driver: "raw_exec",
    mounts: false,
    settings: &[
        Setting::required("command", Kind::Text),
        Setting::new("args", Kind::Texts),
        Setting::new("work_dir", Kind::Text),
        Setting::missing("cgroup_v1_override", Kind::Any),
        Setting::missing("cgroup_v2_override", Kind::Text),
        Setting::missing("denied_envvars", Kind::Texts),
        Setting::missing("oom_score_adj", Kind::Whole),
    ],
};

/// The settings of Nomad's exec driver, for the check of job files; no node of this version has it.
pub const EXEC: Schema = Schema {
    driver: "exec",
    mounts: true,
    settings: &[
        Setting::required("command", Kind::Text),
        Setting::new("args", Kind::Texts),
        Setting::new("work_dir", Kind::Text),
        Setting::new("pid_mode", Kind::Choice(&["private", "host"])),
        Setting::new("ipc_mode", Kind::Choice(&["private", "host"])),
        Setting::new("cap_add", Kind::Texts),
        Setting::new("cap_drop", Kind::Texts),
    ],
};
