// SPDX-License-Identifier: MIT OR Apache-2.0
//! JSON schemas of the files that people write, for editors and for readers in
//! other languages. What concerns a document as a whole (ids unique, sources
//! that exist) is beyond a schema; the program checks that when it reads them.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use crate::config::ConfigFile;
use crate::policy::Policy;

/// The schema of `policy/rdna1.yaml`.
pub fn policy() -> Value {
    of::<Policy>("The policy of rdna1-rocm-fix")
}

/// The schema of `/etc/rdna1-rocm-fix/config.yaml` and of its drop-ins.
pub fn config() -> Value {
    of::<ConfigFile>("The configuration of rdna1-rocm-fix")
}

/// What a file may hold, rather than what the program would write.
fn of<T: JsonSchema>(title: &str) -> Value {
    let mut schema: Schema =
        SchemaSettings::draft2020_12().for_deserialize().into_generator().into_root_schema_for::<T>();
    schema.insert("title".into(), title.into());
    schema.into()
}
