//! Whole-system scenarios with real agents.
