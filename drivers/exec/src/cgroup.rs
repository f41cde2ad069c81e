//! One cgroup per task, so that everything a task started can be found and killed: plain files, version 2 or 1.
//!
//! Version 2 (also the process-only hierarchy of hybrid systems) kills a group by one write. Version 1 needs its
//! freezer: stop all, signal all, let go, look again. Without either, tasks have only their process group.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// How deep below a task's cgroup its own sub-groups are followed.
const MAX_DEPTH: usize = 32;

/// How often, and how far apart, removing a cgroup that belongs to no task is tried.
const SWEEP_ATTEMPTS: usize = 500;
const SWEEP_PAUSE: Duration = Duration::from_millis(2);

/// Our directory in each hierarchy.
const PREFIX: &str = "drover";

/// Which kind of cgroup to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupMode {
    /// The best there is.
    #[default]
    Auto,
    /// Version 2 or nothing.
    V2,
    /// The freezer of version 1 or nothing.
    V1,
    /// Process groups only.
    Off,
}

impl CgroupMode {
    /// As [`CgroupMode::from_str`] reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            CgroupMode::Auto => "auto",
            CgroupMode::V2 => "v2",
            CgroupMode::V1 => "v1",
            CgroupMode::Off => "off",
        }
    }
}

impl FromStr for CgroupMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [CgroupMode::Auto, CgroupMode::V2, CgroupMode::V1, CgroupMode::Off]
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no cgroup mode; use auto, v2, v1 or off"))
    }
}

/// The cgroups of one node.
#[derive(Clone, Debug)]
pub struct Cgroups {
    /// Where the tasks' cgroups are made; `None` when there are none here.
    base: Option<PathBuf>,
    /// Roots of the hierarchies by which a service manager might kill the supervisor with the agent, as far as the
    /// agent is not at the root itself.
    homes: Vec<PathBuf>,
    node: String,
}

impl Cgroups {
    /// Looks what is mounted and may be written. `node` sets apart several agents on one machine.
    pub fn detect(mode: CgroupMode, node: &str) -> Cgroups {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let (v2, freezer, systemd) = hierarchies(&mounts);
        let choices = match mode {
            CgroupMode::Auto => vec![&v2, &freezer],
            CgroupMode::V2 => vec![&v2],
            CgroupMode::V1 => vec![&freezer],
            CgroupMode::Off => vec![],
        };
        let base = choices.into_iter().flatten().map(|root| root.join(PREFIX).join(node)).find(|base| {
            // Making it tells whether we may: not root, or mounted read-only as in a container. More than once, for
            // another node's supervisor may just remove the directory that all share.
            (0..3).any(|_| std::fs::create_dir_all(base).is_ok())
        });
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let hierarchies = [("", v2), ("freezer", freezer), ("name=systemd", systemd)];
        let homes = hierarchies.into_iter().filter(|(name, _)| !is_at_root(&own, name)).filter_map(|(_, root)| root);
        Cgroups { base, homes: homes.collect(), node: node.to_owned() }
    }

    /// Whether tasks get a cgroup.
    pub fn is_available(&self) -> bool {
        self.base.is_some()
    }

    /// Moves this process out of the cgroups it was started in, as far as it may.
    pub fn enter(&self) {
        for home in &self.homes {
            let own = home.join(PREFIX).join(&self.node).join("supervisor");
            if std::fs::create_dir_all(&own).is_ok() {
                // Best effort: without it, only a service manager's restart of the agent is harder on us.
                let _ = add(&own, std::process::id());
            }
        }
    }

    /// Undoes [`Cgroups::enter`] and removes our directories where they are empty.
    pub fn leave(&self) {
        for home in &self.homes {
            let node = home.join(PREFIX).join(&self.node);
            let own = node.join("supervisor");
            if own.exists() {
                let _ = add(home, std::process::id());
            }
            remove_empty(&own);
            remove_empty(&node);
        }
        if let Some(base) = &self.base {
            remove_empty(base);
        }
    }

    /// Kills and removes the cgroups of this node that belong to no task: a supervisor died while it made them.
    pub fn sweep(&self, known: &[&Path]) {
        let Some(entries) = self.base.as_ref().and_then(|base| std::fs::read_dir(base).ok()) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_dir && !path.ends_with("supervisor") && !known.contains(&path.as_path()) {
                // What is killed needs a moment to be gone; bounded, for it may hang in the kernel.
                let is_gone = (0..SWEEP_ATTEMPTS).any(|_| {
                    kill(&path);
                    remove(&path) || {
                        std::thread::sleep(SWEEP_PAUSE);
                        false
                    }
                });
                if !is_gone {
                    eprintln!("cgroup {} belongs to no task and cannot be removed yet", path.display());
                }
            }
        }
    }

    /// Makes the cgroup of one task; `None` when there are no cgroups here.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(&self, key: &str) -> io::Result<Option<PathBuf>> {
        let Some(base) = &self.base else { return Ok(None) };
        let path = base.join(key);
        match std::fs::create_dir_all(&path) {
            Ok(()) => Ok(Some(path)),
            Err(error) => Err(io::Error::new(error.kind(), format!("cannot make cgroup {}: {error}", path.display()))),
        }
    }
}

