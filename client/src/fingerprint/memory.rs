//! Memory of the machine, or of the cgroup that the agent is confined to.

use model::node::NodeMemory;

use super::Found;

pub(super) fn look(total_mb: Option<i64>, found: &mut Found) {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = info
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<i64>().ok())
        .map_or(0, |kib| kib * 1024);
    let bytes = total_mb.map_or(total, |mb| mb * 1024 * 1024);
    found.set("memory.totalbytes", bytes);
    found.resources.memory = NodeMemory { memory_mb: bytes / (1024 * 1024) };
}
