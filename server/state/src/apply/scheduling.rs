//! The scheduler configuration.

use model::scheduling::SchedulerConfiguration;

use super::write::Writer;
use crate::reply::Reply;

/// Stores `config`, unless `cas` names another `ModifyIndex` than the stored one has.
pub(super) fn set(writer: &mut Writer<'_>, config: &SchedulerConfiguration, cas: Option<u64>) -> Reply {
    let stored = writer.state.scheduling();
    if cas.is_some_and(|expected| expected != stored.modify_index) {
        return Reply::Scheduling { updated: false };
    }
    let create_index = if stored.create_index == 0 { writer.index } else { stored.create_index };
    writer.put_scheduling(SchedulerConfiguration { create_index, modify_index: writer.index, ..config.clone() });
    Reply::Scheduling { updated: true }
}
