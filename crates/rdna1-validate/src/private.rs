// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keeps what is nobody's business out of reports: the home directory becomes
//! `~`, the user's and the host's names and GPUs' serial numbers disappear from
//! texts.

use std::path::Path;

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
        // Neither cron nor systemd sets the variables for every process.
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let by_number = name_of(&users, rustix::process::getuid().as_raw());
        // Users of a directory service are not in that file.
        let by_home = variable("HOME").and_then(|home| home_of_user(home));
        let named = ["USER", "LOGNAME", "SUDO_USER"].into_iter().filter_map(variable).chain(by_number).chain(by_home);
        for user in named.filter(|user| *user != "root" && user.len() > 2) {
            replacements.push((format!("/home/{user}"), "~"));
            replacements.push((user.to_owned(), "USER"));
        }
        if let Some(host) = host.map(str::trim).filter(|host| host.len() > 2 && *host != "localhost") {
            replacements.push((host.to_owned(), "HOST"));
        }
        replacements.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        replacements.dedup();
        Self { replacements }
    }

    /// A text without them, and without the numbers by which ROCm and CUDA name
    /// one GPU among all (`GPU-0f1e…`): they are serial numbers. Only whole words
    /// are replaced: a user `max` does not make `maximum` private.
    pub fn clean(&self, text: &str) -> String {
        let mut text = without_serial_numbers(text);
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

/// A user's name, by the lines of /etc/passwd.
fn name_of(users: &str, number: u32) -> Option<&str> {
    let mut fields = users.lines().map(|line| line.split(':'));
    fields.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(number)).then_some(name)
    })
}

/// The user's name, where a home directory ends with it: `/home/max`, `/home/site/max`.
fn home_of_user(home: &str) -> Option<&str> {
    if !home.starts_with("/home/") { None } else { Path::new(home).file_name()?.to_str() }
}

fn without_serial_numbers(text: &str) -> String {
    const BEFORE: &str = "GPU-";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(BEFORE) {
        let (before, after) = rest.split_at(at + BEFORE.len());
        let number = after.len() - after.trim_start_matches(|c: char| c.is_ascii_hexdigit() || c == '-').len();
        out += before;
        // `GPU-accelerated` is none.
        if number >= 8 {
            out += "SERIAL";
            rest = &after[number..];
        } else {
            rest = after;
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_go_and_users_are_known_without_variables() {
        let private = Private::default();
        for (text, clean) in [
            ("GPU-0f1e2d3c4b5a6978", "GPU-SERIAL"),
            ("0,GPU-12345678-9abc-def0-1234-56789abcdef0,1", "0,GPU-SERIAL,1"),
            ("GPU-DEADBEEFdeadbeef GPU-0123456789abcdef", "GPU-SERIAL GPU-SERIAL"),
            ("GPU-accelerated, GPU-1, GPU-", "GPU-accelerated, GPU-1, GPU-"),
        ] {
            assert_eq!(private.clean(text), clean);
        }
        let users = "root:x:0:0:root:/root:/bin/sh\n\nbroken\nmax:x:1000:1000::/srv/max:/bin/sh\n";
        assert_eq!(name_of(users, 1000), Some("max"));
        assert_eq!(name_of(users, 1001), None);
        let environment: Environment = [("HOME".to_owned(), "/home/site/maxmustermann".to_owned())].into();
        let clean = Private::of(&environment, None).clean("/var/spool/maxmustermann/x, ~maxmustermann");
        assert_eq!(clean, "/var/spool/USER/x, ~USER");
        let system: Environment = [("HOME".to_owned(), "/var/lib/daemon".to_owned())].into();
        assert_eq!(Private::of(&system, None).clean("a daemon"), "a daemon");
    }

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
