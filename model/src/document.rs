//! A job that never changes again, with its packed form for the wire.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::job::Job;
use crate::wire::{PackError, UnpackError, Wire};

/// One version of a job. Serializes as the job does.
#[derive(Clone, Debug, Default)]
pub struct Document {
    job: Job,
    packed: OnceLock<Arc<[u8]>>,
}

impl Document {
    /// The job.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// The job as named MessagePack. Made once, however often it is sent.
    ///
    /// # Errors
    /// What cannot be packed, which is nothing that a job holds.
    pub fn packed(&self) -> Result<&[u8], PackError> {
        if let Some(packed) = self.packed.get() {
            return Ok(packed);
        }
        let packed = self.job.pack()?;
        Ok(self.packed.get_or_init(|| packed.into()))
    }

    /// The job of a packed form.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn unpack(bytes: &[u8]) -> Result<Document, UnpackError> {
        Job::unpack(bytes).map(Document::from)
    }
}

impl From<Job> for Document {
    fn from(job: Job) -> Document {
        Document { job, packed: OnceLock::new() }
    }
}

impl Deref for Document {
    type Target = Job;
    fn deref(&self) -> &Job {
        &self.job
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Document) -> bool {
        self.job == other.job
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.job.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Document, D::Error> {
        Job::deserialize(deserializer).map(Document::from)
    }
}
