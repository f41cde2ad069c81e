//! Resource use of a container, read from its cgroup: the Engine itself takes a second to tell.

use std::path::{Path, PathBuf};

use driver::TaskStats;
use model::time::GoDuration;

/// Use of the container whose first process is `pid`; `None` when its cgroup is not to be seen from here.
pub(crate) fn read(pid: i64, container: &str) -> Option<TaskStats> {
    let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = |controller: &str| path_of(&cgroups, controller, container);
    let memory = path("memory");
    let unified = path("");
    let number = |path: &Path, file: &str| std::fs::read_to_string(path.join(file)).ok()?.trim().parse::<u64>().ok();
    if let Some(memory) = memory {
        let cpu = path("cpuacct").and_then(|path| number(&path, "cpuacct.usage")).unwrap_or(0);
        let used = number(&memory, "memory.usage_in_bytes")?;
        let cached = field(&memory.join("memory.stat"), "total_inactive_file").unwrap_or(0);
        return Some(stats(cpu, used.saturating_sub(cached)));
    }
    let unified = unified?;
    let cpu = field(&unified.join("cpu.stat"), "usage_usec").unwrap_or(0).saturating_mul(1000);
    let cached = field(&unified.join("memory.stat"), "inactive_file").unwrap_or(0);
    Some(stats(cpu, number(&unified, "memory.current")?.saturating_sub(cached)))
}

fn stats(cpu_nanos: u64, memory_bytes: u64) -> TaskStats {
    TaskStats { cpu: GoDuration(i64::try_from(cpu_nanos).unwrap_or(i64::MAX)), memory_bytes }
}

/// The directory of `controller`, or of the unified hierarchy for an empty one. Only one that names the container: the
/// process may have gone and its number be another's.
fn path_of(cgroups: &str, controller: &str, container: &str) -> Option<PathBuf> {
    cgroups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let is_it = controllers.split(',').any(|name| name == controller);
        let root =
            if controllers.is_empty() { "/sys/fs/cgroup".to_owned() } else { format!("/sys/fs/cgroup/{controllers}") };
        let dir = PathBuf::from(format!("{root}{path}"));
        (is_it && path.contains(container)).then_some(dir)
    })
}

fn field(file: &Path, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_cgroups_are_found() {
        let old = "12:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n0::/system.slice/docker.service\n";
        assert_eq!(path_of(old, "cpuacct", "abc"), Some("/sys/fs/cgroup/cpu,cpuacct/docker/abc".into()));
        assert_eq!(path_of(old, "memory", "abc"), Some("/sys/fs/cgroup/memory/docker/abc".into()));
        assert_eq!(path_of(old, "", "abc"), None, "not the container's");
        let new = "0::/system.slice/docker-abc.scope\n";
        assert_eq!(path_of(new, "", "abc"), Some("/sys/fs/cgroup/system.slice/docker-abc.scope".into()));
        assert_eq!(path_of(new, "memory", "abc"), None);
    }
}
