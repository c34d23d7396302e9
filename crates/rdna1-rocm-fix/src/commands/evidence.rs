// SPDX-License-Identifier: MIT OR Apache-2.0
//! `explain --stack`: which variables the libraries of a stack contain at all.

use std::fmt::Write;

use anyhow::{anyhow, ensure};
use rdna1_launch::survey;
use rdna1_stack::evidence::{self, Evidence, Verdict};
use rdna1_stack::{Place, Stack, StackKind, Survey};
use serde::Serialize;

use super::{Outcome, explain, json_document};
use crate::context::{Context, Environment, current_environment};
use crate::text::{DIM, GOOD, TITLE, WARN, styled, wrapped};

/// What `explain --stack --json` prints.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Document {
    /// Version of this document's form; grows when a field changes its meaning or goes.
    version: u32,
    /// Version of the program.
    program: &'static str,
    /// The stacks that were looked at.
    stacks: Vec<StackEvidence>,
}

/// A stack, and what its libraries contain.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StackEvidence {
    /// Its directory.
    path: String,
    /// Where it comes from.
    kind: StackKind,
    /// The stack in words.
    stack: String,
    /// What its libraries contain.
    #[serde(flatten)]
    evidence: Evidence,
}

/// The choice of every stack that is found.
const AUTO: &str = "auto";

pub(super) fn run(context: &Context, name: Option<&str>, stack: &str, json: bool) -> anyhow::Result<Outcome> {
    if let Some(name) = name {
        explain::known(&context.policy, name)?;
    }
    let place = Place(&context.root);
    let mut stacks = Vec::new();
    let mut stderr = String::new();
    for stack in found(context, stack)? {
        let libraries = evidence::libraries(place, &stack);
        let described = survey::describe(&stack);
        if libraries.is_empty() {
            stderr += &format!("{described}: none of the libraries that read variables is there\n");
            continue;
        }
        let looked = evidence::look(&context.policy, place, &libraries);
        let mut evidence = looked.map_err(|problem| anyhow!("{} {}", problem.path, problem.problem))?;
        evidence.variables.retain(|variable| name.is_none_or(|name| variable.name == name));
        stacks.push(StackEvidence { path: stack.path, kind: stack.kind, stack: described, evidence });
    }
    ensure!(!stacks.is_empty(), "{stderr}no library could be looked at");
    let stdout = if json {
        json_document(&Document { version: 1, program: env!("CARGO_PKG_VERSION"), stacks })?
    } else {
        stacks.iter().map(|stack| page(context, stack)).collect::<Vec<_>>().join("\n")
    };
    Ok(Outcome { stdout, stderr, status: 0 })
}

/// The stack in the directory that was named, or all that the machine has.
fn found(context: &Context, stack: &str) -> anyhow::Result<Vec<Stack>> {
    let here = context.root.is_system();
    if stack == AUTO {
        // Variables hold paths of the running machine, not of one below --root.
        let variables = if here { current_environment() } else { Environment::default() };
        let cwd = std::env::current_dir().ok().and_then(|dir| dir.into_os_string().into_string().ok());
        let found = Survey::of_machine(&context.root, &variables, cwd.as_deref().filter(|_| here)).stacks;
        ensure!(!found.is_empty(), "there is neither ROCm nor PyTorch here; name a directory with --stack DIR");
        return Ok(found);
    }
    let dir = if here { std::path::absolute(stack)?.to_string_lossy().into_owned() } else { stack.to_owned() };
    ensure!(context.root.join(&dir).is_dir(), "{dir}: there is no such directory");
    let found = Survey::at(&context.root, &dir).stacks;
    ensure!(
        !found.is_empty(),
        "{dir} holds neither ROCm (libamdhip64, libMIOpen) nor PyTorch; name a prefix such as /opt/rocm, or a Python environment"
    );
    Ok(found)
}

fn page(context: &Context, stack: &StackEvidence) -> String {
    let mut out = format!("{}\n", styled(TITLE, &stack.stack));
    for library in &stack.evidence.libraries {
        let _ = writeln!(out, "  {}", styled(DIM, library));
    }
    let order = [
        Verdict::Unexpected,
        Verdict::Confirmed,
        Verdict::NotInThisVersion,
        Verdict::NothingReadsIt,
        Verdict::NotLookedAt,
    ];
    for verdict in order {
        let of: Vec<_> = stack.evidence.variables.iter().filter(|variable| variable.verdict == verdict).collect();
        if of.is_empty() {
            continue;
        }
        let style = match verdict {
            Verdict::Confirmed => GOOD,
            Verdict::NotLookedAt => DIM,
            _ => WARN,
        };
        let _ = writeln!(out, "\n  {}", styled(style, format!("{} ({})", verdict.text(), of.len())));
        for variable in of {
            let names: Vec<&str> =
                variable.found_in.iter().map(|path| path.rsplit('/').next().unwrap_or(path)).collect();
            let set = context
                .policy
                .profiles
                .iter()
                .filter(|profile| profile.set.iter().any(|setting| setting.name.as_str() == variable.name));
            let set: Vec<&str> = set.map(|profile| profile.id.as_str()).collect();
            let mut line = variable.name.clone();
            if !names.is_empty() {
                let _ = write!(line, ": {}", names.join(", "));
            }
            if !set.is_empty() {
                let _ = write!(line, " (set by {})", set.join(", "));
            }
            let _ = writeln!(out, "    {line}");
        }
    }
    let limits =
        "A name that no library contains is read by none. One that is there may still be read under conditions only.";
    let _ = writeln!(out, "\n{}", wrapped(2, limits));
    out
}
