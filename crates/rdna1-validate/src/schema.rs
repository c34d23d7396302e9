// SPDX-License-Identifier: MIT OR Apache-2.0
//! JSON schemas of what the program prints as JSON.

use serde_json::Value;

use crate::{compare, isa, report, select};

/// Each document's schema under its file name.
pub fn documents() -> [(&'static str, Value); 6] {
    [
        ("isa.schema.json", schemars::schema_for!(rdna1_isa::Report).to_value()),
        ("isa-kernels.schema.json", schemars::schema_for!(isa::Kernels).to_value()),
        ("plan.schema.json", schemars::schema_for!(rdna1_miopen::plan::Report).to_value()),
        ("select.schema.json", schemars::schema_for!(select::table::Document).to_value()),
        ("compare.schema.json", schemars::schema_for!(compare::Comparison).to_value()),
        ("report.schema.json", schemars::schema_for!(report::Report).to_value()),
    ]
}