/// Removes one of our directories, and the one that all nodes share when it was the last.
fn remove_empty(dir: &Path) {
    let _ = std::fs::remove_dir(dir);
    if let Some(parent) = dir.parent().filter(|parent| parent.ends_with(PREFIX)) {
        let _ = std::fs::remove_dir(parent);
    }
}

/// Whether `/proc/self/cgroup` says that this process is at the root of a hierarchy; of one it does not name, too.
fn is_at_root(own: &str, hierarchy: &str) -> bool {
    let mut lines = own.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    lines.find(|(names, _)| names.split(',').any(|name| name == hierarchy)).is_none_or(|(_, path)| path == "/")
}

/// The mount points of version 2, of the freezer, and of systemd's own hierarchy of version 1.
fn hierarchies(mounts: &str) -> (Option<PathBuf>, Option<PathBuf>, Option<PathBuf>) {
    let (mut v2, mut freezer, mut systemd) = (None, None, None);
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(path), Some(kind), Some(options)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let has = |option: &str| options.split(',').any(|given| given == option);
        let slot = match kind {
            "cgroup2" => &mut v2,
            "cgroup" if has("freezer") => &mut freezer,
            "cgroup" if has("name=systemd") => &mut systemd,
            _ => continue,
        };
        slot.get_or_insert_with(|| PathBuf::from(path));
    }
    (v2, freezer, systemd)
}

/// Puts a process into a cgroup.
///
/// # Errors
/// When the kernel refuses.
pub fn add(path: &Path, pid: u32) -> io::Result<()> {
    std::fs::write(path.join("cgroup.procs"), pid.to_string())
}

/// All processes of a cgroup and of the groups below it.
pub fn pids(path: &Path) -> Vec<i32> {
    let mut found = Vec::new();
    walk(path, 0, &mut |dir| {
        let text = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        // 0 stands for a process outside our pid namespace: not ours to touch.
        found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
    });
    found
}

/// Sends SIGKILL to everything in the cgroup; `true` when nothing is left in it.
pub fn kill(path: &Path) -> bool {
    if !path.exists() {
        return true;
    }
    if std::fs::write(path.join("cgroup.kill"), "1").is_ok() {
        return pids(path).is_empty();
    }
    let freezer = path.join("freezer.state");
    // Frozen processes cannot fork away from under the list. Without a freezer, the caller's repetition must do.
    let _ = std::fs::write(&freezer, "FROZEN");
    for pid in pids(path) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
    let _ = std::fs::write(&freezer, "THAWED");
    pids(path).is_empty()
}

/// Removes an empty cgroup with the groups below it; `true` when it is gone.
pub fn remove(path: &Path) -> bool {
    let mut dirs = Vec::new();
    walk(path, 0, &mut |dir| dirs.push(dir.to_owned()));
    for dir in dirs.iter().rev() {
        let _ = std::fs::remove_dir(dir);
    }
    !path.exists()
}

/// Visits a cgroup and those below it, parents first.
fn walk(path: &Path, depth: usize, visit: &mut dyn FnMut(&Path)) {
    if depth > MAX_DEPTH || !path.exists() {
        return;
    }
    visit(path);
    let Ok(entries) = std::fs::read_dir(path) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), depth + 1, visit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_told_apart() {
        let hybrid = "cgroup /sys/fs/cgroup/freezer cgroup rw,relatime,freezer 0 0\n\
            cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0\n\
            cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let path = |text: &str| Some(PathBuf::from(text));
        let expected = (path("/sys/fs/cgroup/unified"), path("/sys/fs/cgroup/freezer"), path("/sys/fs/cgroup/systemd"));
        assert_eq!(hierarchies(hybrid), expected);
        assert_eq!(hierarchies("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0"), (path("/sys/fs/cgroup"), None, None));
        assert_eq!(hierarchies("proc /proc proc rw 0 0\nbroken"), (None, None, None));
    }

    #[test]
    fn the_root_is_recognised() {
        let own = "9:name=systemd:/system.slice/x.service\n8:pids,freezer:/\n0::/a:b\n";
        assert!(is_at_root(own, "freezer") && is_at_root(own, "memory"));
        assert!(!is_at_root(own, "name=systemd") && !is_at_root(own, ""));
    }

    #[test]
    fn modes_read_as_they_print() {
        for mode in [CgroupMode::Auto, CgroupMode::V2, CgroupMode::V1, CgroupMode::Off] {
            assert_eq!(mode.as_str().parse(), Ok(mode));
        }
        assert!("v3".parse::<CgroupMode>().is_err());
    }
}
