// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the policy must satisfy as a whole.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::{Emit, GfxCondition, GuidanceCondition, Policy, Scope};
use crate::gfx::GfxChoice;
use crate::yaml::Path;

/// The only version of the policy format that this program reads.
const FORMAT: u32 = 1;

/// Something that is wrong with a policy, and where.
pub(super) struct Finding {
    pub path: Path,
    pub problem: String,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, path: &Path, problem: impl Into<String>) {
        self.0.push(Finding { path: path.clone(), problem: problem.into() });
    }

    fn require(&mut self, holds: bool, path: &Path, problem: &str) {
        if !holds {
            self.add(path, problem);
        }
    }

    /// Every id once.
    fn unique<T: Ord + Display>(&mut self, list: &Path, key: &str, ids: impl IntoIterator<Item = T>) {
        let mut seen = BTreeSet::new();
        for (i, id) in ids.into_iter().enumerate() {
            if seen.contains(&id) {
                self.add(&list.item(i).key(key), format!("`{id}` is listed twice; each may be listed once"));
            }
            seen.insert(id);
        }
    }

    /// A reference to something that exists.
    fn known(&mut self, path: &Path, what: &str, name: &str, allowed: &[&str]) {
        if !allowed.contains(&name) {
            self.add(path, format!("there is no {what} `{name}`; allowed are {}", allowed.join(", ")));
        }
    }
}

