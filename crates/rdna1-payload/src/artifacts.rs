// SPDX-License-Identifier: MIT OR Apache-2.0
//! What others build and the packages carry.

use std::collections::BTreeMap;

use crate::PayloadError;

/// The artifacts' names.
pub mod names {
    /// Text of the MIT licence.
    pub const LICENSE_MIT: &str = "LICENSE-MIT";
    /// Text of the Apache licence 2.0.
    pub const LICENSE_APACHE: &str = "LICENSE-APACHE";
    /// Notices of the crates that are linked into the programs.
    pub const NOTICES: &str = "THIRD-PARTY-NOTICES";
    /// The changelog.
    pub const CHANGELOG: &str = "CHANGELOG.md";
    /// JSON schema of the policy.
    pub const POLICY_SCHEMA: &str = "policy.schema.json";
    /// JSON schema of the configuration.
    pub const CONFIG_SCHEMA: &str = "config.schema.json";
    /// Prefix of further documentation, by its file name: `doc/README.md`.
    pub const DOC: &str = "doc/";
    /// Prefix of man pages, by their file name: `man/rdna1-rocm-fix.1`.
    pub const MAN: &str = "man/";
    /// Prefix of programs, by the name that cargo gives them.
    pub const BIN: &str = "bin/";
    /// Prefix of Python modules, by their path below the checkout's `python/`.
    pub const PYTHON: &str = "python/";
    /// Prefix of bash completions, by the program that they are for.
    pub const BASH: &str = "completions/bash/";
    /// Prefix of zsh completions, by the program that they are for.
    pub const ZSH: &str = "completions/zsh/";
    /// Prefix of fish completions, by the program that they are for.
    pub const FISH: &str = "completions/fish/";
}

/// A program of the packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// The name that cargo gives it.
    pub name: &'static str,
    /// The package of the workspace that has it.
    pub package: &'static str,
    /// Where it is installed.
    pub path: &'static str,
    /// Whether users call it, so that it has a man page and completions.
    pub for_users: bool,
}

impl Program {
    /// Every program.
    pub const ALL: [Self; 3] = [
        Self { name: "rdna1-rocm-fix", package: "rdna1-rocm-fix", path: "/usr/bin/rdna1-rocm-fix", for_users: true },
        Self {
            name: "rdna1-rocm-fix-generator",
            package: "rdna1-rocm-fix",
            path: "/usr/lib/systemd/system-environment-generators/90-rdna1-rocm-fix",
            for_users: false,
        },
        Self { name: "rdna1-validate", package: "rdna1-validate", path: "/usr/bin/rdna1-validate", for_users: true },
    ];

    /// The packages of the workspace that are to be built, each once.
    pub fn packages() -> Vec<&'static str> {
        let mut packages: Vec<&str> = Self::ALL.iter().map(|program| program.package).collect();
        packages.sort_unstable();
        packages.dedup();
        packages
    }

    /// The names of the artifacts that it takes: itself first, then its man
    /// page and completions.
    pub fn artifacts(self) -> Vec<String> {
        let name = self.name;
        let mut artifacts = vec![format!("{}{name}", names::BIN)];
        if self.for_users {
            artifacts.push(format!("{}{name}.1", names::MAN));
            artifacts.extend([names::BASH, names::ZSH, names::FISH].map(|shell| format!("{shell}{name}")));
        }
        artifacts
    }
}

/// Named pieces of content.
#[derive(Debug, Clone, Default)]
pub struct Artifacts(BTreeMap<String, Vec<u8>>);

impl Artifacts {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; replaces what had the name.
    pub fn insert(&mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.insert(name.into(), bytes.into());
    }

    /// One that may be absent.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// One that must be there and not be empty.
    ///
    /// # Errors
    /// Says what makes it.
    pub fn required(&self, name: &str) -> Result<&[u8], PayloadError> {
        self.get(name)
            .filter(|bytes| !bytes.is_empty())
            .ok_or_else(|| PayloadError::MissingArtifact { name: name.to_owned(), remedy: remedy(name) })
    }

    /// The terms of the programs as a whole, as an SPDX expression: what the
    /// head of [`names::NOTICES`] states.
    ///
    /// # Errors
    /// The notices are missing, or state nothing.
    pub fn license(&self) -> Result<&str, PayloadError> {
        let text = std::str::from_utf8(self.required(names::NOTICES)?).unwrap_or_default();
        let stated = text.lines().find_map(|line| line.strip_prefix("SPDX-License-Identifier: "));
        let missing = || PayloadError::MissingArtifact {
            name: format!("the SPDX-License-Identifier in {}", names::NOTICES),
            remedy: remedy(names::NOTICES),
        };
        stated.ok_or_else(missing)
    }

    /// Those whose name begins with a prefix: the rest of the name, and the content.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let from = self.0.range(prefix.to_owned()..);
        from.map_while(move |(name, bytes)| Some((name.strip_prefix(prefix)?, bytes.as_slice())))
    }
}

/// What makes an artifact.
fn remedy(name: &str) -> &'static str {
    if name.starts_with(names::BIN) {
        "build it with `cargo build --release`, or name its directory with --bin-dir"
    } else if name.starts_with(names::MAN) || name.starts_with("completions/") {
        "`cargo xtask dist` makes it from the program's command line"
    } else if name == names::NOTICES {
        "`cargo xtask generate` writes it"
    } else if name.ends_with(".schema.json") {
        "`cargo xtask dist` makes it from the types of rdna1-core"
    } else {
        "it lies at the top of the checkout; restore it with git"
    }
}
