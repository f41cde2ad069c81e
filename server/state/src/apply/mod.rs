//! Applying commands: the only code that changes a state.

mod allocs;
mod evals;
mod gc;
mod jobs;
mod nodes;
mod plans;
mod scheduling;
mod write;

use crate::command::{Command, Op};
use crate::reply::{Refusal, Reply};
use crate::state::State;
use crate::touched::Touched;
use write::Writer;

/// Applies one command; see [`State::apply_one_of`]. Answers also whether it had been applied before.
pub(crate) fn apply(state: &mut State, index: u64, command: &Command, touched: &mut Touched) -> (Reply, bool) {
    state.index = state.index.max(index);
    if let Some(reply) = state.seen.get(&command.seed) {
        return ((**reply).clone(), true);
    }
    let mut writer = Writer::new(state, index, command, touched);
    let reply = run(&mut writer, &command.op).unwrap_or_else(Reply::Refused);
    writer.finish(command.seed, &reply);
    (reply, false)
}

/// One line per kind of command.
fn run(writer: &mut Writer<'_>, op: &Op) -> Result<Reply, Refusal> {
    match op {
        Op::RegisterJob { job, submission, enforce, eval_priority } => {
            jobs::register(writer, job, submission.as_ref(), *enforce, *eval_priority)
        }
        Op::DeregisterJob { key, purge, eval_priority } => Ok(jobs::deregister(writer, key, *purge, *eval_priority)),
        Op::RegisterNode { node } => nodes::register(writer, node),
        Op::UpdateNodeStatus { id, status, description } => nodes::set_status(writer, *id, *status, description),
        Op::UpdateNodeEligibility { id, eligibility } => nodes::set_eligibility(writer, *id, *eligibility),
        Op::UpdateAllocs { node_id, updates } => allocs::observe(writer, *node_id, updates),
        Op::StopAlloc { id, no_shutdown_delay } => allocs::stop(writer, *id, *no_shutdown_delay),
        Op::ApplyPlans { plans } => Ok(plans::apply(writer, plans)),
        Op::UpdateEvals { evals } => Ok(evals::update(writer, evals)),
        Op::SetScheduling { config, cas } => Ok(scheduling::set(writer, config, *cas)),
        Op::Gc { before, force } => Ok(gc::collect(writer, *before, *force)),
    }
}
