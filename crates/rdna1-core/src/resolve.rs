// SPDX-License-Identifier: MIT OR Apache-2.0
//! From policy, machine and the administrator's choice to one ordered
//! environment, each value with its reason.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::advisory::{self, ActiveAdvisory};
use crate::config::Config;
use crate::gfx::{self, GfxDecision, GfxSetting, Reach};
use crate::ids::VarName;
use crate::machine::Machine;
use crate::policy::{Domain, Policy, Profile, Scope};
use crate::selection::Recorded;
use crate::stack::Stacks;

/// Everything that a resolution depends on.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The machine.
    pub machine: &'a Machine,
    /// The ROCm installations.
    pub stacks: &'a Stacks,
    /// The administrator's configuration.
    pub config: &'a Config,
    /// What was measured on this machine, as far as it is for this resolution.
    pub recorded: Option<&'a Recorded>,
    /// What a command line asks for; goes before the configuration.
    pub request: &'a Request,
    /// The environment that is there already.
    pub environment: &'a BTreeMap<String, String>,
    /// The part of it that this program set itself, machine-wide, earlier.
    pub applied: &'a BTreeMap<VarName, String>,
}

/// What a command line asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Profile.
    pub profile: Option<String>,
    /// gfx choice.
    pub gfx: Option<GfxSetting>,
    /// Whether the environment is for one process, so that profiles of scope
    /// `process` are allowed.
    pub single_process: bool,
}

/// Why nothing is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Inactive {
    /// No RDNA1 card that this machine's processes may use.
    NoCard,
    /// The administrator said `enabled: false`.
    Disabled {
        /// The file that says so.
        file: String,
    },
    /// What was asked for is not possible.
    Refused {
        /// What is wrong and what is allowed.
        problem: String,
    },
}

/// One variable to set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Setting {
    /// Its name.
    pub name: VarName,
    /// Its value.
    pub value: String,
    /// Why it has this value.
    pub reason: String,
    /// Who decided: `profile gemm`, `gfx choice 10.3.0`, or a configuration file.
    pub source: String,
    /// Whether no ROCm component reads it.
    pub inert: bool,
    /// Whether the environment already has it with this value.
    pub already_set: bool,
}

/// One variable that was not set, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LeftAlone {
    /// Its name.
    pub name: VarName,
    /// The value it would have had.
    pub value: String,
    /// Who would have set it.
    pub source: String,
    /// Why it is left alone.
    pub reason: String,
    /// The value that the user has set, where that is the reason.
    pub user_value: Option<String>,
}

/// Something hazardous in the environment that the user set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EnvironmentHazard {
    /// The variable.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What happens.
    pub happens: String,
    /// What to do.
    #[serde(rename = "do")]
    pub remedy: String,
}

/// The environment for this machine, and the reasons for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Resolution {
    /// Why nothing is set; `None` if the resolution is in force.
    pub inactive: Option<Inactive>,
    /// The profile in force (or asked for, where it was refused).
    pub profile: String,
    /// Who chose the profile.
    pub profile_source: String,
    /// The gfx choice; absent where there is no card.
    pub gfx: Option<GfxDecision>,
    /// The variables to set, in order.
    pub set: Vec<Setting>,
    /// Variables that this program had set and that do not belong to this resolution.
    pub unset: Vec<VarName>,
    /// Variables that were left alone.
    pub left_alone: Vec<LeftAlone>,
    /// Hazards in the environment.
    pub hazards: Vec<EnvironmentHazard>,
    /// Known failures that concern this machine.
    pub advisories: Vec<ActiveAdvisory>,
}

impl Resolution {
    /// Turns the resolution into one that sets nothing, because something that
    /// it rests on cannot be used. Where there is no card, that stays the reason.
    pub fn refuse(&mut self, problem: String) {
        if self.inactive == Some(Inactive::NoCard) {
            return;
        }
        self.unset.extend(self.set.drain(..).filter(|setting| setting.already_set).map(|setting| setting.name));
        self.left_alone.clear();
        self.inactive = Some(Inactive::Refused { problem });
    }

    /// The variables as name and value, in order.
    pub fn variables(&self) -> impl Iterator<Item = (&VarName, &str)> {
        self.set.iter().map(|setting| (&setting.name, setting.value.as_str()))
    }
}

/// The record of what was set machine-wide, kept below `/run`, so that a later
/// resolution can tell this program's own values from the user's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Name and value.
    pub variables: BTreeMap<VarName, String>,
}

