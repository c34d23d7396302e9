// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keeps what is nobody's business out of reports: the home directory becomes
//! `~`, the user's and the host's names disappear from texts.

use rdna1_launch::context::Environment;

use crate::report::Report;

/// What to take out.
#[derive(Debug, Default)]
pub struct Private {
    /// Text and its replacement, longest first.
    replacements: Vec<(String, &'static str)>,
}

impl Private {
    /// By the environment that the program runs in.
    pub fn of(environment: &Environment, host: Option<&str>) -> Self {
        let mut replacements = Vec::new();
        let variable = |name: &str| environment.get(name).map(String::as_str).filter(|value| value.len() > 2);
        if let Some(home) = variable("HOME").filter(|home| home.starts_with('/')) {
            replacements.push((home.trim_end_matches('/').to_owned(), "~"));
        }
        for name in ["USER", "LOGNAME", "SUDO_USER"] {
            if let Some(user) = variable(name).filter(|user| *user != "root") {
                replacements.push((format!("/home/{user}"), "~"));
                replacements.push((user.to_owned(), "USER"));
            }
        }
        if let Some(host) = host.map(str::trim).filter(|host| host.len() > 2 && *host != "localhost") {
            replacements.push((host.to_owned(), "HOST"));
        }
        replacements.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        replacements.dedup();
        Self { replacements }
    }

    /// A text without them. Only whole words are replaced: a user `max` does
    /// not make `maximum` private.
    pub fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (private, replacement) in &self.replacements {
            let mut out = String::with_capacity(text.len());
            let mut rest = text.as_str();
            while let Some(at) = rest.find(private.as_str()) {
                let (before, after) = (&rest[..at], &rest[at + private.len()..]);
                let glued = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                let begins = private.starts_with('/') || !glued(before.chars().next_back());
                let whole = begins && !glued(after.chars().next());
                out += before;
                out += if whole { replacement } else { private };
                rest = after;
            }
            out += rest;
            text = out;
        }
        text
    }

    /// Cleans every text of a report that comes from outside.
    pub fn clean_report(&self, report: &mut Report) {
        let clean = |text: &mut String| *text = self.clean(text);
        let maybe = |text: &mut Option<String>| *text = text.as_deref().map(|text| self.clean(text));
        clean(&mut report.interpreter.path);
        clean(&mut report.software.torch_path);
        maybe(&mut report.environment.profile_source);
        maybe(&mut report.environment.gfx_reason);
        report.environment.remarks.iter_mut().for_each(clean);
        for variable in &mut report.environment.variables {
            clean(&mut variable.value);
            clean(&mut variable.source);
        }
        for case in &mut report.cases {
            maybe(&mut case.detail);
            maybe(&mut case.printed);
        }
        report.diagnosis.reasons.iter_mut().for_each(clean);
        if let crate::report::End::Stopped { why } = &mut report.end {
            clean(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_homes_go_and_words_stay() {
        let environment: Environment =
            [("HOME", "/home/max"), ("USER", "max")].map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        let private = Private::of(&environment, Some("tower\n"));
        for (text, clean) in [
            ("/home/max/venv/bin/python", "~/venv/bin/python"),
            ("/home/maxine/x", "/home/maxine/x"),
            ("max is not the maximum on tower", "USER is not the maximum on HOST"),
            ("", ""),
        ] {
            assert_eq!(private.clean(text), clean);
        }
    }
}
