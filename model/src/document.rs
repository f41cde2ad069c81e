//! A job that never changes again: its head, and all of it in packed form.
//!
//! Thousands of jobs lie in the state of which nothing is asked but their head; they are unpacked, and compiled, when
//! somebody wants more of them.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::compiled::{CompiledJob, JobKind, compile};
use crate::id::JobKey;
use crate::job::Job;
use crate::wire::{PackError, UnpackError, Wire};

/// What is asked of many jobs at a time, and what the state notes about each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Namespace and id.
    pub key: JobKey,
    /// Which scheduler plans it.
    pub kind: JobKind,
    /// 1 to 100; higher is planned first.
    pub priority: i64,
    /// Whether it is only a template for the jobs it launches, so that it has no evaluations of its own.
    pub is_template: bool,
    /// Whether a user stopped it.
    pub stopped: bool,
    /// Whether it was submitted under a tag, which the stored one does not keep.
    pub is_tagged: bool,
    /// Version of the document.
    pub version: u64,
    /// Log index of the job's creation.
    pub create_index: u64,
    /// Log index of the last change of the row.
    pub modify_index: u64,
    /// Log index of the last change by a user.
    pub job_modify_index: u64,
    /// When this version was submitted, in nanoseconds since 1970.
    pub submit_time: i64,
}

impl Head {
    fn of(job: &Job) -> Head {
        let namespace = job.namespace.as_deref().filter(|text| !text.is_empty()).unwrap_or("default");
        Head {
            key: JobKey::new(namespace, job.id.as_deref().unwrap_or_default()),
            kind: job.r#type.as_deref().and_then(JobKind::parse).unwrap_or_default(),
            priority: job.priority.unwrap_or(50),
            is_template: job.periodic.is_some() || (job.parameterized_job.is_some() && !job.dispatched),
            stopped: job.stop.unwrap_or(false),
            is_tagged: job.version_tag.is_some(),
            version: job.version.unwrap_or(0),
            create_index: job.create_index.unwrap_or(0),
            modify_index: job.modify_index.unwrap_or(0),
            job_modify_index: job.job_modify_index.unwrap_or(0),
            submit_time: job.submit_time.unwrap_or(0),
        }
    }

    /// The compiled job with these notes instead of its own.
    fn note_on(&self, compiled: &CompiledJob) -> CompiledJob {
        CompiledJob {
            stopped: self.stopped,
            version: self.version,
            create_index: self.create_index,
            job_modify_index: self.job_modify_index,
            ..compiled.clone()
        }
    }

    /// Writes the notes into a job as it was submitted.
    fn complete(&self, job: &mut Job) {
        if self.stopped || job.stop.is_some() {
            job.stop = Some(self.stopped);
        }
        job.version = Some(self.version);
        job.create_index = Some(self.create_index);
        job.modify_index = Some(self.modify_index);
        job.job_modify_index = Some(self.job_modify_index);
        job.submit_time = Some(self.submit_time);
        job.stable = Some(false);
        job.status = Some(if self.stopped { "dead" } else { "pending" }.to_owned());
        job.status_description = Some(String::new());
        job.version_tag = None;
    }
}

/// One version of a job.
#[derive(Clone, Debug)]
pub struct Document {
    head: Head,
    form: Form,
    compiled: OnceLock<Arc<CompiledJob>>,
}

/// What a document was made from; the other form follows when it is asked for.
#[derive(Clone, Debug)]
enum Form {
    Job { job: Box<Job>, packed: OnceLock<Arc<[u8]>> },
    Packed { packed: Arc<[u8]>, job: OnceLock<Box<Job>> },
}

impl Document {
    /// What is known without unpacking it.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The whole job; it stays unpacked.
    ///
    /// # Panics
    /// When the packed form is no job although it is not damaged, which is a bug.
    pub fn job(&self) -> &Job {
        match &self.form {
            Form::Job { job, .. } => job,
            Form::Packed { packed, job } => job.get_or_init(|| Box::new(self.or_panic(self.unpack(packed)))),
        }
    }

    /// Looks at the whole job, which does not stay unpacked if it was not before.
    ///
    /// # Panics
    /// As [`Document::job`].
    pub fn peek<T>(&self, look: impl FnOnce(&Job) -> T) -> T {
        self.or_panic(self.try_peek(look))
    }

    /// As [`Document::peek`], without the panic.
    ///
    /// # Errors
    /// When the packed form is no job.
    pub fn try_peek<T>(&self, look: impl FnOnce(&Job) -> T) -> Result<T, UnpackError> {
        match &self.form {
            Form::Packed { packed, job } if job.get().is_none() => Ok(look(&self.unpack(packed)?)),
            Form::Packed { .. } | Form::Job { .. } => Ok(look(self.job())),
        }
    }

    /// What planner and client read; made once.
    ///
    /// # Panics
    /// As [`Document::job`].
    pub fn compiled(&self) -> &Arc<CompiledJob> {
        self.compiled.get_or_init(|| Arc::new(self.peek(compile)))
    }

    /// The same job with other notes; what `head` says of the job itself must stay true. What was compiled stays so.
    pub fn with_head(&self, head: Head) -> Document {
        let compiled = match self.compiled.get() {
            Some(compiled) => OnceLock::from(Arc::new(head.note_on(compiled))),
            None => OnceLock::new(),
        };
        // What came through the log has been packed.
        let packed = self.packed().cloned().unwrap_or_default();
        Document { compiled, ..Document::of_parts(head, packed) }
    }

