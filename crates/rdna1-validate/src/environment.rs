// SPDX-License-Identifier: MIT OR Apache-2.0
//! The environment of the worker: what `rdna1-rocm-fix run` gives a program
//! with the same interpreter, and what shows which solvers MIOpen uses.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use rdna1_core::gfx::GfxSetting;
use rdna1_core::policy::{Engine, Profile};
use rdna1_core::resolve::{Inactive, Request, Resolution};
use rdna1_launch::bypass;
use rdna1_launch::context::{Context, Environment};
use rdna1_launch::given::Given;

use crate::interpreter::Interpreter;
use crate::report::{self, SetVariable};
use crate::solvers::{self, Allowed};
use crate::worker::Spec;

/// Who is the source of what this program sets for itself.
const OURSELVES: &str = "rdna1-validate, to see MIOpen's solvers";

/// What a worker gets.
#[derive(Debug)]
pub struct Launch {
    /// The worker on the device.
    pub device: Spec,
    /// The workers on the CPU: without the hook of profile `bypass`.
    pub references: Spec,
    /// What MIOpen may use.
    pub allowed: Allowed,
    /// Profile and gfx choice, for the report.
    pub environment: report::Environment,
    /// Of what was set: by whom.
    sources: BTreeMap<String, String>,
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Profile.
    pub profile: Option<String>,
    /// gfx choice.
    pub gfx: Option<GfxSetting>,
}

/// Resolves for an interpreter.
///
/// # Errors
/// In words, if what was asked for is not possible.
pub fn prepare(
    context: &Context,
    interpreter: &Interpreter,
    wanted: &Wanted,
    environment: &Environment,
    script: &Path,
) -> Result<Launch, String> {
    let request = Request { profile: wanted.profile.clone(), gfx: wanted.gfx, single_process: true };
    let Given { resolution, hook, remark } = Given::decide(context, &request, Some(&interpreter.target), environment)?;
    let mut launch = Launch {
        device: Spec {
            program: interpreter.program.clone(),
            script: script.to_owned(),
            set: Vec::new(),
            unset: resolution.unset.iter().map(|name| OsString::from(name.as_str())).collect(),
        },
        references: Spec {
            program: interpreter.program.clone(),
            script: script.to_owned(),
            set: Vec::new(),
            unset: Vec::new(),
        },
        allowed: Allowed::ALL,
        environment: report::Environment::default(),
        sources: BTreeMap::new(),
    };
    let profile = match &resolution.inactive {
        Some(Inactive::Disabled { file }) => {
            launch.remark(format!("switched off in {file}: the worker gets what every program gets"));
            None
        }
        // Without a card nothing is in force. Who names a profile all the same
        // wants to see what it does on this device.
        Some(Inactive::NoCard | Inactive::Refused { .. }) => {
            wanted.profile.as_deref().and_then(|id| context.policy.profile(id))
        }
        None => context.policy.profile(&resolution.profile),
    };
    launch.resolved(&resolution);
    remark.into_iter().for_each(|remark| launch.remark(remark.trim_end().to_owned()));
    let mut hook = hook;
    if let Some(profile) = profile {
        if resolution.inactive.is_some() {
            launch.set_profile(profile, environment);
        }
        launch.environment.profile = Some(profile.id.clone());
        launch.allowed = Allowed::by(profile);
        if profile.engine == Engine::PythonHook && hook.is_none() {
            hook = Some(bypass::hook(&context.root, &interpreter.target.answer, environment)?);
        }
    }
    for (name, value) in hook.iter().flat_map(bypass::Hook::variables) {
        launch.sources.insert(name.to_owned(), "profile bypass".into());
        launch.device.set.push((name.into(), value));
    }
    let (name, value) = solvers::LOG_LEVEL;
    match environment.get(name) {
        None => launch.set(name, value, OURSELVES),
        Some(theirs) if theirs.as_str() < value => launch.remark(format!(
            "{name} stays {theirs:?}, which you have set; below {value} MIOpen does not say which solvers it uses"
        )),
        Some(_) => {}
    }
    Ok(launch)
}

impl Launch {
    fn set(&mut self, name: &str, value: &str, source: &str) {
        self.sources.insert(name.to_owned(), source.to_owned());
        self.device.set.push((name.into(), value.into()));
    }

    fn remark(&mut self, text: String) {
        self.environment.remarks.push(text);
    }

    fn resolved(&mut self, resolution: &Resolution) {
        for setting in &resolution.set {
            self.set(setting.name.as_str(), &setting.value, &setting.source);
        }
        for left in &resolution.left_alone {
            self.remark(format!("{} was left alone: {}", left.name, left.reason));
        }
        for hazard in &resolution.hazards {
            self.remark(format!("{}={:?}: {}; {}", hazard.name, hazard.value, hazard.happens, hazard.remedy));
        }
        if resolution.inactive.is_none() {
            self.environment.profile_source = Some(resolution.profile_source.clone());
            self.environment.gfx = resolution.gfx.as_ref().map(|gfx| gfx.in_force().to_string());
            self.environment.gfx_reason = resolution.gfx.as_ref().map(|gfx| gfx.why.clone());
        }
    }

    /// The variables of a profile, where no resolution is in force.
    fn set_profile(&mut self, profile: &Profile, environment: &Environment) {
        let source = format!("profile {}, asked for without a card", profile.id);
        for variable in &profile.set {
            if !environment.contains_key(variable.name.as_str()) {
                self.set(variable.name.as_str(), &variable.value, &source);
            }
        }
        self.environment.profile_source = Some("command line".into());
    }

    /// The variables that the worker says it had, with their sources.
    pub fn evidence(&self, context: &Context, had: &BTreeMap<String, String>) -> Vec<SetVariable> {
        let source = |name: &String, value: &String| {
            if let Some(source) = self.sources.get(name) {
                return source.clone();
            }
            let machine_wide = context.applied.variables.iter().any(|(n, v)| n.as_str() == name && v == value);
            if machine_wide { "rdna1-rocm-fix, machine-wide".to_owned() } else { "the environment".to_owned() }
        };
        had.iter()
            .map(|(name, value)| SetVariable { name: name.clone(), value: value.clone(), source: source(name, value) })
            .collect()
    }
}

/// How the names of all variables begin that ROCm and PyTorch may read:
/// `MIOPEN_`, `HSA_` and the like, by the policy.
pub fn prefixes(context: &Context) -> Vec<String> {
    let names = context.policy.variables.iter().map(|variable| variable.name.as_str());
    let prefixes = names.filter_map(|name| name.split_once('_')).map(|(start, _)| format!("{start}_"));
    let also = ["CUDA_VISIBLE_DEVICES", "RDNA1_", "TORCH_"].map(str::to_owned);
    let all: std::collections::BTreeSet<String> = prefixes.chain(also).collect();
    all.into_iter().collect()
}
