// SPDX-License-Identifier: MIT OR Apache-2.0
//! From text to a checked policy.

use super::Policy;
use crate::yaml::{self, YamlError};

/// The policy that was compiled in, as JSON; made from `policy/rdna1.yaml` by build.rs.
const EMBEDDED: &str = include_str!(concat!(env!("OUT_DIR"), "/policy.json"));

/// The same without what only people read; made by build.rs too.
const EMBEDDED_FOR_BOOT: &str = include_str!(concat!(env!("OUT_DIR"), "/boot-policy.json"));

/// That with the descriptions of variables.
const EMBEDDED_WITH_VARIABLES: &str = include_str!(concat!(env!("OUT_DIR"), "/boot-policy-variables.json"));

/// The same policy as its authors wrote it; what the packages ship.
const EMBEDDED_YAML: &str = include_str!("../../../../policy/rdna1.yaml");

/// A policy that cannot be used: every finding with its file and line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct PolicyError(
    /// The findings; at least one.
    pub Vec<YamlError>,
);

impl Policy {
    /// The policy that was compiled in.
    ///
    /// # Errors
    /// None in a released build: a test reads the same data.
    pub fn embedded() -> Result<Self, PolicyError> {
        from_json(EMBEDDED)
    }

    /// The compiled-in policy as far as it decides what is set: without
    /// reasons, sources, card names and advisories, which nobody reads at boot,
    /// and without the descriptions of variables: a configuration that names
    /// variables takes [`Policy::embedded_for_boot_with_variables`].
    ///
    /// # Errors
    /// As [`Policy::embedded`].
    pub fn embedded_for_boot() -> Result<Self, PolicyError> {
        from_json(EMBEDDED_FOR_BOOT)
    }

    /// As [`Policy::embedded_for_boot`], with what an administrator's variables
    /// are checked against: most of its text.
    ///
    /// # Errors
    /// As [`Policy::embedded`].
    pub fn embedded_for_boot_with_variables() -> Result<Self, PolicyError> {
        from_json(EMBEDDED_WITH_VARIABLES)
    }

    /// The text of the compiled-in policy, with its comments.
    pub fn embedded_yaml() -> &'static str {
        EMBEDDED_YAML
    }

    /// Parses and checks a policy. `file` is its name in messages.
    ///
    /// # Errors
    /// All findings at once if the file has the right shape; otherwise the
    /// first place where it has not. Each names file, line and key and says
    /// what is allowed.
    pub fn from_yaml(file: &str, text: &str) -> Result<Self, PolicyError> {
        let policy: Self = yaml::parse(file, text).map_err(|e| PolicyError(vec![e]))?.ok_or_else(|| {
            PolicyError(vec![YamlError {
                file: file.to_owned(),
                line: None,
                column: None,
                message: "the policy is empty".into(),
            }])
        })?;
        let findings = policy.findings();
        if findings.is_empty() {
            return Ok(policy);
        }
        let errors = findings
            .into_iter()
            .map(|finding| YamlError {
                file: file.to_owned(),
                line: yaml::line_of(text, &finding.path),
                column: None,
                message: format!("{}: {}", finding.path, finding.problem),
            })
            .collect();
        Err(PolicyError(errors))
    }
}

fn from_json(text: &str) -> Result<Policy, PolicyError> {
    serde_json::from_str(text).map_err(|error| {
        PolicyError(vec![YamlError {
            file: "embedded policy".into(),
            line: None,
            column: None,
            message: format!("{error}; this build is broken, please reinstall"),
        }])
    })
}
