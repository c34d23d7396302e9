// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that a command needs to know, read once.

use std::collections::BTreeMap;

use rdna1_core::config::Config;
use rdna1_core::machine::Machine;
use rdna1_core::policy::{Policy, PolicyError};
use rdna1_core::resolve::{Applied, Inputs, Request, Resolution, resolve};
use rdna1_core::root::Root;
use rdna1_core::selection::{self, Recorded, Selection};
use rdna1_core::stack::Stacks;
use rdna1_core::yaml::YamlError;

use crate::applied;

/// Where an administrator may put a whole policy in place of the built-in one,
/// for instance to try a card before a release lists it.
pub const POLICY_FILE: &str = "/etc/rdna1-rocm-fix/policy.yaml";

/// An environment, by name. Values that are not UTF-8 are kept readable, not exact:
/// they are compared and shown, never passed on.
pub type Environment = BTreeMap<String, String>;

/// The environment of this process.
pub fn current_environment() -> Environment {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect()
}

/// A machine and everything that was read of it.
#[derive(Debug)]
pub struct Context {
    /// Where its files lie.
    pub root: Root,
    /// The policy in force; the built-in one where the administrator's cannot be used.
    pub policy: Policy,
    /// The machine.
    pub machine: Machine,
    /// ROCm installations.
    pub stacks: Stacks,
    /// The administrator's configuration; empty where it cannot be used.
    pub config: Config,
    /// What was measured here.
    pub selection: Option<Selection>,
    /// What this program set machine-wide.
    pub applied: Applied,
    /// Files of policy, configuration or selection that cannot be used. While
    /// there is one, nothing is set: half of what was meant could be wrong.
    pub broken: Vec<String>,
}

impl Context {
    /// Reads the machine below a root.
    ///
    /// # Errors
    /// Only if this build's own policy is broken.
    pub fn read(root: Root) -> Result<Self, PolicyError> {
        Self::read_with(root, Policy::embedded, |machine| !machine.cards.is_empty())
    }

    /// As [`Context::read`], with only that of the policy which decides what is set.
    ///
    /// # Errors
    /// As there.
    pub fn read_for_boot(root: Root) -> Result<Self, PolicyError> {
        // ROCm's version decides only how far an override reaches beside other
        // GPUs; to look for it means to list all libraries.
        let asks_for_stacks = |machine: &Machine| machine.bystanders().next().is_some();
        let context = Self::read_with(root, Policy::embedded_for_boot, asks_for_stacks)?;
        let Config { variables, suppress, .. } = &context.config;
        // Few machines have such a configuration, and most of the time goes into
        // reading the policy. A broken one is to be judged by all that counts.
        if variables.is_empty() && suppress.is_empty() && context.broken.is_empty() {
            return Ok(context);
        }
        Self::read_with(context.root, Policy::embedded_for_boot_with_variables, asks_for_stacks)
    }

    fn read_with(
        root: Root,
        embedded: fn() -> Result<Policy, PolicyError>,
        asks_for_stacks: fn(&Machine) -> bool,
    ) -> Result<Self, PolicyError> {
        let mut broken = Vec::new();
        let policy = match read_policy(&root) {
            Ok(policy) => policy,
            Err(problem) => {
                broken.push(problem);
                None
            }
        };
        let policy = policy.map_or_else(embedded, Ok)?;
        let mut note = |problem: String| broken.push(problem);
        let machine = Machine::detect(&root, &policy);
        let config = Config::read(&root, &policy).unwrap_or_else(|error| {
            note(error.to_string());
            Config::default()
        });
        let selection = Selection::read(&root).unwrap_or_else(|error| {
            note(format!("{error}; delete the file or have it measured again"));
            None
        });
        let stacks = if asks_for_stacks(&machine) { Stacks::detect(&root) } else { Stacks::default() };
        let applied = applied::read(&root);
        Ok(Self { root, policy, machine, stacks, config, selection, applied, broken })
    }

    /// What is recorded for the whole machine.
    pub fn recorded(&self) -> Option<Recorded> {
        self.selection.as_ref().and_then(|selection| selection.machine_wide(&self.machine, selection::FILE))
    }

    /// Resolves for a request and an environment that is there already.
    pub fn resolve(&self, request: &Request, environment: &Environment) -> Resolution {
        self.resolve_with(&self.stacks, self.recorded().as_ref(), request, environment)
    }

    /// As [`Context::resolve`], for a process that uses other stacks and of
    /// which something else may be recorded.
    pub fn resolve_with(
        &self,
        stacks: &Stacks,
        recorded: Option<&Recorded>,
        request: &Request,
        environment: &Environment,
    ) -> Resolution {
        let mut resolution = resolve(Inputs {
            policy: &self.policy,
            machine: &self.machine,
            stacks,
            config: &self.config,
            recorded,
            request,
            environment,
            applied: &self.applied.variables,
        });
        if let Some(problem) = self.broken.first() {
            resolution.refuse(problem.clone());
        }
        resolution
    }

    /// Resolves for every process of the machine.
    pub fn resolve_machine(&self) -> Resolution {
        self.resolve(&Request::default(), &Environment::new())
    }
}

fn read_policy(root: &Root) -> Result<Option<Policy>, String> {
    let text = root.read_text(POLICY_FILE).map_err(|problem| YamlError::from(problem).to_string())?;
    text.map(|text| Policy::from_yaml(POLICY_FILE, &text)).transpose().map_err(|error| error.to_string())
}
