// SPDX-License-Identifier: MIT OR Apache-2.0
//! JSON schemas of what `isa` and `plan` print with `--json`.

use serde_json::Value;

use crate::{isa, report};

/// Each document's schema under its file name.
pub fn documents() -> [(&'static str, Value); 4] {
    [
        ("isa.schema.json", schemars::schema_for!(rdna1_isa::Report).to_value()),
        ("isa-kernels.schema.json", schemars::schema_for!(isa::Kernels).to_value()),
        ("plan.schema.json", schemars::schema_for!(rdna1_miopen::plan::Report).to_value()),
        ("report.schema.json", schemars::schema_for!(report::Report).to_value()),
    ]
}
