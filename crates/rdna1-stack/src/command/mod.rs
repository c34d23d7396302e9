// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which Python interpreter a command line will use, found out without running
//! any of it: `env`, wrappers such as `nice`, `uv run`, `conda run`, scripts with
//! a `#!` line, pyenv's shims.
//!
//! Out of reach: a shell script or another program that starts Python later
//! (Nix's wrappers among them), and environments that a tool makes only when it
//! is started. Such a command counts as no Python. So does one whose options
//! are not known: a wrong answer is worse than none.

mod env;
mod uv;

pub use env::BYPASS;

use rdna1_core::root::Root;

use crate::place::{Place, file_name, parent};
use crate::python::{Environment, Isolation, Variables};

/// More layers than any real command has.
const MAX_STEPS: usize = 16;

/// More directories upwards than any project lies deep.
const MAX_UP: usize = 32;

/// A `#!` line is no longer for the kernel.
const MAX_LINE: usize = 256;

/// The interpreter of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// Its path, links not followed.
    pub path: String,
    /// Where it will look for modules.
    pub environment: Environment,
    /// What its own options leave out.
    pub isolation: Isolation,
}

/// What was found out about a command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The interpreter; `None` if the command is no Python, or one out of reach.
    pub interpreter: Option<Interpreter>,
    /// The way to it, for explanations.
    pub steps: Vec<String>,
    /// Whether a layer takes away what profile `bypass` needs of the environment
    /// (`env -i`, `-u PYTHONPATH`, `PYTHONPATH=…`).
    pub clears_environment: bool,
}

/// Finds the interpreter that a command line will use.
pub fn interpreter(root: &Root, line: &[String], variables: &Variables, cwd: &str) -> Answer {
    let mut walk =
        Walk { place: Place(root), variables: variables.clone(), cwd: cwd.to_owned(), answer: Answer::default() };
    let mut line = line.to_vec();
    for _ in 0..MAX_STEPS {
        match walk.step(&line) {
            Step::Again(next) if !next.is_empty() => line = next,
            Step::Python(path, arguments) => {
                let isolation = isolation(&arguments);
                let environment = Environment::of_interpreter(root, &path, &walk.variables, isolation);
                walk.answer.interpreter = Some(Interpreter { path, environment, isolation });
                break;
            }
            Step::Again(_) | Step::Other => break,
        }
    }
    walk.answer
}

enum Step {
    /// The command is this one.
    Again(Vec<String>),
    /// An interpreter and its arguments.
    Python(String, Vec<String>),
    /// No Python, or out of reach.
    Other,
}

struct Walk<'a> {
    place: Place<'a>,
    variables: Variables,
    cwd: String,
    answer: Answer,
}

