// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a command will use, found out before it starts.

use std::ffi::OsString;

use rdna1_core::stack::Stacks;
use rdna1_stack::Stack;
use rdna1_stack::command::{Answer, interpreter};

use crate::context::{Context, Environment};
use crate::survey::{describe, resolution_stacks};

/// What a command was found to use.
#[derive(Debug)]
pub struct Target {
    /// Its interpreter.
    pub answer: Answer,
    /// What its interpreter will import.
    pub stack: Option<Stack>,
}

impl Target {
    /// Looks a command line up in an environment.
    pub fn find(context: &Context, line: &[OsString], environment: &Environment) -> Self {
        let line: Vec<String> = line.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        // Without a directory there are no relative paths to resolve.
        let cwd = std::env::current_dir().ok().and_then(|dir| dir.into_os_string().into_string().ok());
        let answer = interpreter(&context.root, &line, environment, cwd.as_deref().unwrap_or("/"));
        // What is wrong with a PyTorch is for status to say; here it only has no code.
        let stack = answer.interpreter.as_ref();
        let stack = stack.and_then(|found| found.environment.stack(&context.root, &mut Vec::new()));
        Self { answer, stack }
    }

    /// What the gfx choice rests on, for this process.
    pub fn stacks(&self, machine_wide: &Stacks) -> Stacks {
        self.stack.as_ref().map_or_else(|| machine_wide.clone(), |stack| resolution_stacks(stack, machine_wide))
    }

    /// The way to it, a line for each step.
    pub fn explanation(&self) -> String {
        let mut out: String = self.answer.steps.iter().map(|step| format!("{step}\n")).collect();
        match (&self.answer.interpreter, &self.stack) {
            (None, _) => out += "no Python that could be told before it starts: as for the whole machine\n",
            (Some(found), None) => out += &format!("{} has no PyTorch\n", found.path),
            (Some(found), Some(stack)) => out += &format!("{} uses {}\n", found.path, describe(stack)),
        }
        out
    }
}
