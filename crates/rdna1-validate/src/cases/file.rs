// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads case files: families of cases that differ in a few values.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_yaml::{Mapping, Value};

use super::{Case, CaseError, Work};
use crate::report::{Layer, Level};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    families: Vec<Family>,
}

/// Cases with a title.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Family {
    id: String,
    title: String,
    layer: Layer,
    /// What all cases have in common: `kind` and values.
    base: Mapping,
    cases: Vec<Entry>,
}

/// Cases of a family: its base, with other values.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Its name; values of `each` are appended.
    #[serde(default)]
    id: Option<String>,
    /// The smallest level that has them.
    level: Level,
    /// Values in place of the base's.
    #[serde(default)]
    with: Mapping,
    /// Values of which each makes a case of its own; several keys make every
    /// combination. A value that is a map stands for several values at once.
    #[serde(default)]
    each: BTreeMap<String, Vec<Value>>,
    /// Values of `each` that also `quick` has: a case is one of them if every
    /// key named here has one of its values.
    #[serde(default)]
    quick: BTreeMap<String, Vec<Value>>,
}

/// Reads a file and checks every case in it.
pub(super) fn parse(name: &str, text: &str) -> Result<Vec<Case>, CaseError> {
    let wrong = |problem: String| CaseError { file: name.to_owned(), problem };
    let file: File = serde_yaml::from_str(text).map_err(|e| wrong(e.to_string()))?;
    if file.version != 1 {
        return Err(wrong(format!("version {} is not 1", file.version)));
    }
    let mut cases = Vec::new();
    for family in &file.families {
        for (number, entry) in family.cases.iter().enumerate() {
            let of = |problem: String| wrong(format!("family `{}`, entry {}: {problem}", family.id, number + 1));
            cases.extend(expand(family, entry).map_err(of)?);
        }
    }
    Ok(cases)
}

fn expand(family: &Family, entry: &Entry) -> Result<Vec<Case>, String> {
    if let Some((key, _)) = entry.quick.iter().find(|(key, values)| {
        let offered = entry.each.get(*key).map(Vec::as_slice).unwrap_or_default();
        values.iter().any(|value| !offered.contains(value))
    }) {
        return Err(format!("quick names values of `{key}` that `each` does not have"));
    }
    let mut combinations: Vec<Vec<(&str, &Value)>> = vec![Vec::new()];
    for (key, values) in &entry.each {
        let with = |value| combinations.iter().map(move |before| [&before[..], &[(key.as_str(), value)]].concat());
        combinations = values.iter().flat_map(with).collect();
    }
    combinations.iter().map(|chosen| case(family, entry, chosen)).collect()
}

fn case(family: &Family, entry: &Entry, chosen: &[(&str, &Value)]) -> Result<Case, String> {
    let mut values = family.base.clone();
    values.extend(entry.with.clone());
    let mut parts: Vec<String> = entry.id.iter().cloned().collect();
    for (key, value) in chosen {
        match value {
            Value::Mapping(several) => {
                parts.push(several.values().map(|value| label("", value)).collect::<Vec<_>>().join("-"));
                values.extend(several.clone());
            }
            value => {
                parts.push(label(key, value));
                values.insert(Value::from(*key), (*value).clone());
            }
        }
    }
    let name = format!("{}/{}", family.id, parts.join("-"));
    if parts.is_empty() {
        return Err("it has neither an id nor values of its own".into());
    }
    let work: Work = serde_yaml::from_value(Value::Mapping(values)).map_err(|e| format!("case `{name}`: {e}"))?;
    if let Some(problem) = work.problem() {
        return Err(format!("case `{name}`: {problem}"));
    }
    let is_quick = !entry.quick.is_empty()
        && entry.quick.iter().all(|(key, wanted)| chosen.iter().any(|(k, v)| k == key && wanted.contains(v)));
    Ok(Case {
        name,
        family: family.id.clone(),
        title: family.title.clone(),
        level: if is_quick { Level::Quick } else { entry.level },
        layer: family.layer,
        work,
    })
}

/// A value in a name: sizes speak for themselves, other numbers need their key.
fn label(key: &str, value: &Value) -> String {
    match value {
        Value::Sequence(list) => list.iter().map(|value| label("", value)).collect::<Vec<_>>().join("x"),
        Value::String(text) => text.clone(),
        Value::Bool(true) => key.replace('_', "-"),
        Value::Bool(false) => format!("no-{}", key.replace('_', "-")),
        Value::Number(number) => format!("{}{number}", key.replace('_', "-")),
        Value::Null => format!("no-{}", key.replace('_', "-")),
        Value::Mapping(_) | Value::Tagged(_) => String::new(),
    }
}
