//! A driver that runs nothing and does what its settings say.
