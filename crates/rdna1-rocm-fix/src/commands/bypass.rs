// SPDX-License-Identifier: MIT OR Apache-2.0
//! Profile `bypass`: the Python hook that takes MIOpen out of PyTorch's way,
//! given to one process and what it starts.

use std::ffi::{OsStr, OsString};

use rdna1_core::root::Root;
use rdna1_stack::command::Answer;

use crate::context::Environment;

/// The hook's directory below the prefix that the program is installed in.
const HOOK: &str = "lib/rdna1-rocm-fix/python/hook";

/// Where Python looks for modules first.
const PATH: &str = "PYTHONPATH";

/// What makes the hook act.
const SWITCH: &str = "RDNA1_BYPASS";

/// The hook, ready to be given to a process.
#[derive(Debug)]
pub(super) struct Hook {
    dir: OsString,
    /// The user's own `PYTHONPATH`, which stays in force behind the hook's directory.
    path: Option<OsString>,
}

/// Finds the hook, or says why it could not act.
pub(super) fn hook(root: &Root, answer: &Answer, environment: &Environment) -> Result<Hook, String> {
    let isolation = answer.interpreter.as_ref().map(|found| found.isolation).unwrap_or_default();
    if isolation.no_variables || isolation.no_site {
        return Err(
            "profile bypass needs Python to read PYTHONPATH and sitecustomize; run it without -I, -E and -S".into()
        );
    }
    if answer.clears_environment {
        return Err("profile bypass would be lost: the command clears the environment (env -i or -u)".into());
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

/// Beside the running program, or in the machine that `--root` names.
fn directory(root: &Root) -> Option<OsString> {
    if !root.is_system() {
        return Some(root.join(&format!("/usr/{HOOK}")).into_os_string());
    }
    let program = std::env::current_exe().ok()?;
    Some(program.parent()?.parent()?.join(HOOK).into_os_string())
}

impl Hook {
    /// What the process gets besides the resolution.
    pub(super) fn variables(&self) -> [(&'static str, OsString); 2] {
        let mut path = self.dir.clone();
        if let Some(own) = &self.path {
            path.push(OsStr::new(":"));
            path.push(own);
        }
        [(PATH, path), (SWITCH, "1".into())]
    }

    pub(super) fn explanation(&self) -> String {
        let variables = self.variables();
        variables.iter().map(|(name, value)| format!("set {name}={} (profile bypass)\n", value.display())).collect()
    }
}
