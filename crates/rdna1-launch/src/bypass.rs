// SPDX-License-Identifier: MIT OR Apache-2.0
//! Profile `bypass`: the Python hook that takes MIOpen out of PyTorch's way,
//! given to one process and what it starts.

use std::ffi::{OsStr, OsString};

use rdna1_core::root::Root;
use rdna1_stack::command::{Answer, BYPASS};

use crate::context::Environment;

/// The hook's directory below the prefix that the program is installed in.
const HOOK: &str = "lib/rdna1-rocm-fix/python/hook";

/// The hook's directory in a checkout.
const CHECKOUT_HOOK: &str = "python/hook";

/// Where Python looks for modules first, and what makes the hook act.
const PATH: &str = BYPASS[0];
const SWITCH: &str = BYPASS[1];

/// The hook, ready to be given to a process.
#[derive(Debug)]
pub struct Hook {
    dir: OsString,
    /// The user's own `PYTHONPATH`, which stays in force behind the hook's directory.
    path: Option<OsString>,
}

/// Finds the hook, or says why it could not act.
pub fn hook(root: &Root, answer: &Answer, environment: &Environment) -> Result<Hook, String> {
    let isolation = answer.interpreter.as_ref().map(|found| found.isolation).unwrap_or_default();
    if isolation.no_variables || isolation.no_site {
        return Err(
            "profile bypass needs Python to read PYTHONPATH and sitecustomize; run it without -I, -E and -S".into()
        );
    }
    if answer.clears_environment {
        return Err(
            "profile bypass would be lost: the command changes the environment (env -i, or PYTHONPATH by env)".into()
        );
    }
    if let Some(value) = environment.get(SWITCH).filter(|value| *value != "1") {
        return Err(format!("{SWITCH} is already set to {value:?}; unset it to use profile bypass"));
    }
    let dir = directory(root).ok_or("this program's place cannot be told, and so not the hook's")?;
    if !std::path::Path::new(&dir).join("sitecustomize.py").is_file() {
        return Err(format!(
            "profile bypass needs the Python hook, which is not in {}; reinstall the package {}",
            dir.display(),
            rdna1_core::NAME
        ));
    }
    let path = std::env::var_os(PATH).filter(|path| !path.is_empty());
    Ok(Hook { dir, path })
}

/// Beside the running program, in the machine that `--root` names, or in the
/// checkout that the program was built in.
fn directory(root: &Root) -> Option<OsString> {
    if !root.is_system() {
        return Some(root.join(&format!("/usr/{HOOK}")).into_os_string());
    }
    let program = std::env::current_exe().ok()?;
    let installed = program.parent()?.parent()?.join(HOOK);
    // cargo's programs lie in target/PROFILE of a checkout.
    let checkout = program.ancestors().nth(3).map(|top| top.join(CHECKOUT_HOOK));
    let built = checkout.filter(|dir| !installed.is_dir() && dir.is_dir());
    Some(built.unwrap_or(installed).into_os_string())
}

impl Hook {
    /// What the process gets besides the resolution.
    pub fn variables(&self) -> [(&'static str, OsString); 2] {
        let mut path = self.dir.clone();
        if let Some(own) = &self.path {
            path.push(OsStr::new(":"));
            path.push(own);
        }
        [(PATH, path), (SWITCH, "1".into())]
    }

    /// What it sets, a line for each variable.
    pub fn explanation(&self) -> String {
        let variables = self.variables();
        variables.iter().map(|(name, value)| format!("set {name}={} (profile bypass)\n", value.display())).collect()
    }
}
