//! The API's form of a job: the object itself, or under the key `Job`.

use std::fmt;

use model::job::Job;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

/// What stands under `Job`, in whatever case, if the document has that key.
pub(crate) struct Wrapped(pub Option<Job>);

impl<'de> Deserialize<'de> for Wrapped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Wrapped, D::Error> {
        struct Find;
        impl<'de> Visitor<'de> for Find {
            type Value = Wrapped;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a job as an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Wrapped, A::Error> {
                let mut found = None;
                while let Some(key) = map.next_key::<String>()? {
                    if key.eq_ignore_ascii_case("Job") {
                        found = map.next_value::<Option<Job>>()?;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Wrapped(found))
            }
        }
        deserializer.deserialize_map(Find)
    }
}