impl Walk<'_> {
    fn note(&mut self, text: impl Into<String>) {
        self.answer.steps.push(text.into());
    }

    fn step(&mut self, line: &[String]) -> Step {
        let Some((name, rest)) = line.split_first() else { return Step::Other };
        let simple = !name.contains('/');
        let Some(path) = self.look_up(name) else {
            self.note(format!("{name} is not on the path"));
            return Step::Other;
        };
        match file_name(name) {
            "env" => return self.env(rest),
            "uv" if rest.first().is_some_and(|word| word == "run") => return self.uv(&rest[1..]),
            "conda" | "mamba" | "micromamba" if rest.first().is_some_and(|word| word == "run") => {
                return self.conda(&rest[1..]);
            }
            tool => {
                if let Some(next) = wrapped(tool, rest) {
                    self.note(format!("{tool} starts it"));
                    return Step::Again(next);
                }
            }
        }
        if simple {
            self.note(format!("{name} is {path}"));
        }
        self.file(path, rest)
    }

    /// What executing a file does.
    fn file(&mut self, path: String, rest: &[String]) -> Step {
        if let Some(real) = self.pyenv(&path) {
            self.note(format!("{path} is pyenv's and stands for {real}"));
            return Step::Again([&[real], rest].concat());
        }
        let start = self.start_of(&path);
        if start.starts_with(b"\x7fELF") {
            // The name decides: the real file of a virtual environment's
            // interpreter is the system's, of uv's and conda's their own.
            let real = self.place.real(&path).unwrap_or_else(|| path.clone());
            return if is_python(file_name(&path)) || is_python(file_name(&real)) {
                Step::Python(path, rest.to_vec())
            } else {
                self.note(format!("{path} is a program of its own"));
                Step::Other
            };
        }
        let Some(mut next) = shebang(&start) else {
            self.note(format!("{path} is no program that can be read"));
            return Step::Other;
        };
        let is_shell = matches!(file_name(&next[0]), "sh" | "bash" | "dash" | "zsh");
        if is_shell {
            // What pip writes where the interpreter's path is long or has blanks.
            match trampoline(&start) {
                Some(python) => next = vec![python],
                None => {
                    self.note(format!("{path} is a shell script; what it starts later is out of reach"));
                    return Step::Other;
                }
            }
        }
        self.note(format!("{path} is a script for {}", next.join(" ")));
        next.push(path);
        next.extend_from_slice(rest);
        Step::Again(next)
    }

    fn start_of(&self, path: &str) -> Vec<u8> {
        use std::io::Read;
        let mut bytes = Vec::new();
        if let Ok(Some(file)) = self.place.open(path) {
            // What cannot be read is no program that could be looked into.
            let _ = file.take(4 * MAX_LINE as u64).read_to_end(&mut bytes);
        }
        bytes
    }

    /// Says why the interpreter cannot be told.
    fn out_of_reach(&mut self, why: &str) -> Step {
        self.note(format!("{why}: out of reach"));
        Step::Other
    }

    /// A directory and those above it, as deep as any project lies.
    fn upwards(dir: &str) -> Vec<String> {
        let mut dirs = vec![dir.to_owned()];
        while dirs.len() < MAX_UP && dirs.last().is_some_and(|dir| dir != "/") {
            dirs.push(parent(dirs.last().map_or("/", String::as_str)).to_owned());
        }
        dirs
    }

    fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", self.cwd.trim_end_matches('/')) }
    }

    /// The file that a name stands for, as execvp(3) finds it.
    fn look_up(&self, name: &str) -> Option<String> {
        if name.contains('/') {
            let path = self.absolute(name);
            return self.place.is_file(&path).then_some(path);
        }
        let dirs = self.variables.get("PATH").map_or("/usr/local/bin:/usr/bin:/bin", String::as_str);
        dirs.split(':').map(|dir| self.absolute(if dir.is_empty() { "." } else { dir })).find_map(|dir| {
            let path = format!("{dir}/{name}");
            let metadata = self.place.metadata(&path)?;
            use std::os::unix::fs::PermissionsExt;
            (metadata.is_file() && metadata.permissions().mode() & 0o111 != 0).then_some(path)
        })
    }

    /// `conda run [-n NAME | -p PREFIX] COMMAND`.
    fn conda(&mut self, words: &[String]) -> Step {
        let (mut at, mut prefix) = (0, self.variables.get("CONDA_PREFIX").cloned());
        while let Some(word) = words.get(at).filter(|word| word.starts_with('-')) {
            let (name, inline) = word.split_once('=').map_or((word.as_str(), None), |(n, v)| (n, Some(v.to_owned())));
            let takes = matches!(name, "-n" | "--name" | "-p" | "--prefix" | "--cwd" | "-a" | "--attach");
            let value = inline.clone().or_else(|| words.get(at + 1).cloned()).unwrap_or_default();
            match name {
                "-n" | "--name" => prefix = self.conda_named(&value),
                "-p" | "--prefix" => prefix = Some(self.absolute(&value)),
                "--cwd" => self.cwd = self.absolute(&value),
                _ => {}
            }
            at += if takes && inline.is_none() { 2 } else { 1 };
        }
        let Some(prefix) = prefix else {
            self.note("conda run: the environment was not found");
            return Step::Other;
        };
        self.note(format!("conda run uses {prefix}"));
        self.in_prefix(&prefix, words.get(at..).unwrap_or_default())
    }

    /// The directory of a conda environment, by its name.
    fn conda_named(&self, name: &str) -> Option<String> {
        let variable = |name: &str| self.variables.get(name).cloned();
        let base =
            variable("CONDA_EXE").map(|exe| parent(parent(&exe)).to_owned()).or_else(|| variable("MAMBA_ROOT_PREFIX"));
        let home = variable("HOME").unwrap_or_default();
        let usual = ["miniconda3", "miniforge3", "mambaforge", "anaconda3", "micromamba", ".conda"];
        let bases: Vec<String> = base.into_iter().chain(usual.iter().map(|dir| format!("{home}/{dir}"))).collect();
        if name == "base" {
            return bases.into_iter().find(|dir| self.place.is_dir(&format!("{dir}/conda-meta")));
        }
        bases.into_iter().map(|dir| format!("{dir}/envs/{name}")).find(|dir| self.place.is_dir(dir))
    }

    /// A command with an environment's programs first on the path.
    fn in_prefix(&mut self, prefix: &str, rest: &[String]) -> Step {
        let path = self.variables.get("PATH").cloned().unwrap_or_default();
        self.variables.insert("PATH".into(), format!("{prefix}/bin:{path}"));
        Step::Again(rest.to_vec())
    }

    /// What a shim of pyenv stands for.
    fn pyenv(&self, path: &str) -> Option<String> {
        let dir = parent(path);
        let home = dir.strip_suffix("/shims").filter(|home| self.place.is_dir(&format!("{home}/versions")))?;
        let dirs = Self::upwards(&self.cwd);
        let first = |file: String| {
            let text = self.place.text(&file).ok().flatten()?;
            text.split_whitespace().next().map(str::to_owned)
        };
        let version = self
            .variables
            .get("PYENV_VERSION")
            .and_then(|versions| versions.split(':').next().map(str::to_owned))
            .or_else(|| dirs.iter().find_map(|dir| first(format!("{dir}/.python-version"))))
            .or_else(|| first(format!("{home}/version")))?;
        if version == "system" {
            let others = self.variables.get("PATH")?.split(':').filter(|other| *other != dir);
            let name = file_name(path);
            return others.map(|other| format!("{other}/{name}")).find(|path| self.place.is_file(path));
        }
        let real = |version: &str| format!("{home}/versions/{version}/bin/{}", file_name(path));
        if self.place.is_file(&real(&version)) {
            return Some(real(&version));
        }
        // `3.12` stands for the newest 3.12 that is installed.
        let newer = self.place.names(&format!("{home}/versions"));
        let dotted = format!("{version}.");
        let newest = newer
            .iter()
            .filter(|name| name.starts_with(&dotted))
            .max_by_key(|name| name.rsplit('.').next().and_then(|patch| patch.parse::<u32>().ok()))?;
        Some(real(newest)).filter(|path| self.place.is_file(path))
    }
}

