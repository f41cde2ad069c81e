//! The leader's bookkeeping of evaluations.

use model::evaluation::{EvalStatus, Evaluation};

use super::fixtures::{World, service};
use crate::Op;

#[test]
fn what_changed_after_it_was_looked_at_is_not_cancelled() {
    let mut world = World::default();
    let id = world.register(service("web", 1));
    let cancelled = |eval: &Evaluation| Evaluation { status: EvalStatus::Cancelled, ..eval.clone() };
    let seen = world.state.eval(id).unwrap();
    // It is marked as wanted again meanwhile.
    world.run(Op::UpdateEvals { evals: vec![(*seen).clone()] });
    assert!(world.state.eval(id).unwrap().modify_index > seen.modify_index);
    world.run(Op::UpdateEvals { evals: vec![cancelled(&seen)] });
    assert_eq!(world.state.eval(id).unwrap().status, EvalStatus::Pending);
    let seen = world.state.eval(id).unwrap();
    world.run(Op::UpdateEvals { evals: vec![cancelled(&seen)] });
    assert_eq!(world.state.eval(id).unwrap().status, EvalStatus::Cancelled);
}
