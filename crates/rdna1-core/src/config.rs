// SPDX-License-Identifier: MIT OR Apache-2.0
//! The administrator's configuration: one file and drop-ins, later ones win.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::gfx::{GfxChoice, GfxSetting};
use crate::ids::VarName;
use crate::policy::{Emit, Policy, Scope};
use crate::root::Root;
use crate::yaml::{self, Path, YamlError};

/// The main file.
pub const FILE: &str = "/etc/rdna1-rocm-fix/config.yaml";

/// Drop-ins: every `*.yaml` in here, in order of name, after the main file.
pub const DROP_INS: &str = "/etc/rdna1-rocm-fix/config.d";

/// A value as an administrator writes it: text, or a whole number without quotes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Value(pub String);

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Value {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Value".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A text in quotes, or a whole number.",
            "anyOf": [{ "type": "string", "minLength": 1 }, { "type": "integer", "minimum": 0 }],
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text in quotes or a whole number")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
                Ok(Value(text.to_owned()))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
                Ok(Value(number.to_string()))
            }
        }
        d.deserialize_any(Visitor)
    }
}

/// One configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// `false`: set nothing on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// gfx choice: `auto`, `native` or a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gfx: Option<GfxSetting>,
    /// Variables to set besides the profile's, or with another value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<VarName, Value>,
    /// Variables of the profile to leave unset.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suppress: Vec<VarName>,
}

/// A setting and the file that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From<T> {
    /// The setting.
    pub value: T,
    /// The file.
    pub file: String,
}

/// The configuration in force: all files merged, each setting with its file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Whether anything may be set.
    pub enabled: Option<From<bool>>,
    /// Profile.
    pub profile: Option<From<String>>,
    /// gfx choice.
    pub gfx: Option<From<GfxSetting>>,
    /// Extra variables, by name.
    pub variables: BTreeMap<VarName, From<String>>,
    /// Suppressed variables, by name.
    pub suppress: BTreeMap<VarName, String>,
}

impl Config {
    /// Reads and checks the configuration below a root directory.
    ///
    /// # Errors
    /// The first file that cannot be read, has not the right shape, or asks
    /// for something that the policy does not have or does not allow.
    pub fn read(root: &Root, policy: &Policy) -> Result<Self, YamlError> {
        let mut files = vec![FILE.to_owned()];
        let drop_ins = root.list(DROP_INS)?;
        files.extend(drop_ins.iter().filter(|name| is_drop_in(name)).map(|name| format!("{DROP_INS}/{name}")));
        let mut config = Self::default();
        for file in files {
            if let Some(text) = root.read_text(&file)? {
                config.merge(&file, ConfigFile::parse(&file, &text, policy)?);
            }
        }
        Ok(config)
    }

    fn merge(&mut self, file: &str, from: ConfigFile) {
        let file = || file.to_owned();
        fn replace<T>(slot: &mut Option<From<T>>, value: Option<T>, file: String) {
            if let Some(value) = value {
                *slot = Some(From { value, file });
            }
        }
        replace(&mut self.enabled, from.enabled, file());
        replace(&mut self.profile, from.profile, file());
        replace(&mut self.gfx, from.gfx, file());
        for (name, Value(value)) in from.variables {
            self.suppress.remove(&name);
            self.variables.insert(name, From { value, file: file() });
        }
        for name in from.suppress {
            self.variables.remove(&name);
            self.suppress.insert(name, file());
        }
    }
}

/// Editors and package managers leave `x.yaml~`, `.x.yaml.swp`, `x.yaml.dpkg-old`: not ours.
fn is_drop_in(name: &str) -> bool {
    name.ends_with(".yaml") && !name.starts_with('.')
}

impl ConfigFile {
    /// Parses and checks one file against the policy.
    ///
    /// # Errors
    /// As for [`Config::read`], with file, line and key.
    pub fn parse(file: &str, text: &str, policy: &Policy) -> Result<Self, YamlError> {
        let config: Self = yaml::parse(file, text)?.unwrap_or_default();
        config.check(policy).map_err(|(path, problem)| YamlError {
            file: file.to_owned(),
            line: yaml::line_of(text, &path),
            column: None,
            message: format!("{path}: {problem}"),
        })?;
        Ok(config)
    }

    fn check(&self, policy: &Policy) -> Result<(), (Path, String)> {
        let root = Path::root();
        if let Some(id) = &self.profile {
            let system: Vec<&str> =
                policy.profiles.iter().filter(|p| p.scope == Scope::System).map(|p| p.id.as_str()).collect();
            if !system.contains(&id.as_str()) {
                let problem = match policy.profile(id) {
                    Some(_) => format!(
                        "profile `{id}` works for single processes only: rdna1-rocm-fix run --profile {id} -- COMMAND"
                    ),
                    None => format!("there is no profile `{id}`; allowed are {}", system.join(", ")),
                };
                return Err((root.key("profile"), problem));
            }
        }
        if let Some(GfxSetting::Choice(choice)) = self.gfx {
            check_gfx_choice(policy, choice).map_err(|problem| (root.key("gfx"), problem))?;
        }
        for (name, Value(value)) in &self.variables {
            let path = root.key("variables").key(name.as_str());
            check_extra(policy, name, value).map_err(|problem| (path, problem))?;
        }
        for (i, name) in self.suppress.iter().enumerate() {
            let path = root.key("suppress").item(i);
            if self.variables.contains_key(name) {
                return Err((path, format!("`{name}` is also under `variables`; remove one of the two")));
            }
            if policy.variable(name.as_str()).is_none() {
                return Err((path, format!("`{name}` is in no profile of the policy")));
            }
        }
        Ok(())
    }
}

/// Checks that the policy has a gfx choice.
///
/// # Errors
/// Says which there are.
pub fn check_gfx_choice(policy: &Policy, choice: GfxChoice) -> Result<(), String> {
    if policy.gfx.choices.iter().any(|fact| fact.id == choice) {
        return Ok(());
    }
    let known: Vec<String> = policy.gfx.choices.iter().map(|fact| fact.id.to_string()).collect();
    Err(format!("there is no gfx choice `{choice}`; allowed are auto, {}", known.join(", ")))
}

/// Whether an administrator may set a variable to a value.
fn check_extra(policy: &Policy, name: &VarName, value: &str) -> Result<(), String> {
    let Some(variable) = policy.variable(name.as_str()) else {
        let prefixes = &policy.extra_variable_prefixes;
        if !prefixes.iter().any(|prefix| name.as_str().starts_with(prefix.as_str())) {
            return Err(format!(
                "`{name}` is none of ROCm's: allowed are the policy's variables and names that begin with {}",
                prefixes.join(", ")
            ));
        }
        return crate::policy::Domain::Text.check(value).map_err(|e| e.to_string());
    };
    match variable.emit {
        Emit::Never => {
            Err(format!("`{name}` is never set: {}", variable.caution.as_deref().unwrap_or("the policy forbids it")))
        }
        Emit::Gfx => Err(format!("`{name}` follows from the gfx choice; write `gfx: \"{value}\"` instead")),
        Emit::Profile | Emit::Extra => variable.value.check(value).map_err(|e| e.to_string()),
    }
}