impl Policy {
    /// Everything that is wrong with this policy; empty if nothing is.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut f = Findings::default();
        let root = Path::root();
        if self.version != FORMAT {
            f.add(&root.key("version"), format!("version {} is not known; allowed is {FORMAT}", self.version));
        }
        self.check_sources(&mut f);
        self.check_cards(&mut f);
        self.check_variables(&mut f);
        self.check_profiles(&mut f);
        self.check_gfx(&mut f);
        self.check_advisories(&mut f);
        self.check_guidance(&mut f);
        f.0
    }

    /// Each fact has a source, each source exists, and each is used.
    fn check_sources(&self, f: &mut Findings) {
        let root = Path::root();
        let known: Vec<&str> = self.sources.keys().map(String::as_str).collect();
        let mut used = BTreeSet::new();
        let mut check = |path: Path, sources: &[String]| {
            f.require(!sources.is_empty(), &path, "every fact needs at least one source");
            for (i, source) in sources.iter().enumerate() {
                f.known(&path.item(i), "source", source, &known);
                used.insert(source.clone());
            }
        };
        check(root.key("pci").key("sources"), &self.pci.sources);
        check(root.key("gfx").key("per_node").key("sources"), &self.gfx.per_node.sources);
        let mut each = |list: &Path, sources: &mut dyn Iterator<Item = &[String]>| {
            for (i, sources) in sources.enumerate() {
                check(list.item(i).key("sources"), sources);
            }
        };
        each(&root.key("gfx_targets"), &mut self.gfx_targets.iter().map(|x| &x.sources[..]));
        each(&root.key("cards"), &mut self.cards.iter().map(|x| &x.sources[..]));
        each(&root.key("variables"), &mut self.variables.iter().map(|x| &x.sources[..]));
        each(&root.key("profiles"), &mut self.profiles.iter().map(|x| &x.sources[..]));
        each(&root.key("advisories"), &mut self.advisories.iter().map(|x| &x.sources[..]));
        each(&root.key("guidance"), &mut self.guidance.iter().map(|x| &x.sources[..]));
        each(&root.key("gfx").key("choices"), &mut self.gfx.choices.iter().map(|x| &x.sources[..]));
        each(&root.key("gfx").key("rules"), &mut self.gfx.rules.iter().map(|x| &x.sources[..]));
        for (i, profile) in self.profiles.iter().enumerate() {
            let path = root.key("profiles").item(i);
            each(&path.key("set"), &mut profile.set.iter().map(|x| &x.sources[..]));
            each(&path.key("limits"), &mut profile.limits.iter().map(|x| &x.sources[..]));
        }
        for (name, source) in &self.sources {
            let path = root.key("sources").key(name);
            f.require(used.contains(name), &path, "no fact names this source; remove it");
            f.require(!source.at.trim().is_empty(), &path, "`at` must say where the source is");
        }
    }

    fn check_cards(&self, f: &mut Findings) {
        let list = Path::root().key("cards");
        f.require(!self.cards.is_empty(), &list, "at least one card is needed");
        f.unique(&list, "device", self.cards.iter().map(|card| card.device));
        f.unique(&Path::root().key("gfx_targets"), "target", self.gfx_targets.iter().map(|fact| fact.target));
        let targets: Vec<String> = self.gfx_targets.iter().map(|fact| fact.target.to_string()).collect();
        let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
        for (i, card) in self.cards.iter().enumerate() {
            f.known(&list.item(i).key("gfx"), "gfx target", &card.gfx.to_string(), &targets);
            let named = !card.name.trim().is_empty() && card.revisions.values().all(|name| !name.trim().is_empty());
            f.require(named, &list.item(i).key("name"), "a card's names must not be empty");
        }
    }

    fn check_variables(&self, f: &mut Findings) {
        let list = Path::root().key("variables");
        f.unique(&list, "name", self.variables.iter().map(|v| &v.name));
        for (i, variable) in self.variables.iter().enumerate() {
            let path = list.item(i);
            let reasoned = variable.emit != Emit::Never || variable.caution.is_some();
            f.require(reasoned, &path.key("emit"), "`never` needs a `caution` that says why");
            f.require(!variable.effect.trim().is_empty(), &path.key("effect"), "must not be empty");
        }
    }

    fn check_profiles(&self, f: &mut Findings) {
        let list = Path::root().key("profiles");
        f.unique(&list, "id", self.profiles.iter().map(|profile| &profile.id));
        let defaults: Vec<_> = self.profiles.iter().filter(|profile| profile.default).collect();
        f.require(defaults.len() == 1, &list, "exactly one profile must have `default: true`");
        let system = defaults.iter().all(|profile| profile.scope == Scope::System);
        f.require(system, &list, "the default profile must have `scope: system`");
        for (i, profile) in self.profiles.iter().enumerate() {
            let path = list.item(i);
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            let id_ok = !profile.id.is_empty() && profile.id.chars().all(plain);
            f.require(id_ok, &path.key("id"), "allowed are small letters, digits and -");
            f.require(!profile.gfx_choices.is_empty(), &path.key("gfx_choices"), "at least one is needed");
            f.unique(&path.key("set"), "name", profile.set.iter().map(|setting| &setting.name));
            for (j, setting) in profile.set.iter().enumerate() {
                let path = path.key("set").item(j);
                match self.variable(setting.name.as_str()) {
                    None => f.add(&path.key("name"), format!("`{}` is not described under `variables`", setting.name)),
                    Some(v) if v.emit != Emit::Profile => {
                        f.add(&path.key("name"), format!("`{}` is not `emit: profile`", setting.name));
                    }
                    Some(v) => {
                        if let Err(error) = v.value.check(&setting.value) {
                            f.add(&path.key("value"), error.to_string());
                        }
                    }
                }
            }
        }
    }

    fn check_gfx(&self, f: &mut Findings) {
        let path = Path::root().key("gfx");
        let emit = self.variable(self.gfx.variable.as_str()).map(|v| v.emit);
        let described = emit == Some(Emit::Gfx);
        f.require(described, &path.key("variable"), "must be described under `variables` with `emit: gfx`");
        let choices = path.key("choices");
        f.unique(&choices, "id", self.gfx.choices.iter().map(|choice| choice.id));
        let has_native = self.gfx.choices.iter().any(|choice| choice.id == GfxChoice::Native);
        f.require(has_native, &choices, "`native` must be among them");
        let ids: Vec<String> = self.gfx.choices.iter().map(|choice| choice.id.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        for (i, profile) in self.profiles.iter().enumerate() {
            for (j, choice) in profile.gfx_choices.iter().enumerate() {
                let path = Path::root().key("profiles").item(i).key("gfx_choices").item(j);
                f.known(&path, "gfx choice", &choice.to_string(), &ids);
            }
        }
        let rules = path.key("rules");
        f.unique(&rules, "id", self.gfx.rules.iter().map(|rule| &rule.id));
        for (i, rule) in self.gfx.rules.iter().enumerate() {
            let path = rules.item(i);
            match (rule.when, rule.choose) {
                (GfxCondition::Recorded, Some(_)) => {
                    f.add(&path.key("choose"), "a recorded selection brings its own choice; leave `choose` out");
                }
                (GfxCondition::Recorded, None) => {}
                (_, None) => f.add(&path, "`choose` is missing"),
                (_, Some(choice)) => f.known(&path.key("choose"), "gfx choice", &choice.to_string(), &ids),
            }
        }
        let last = self.gfx.rules.len().saturating_sub(1);
        for (i, rule) in self.gfx.rules.iter().enumerate().take(last) {
            let reachable = rule.when != GfxCondition::Otherwise;
            f.require(
                reachable,
                &rules.item(i).key("when"),
                "`otherwise` belongs last: no rule after it would ever apply",
            );
        }
        let total = self.gfx.rules.last().is_some_and(|rule| rule.when == GfxCondition::Otherwise);
        f.require(total, &rules, "the last rule must be `when: otherwise`, so that there always is a choice");
    }

    fn check_advisories(&self, f: &mut Findings) {
        let list = Path::root().key("advisories");
        f.unique(&list, "id", self.advisories.iter().map(|advisory| &advisory.id));
        let profiles: Vec<&str> = self.profiles.iter().map(|profile| profile.id.as_str()).collect();
        for (i, advisory) in self.advisories.iter().enumerate() {
            let path = list.item(i);
            for (j, profile) in advisory.when.profile.iter().enumerate() {
                f.known(&path.key("when").key("profile").item(j), "profile", profile, &profiles);
            }
            for (j, name) in advisory.when.stray_variable.iter().enumerate() {
                let path = path.key("when").key("stray_variable").item(j);
                let described = self.variable(name.as_str()).is_some();
                f.require(described, &path, "it is not described under `variables`");
            }
            for (text, key) in [(&advisory.title, "title"), (&advisory.happens, "happens"), (&advisory.remedy, "do")] {
                f.require(!text.trim().is_empty(), &path.key(key), "must not be empty");
            }
        }
    }

    fn check_guidance(&self, f: &mut Findings) {
        let list = Path::root().key("guidance");
        f.unique(&list, "id", self.guidance.iter().map(|guidance| &guidance.id));
        for (i, guidance) in self.guidance.iter().enumerate() {
            let path = list.item(i);
            for (text, key) in [(&guidance.title, "title"), (&guidance.certain, "certain")] {
                f.require(!text.trim().is_empty(), &path.key(key), "must not be empty");
            }
            f.require(!guidance.steps.is_empty(), &path.key("steps"), "at least one step is needed");
            for (j, step) in guidance.steps.iter().enumerate() {
                let known = step.replace("{gfx}", "").replace("{path}", "");
                let plain = !known.trim().is_empty() && !known.contains(['{', '}']);
                f.require(plain, &path.key("steps").item(j), "allowed placeholders are {gfx} and {path}");
            }
            let last = i + 1 == self.guidance.len();
            let always = guidance.when == GuidanceCondition::default();
            f.require(always == last, &path.key("when"), "the last entry, and no other, must apply always");
        }
    }
}
