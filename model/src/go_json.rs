//! Structs that read and write JSON the way Go's `encoding/json` does.
//!
//! Reading: key case does not matter, unknown keys are ignored, `null` stands for the default. Writing: every field,
//! unset options as `null`; a field marked `omit` is left out while it holds its default. The same impls serve the
//! log's named MessagePack, which only they read: there every field is left out while it holds its default.

/// Defines structs with their JSON names; see the module's text for the rules.
macro_rules! go_json {
    ($(#[$meta:meta])* pub struct $name:ident { $($body:tt)* }) => {
        $crate::go_json::go_json!(@fields [$(#[$meta])*] $name [] [] $($body)*);
    };
    (@fields [$($meta:tt)*] $name:ident [$($decl:tt)*] [$($read:tt)*]
        $(#[$fmeta:meta])* omit $field:ident : $ty:ty = $json:literal, $($rest:tt)*) => {
        $crate::go_json::go_json!(@fields [$($meta)*] $name
            [$($decl)* $(#[$fmeta])* pub $field: $ty,]
            [$($read)* $field : $ty = $json, omit true,]
            $($rest)*);
    };
    (@fields [$($meta:tt)*] $name:ident [$($decl:tt)*] [$($read:tt)*]
        $(#[$fmeta:meta])* $field:ident : $ty:ty = $json:literal, $($rest:tt)*) => {
        $crate::go_json::go_json!(@fields [$($meta)*] $name
            [$($decl)* $(#[$fmeta])* pub $field: $ty,]
            [$($read)* $field : $ty = $json, omit false,]
            $($rest)*);
    };
    (@fields [$($meta:tt)*] $name:ident [$($decl:tt)*] [$($field:ident : $ty:ty = $json:literal, omit $omit:literal,)*]) => {
        $($meta)*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name { $($decl)* }

        impl $name {
            /// The JSON names of the fields, in declaration order.
            pub const FIELDS: &'static [&'static str] = &[$($json),*];
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeStruct as _;
                #[allow(unused_variables, reason = "a struct may have no fields")]
                let terse = !serializer.is_human_readable();
                let count = 0 $(+ usize::from(!((terse || $omit) && $crate::go_json::is_default(&self.$field))))*;
                #[allow(unused_mut, reason = "a struct may have no fields")]
                let mut fields = serializer.serialize_struct(stringify!($name), count)?;
                $(if (terse || $omit) && $crate::go_json::is_default(&self.$field) {
                    fields.skip_field($json)?;
                } else {
                    fields.serialize_field($json, &self.$field)?;
                })*
                fields.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;
                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $name;
                    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        out.write_str(concat!("an object (", stringify!($name), ")"))
                    }
                    #[allow(unused_mut, unused_variables, reason = "a struct may have no fields")]
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        let mut value = $name::default();
                        while let Some(key) = map.next_key::<std::borrow::Cow<'_, str>>()? {
                            match $crate::go_json::field_called(&key, $name::FIELDS) {
                                $($json => value.$field = map.next_value::<Option<$ty>>()?.unwrap_or_default(),)*
                                _ => drop(map.next_value::<serde::de::IgnoredAny>()?),
                            }
                        }
                        Ok(value)
                    }
                }
                deserializer.deserialize_map(Fields)
            }
        }
    };
}
pub(crate) use go_json;

/// The one of `fields` that `key` means whatever its case; `key` itself when there is none. Nearly all keys are spelled
/// as the field is.
pub(crate) fn field_called<'a>(key: &'a str, fields: &[&'a str]) -> &'a str {
    let is_field = |field: &&&str| **field == key;
    let means_field = |field: &&&str| field.eq_ignore_ascii_case(key);
    fields.iter().find(is_field).or_else(|| fields.iter().find(means_field)).copied().unwrap_or(key)
}

/// Whether a field marked `omit` is left out of the JSON.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
