//! A stored job: its document, the compiled form and the text that it came from.

use std::sync::Arc;

use model::api::JobSubmission;
use model::compiled::{CompiledJob, compile};
use model::document::Document;
use model::job::Job;

/// One version of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredJob {
    /// The canonical document with its indexes. Its `Status` is the one at the time of writing; see
    /// [`crate::State::job_status`].
    pub document: Arc<Document>,
    /// What planner and client read; derived from the document.
    pub compiled: Arc<CompiledJob>,
    /// The text that it came from.
    pub submission: Option<Arc<JobSubmission>>,
}

impl StoredJob {
    /// Compiles a document.
    pub fn new(document: Job, submission: Option<Arc<JobSubmission>>) -> StoredJob {
        let compiled = Arc::new(compile(&document));
        StoredJob { document: Arc::new(document.into()), compiled, submission }
    }

    /// Log index of the last change of the row.
    pub fn modify_index(&self) -> u64 {
        self.document.modify_index.unwrap_or(0)
    }

    /// Whether it is only a template for the jobs it launches, so that it has no evaluations of its own.
    pub fn is_template(&self) -> bool {
        self.document.periodic.is_some() || (self.document.parameterized_job.is_some() && !self.document.dispatched)
    }
}
