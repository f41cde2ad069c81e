//! In which order an allocation's tasks start and stop. Pure.

use model::compiled::Hook;
use model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::task::lifecycle::{StopReason, TaskEffect, TaskLifecycle};

/// That, and why, an allocation's tasks are being stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ending {
    /// Why.
    pub reason: StopReason,
    /// Whether shutdown delays are skipped.
    pub skip_delay: bool,
    /// Whether poststop tasks are stopped, too.
    pub force: bool,
}

/// Effects of tasks, with their names.
pub(crate) type Effects = Vec<(String, TaskEffect)>;

/// Starts the tasks whose turn has come: prestart, main, poststart.
pub(crate) fn start_due(tasks: &mut [TaskLifecycle], now: Timestamp) -> Effects {
    let prestart_done = tasks
        .iter()
        .filter(|task| task.task().hook == Hook::Prestart)
        .all(|task| if task.task().sidecar { task.has_started() } else { task.is_dead() && !task.state().failed });
    let main_up = tasks.iter().filter(|task| task.task().hook == Hook::Main).all(TaskLifecycle::has_started);
    let mut effects = Effects::new();
    for task in tasks.iter_mut().filter(|task| task.is_waiting()) {
        let due = match task.task().hook {
            Hook::Prestart => true,
            Hook::Main => prestart_done,
            Hook::Poststart => prestart_done && main_up,
            Hook::Poststop => false,
        };
        if due {
            let started = task.start(now);
            named(&mut effects, task, started);
        }
    }
    effects
}

/// Why the tasks must end now, if the tasks themselves give a reason.
pub(crate) fn own_ending(tasks: &[TaskLifecycle]) -> Option<StopReason> {
    let living = || tasks.iter().filter(|task| task.task().hook != Hook::Poststop);
    if let Some(failed) = living().find(|task| task.is_dead() && task.state().failed) {
        return Some(StopReason::Sibling(failed.task().name.clone()));
    }
    if living().any(|task| task.task().leader && task.is_dead()) {
        return Some(StopReason::LeaderDead);
    }
    let mut main = living().filter(|task| task.task().hook == Hook::Main).peekable();
    (main.peek().is_some() && main.all(TaskLifecycle::is_dead)).then_some(StopReason::MainDead)
}

/// Stops what may be stopped now: the leader, then the others, then sidecars; poststop tasks run when all are dead.
pub(crate) fn stop_due(tasks: &mut [TaskLifecycle], ending: &Ending, now: Timestamp) -> Effects {
    let mut effects = Effects::new();
    for stage in 0..3 {
        for task in tasks.iter_mut().filter(|task| stage_of(task) == Some(stage) && !task.is_dead()) {
            // A hook task without sidecar may finish its work after the main tasks; it no longer begins it.
            let finishes = ending.reason == StopReason::MainDead && !task.task().sidecar && !task.is_waiting();
            if !finishes {
                let stopped = task.stop(now, ending.reason.clone(), ending.skip_delay);
                named(&mut effects, task, stopped);
            }
        }
        if tasks.iter().any(|task| stage_of(task) == Some(stage) && !task.is_dead()) {
            // Sidecars do not wait for hook tasks that finish their work.
            if ending.reason != StopReason::MainDead {
                break;
            }
        }
    }
    let all_dead = tasks.iter().all(|task| stage_of(task).is_none() || task.is_dead());
    let any_tried = tasks.iter().any(TaskLifecycle::was_tried);
    for task in tasks.iter_mut().filter(|task| stage_of(task).is_none()) {
        let next = if ending.force || (task.is_waiting() && all_dead && !any_tried) {
            task.stop(now, StopReason::Asked, true)
        } else if all_dead {
            task.start(now)
        } else {
            Vec::new()
        };
        named(&mut effects, task, next);
    }
    effects
}

/// 0: leader, 1: others, 2: sidecars, none: poststop.
fn stage_of(task: &TaskLifecycle) -> Option<u8> {
    let task = task.task();
    match task.hook {
        Hook::Poststop => None,
        _ if task.leader => Some(0),
        Hook::Prestart | Hook::Poststart if task.sidecar => Some(2),
        Hook::Prestart | Hook::Main | Hook::Poststart => Some(1),
    }
}

fn named(effects: &mut Effects, task: &TaskLifecycle, more: Vec<TaskEffect>) {
    effects.extend(more.into_iter().map(|effect| (task.task().name.clone(), effect)));
}
