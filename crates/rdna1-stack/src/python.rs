// SPDX-License-Identifier: MIT OR Apache-2.0
//! Python environments: which there are, and what an interpreter will import.

use std::collections::{BTreeMap, BTreeSet};

use rdna1_core::root::{Problem, Root};

use crate::model::{Stack, Survey};
use crate::place::{Place, file_name, parent};
use crate::{system, torch};

/// Most environments of one kind that are looked at.
const MAX_ENVIRONMENTS: usize = 16;

/// Environment variables, by name.
pub type Variables = BTreeMap<String, String>;

/// An interpreter's view: where it will look for modules, first found first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Directories of modules.
    pub modules: Vec<String>,
}

/// What an interpreter was told to leave out, by its own options.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Isolation {
    /// `-E`, `-I`: `PYTHONPATH` and its like do not count.
    pub no_variables: bool,
    /// `-s`, `-I`: neither does the user's own directory.
    pub no_user: bool,
    /// `-S`: no directory of installed modules, no `sitecustomize`.
    pub no_site: bool,
}

impl Survey {
    /// What a machine has: its own ROCm, and the Python environments that are
    /// active, on the path, or below the user's home where tools put them.
    /// Nobody else's home is looked at.
    pub fn of_machine(root: &Root, variables: &Variables, cwd: Option<&str>) -> Self {
        let place = Place(root);
        let mut survey = Self { stacks: system::find(place), problems: Vec::new() };
        let mut seen = BTreeSet::new();
        for modules in known(place, variables, cwd) {
            survey.add(place, &modules, &mut seen);
        }
        survey
    }

    /// The machine's own ROCm alone: `/opt`, the distribution's, Nix's.
    pub fn of_rocm(root: &Root) -> Self {
        Self { stacks: system::find(Place(root)), problems: Vec::new() }
    }

    /// As [`Self::of_machine`], of the system's own Python alone.
    pub fn of_system(root: &Root) -> Self {
        Self::of_machine(root, &Variables::new(), None)
    }

    /// What is in a directory that somebody names: a prefix such as `/opt/rocm`,
    /// a Python environment, its modules, or the libraries themselves.
    pub fn at(root: &Root, dir: &str) -> Self {
        let place = Place(root);
        let mut survey = Self::default();
        let mut seen = BTreeSet::new();
        let Some(real) = place.real(dir) else { return survey };
        for modules in std::iter::once(real.clone()).chain(site(place, &real, None)) {
            survey.add(place, &modules, &mut seen);
        }
        survey.stacks.extend(system::at(place, &real));
        // From within: torch's own directory, or its libraries.
        for inner in ["/torch", "/torch/lib"] {
            if let Some(modules) =
                real.strip_suffix(inner).filter(|_| survey.stacks.iter().all(|s| s.pytorch.is_none()))
            {
                survey.stacks.clear();
                survey.add(place, modules, &mut seen);
            }
        }
        survey
    }

    fn add(&mut self, place: Place<'_>, modules: &str, seen: &mut BTreeSet<String>) {
        let Some(real) = place.real(modules).filter(|real| seen.insert(real.clone())) else { return };
        self.stacks.extend(torch::in_modules(place, &real, &mut self.problems));
    }
}

impl Environment {
    /// What an interpreter will see; `path` is its path before links are followed.
    pub fn of_interpreter(root: &Root, path: &str, variables: &Variables, isolation: Isolation) -> Self {
        let place = Place(root);
        let mut modules = Vec::new();
        if !isolation.no_variables {
            let extra = variables.get("PYTHONPATH").map(String::as_str).unwrap_or_default();
            modules.extend(extra.split(':').filter(|dir| dir.starts_with('/')).map(str::to_owned));
        }
        if isolation.no_site {
            return Self { modules };
        }
        // A virtual environment's interpreter is a link; what it is beside decides.
        let prefix = parent(parent(path)).to_owned();
        let config = place.text(&format!("{prefix}/pyvenv.cfg")).ok().flatten();
        let mut base = Vec::new();
        let real = place.real(path).unwrap_or_else(|| path.to_owned());
        let (real_prefix, version) = (parent(parent(&real)), version_of(file_name(&real)));
        let wants_base = match &config {
            Some(config) => {
                modules.extend(site(place, &prefix, None));
                setting(config, "include-system-site-packages").is_some_and(|value| value.eq_ignore_ascii_case("true"))
            }
            None => true,
        };
        if wants_base {
            if !isolation.no_user && !variables.contains_key("PYTHONNOUSERSITE") {
                base.extend(user_site(place, variables, version.as_deref()));
            }
            if real_prefix == "/usr" {
                base.extend(site(place, "/usr/local", version.as_deref()));
            }
            base.extend(site(place, real_prefix, version.as_deref()));
        }
        modules.extend(base);
        Self { modules }
    }

