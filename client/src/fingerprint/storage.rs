//! The volume that holds the data directory, and the directories that groups may mount.

use std::collections::BTreeMap;
use std::path::Path;

use model::node::{ClientHostVolume, NodeDisk};

use super::Found;
use crate::config::HostVolume;

pub(super) fn look(data_dir: &Path, found: &mut Found) {
    let Some(existing) = data_dir.ancestors().find(|path| path.exists()) else { return };
    let stat = match rustix::fs::statvfs(existing) {
        Ok(stat) => stat,
        Err(error) => {
            tracing::warn!(path = %existing.display(), %error, "cannot see the size of the data directory's volume");
            return;
        }
    };
    let total = stat.f_blocks.saturating_mul(stat.f_frsize);
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    found.set("unique.storage.volume", volume_of(existing).unwrap_or_default());
    found.set("unique.storage.bytestotal", total);
    found.resources.disk = NodeDisk { disk_mb: (free / (1024 * 1024)) as i64 };
}

/// The directories that groups may mount, as the node announces them.
pub(super) fn volumes(config: &BTreeMap<String, HostVolume>) -> BTreeMap<String, ClientHostVolume> {
    let announced = |(name, volume): (&String, &HostVolume)| {
        let path = volume.path.display().to_string();
        let announced = ClientHostVolume { name: name.clone(), path, read_only: volume.read_only, id: String::new() };
        (name.clone(), announced)
    };
    config.iter().map(announced).collect()
}

/// The device mounted at the nearest mount point above `path`.
fn volume_of(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let entries = mounts.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        Some((fields.next()?, fields.next()?))
    });
    let above = entries.filter(|(_, point)| path.starts_with(point));
    above.max_by_key(|(_, point)| point.len()).map(|(device, _)| device.to_owned())
}
