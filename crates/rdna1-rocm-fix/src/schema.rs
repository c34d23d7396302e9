// SPDX-License-Identifier: MIT OR Apache-2.0
//! JSON schemas of what the program prints with `--json`.

use serde_json::Value;

use crate::commands::{detect, evidence, status};

/// Each document's schema under its file name.
pub fn documents() -> [(&'static str, Value); 3] {
    [
        ("detect.schema.json", schemars::schema_for!(detect::Document<'_>).to_value()),
        ("explain.schema.json", schemars::schema_for!(evidence::Document).to_value()),
        ("status.schema.json", schemars::schema_for!(status::Document<'_>).to_value()),
    ]
}