/// `python`, `python3`, `python3.12`, `pypy3`.
fn is_python(name: &str) -> bool {
    let rest = name.strip_prefix("python").or_else(|| name.strip_prefix("pypy"));
    rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 't' | 'd')))
}

/// Programs that only start another one, and which of their options take a value.
fn wrapped(tool: &str, words: &[String]) -> Option<Vec<String>> {
    let (with_value, operands): (&[&str], usize) = match tool {
        "nohup" | "setsid" => (&[], 0),
        "nice" => (&["-n", "--adjustment"], 0),
        "ionice" => (&["-c", "-n", "--class", "--classdata"], 0),
        "stdbuf" => (&["-i", "-o", "-e", "--input", "--output", "--error"], 0),
        "timeout" => (&["-k", "-s", "--kill-after", "--signal"], 1),
        "taskset" => (&[], 1),
        "time" => (&["-f", "-o", "--format", "--output"], 0),
        _ => return None,
    };
    let mut at = 0;
    while let Some(word) = words.get(at).filter(|word| word.starts_with('-')) {
        at += if with_value.contains(&word.as_str()) { 2 } else { 1 };
    }
    words.get(at + operands..).map(<[String]>::to_vec)
}

/// The interpreter and its argument in a `#!` line, as Linux reads it: at most
/// one argument, blanks and all.
fn shebang(start: &[u8]) -> Option<Vec<String>> {
    let line = start.strip_prefix(b"#!")?;
    let line = &line[..line.len().min(MAX_LINE)];
    let line = std::str::from_utf8(line.split(|&byte| byte == b'\n').next()?).ok()?.trim();
    let (program, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let argument = argument.trim();
    let words = std::iter::once(program).chain((!argument.is_empty()).then_some(argument));
    (!program.is_empty()).then(|| words.map(str::to_owned).collect())
}

/// The interpreter in `'''exec' "/a long/path/python" "$0" "$@"`.
fn trampoline(start: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(start);
    let line = text.lines().nth(1)?.strip_prefix("'''exec' ")?;
    let path = match line.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => line.split_whitespace().next()?,
    };
    is_python(file_name(path)).then(|| path.to_owned())
}

