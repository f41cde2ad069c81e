//! Snapshots round trip; damaged ones are refused with a reason.

use super::fixtures::*;
use crate::{SnapshotError, State};

#[test]
fn a_snapshot_restores_the_same_state() {
    let (mut world, _) = one_copy();
    world.register(service("web", 4));
    let bytes = world.state.to_bytes().unwrap();
    let restored = State::from_bytes(&bytes).unwrap();
    assert_eq!(restored, world.state);
    assert_eq!(restored.hash().unwrap(), world.state.hash().unwrap());
    assert_eq!(restored.to_bytes().unwrap(), bytes);
}

#[test]
fn every_cut_is_noticed() {
    let (world, _) = one_copy();
    let bytes = world.state.to_bytes().unwrap();
    for end in 0..bytes.len() {
        assert!(State::from_bytes(&bytes[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn a_newer_format_is_named() {
    let bytes = State::new().to_bytes().unwrap();
    let at = bytes.windows(7).position(|window| window == b"version").unwrap() + 7;
    let mut newer = bytes.clone();
    newer[at] = 99;
    let refused = State::from_bytes(&newer);
    assert!(matches!(refused, Err(SnapshotError::Format { version: 99, .. })), "{refused:?}");
}

#[test]
fn commands_travel_as_named_messagepack() {
    let (world, _) = one_copy();
    for (_, command) in &world.log {
        let bytes = rmp_serde::to_vec_named(command).unwrap();
        assert_eq!(&rmp_serde::from_slice::<crate::Command>(&bytes).unwrap(), command);
    }
}
