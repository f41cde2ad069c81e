//! What an entry does, worked out while the disk still takes the entry: applying is pure, so it may come first. Nobody
//! sees the outcome before the entry is committed.

use std::sync::Arc;

use state::{Command, Reply, State, Touched};
use tokio::sync::Mutex;

/// What applying a batch makes of a state.
pub struct Applied {
    /// The index of the state that it was applied to.
    base: u64,
    /// The state after the batch.
    pub state: State,
    /// All that the batch changed.
    pub touched: Touched,
    /// The state's index after each command, and its reply.
    pub replies: Vec<(u64, Reply)>,
}

impl Applied {
    /// Applies commands in their order. Every command has an index of its own, so that two writes never share one, and
    /// that stays as it is when the log gains entries without commands.
    pub fn of(mut state: State, commands: &[Command]) -> Applied {
        let base = state.index();
        let mut touched = Touched::default();
        let mut replies = Vec::with_capacity(commands.len());
        for command in commands {
            let reply = state.apply_one_of(state.index() + 1, command, &mut touched);
            replies.push((state.index(), reply));
        }
        Applied { base, state, touched, replies }
    }
}

/// Where the one who proposes a batch leaves its outcome for the one who applies it. Clones are the same place.
#[derive(Clone, Default)]
pub struct Ahead {
    slot: Arc<Mutex<Slot>>,
}

#[derive(Default)]
enum Slot {
    #[default]
    Open,
    Ready(Box<Applied>),
    /// Who applies was here: an outcome would only be in the way now.
    Closed,
}

impl Ahead {
    /// Works out what `commands` make of `state`, unless who applies was here already.
    pub async fn work(&self, state: &State, commands: &[Command]) {
        let mut slot = self.slot.lock().await;
        if matches!(*slot, Slot::Open) {
            *slot = Slot::Ready(Box::new(Applied::of(state.clone(), commands)));
        }
    }

    /// What was left here, if it belongs to the state of this index. What is being worked out is waited for.
    pub async fn take(&self, base: u64) -> Option<Applied> {
        match std::mem::replace(&mut *self.slot.lock().await, Slot::Closed) {
            Slot::Ready(outcome) if outcome.base == base => Some(*outcome),
            _ => None,
        }
    }
}
