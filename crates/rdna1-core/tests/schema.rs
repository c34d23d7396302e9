// SPDX-License-Identifier: MIT OR Apache-2.0
//! The JSON schemas, as far as that is possible without a validator, which
//! would bring more crates than the program has; python3-jsonschema checks the
//! policy against the schema instead.
#![cfg(feature = "schema")]

use rdna1_core::schema;
use serde_json::Value;

/// Calls `visit` with every object of a schema and the way to it.
fn walk(path: &str, value: &Value, visit: &mut impl FnMut(&str, &serde_json::Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            visit(path, map);
            for (key, value) in map {
                walk(&format!("{path}/{key}"), value, visit);
            }
        }
        Value::Array(items) => {
            for (i, value) in items.iter().enumerate() {
                walk(&format!("{path}/{i}"), value, visit);
            }
        }
        _ => {}
    }
}

#[test]
fn every_structure_is_closed_and_every_key_described() {
    for (name, schema) in [("policy", schema::policy()), ("config", schema::config())] {
        assert!(schema["title"].is_string() && schema["description"].is_string(), "{name}");
        walk(name, &schema, &mut |path, map| {
            let Some(properties) = map.get("properties").and_then(Value::as_object) else { return };
            // A map from keys to values states the values' schema instead.
            assert_eq!(map.get("additionalProperties"), Some(&Value::Bool(false)), "{path} admits unknown keys");
            for (key, property) in properties {
                let described = property.get("description").is_some() || property.get("const").is_some();
                assert!(described, "{path}/{key} has no description");
            }
        });
    }
}

#[test]
fn references_lead_somewhere() {
    for schema in [schema::policy(), schema::config()] {
        walk("", &schema, &mut |path, map| {
            if let Some(Value::String(reference)) = map.get("$ref") {
                let target = reference.strip_prefix('#').and_then(|pointer| schema.pointer(pointer));
                assert!(target.is_some(), "{path}: {reference}");
            }
        });
    }
}

#[test]
fn the_policy_has_the_keys_that_its_schema_names() {
    let schema = schema::policy();
    let policy: Value = serde_yaml::from_str(rdna1_core::policy::Policy::embedded_yaml()).expect("the policy is YAML");
    let keys = |value: &Value| -> Vec<String> {
        let mut keys: Vec<String> = value.as_object().expect("a mapping").keys().cloned().collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(&policy), keys(&schema["properties"]));
}
