//! Pure: replicated tables, commands, apply, snapshots.
