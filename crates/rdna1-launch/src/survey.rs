// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was found of ROCm and PyTorch, in words, and as the resolution wants it.

use rdna1_core::gfx::GfxChoice;
use rdna1_core::guidance::Pytorch;
use rdna1_core::ids::Version;
use rdna1_core::policy::PytorchFit;
use rdna1_core::resolve::Request;
use rdna1_core::stack::{self, Stacks};
use rdna1_stack::{Code, Fit, Stack, StackKind};
use serde::Serialize;

use crate::context::{Context, Environment};
use crate::recorded;

/// A stack as the resolution knows it.
pub fn core_stack(stack: &Stack, rocm: Version) -> stack::Stack {
    let kind = match stack.kind {
        StackKind::System => stack::StackKind::System,
        StackKind::Distribution | StackKind::Nix => stack::StackKind::Distribution,
        StackKind::Python => stack::StackKind::Python,
    };
    let torch = stack.pytorch.as_ref().filter(|torch| torch.hip.is_some());
    stack::Stack {
        pytorch: torch.map(|torch| stack::StackPytorch {
            version: torch.version.clone(),
            code: torch.code.as_ref().map(Code::gfx),
        }),
        rocblas: stack.rocblas.iter().filter_map(|name| name.parse().ok()).collect(),
        ..stack::Stack::new(kind, stack.path.clone(), rocm)
    }
}

/// One line: `torch 2.6.0+rocm6.1 in /opt/venv/lib/python3.12/site-packages`.
pub fn describe(stack: &Stack) -> String {
    let what = match (&stack.pytorch, &stack.rocm) {
        (Some(pytorch), _) => {
            let made_for = match (&pytorch.hip, &pytorch.cuda) {
                (Some(_), _) => "",
                (None, Some(_)) => " (for CUDA)",
                (None, None) => " (for the CPU alone)",
            };
            format!("torch {}{made_for}", pytorch.version)
        }
        (None, Some(rocm)) => format!("ROCm {rocm}"),
        (None, None) => "ROCm of unknown version".to_owned(),
    };
    format!("{what} in {}", stack.path)
}

/// A stack, what its device code is to the machine's cards, and what a program
/// that uses it would get.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Judged {
    /// The stack.
    #[serde(flatten)]
    pub stack: Stack,
    /// The least that it is to any of the cards: native, compatible, foreign or unknown.
    pub fit: Fit,
    /// The gfx choice that `run` makes for a program that uses it; absent where
    /// it has no PyTorch for ROCm, and where there is no card.
    pub gfx: Option<GfxChoice>,
}

/// Judges what was found by the machine's cards.
pub fn judge(context: &Context, variables: &Environment, stacks: Vec<Stack>) -> Vec<Judged> {
    let judge = |stack: Stack| {
        // Every card must be served: the worst counts.
        let cards = context.machine.active_cards();
        let fit = cards.map(|card| stack.fit(&context.policy, card.gfx)).max().unwrap_or(Fit::Unknown);
        let runs_on_gpu = stack.pytorch.as_ref().is_some_and(|pytorch| pytorch.hip.is_some());
        let gfx = (runs_on_gpu && context.machine.has_card()).then(|| {
            let request = Request { single_process: true, ..Request::default() };
            let record = recorded::for_process(context, variables, Some(&stack)).ok().flatten();
            let stacks = resolution_stacks(&stack, &context.stacks);
            let resolution = context.resolve_with(&stacks, record.as_ref(), &request, &Environment::new());
            resolution.gfx.map(|gfx| gfx.in_force())
        });
        Judged { fit, gfx: gfx.flatten(), stack }
    };
    stacks.into_iter().map(judge).collect()
}

/// What the gfx choice rests on, for a process that uses a stack. A wheel
/// brings its own ROCm; a PyTorch without one uses the machine's.
pub fn resolution_stacks(stack: &Stack, machine_wide: &Stacks) -> Stacks {
    let own = stack.rocm.clone().map(|rocm| core_stack(stack, rocm));
    let code = stack.pytorch.as_ref().and_then(|pytorch| pytorch.code.as_ref());
    Stacks { found: own.map_or_else(|| machine_wide.found.clone(), |own| vec![own]), pytorch_code: code.map(Code::gfx) }
}

/// Each PyTorch for ROCm among them, the best first.
pub fn pytorchs(stacks: &[Judged]) -> Vec<Pytorch<'_>> {
    let with_gpu =
        stacks.iter().filter(|judged| judged.stack.pytorch.as_ref().is_some_and(|torch| torch.hip.is_some()));
    let mut found: Vec<&Judged> = with_gpu.collect();
    found.sort_by_key(|judged| judged.fit);
    let fit = |fit| match fit {
        Fit::Native => PytorchFit::Native,
        Fit::Compatible => PytorchFit::Compatible,
        Fit::Foreign | Fit::Unknown => PytorchFit::Foreign,
    };
    let stacks = found.into_iter().map(|judged| (fit(judged.fit), &judged.stack));
    stacks.map(|(fit, stack)| Pytorch { fit, path: &stack.path, rocm: stack.rocm.as_ref() }).collect()
}