    /// The first PyTorch, or ROCm package, on the way that the import will take.
    pub fn stack(&self, root: &Root, problems: &mut Vec<Problem>) -> Option<Stack> {
        let place = Place(root);
        let mut first = None;
        for modules in &self.modules {
            let found = torch::in_modules(place, modules, problems);
            match found {
                Some(stack) if stack.pytorch.is_some() => return Some(stack),
                other => first = first.or(other),
            }
        }
        first
    }
}

/// `3.11` of `python3.11`.
fn version_of(name: &str) -> Option<String> {
    let version = name.strip_prefix("python")?;
    version.starts_with("3.").then(|| version.trim_end_matches('t').to_owned())
}

fn setting<'a>(config: &'a str, key: &str) -> Option<&'a str> {
    config.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim())
    })
}

/// The directories of installed modules below a prefix, of one version of Python or all.
fn site(place: Place<'_>, prefix: &str, version: Option<&str>) -> Vec<String> {
    let mut found = Vec::new();
    for lib in ["lib", "lib64"] {
        for name in place.names(&format!("{prefix}/{lib}")) {
            // Debian's packages serve every Python 3 from one directory.
            let fits = name == "python3"
                || name.starts_with("python3.") && version.is_none_or(|version| name == format!("python{version}"));
            if fits {
                for modules in ["site-packages", "dist-packages"] {
                    found.push(format!("{prefix}/{lib}/{name}/{modules}"));
                }
            }
        }
    }
    found.retain(|dir| place.is_dir(dir));
    found
}

fn user_site(place: Place<'_>, variables: &Variables, version: Option<&str>) -> Vec<String> {
    let base = variables.get("PYTHONUSERBASE").cloned().or_else(|| Some(format!("{}/.local", variables.get("HOME")?)));
    base.map(|base| site(place, &base, version)).unwrap_or_default()
}

/// Every directory of modules that is worth a look.
fn known(place: Place<'_>, variables: &Variables, cwd: Option<&str>) -> Vec<String> {
    let mut prefixes = Vec::new();
    let variable = |name: &str| variables.get(name).filter(|value| value.starts_with('/')).cloned();
    prefixes.extend(["VIRTUAL_ENV", "CONDA_PREFIX", "UV_PROJECT_ENVIRONMENT"].into_iter().filter_map(variable));
    prefixes.extend(cwd.map(|cwd| format!("{cwd}/.venv")));
    let mut modules = Vec::new();
    let path = variables.get("PATH").map(String::as_str).unwrap_or_default();
    let interpreter = path.split(':').filter(|dir| dir.starts_with('/')).find_map(|dir| {
        ["python3", "python"].iter().map(|name| format!("{dir}/{name}")).find(|path| place.is_file(path))
    });
    if let Some(path) = interpreter {
        modules.extend(Environment::of_interpreter(place.0, &path, variables, Isolation::default()).modules);
    }
    if let Some(home) = variables.get("HOME").filter(|home| home.starts_with('/')) {
        let pyenv = variable("PYENV_ROOT").unwrap_or_else(|| format!("{home}/.pyenv"));
        let mut dirs = vec![format!("{pyenv}/versions"), format!("{home}/.virtualenvs")];
        for conda in ["miniconda3", "miniforge3", "mambaforge", "anaconda3", "micromamba"] {
            prefixes.push(format!("{home}/{conda}"));
            dirs.push(format!("{home}/{conda}/envs"));
        }
        for dir in dirs {
            prefixes.extend(place.names(&dir).into_iter().take(MAX_ENVIRONMENTS).map(|name| format!("{dir}/{name}")));
        }
        // conda's own list of environments anywhere.
        let list = place.text(&format!("{home}/.conda/environments.txt")).ok().flatten().unwrap_or_default();
        let listed = list.lines().map(str::trim).filter(|line| line.starts_with('/'));
        prefixes.extend(listed.take(MAX_ENVIRONMENTS).map(str::to_owned));
        modules.extend(user_site(place, variables, None));
    }
    prefixes.extend(["/usr/local".to_owned(), "/usr".to_owned(), "/run/current-system/sw".to_owned()]);
    modules.extend(prefixes.iter().flat_map(|prefix| site(place, prefix, None)));
    modules
}
