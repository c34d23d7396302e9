//! Embeds the policy as JSON: the boot entry point parses it in a fraction of
//! the time that the YAML takes, and the YAML stays the only place to edit.

use std::path::Path;
use std::{env, fs};

fn main() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policy/rdna1.yaml");
    println!("cargo::rerun-if-changed={}", source.display());
    let text = fs::read_to_string(&source).unwrap_or_else(|e| panic!("cannot read {}: {e}", source.display()));
    let value: serde_yaml::Value = serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", source.display()));
    let json = serde_json::to_string(&value)
        .unwrap_or_else(|e| panic!("{}: not representable as JSON: {e}", source.display()));
    let out = Path::new(&env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("policy.json");
    fs::write(&out, json).unwrap_or_else(|e| panic!("cannot write {}: {e}", out.display()));
}
