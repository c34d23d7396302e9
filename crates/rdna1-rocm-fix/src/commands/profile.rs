// SPDX-License-Identifier: MIT OR Apache-2.0
//! `profile`: list, show, set, reset.

use std::fs;

use anyhow::{Context as _, bail};
use rdna1_core::config::{ConfigFile, DROP_INS};
use rdna1_core::policy::{Profile, Scope};

use super::{Outcome, refresh};
use crate::cli::ProfileCommand;
use crate::context::Context;
use crate::state::replace_file;
use crate::text::{DIM, GOOD, TITLE, styled, wrapped};

/// The drop-in that `profile set` writes; the administrator's own files stay untouched.
const DROP_IN: &str = "50-profile.yaml";

pub(super) fn run(context: Context, command: ProfileCommand) -> anyhow::Result<Outcome> {
    match command {
        ProfileCommand::List => Ok(Outcome::answer(list(&context))),
        ProfileCommand::Show { profile } => show(&context, profile.as_deref()),
        ProfileCommand::Set { profile } => set(context, &profile),
        ProfileCommand::Reset => reset(context),
    }
}

fn list(context: &Context) -> String {
    let current = context.resolve_machine().profile;
    let mut out = String::new();
    for profile in &context.policy.profiles {
        let mark = if profile.id == current { styled(GOOD, "*") } else { " ".to_owned() };
        out += &format!("{mark} {:14} {}\n", profile.id, profile.summary);
        let remark = match profile.scope {
            Scope::Process => "for single processes: rdna1-rocm-fix run",
            _ if profile.default => "the default",
            _ => continue,
        };
        out += &format!("{:17}{}\n", "", styled(DIM, remark));
    }
    out
}

fn find<'a>(context: &'a Context, id: &str) -> anyhow::Result<&'a Profile> {
    context.policy.named_profile(id).map_err(anyhow::Error::msg)
}

fn show(context: &Context, id: Option<&str>) -> anyhow::Result<Outcome> {
    let current = context.resolve_machine().profile;
    let profile = find(context, id.unwrap_or(&current))?;
    let choices: Vec<String> = profile.gfx_choices.iter().map(ToString::to_string).collect();
    let mut out = format!("{}: {}\n", styled(TITLE, &profile.id), profile.summary);
    out += &format!("{}\n", wrapped(2, &format!("For: {}", profile.audience)));
    out += &format!("{}\n\n", wrapped(2, &format!("Under gfx choice: {}.", choices.join(", "))));
    if profile.set.is_empty() {
        out += "  Sets no variable.\n";
    }
    for setting in &profile.set {
        let inert = context.policy.variable(setting.name.as_str()).is_some_and(|variable| variable.is_inert());
        let inert = if inert { styled(DIM, "  (inert: nothing reads it)") } else { String::new() };
        out += &format!("  {}={}{inert}\n{}\n", setting.name, setting.value, wrapped(6, &setting.why));
    }
    for limit in &profile.limits {
        out += &format!(
            "\n{}\n{}\n",
            wrapped(2, &format!("Limit: {}", limit.happens)),
            wrapped(2, &format!("Instead: {}", limit.remedy))
        );
    }
    Ok(Outcome::answer(out))
}

fn set(context: Context, id: &str) -> anyhow::Result<Outcome> {
    let file = format!("{DROP_INS}/{DROP_IN}");
    // Ids are small letters, digits and -, checked by the policy: no quoting needed.
    let id = &find(&context, id)?.id;
    let text = format!(
        "# Written by `rdna1-rocm-fix profile set {id}`.\n# `rdna1-rocm-fix profile reset` removes this file.\nprofile: {id}\n"
    );
    // Refuse what the next boot would refuse, before anything is changed.
    ConfigFile::parse("profile set", &text, &context.policy)?;
    let dir = context.root.join(DROP_INS);
    fs::create_dir_all(&dir)
        .and_then(|()| replace_file(&context.root.join(&file), &text, 0o644))
        .with_context(|| format!("cannot write {file}; `sudo rdna1-rocm-fix profile set {id}` can"))?;
    let id = id.clone();
    let context = Context::read(context.root)?;
    let resolution = context.resolve_machine();
    if let Some(other) = context.config.profile.as_ref().filter(|from| from.value != id) {
        bail!("{file} is written, but {} comes later and says `{}`", other.file, other.value);
    }
    let mut outcome = refresh::run(&context, true)?;
    if let Some(rdna1_core::resolve::Inactive::Refused { problem }) = resolution.inactive {
        bail!("{file} is written, but nothing is set now: {problem}");
    }
    outcome.stdout = format!("profile {id} is chosen for the whole machine; log in again to use it\n");
    Ok(outcome)
}

fn reset(context: Context) -> anyhow::Result<Outcome> {
    let file = format!("{DROP_INS}/{DROP_IN}");
    match fs::remove_file(context.root.join(&file)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Outcome::answer("nothing to reset: no profile was chosen with `profile set`\n"));
        }
        other => other.with_context(|| format!("cannot remove {file}"))?,
    }
    let context = Context::read(context.root)?;
    let mut outcome = refresh::run(&context, true)?;
    outcome.stdout =
        format!("profile {} is in force again; log in again to use it\n", context.resolve_machine().profile);
    Ok(outcome)
}