/// What an interpreter's own options leave out; they end at `-c`, `-m` or the script.
fn isolation(arguments: &[String]) -> Isolation {
    let mut found = Isolation::default();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) else { break };
        if letters.starts_with('-') {
            if word == "--check-hash-based-pycs" {
                words.next();
            }
            continue;
        }
        for (at, letter) in letters.char_indices() {
            match letter {
                'I' => (found.no_variables, found.no_user) = (true, true),
                'E' => found.no_variables = true,
                's' => found.no_user = true,
                'S' => found.no_site = true,
                'c' | 'm' => return found,
                'W' | 'X' => {
                    if at + 1 == letters.len() {
                        words.next();
                    }
                    break;
                }
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{isolation, shebang, trampoline, wrapped};

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn options_of_python_end_where_the_program_begins() {
        let no_variables = |text: &str| isolation(&words(text)).no_variables;
        assert!(no_variables("-u -I x.py"));
        assert!(no_variables("-uE x.py"));
        assert!(no_variables("-X dev -W error -E -c 1"));
        assert!(!no_variables("x.py -I"));
        assert!(!no_variables("-m pip -I"));
        assert!(!no_variables("-WI x.py"));
        assert!(isolation(&words("-S x.py")).no_site);
    }

    #[test]
    fn a_script_names_its_interpreter() {
        assert_eq!(shebang(b"#!/usr/bin/env python3\nx"), Some(vec!["/usr/bin/env".into(), "python3".into()]));
        assert_eq!(shebang(b"#! /bin/x  -S a b \n"), Some(vec!["/bin/x".into(), "-S a b".into()]));
        assert_eq!(shebang(b"#!"), None);
        assert_eq!(shebang(b"#!\xff\n"), None);
        let long = b"#!/bin/sh\n'''exec' \"/a b/bin/python3.11\" \"$0\" \"$@\"\n' '''\n";
        assert_eq!(trampoline(long).as_deref(), Some("/a b/bin/python3.11"));
        assert_eq!(trampoline(b"#!/bin/sh\nexec python"), None);
    }

    #[test]
    fn wrappers_are_looked_through() {
        assert_eq!(wrapped("timeout", &words("-k 5 60 python x")), Some(words("python x")));
        assert_eq!(wrapped("nice", &words("-n 5 python")), Some(words("python")));
        assert_eq!(wrapped("git", &words("x")), None);
    }
}
