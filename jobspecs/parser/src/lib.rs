//! HCL job files to model::Job, with positions.