/// Resolves; never fails: what is impossible is in `inactive`.
pub fn resolve(inputs: Inputs<'_>) -> Resolution {
    let Inputs { policy, machine, config, request, .. } = inputs;
    let (id, profile_source) = if let Some(id) = &request.profile {
        (id.as_str(), "command line".to_owned())
    } else if let Some(from) = &config.profile {
        (from.value.as_str(), from.file.clone())
    } else if let Some((id, file)) = inputs.recorded.and_then(|r| Some((r.profile.as_deref()?, &r.file))) {
        (id, file.clone())
    } else {
        (policy.default_profile().id.as_str(), "default".to_owned())
    };
    let asked = match (request.gfx, &config.gfx) {
        (Some(setting), _) => (setting, "the command line"),
        (None, Some(from)) => (from.value, from.file.as_str()),
        (None, None) => (GfxSetting::Auto, "the policy"),
    };
    let ours = machine.has_card().then(|| gfx::decide(policy, machine, inputs.stacks, inputs.recorded, asked));
    let theirs = ours.as_ref().and_then(|_| inputs.user_override()).and_then(|(variable, value)| {
        // What is no version at all is reported as a hazard.
        Some(gfx::set_by_user(policy, value.parse().ok()?, variable))
    });
    let mut resolution = Resolution {
        inactive: None,
        profile: id.to_owned(),
        profile_source,
        gfx: theirs.or_else(|| ours.clone()),
        set: Vec::new(),
        unset: Vec::new(),
        left_alone: Vec::new(),
        hazards: Vec::new(),
        advisories: Vec::new(),
    };
    match admissible(inputs, &resolution) {
        Ok(profile) => Environment::new(inputs, ours.as_ref()).fill(profile, &mut resolution),
        Err(inactive) => resolution.inactive = Some(inactive),
    }
    let wanted = |name: &VarName| resolution.set.iter().any(|setting| &setting.name == name);
    resolution.unset = inputs.own().filter(|name| !wanted(name)).cloned().collect();
    resolution.hazards = inputs.hazards();
    let advisories = advisory::active(policy, machine, inputs.stacks, None, &resolution);
    resolution.advisories = advisories;
    resolution
}

/// The profile, if everything that was asked for is possible.
fn admissible<'a>(inputs: Inputs<'a>, resolution: &Resolution) -> Result<&'a Profile, Inactive> {
    let Inputs { policy, config, request, .. } = inputs;
    let refuse = |problem: String| Inactive::Refused { problem };
    let id = &resolution.profile;
    let profile = policy.named_profile(id).map_err(refuse)?;
    if profile.scope == Scope::Process && !request.single_process {
        return Err(refuse(format!(
            "profile `{id}` works for single processes only: rdna1-rocm-fix run --profile {id} -- COMMAND"
        )));
    }
    if let Some(GfxSetting::Choice(choice)) = request.gfx {
        crate::config::check_gfx_choice(policy, choice).map_err(refuse)?;
    }
    if let Some(from) = config.enabled.as_ref().filter(|from| !from.value) {
        return Err(Inactive::Disabled { file: from.file.clone() });
    }
    let gfx = resolution.gfx.as_ref().ok_or(Inactive::NoCard)?;
    // Of a choice that is the user's own and not in the policy, nothing is known.
    let known = policy.gfx.choices.iter().any(|fact| fact.id == gfx.in_force());
    if known && !profile.gfx_choices.contains(&gfx.in_force()) {
        let fits: Vec<String> = profile.gfx_choices.iter().map(ToString::to_string).collect();
        let why = match &gfx.reach {
            Reach::NotConfinable { why } => why,
            Reach::None | Reach::Global | Reach::PerNode { .. } | Reach::UserSet { .. } => &gfx.why,
        };
        return Err(refuse(format!(
            "profile `{id}` does not work under gfx choice {} ({why}); it works under {}",
            gfx.in_force(),
            fits.join(", ")
        )));
    }
    Ok(profile)
}

impl<'a> Inputs<'a> {
    /// The names of the variables that this program itself has put into the environment.
    fn own(self) -> impl Iterator<Item = &'a VarName> {
        let environment = self.environment;
        self.applied.iter().filter(|(name, value)| environment.get(name.as_str()) == Some(value)).map(|(name, _)| name)
    }

    /// What the user has set a variable to, if it was the user.
    fn user_value(self, name: &str) -> Option<&'a str> {
        let value = self.environment.get(name)?;
        let own = self.applied.iter().any(|(n, v)| n.as_str() == name && v == value);
        (!own).then_some(value)
    }

    /// Any form of the gfx override that the user has set, if it is not ours.
    fn user_override(self) -> Option<(&'a str, &'a str)> {
        let gfx = &self.policy.gfx;
        let is_override = |name: &str| name == gfx.variable.as_str() || name.starts_with(gfx.per_node.prefix.as_str());
        let names = self.environment.keys().filter(|name| is_override(name));
        names.map(String::as_str).find_map(|name| Some((name, self.user_value(name)?)))
    }

    /// What the user has set that does harm, in order of name.
    fn hazards(self) -> Vec<EnvironmentHazard> {
        self.environment.keys().filter_map(|name| self.hazard(name)).collect()
    }

    fn hazard(self, name: &str) -> Option<EnvironmentHazard> {
        hazard(self.policy, name, self.user_value(name)?)
    }
}

