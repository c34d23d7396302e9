// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a command gets: the resolution for it, and the hook of profile `bypass`.

use rdna1_core::policy::Engine;
use rdna1_core::resolve::{Inactive, Request, Resolution};
use rdna1_core::selection::Recorded;

use crate::context::{Context, Environment};
use crate::target::Target;
use crate::{bypass, recorded};

/// What a command gets.
#[derive(Debug)]
pub struct Given {
    /// Its environment.
    pub resolution: Resolution,
    /// The hook of profile `bypass`, where that is in force.
    pub hook: Option<bypass::Hook>,
    /// Why it is not what was measured to be best.
    pub remark: Option<String>,
}

impl Given {
    /// Decides for a command and an environment that is there already.
    ///
    /// # Errors
    /// Why it is refused, and what is allowed.
    pub fn decide(
        context: &Context,
        request: &Request,
        target: Option<&Target>,
        environment: &Environment,
    ) -> Result<Self, String> {
        let stack = target.and_then(|target| target.stack.as_ref());
        let record = match target {
            Some(_) => recorded::for_process(context, environment, stack)?,
            None => None,
        };
        let stacks = target.map(|target| target.stacks(&context.stacks));
        let resolve = |record: Option<&Recorded>| {
            let stacks = stacks.as_ref().unwrap_or(&context.stacks);
            let resolution = context.resolve_with(stacks, record, request, environment);
            match &resolution.inactive {
                Some(Inactive::Refused { problem }) => Err(problem.clone()),
                _ => Ok(resolution),
            }
        };
        let resolution = resolve(record.as_ref())?;
        let hooked = context.policy.profile(&resolution.profile).is_some_and(|p| p.engine == Engine::PythonHook);
        let (Some(target), true, None) = (target, hooked, &resolution.inactive) else {
            return Ok(Self { resolution, hook: None, remark: None });
        };
        let measured = record.filter(|record| record.file == resolution.profile_source);
        match (bypass::hook(&context.root, &target.answer, environment), measured) {
            (Ok(hook), _) => Ok(Self { resolution, hook: Some(hook), remark: None }),
            (Err(problem), None) => Err(problem),
            // Nobody asked for it in so many words: then a program that cannot
            // have it starts all the same.
            (Err(problem), Some(record)) => {
                let rest =
                    Recorded { profile: recorded::machine_profile(context, &record.file, environment), ..record };
                let resolution = resolve(Some(&rest))?;
                let remark = format!("{problem}; profile {} is used instead\n", resolution.profile);
                Ok(Self { resolution, hook: None, remark: Some(remark) })
            }
        }
    }
}
