//! A stored job: its document and the text that it came from.

use std::sync::Arc;

use model::api::JobSubmission;
use model::compiled::CompiledJob;
use model::document::{Document, Head};

/// One version of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredJob {
    /// The canonical document with its indexes. Its `Status` is the one at the time of writing; see
    /// [`crate::State::job_status`].
    pub document: Arc<Document>,
    /// The text that it came from.
    pub submission: Option<Arc<JobSubmission>>,
}

impl StoredJob {
    /// What is known without unpacking the document.
    pub fn head(&self) -> &Head {
        self.document.head()
    }

    /// What planner and client read; made when it is first asked for.
    pub fn compiled(&self) -> &Arc<CompiledJob> {
        self.document.compiled()
    }
}