/// What is wrong with a variable's value, wherever it was set, if anything is.
pub fn hazard(policy: &Policy, name: &str, value: &str) -> Option<EnvironmentHazard> {
    let variable = policy.variable(name).filter(|variable| !variable.is_inert())?;
    let hazard = |happens: String, remedy: String| {
        Some(EnvironmentHazard { name: name.to_owned(), value: value.to_owned(), happens, remedy })
    };
    if value.is_empty() {
        let happens = "it is set to nothing, which ROCm does not read as unset but as an error";
        return hazard(happens.into(), format!("unset {name}"));
    }
    // Of these two kinds the policy knows exactly what the reader accepts.
    let exact = matches!(variable.value, Domain::MiopenBool | Domain::GfxVersion);
    if exact && variable.value.check(value).is_err() {
        let happens = format!("its reader fails on this value; it accepts {}", variable.value.describe());
        return hazard(happens, format!("unset {name}, or correct the value"));
    }
    let known = variable.hazard.as_ref()?;
    let hit = known.values.is_empty() || known.values.iter().any(|v| v == value);
    hit.then(|| hazard(known.happens.clone(), known.remedy.clone())).flatten()
}

/// Decides, variable by variable, what is set.
struct Environment<'a> {
    inputs: Inputs<'a>,
    /// Any form of the gfx override that the user has set: then all forms are
    /// left alone, as one of ours would outrank the user's.
    user_override: Option<(&'a str, &'a str)>,
    gfx_variables: Vec<(VarName, String)>,
    gfx_reason: String,
    gfx_source: String,
}

impl<'a> Environment<'a> {
    fn new(inputs: Inputs<'a>, decision: Option<&GfxDecision>) -> Self {
        Self {
            inputs,
            user_override: inputs.user_override(),
            gfx_variables: decision.map(|d| d.variables(inputs.policy)).unwrap_or_default(),
            gfx_reason: decision.map(|d| d.why.clone()).unwrap_or_default(),
            gfx_source: decision.map(|d| format!("gfx choice {}", d.choice)).unwrap_or_default(),
        }
    }

    fn fill(self, profile: &Profile, resolution: &mut Resolution) {
        let config = self.inputs.config;
        for (name, value) in &self.gfx_variables {
            let user = self.user_override.filter(|(other, theirs)| *other != name.as_str() || theirs != value);
            match user {
                Some((other, theirs)) => resolution.left_alone.push(LeftAlone {
                    name: name.clone(),
                    value: value.clone(),
                    source: self.gfx_source.clone(),
                    reason: format!("{other} is already set by the user"),
                    user_value: Some(theirs.to_owned()),
                }),
                None => self.add(resolution, name, value, &self.gfx_reason, &self.gfx_source),
            }
        }
        let source = format!("profile {}", profile.id);
        for setting in &profile.set {
            match config.variables.get(&setting.name) {
                // The administrator's value comes below, with its own reason.
                Some(_) => {}
                None => self.add(resolution, &setting.name, &setting.value, &setting.why, &source),
            }
        }
        for (name, from) in &config.variables {
            self.add(resolution, name, &from.value, "the administrator's configuration", &from.file);
        }
    }

    fn add(&self, resolution: &mut Resolution, name: &VarName, value: &str, reason: &str, source: &str) {
        let current = self.inputs.environment.get(name.as_str()).map(String::as_str);
        let user = self.inputs.user_value(name.as_str()).filter(|&theirs| theirs != value);
        let leave = |reason: String, user_value: Option<&str>| LeftAlone {
            name: name.clone(),
            value: value.to_owned(),
            source: source.to_owned(),
            reason,
            user_value: user_value.map(str::to_owned),
        };
        if let Some(file) = self.inputs.config.suppress.get(name) {
            resolution.left_alone.push(leave(format!("{file} suppresses it"), None));
        } else if let Some(theirs) = user {
            resolution.left_alone.push(leave("it is already set by the user".into(), Some(theirs)));
        } else {
            resolution.set.push(Setting {
                name: name.clone(),
                value: value.to_owned(),
                reason: reason.to_owned(),
                source: source.to_owned(),
                inert: self.inputs.policy.variable(name.as_str()).is_some_and(crate::policy::Variable::is_inert),
                already_set: current == Some(value),
            });
        }
    }
}
