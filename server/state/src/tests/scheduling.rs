//! The scheduler configuration in the state.

use model::scheduling::{Algorithm, SchedulerConfiguration};

use super::fixtures::*;
use crate::{Op, Reply, State, Table};

#[test]
fn it_is_kept_compared_and_restored() {
    let mut world = World::default();
    assert!(world.state.scheduling().preemption_config.system_scheduler_enabled, "what holds before anything is set");
    let spread = SchedulerConfiguration { scheduler_algorithm: Algorithm::Spread, ..SchedulerConfiguration::default() };
    let set = |config: &SchedulerConfiguration, cas| Op::SetScheduling { config: config.clone(), cas };
    assert_eq!(world.run(set(&spread, Some(9))).reply, Reply::Scheduling { updated: false });
    assert_eq!(world.state.table_index(Table::Scheduling), 0);
    assert_eq!(world.run(set(&spread, None)).reply, Reply::Scheduling { updated: true });
    let stored = world.state.scheduling();
    assert_eq!((stored.create_index, stored.modify_index), (world.state.index(), world.state.index()));
    assert!(!stored.preemption_config.system_scheduler_enabled, "what is left out is off");
    let cas = Some(stored.modify_index);
    assert_eq!(world.run(set(&SchedulerConfiguration::initial(), cas)).reply, Reply::Scheduling { updated: true });
    assert_eq!(world.state.scheduling().create_index, stored.create_index);
    assert_eq!(State::from_bytes(&world.state.to_bytes().unwrap()).unwrap(), world.state);
}
