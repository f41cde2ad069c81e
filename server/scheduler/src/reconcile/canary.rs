//! Canaries: copies of a new version that are tried beside the old ones until somebody promotes them.

use model::allocation::Allocation;

use super::names::Names;
use super::{Changes, Scene, Slots, Want, classify, why};

/// Copies of the current version that are tried beside the old ones.
pub(super) struct Trial<'a> {
    pub canaries: Vec<&'a Allocation>,
    /// Whether the group wants canaries that nobody has promoted.
    pub open: bool,
}

impl<'a> Trial<'a> {
    /// Takes canaries that wait for their promotion out of `own`, and stops those of overtaken versions.
    pub fn of(scene: &Scene<'_, 'a>, own: &mut Vec<&'a Allocation>, changes: &mut Changes<'a>) -> Trial<'a> {
        let wanted = scene.group.update.is_some_and(|update| update.canary > 0);
        let promoted = scene.view.rollout.is_none_or(|rollout| rollout.promoted.contains(&scene.group.name));
        let open = wanted && !promoted;
        let mut canaries = Vec::new();
        own.retain(|alloc| {
            let current = alloc.job_version == scene.job.version;
            let tried = alloc.canary && !alloc.is_terminal() && scene.view.rollout.is_some();
            if tried && !current {
                changes.stop(alloc, why::NOT_NEEDED, false);
                changes.counts.stop += 1;
            } else if tried && open {
                canaries.push(*alloc);
            }
            !tried || (current && !open)
        });
        Trial { canaries, open }
    }

    /// The canaries that are missing; they have the names of copies that they will replace.
    pub fn want_canaries(&self, scene: &Scene<'_, 'a>, slots: &Slots<'a>, changes: &mut Changes<'a>) {
        let live = self.canaries.iter().filter(|alloc| !classify::is_lost(scene.table, alloc));
        let live: Vec<&&Allocation> = live.collect();
        for lost in self.canaries.iter().filter(|alloc| classify::is_lost(scene.table, alloc)) {
            changes.stop(lost, why::LOST, true);
        }
        let mut names = Names::new(&scene.job.key.id, &scene.group.name);
        live.iter().for_each(|alloc| names.take(&alloc.name));
        let halted = scene.view.rollout.is_some_and(|rollout| rollout.halted);
        let wanted = scene.group.update.map_or(0, |update| update.canary as usize);
        let missing = if halted || slots.kept.is_empty() { 0 } else { wanted.saturating_sub(live.len()) };
        for _ in 0..missing {
            changes.wants.push(Want { name: names.next(), canary: true, ..Want::default() });
            changes.counts.canary += 1;
        }
    }
}