    /// The same document in its packed form; a job that was whole is given up by the thread that made it, which costs less
    /// than elsewhere.
    ///
    /// # Errors
    /// When the job has no packed form, which no job is.
    pub fn into_packed(self) -> Result<Document, PackError> {
        let packed = self.packed()?.clone();
        let Document { head, compiled, .. } = self;
        Ok(Document { compiled, ..Document::of_parts(head, packed) })
    }

    fn of_parts(head: Head, packed: Arc<[u8]>) -> Document {
        Document { head, form: Form::Packed { packed, job: OnceLock::new() }, compiled: OnceLock::new() }
    }

    fn packed(&self) -> Result<&Arc<[u8]>, PackError> {
        match &self.form {
            Form::Packed { packed, .. } => Ok(packed),
            Form::Job { job, packed } => match packed.get() {
                Some(packed) => Ok(packed),
                None => {
                    let bytes = job.pack()?;
                    Ok(packed.get_or_init(|| bytes.into()))
                }
            },
        }
    }

    fn unpack(&self, packed: &[u8]) -> Result<Job, UnpackError> {
        let mut job = Job::unpack(packed)?;
        self.head.complete(&mut job);
        Ok(job)
    }

    fn or_panic<T>(&self, outcome: Result<T, UnpackError>) -> T {
        match outcome {
            Ok(value) => value,
            Err(why) => panic!("the stored form of job {} is whole and yet no job: {why}", self.head.key),
        }
    }
}

impl From<Job> for Document {
    fn from(job: Job) -> Document {
        let head = Head::of(&job);
        Document { head, form: Form::Job { job: Box::new(job), packed: OnceLock::new() }, compiled: OnceLock::new() }
    }
}

impl Default for Document {
    fn default() -> Document {
        Document::from(Job::default())
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Document) -> bool {
        self.head == other.head && self.packed().ok() == other.packed().ok()
    }
}

/// A document on disk and on the wire.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    head: Cow<'a, Head>,
    #[serde(borrow)]
    job: Bytes<'a>,
    /// CRC-32 of the packed job: damage is found when it is read, and not when the job is needed.
    sum: u32,
}

/// Bytes that are written as such, and not as a list of numbers.
#[derive(Deserialize)]
#[serde(transparent)]
struct Bytes<'a>(#[serde(borrow)] &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let packed = self.packed().map_err(S::Error::custom)?;
        let stored = Stored { head: Cow::Borrowed(&self.head), job: Bytes(packed), sum: crc32fast::hash(packed) };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Document, D::Error> {
        let Stored { head, job: Bytes(packed), sum } = Stored::deserialize(deserializer)?;
        if crc32fast::hash(packed) != sum {
            return Err(D::Error::custom(format!("job {} is damaged", head.key)));
        }
        Ok(Document::of_parts(head.into_owned(), packed.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        let mut job = Job { id: Some("web".to_owned()), priority: Some(70), ..Job::default() };
        job.canonicalise();
        job
    }

    #[test]
    fn what_is_packed_comes_back_with_its_notes() {
        let document = Document::from(job());
        let head = Head { version: 3, create_index: 7, job_modify_index: 9, ..document.head().clone() };
        let stored = document.with_head(head.clone());
        let bytes = rmp_serde::to_vec_named(&stored).unwrap();
        let read: Document = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!((&read, read.head()), (&stored, &head));
        assert_eq!((read.job().version, read.job().create_index, read.job().priority), (Some(3), Some(7), Some(70)));
        let compiled = read.compiled();
        assert_eq!((compiled.version, compiled.job_modify_index, compiled.priority), (3, 9, 70));
        assert!(!read.peek(|job| job.stop == Some(true)));
        let stopped = read.with_head(Head { stopped: true, ..head });
        assert!(stopped.compiled().stopped && stopped.job().stop == Some(true));
    }

    #[test]
    fn head_and_compiled_form_agree() {
        let texts =
            [r#"{"ID":"a"}"#, r#"{"ID":"b","Namespace":"","Type":"system","Stop":true}"#, r#"{"ID":"c","Priority":1}"#];
        for text in texts {
            let mut job: Job = serde_json::from_str(text).unwrap();
            job.canonicalise();
            let document = Document::from(job);
            let (head, compiled) = (document.head(), document.compiled());
            assert_eq!((&head.key, head.kind, head.priority), (&compiled.key, compiled.kind, compiled.priority));
            assert_eq!((head.stopped, head.version), (compiled.stopped, compiled.version));
        }
    }

    #[test]
    fn what_was_compiled_before_gets_the_new_notes() {
        let job = Job { task_groups: Some(vec![crate::job::TaskGroup::default()]), ..job() };
        let (plain, compiled) = (Document::from(job.clone()), Document::from(job));
        let groups = compiled.compiled().groups.clone();
        let head = Head { version: 3, create_index: 7, job_modify_index: 9, stopped: true, ..plain.head().clone() };
        let (later, carried) = (plain.with_head(head.clone()), compiled.with_head(head));
        assert_eq!(later.compiled(), carried.compiled());
        assert!(std::sync::Arc::ptr_eq(&groups, &carried.compiled().groups), "nothing was compiled again");
    }

    #[test]
    fn damage_is_found_when_it_is_read() {
        let document = Document::from(job());
        let whole = rmp_serde::to_vec_named(&document).unwrap();
        let (packed, mut bytes) = (document.packed().unwrap().clone(), whole.clone());
        let place = whole.windows(packed.len()).position(|window| *window == *packed).unwrap();
        bytes[place + packed.len() / 2] ^= 1;
        let refused = rmp_serde::from_slice::<Document>(&bytes).unwrap_err().to_string();
        assert!(refused.contains("job default/web is damaged"), "{refused}");
        assert!(rmp_serde::from_slice::<Document>(&whole[..place + 3]).is_err());
    }
}
