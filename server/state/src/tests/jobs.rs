//! Registering, stopping and purging jobs.

use model::evaluation::trigger;
use model::id::NodeId;
use model::job::{ParameterizedJobConfig, PeriodicConfig};

use super::fixtures::*;
use crate::{JobStatus, Op, Refusal, Reply, Table, VERSIONS_KEPT};

fn written(reply: Reply) -> crate::JobWritten {
    match reply {
        Reply::Job(written) => written,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_job_is_version_0_and_waits_for_the_planner() {
    let mut world = World::default();
    let outcome = world.run(register(service("web", 3)));
    let reply = written(outcome.reply);
    let job = world.state.job(&key("web")).unwrap();
    let indexes = (job.head().create_index, job.head().modify_index, job.head().job_modify_index);
    assert_eq!(indexes, (1, 1, 1));
    assert_eq!((job.head().version, job.head().submit_time), (0, 1_000_000_000));
    let eval = world.state.eval(reply.eval_id.unwrap()).unwrap();
    assert_eq!((eval.triggered_by.as_str(), eval.priority, eval.kind.as_str()), (trigger::JOB_REGISTER, 50, "service"));
    assert_eq!((reply.job_modify_index, reply.index, reply.new_version), (1, 1, true));
    assert_eq!(world.state.job_status(&key("web")), Some(JobStatus::Pending));
    assert_eq!(outcome.touched.tables.into_iter().collect::<Vec<_>>(), [Table::Jobs, Table::Evals]);
    assert_eq!((world.state.table_index(Table::Jobs), world.state.table_index(Table::Nodes)), (1, 0));
}

#[test]
fn an_equal_document_makes_an_evaluation_but_no_version() {
    let mut world = World::default();
    world.register(service("web", 3));
    let again = world.state.job(&key("web")).unwrap().document.job().clone();
    let reply = written(world.run(register(again)).reply);
    assert_eq!((reply.new_version, reply.job_modify_index, reply.index), (false, 1, 2));
    assert!(reply.eval_id.is_some());
    assert_eq!(world.state.job_versions(&key("web")).len(), 1);
    let reply = written(world.run(register(service("web", 4))).reply);
    assert_eq!((reply.new_version, reply.job_modify_index), (true, 3));
    assert_eq!(world.state.job(&key("web")).unwrap().head().version, 1);
}

#[test]
fn old_versions_go_unless_an_allocation_runs_them() {
    let (mut world, id) = one_copy();
    for count in 2..12 {
        world.register(service("web", count));
    }
    let versions: Vec<u64> = world.state.job_versions(&key("web")).iter().map(|job| job.head().version).collect();
    assert_eq!(versions, [10, 9, 8, 7, 6, 5]);
    assert_eq!(world.state.versions.len(), VERSIONS_KEPT + 1);
    let alloc = world.state.alloc(id).unwrap();
    assert_eq!(world.state.job_of_alloc(&alloc).unwrap().head().version, 0);
}

#[test]
fn a_changed_job_is_refused_when_the_index_must_match() {
    let mut world = World::default();
    let with = |job: model::job::Job, enforce| Op::RegisterJob {
        job: Box::new(job.into()),
        submission: None,
        enforce,
        eval_priority: 0,
    };
    let reply = world.run(with(service("web", 1), Some(7))).reply;
    assert_eq!(reply, Reply::Refused(Refusal::EnforceIndex { key: key("web"), expected: 7, actual: 0 }));
    assert_eq!(world.state.jobs().count(), 0);
    written(world.run(with(service("web", 1), Some(0))).reply);
    let outcome = world.run(with(service("web", 2), Some(0)));
    assert!(outcome.touched.is_empty());
    assert_eq!(outcome.reply, Reply::Refused(Refusal::EnforceIndex { key: key("web"), expected: 0, actual: 2 }));
    written(world.run(with(service("web", 2), Some(2))).reply);
}

#[test]
fn a_stopped_job_keeps_its_document_and_runs_again_when_registered() {
    let mut world = World::default();
    world.register(service("web", 1));
    let reply = written(world.run(Op::DeregisterJob { key: key("web"), purge: false, eval_priority: 80 }).reply);
    let eval = world.state.eval(reply.eval_id.unwrap()).unwrap();
    assert_eq!((eval.triggered_by.as_str(), eval.priority), (trigger::JOB_DEREGISTER, 80));
    let job = world.state.job(&key("web")).unwrap();
    assert!(job.head().stopped);
    assert_eq!((job.head().version, job.head().job_modify_index), (1, 2));
    let again = written(world.run(Op::DeregisterJob { key: key("web"), purge: false, eval_priority: 0 }).reply);
    assert!(again.eval_id.is_some() && !again.new_version);
    world.settle();
    assert_eq!(world.state.job_status(&key("web")), Some(JobStatus::Dead));
    world.register(service("web", 1));
    assert!(!world.state.job(&key("web")).unwrap().head().stopped);
}

#[test]
fn a_purged_job_is_gone_but_its_allocations_still_find_their_version() {
    let (mut world, id) = one_copy();
    let reply = written(world.run(Op::DeregisterJob { key: key("web"), purge: true, eval_priority: 0 }).reply);
    assert!(reply.eval_id.is_some());
    assert_eq!(world.state.job(&key("web")), None);
    assert!(world.state.job_versions(&key("web")).is_empty());
    world.register(service("web", 5));
    let alloc = world.state.alloc(id).unwrap();
    let run = world.state.job_of_alloc(&alloc).unwrap();
    assert_eq!(run.compiled().groups[0].count, 1);
    assert_eq!(world.state.job(&key("web")).unwrap().head().version, 0);
}

#[test]
fn an_unknown_job_is_no_error() {
    let mut world = World::default();
    let outcome = world.run(Op::DeregisterJob { key: key("nope"), purge: true, eval_priority: 0 });
    assert_eq!(outcome.reply, Reply::Job(crate::JobWritten::default()));
    assert!(outcome.touched.is_empty());
}

#[test]
fn templates_get_no_evaluation_and_count_as_running() {
    let mut world = World::default();
    let periodic = model::job::Job { periodic: Some(PeriodicConfig::default()), ..service("nightly", 1) };
    let mut parameterized = service("on-call", 1);
    parameterized.parameterized_job = Some(ParameterizedJobConfig::default());
    for job in [periodic, parameterized] {
        let key = key(job.id.as_deref().unwrap());
        assert_eq!(written(world.run(register(job)).reply).eval_id, None);
        assert_eq!(world.state.job_status(&key), Some(JobStatus::Running));
    }
    let child = model::job::Job { dispatched: true, ..service("on-call/dispatch-1", 1) };
    world.register(child);
    assert_eq!(world.state.job_summary(&key("on-call")).unwrap().children.pending, 1);
}

#[test]
fn a_document_without_id_is_refused() {
    let mut world = World::default();
    assert_eq!(world.run(register(service("", 1))).reply, Reply::Refused(Refusal::JobWithoutId));
}

#[test]
fn a_job_purged_and_registered_within_one_entry_keeps_versions_apart() {
    let mut world = World::default();
    world.run(join(1));
    for op in [
        register(service("web", 1)),
        Op::DeregisterJob { key: key("web"), purge: true, eval_priority: 0 },
        register(service("web", 2)),
    ] {
        let seed = model::id::Seed(900 + world.log.len() as u128);
        let command = crate::Command { at: model::time::Timestamp(5), seed, op };
        world.state.apply(5, &command);
        world.log.push((5, command));
    }
    assert_eq!(world.state.job(&key("web")).unwrap().compiled().groups[0].count, 2);
    assert!(world.state.node(NodeId(1)).is_some());
}

#[test]
fn prefixes_list_in_order_within_a_namespace() {
    let mut world = World::default();
    for id in ["web", "web-2", "api", "wb"] {
        world.register(service(id, 1));
    }
    world.register(model::job::Job { namespace: Some("other".to_owned()), ..service("web-3", 1) });
    let found: Vec<_> = world.state.jobs_with_prefix("default", "web").map(|(key, _)| key.id.to_string()).collect();
    assert_eq!(found, ["web", "web-2"]);
}
