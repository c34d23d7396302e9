// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which Python is validated: the one that was named, the active environment's,
//! or the system's, in this order.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rdna1_launch::context::{Context, Environment};
use rdna1_launch::target::Target;

/// Variables by which tools say which environment is active, and what is below it.
const ACTIVE: [&str; 2] = ["VIRTUAL_ENV", "CONDA_PREFIX"];

/// Debian's, Fedora's: where `PATH` has another Python first, this one may still have the PyTorch.
const SYSTEM: &str = "/usr/bin/python3";

/// An interpreter.
#[derive(Debug)]
pub struct Interpreter {
    /// What to execute.
    pub program: PathBuf,
    /// Why this one.
    pub chosen_by: String,
    /// What it will import, as far as its files tell.
    pub target: Target,
}

impl Interpreter {
    fn new(context: &Context, program: impl Into<PathBuf>, chosen_by: &str, environment: &Environment) -> Self {
        let program = program.into();
        let target = Target::find(context, &[OsString::from(&program)], environment);
        Self { program, chosen_by: chosen_by.to_owned(), target }
    }

    fn has_pytorch(&self) -> bool {
        self.target.stack.as_ref().is_some_and(|stack| stack.pytorch.is_some())
    }
}

/// Finds the interpreter; `None` where there is no Python at all.
pub fn choose(context: &Context, named: Option<&Path>, environment: &Environment) -> Option<Interpreter> {
    if let Some(named) = named {
        return Some(Interpreter::new(context, named, "--python", environment));
    }
    for variable in ACTIVE {
        let Some(prefix) = environment.get(variable).filter(|prefix| prefix.starts_with('/')) else { continue };
        let program = Path::new(prefix).join("bin/python");
        if program.is_file() {
            return Some(Interpreter::new(context, program, variable, environment));
        }
    }
    let on_path = on_path(environment).map(|program| Interpreter::new(context, program, "PATH", environment));
    if on_path.as_ref().is_some_and(Interpreter::has_pytorch) || !Path::new(SYSTEM).is_file() {
        return on_path;
    }
    let system = Interpreter::new(context, SYSTEM, "system", environment);
    if system.has_pytorch() { Some(system) } else { on_path.or(Some(system)) }
}

fn on_path(environment: &Environment) -> Option<PathBuf> {
    let dirs = environment.get("PATH")?.split(':').filter(|dir| dir.starts_with('/'));
    dirs.map(|dir| Path::new(dir).join("python3")).find(|file| file.is_file())
}
