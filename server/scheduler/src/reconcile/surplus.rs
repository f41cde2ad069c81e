//! Which copies go when there are more than there should be.

use std::collections::BTreeSet;

use model::allocation::{Allocation, ClientStatus, DesiredStatus};

use super::{Changes, Slots, why};

/// Stops what is above the count: first what a promoted canary has replaced, then what is leaving anyway, then the
/// highest index.
pub(super) fn trim_surplus<'a>(slots: &mut Slots<'a>, version: u64, count: usize, changes: &mut Changes<'a>) {
    let mut surplus = slots.len().saturating_sub(count);
    let canaries = slots.kept.iter().filter(|alloc| alloc.canary && alloc.job_version == version);
    let replaced: BTreeSet<String> = canaries.map(|alloc| alloc.name.clone()).collect();
    let mut kept = Vec::with_capacity(slots.kept.len());
    for alloc in std::mem::take(&mut slots.kept) {
        if surplus > 0 && alloc.job_version != version && replaced.contains(&alloc.name) {
            surplus -= 1;
            drop_surplus(alloc, changes);
        } else {
            kept.push(alloc);
        }
    }
    slots.kept = kept;
    let leaving = surplus.min(slots.moved.len());
    slots.moved.truncate(slots.moved.len() - leaving);
    surplus -= leaving;
    if surplus > 0 && crate::planted::is_enabled(crate::planted::Bug::CountDownKeepsHighest) {
        surplus -= 1;
    }
    for _ in 0..surplus {
        let lists = [&mut slots.kept, &mut slots.rescheduled, &mut slots.renewed];
        let highest = lists.into_iter().max_by_key(|list| list.last().map(|alloc| (alloc.index(), alloc.create_index)));
        let Some(alloc) = highest.and_then(Vec::pop) else { return };
        drop_surplus(alloc, changes);
    }
}

fn drop_surplus<'a>(alloc: &'a Allocation, changes: &mut Changes<'a>) {
    changes.later.retain(|(_, later)| later.id != alloc.id);
    changes.unknown.retain(|(_, unknown)| unknown.id != alloc.id);
    if alloc.desired_status == DesiredStatus::Run && alloc.client_status != ClientStatus::Complete {
        changes.stop(alloc, why::NOT_NEEDED, false);
        changes.counts.stop += 1;
    }
}
