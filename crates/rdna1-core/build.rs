//! Embeds the policy as JSON: the boot entry point parses it in a fraction of
//! the time that the YAML takes, and the YAML stays the only place to edit.
//!
//! There are three forms: the whole; one without what only people read, which is
//! all that can decide at boot; and that without the descriptions of variables,
//! a tenth of the whole, for machines whose configuration names none.

use std::path::Path;
use std::{env, fs};

use serde_json::Value;

/// Keys whose values are texts for people; the types want them to be there.
const TEXTS: [&str; 7] = ["do", "effect", "for", "happens", "summary", "title", "why"];

/// Keys that decide nothing and may be left out.
const REMARKS: [&str; 5] = ["caution", "hazard", "limits", "note", "revisions"];

fn main() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policy/rdna1.yaml");
    println!("cargo::rerun-if-changed={}", source.display());
    let text = fs::read_to_string(&source).unwrap_or_else(|e| panic!("cannot read {}: {e}", source.display()));
    let yaml: serde_yaml::Value = serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", source.display()));
    let mut policy =
        serde_json::to_value(&yaml).unwrap_or_else(|e| panic!("{}: not representable as JSON: {e}", source.display()));
    write("policy.json", &policy);
    policy["sources"] = Value::Object(serde_json::Map::new());
    policy["advisories"] = Value::Array(Vec::new());
    policy["guidance"] = Value::Array(Vec::new());
    // Of a card the name is a text for people; of a variable it is what it is about.
    for (key, value) in policy.as_object_mut().expect("the policy is a mapping") {
        shorten(value, if key == "cards" { &["name"] } else { &TEXTS });
    }
    write("boot-policy-variables.json", &policy);
    for key in ["variables", "extra_variable_prefixes"] {
        policy[key] = Value::Array(Vec::new());
    }
    write("boot-policy.json", &policy);
}

/// Empties texts and lists of sources, and leaves out remarks, at any depth.
fn shorten(value: &mut Value, texts: &[&str]) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !REMARKS.contains(&key.as_str()));
            for (key, value) in map {
                match value {
                    Value::String(text) if texts.contains(&key.as_str()) => text.clear(),
                    Value::Array(list) if key == "sources" => list.clear(),
                    _ => shorten(value, texts),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|item| shorten(item, texts)),
        _ => {}
    }
}

fn write(name: &str, policy: &Value) {
    let out = Path::new(&env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join(name);
    fs::write(&out, policy.to_string()).unwrap_or_else(|e| panic!("cannot write {}: {e}", out.display()));
}
