// SPDX-License-Identifier: MIT OR Apache-2.0
//! `uv run [OPTIONS] COMMAND`: in the project's environment, or outside a
//! project in the one that is active or near.
//!
//! By uv's documentation and its `commands/project/run.rs`. Whatever makes uv
//! build an environment of its own (`--with`, a script with its dependencies in
//! it, a project that has none yet) is out of reach.

use super::{Step, Walk};

/// Options that change nothing about which environment it is.
const FLAGS: &[&str] = &[
    "--active",
    "--all-extras",
    "--all-groups",
    "--all-packages",
    "--compile-bytecode",
    "--dev",
    "--exact",
    "--frozen",
    "--inexact",
    "--locked",
    "--managed-python",
    "--module",
    "--native-tls",
    "--no-active",
    "--no-binary",
    "--no-build",
    "--no-cache",
    "--no-config",
    "--no-default-groups",
    "--no-dev",
    "--no-editable",
    "--no-env-file",
    "--no-index",
    "--no-progress",
    "--no-python-downloads",
    "--no-sync",
    "--offline",
    "--only-dev",
    "--quiet",
    "--refresh",
    "--reinstall",
    "--upgrade",
    "--verbose",
    "-U",
    "-m",
    "-n",
    "-q",
];

/// Such with a value.
const WITH_VALUE: &[&str] = &[
    "--cache-dir",
    "--color",
    "--config-file",
    "--default-index",
    "--directory",
    "--env-file",
    "--extra",
    "--extra-index-url",
    "--find-links",
    "--group",
    "--index",
    "--index-strategy",
    "--index-url",
    "--link-mode",
    "--no-extra",
    "--no-group",
    "--only-group",
    "--package",
    "--project",
    "-i",
];

/// Variables that stand for options which make an environment, or name another place.
const VARIABLES: &[&str] = &[
    "UV_ISOLATED",
    "UV_NO_PROJECT",
    "UV_PROJECT",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_WORKING_DIR",
    "UV_WORKING_DIRECTORY",
];

/// How a script with its dependencies in it (PEP 723) announces them.
const METADATA: &str = "# /// script";

/// What the options say.
struct Options {
    /// Where uv looks for the project.
    project: String,
    /// The command is the name of a module.
    module: bool,
    /// `--active`: the active environment stands in for the project's.
    active: bool,
}

/// Where a directory's project has its environment.
enum Project {
    None,
    At(String),
    Unclear(&'static str),
}

impl Walk<'_> {
    pub(super) fn uv(&mut self, words: &[String]) -> Step {
        if let Some(name) = VARIABLES.iter().find(|name| self.variables.contains_key(**name)) {
            return self.out_of_reach(&format!("{name} is set, and uv run chooses by it"));
        }
        let (options, rest) = match self.uv_options(words) {
            Ok(read) => read,
            Err(why) => return self.out_of_reach(&why),
        };
        let Some(first) = rest.first() else { return self.out_of_reach("uv run names no command") };
        if first == "-" || first.contains("://") {
            return self.out_of_reach("uv run may make an environment for a script that it is yet to read");
        }
        let path = self.absolute(first);
        let is_script =
            !options.module && (first.ends_with(".py") || first.ends_with(".pyw")) && self.place.is_file(&path);
        if is_script && self.has_metadata(&path) {
            return self
                .out_of_reach(&format!("uv run makes an environment for {first}, which has its dependencies in it"));
        }
        let prefix = match self.uv_prefix(&options) {
            Ok(prefix) => prefix,
            Err(why) => return self.out_of_reach(why),
        };
        self.note(format!("uv run uses {prefix}"));
        let is_package = self.place.is_file(&format!("{path}/__main__.py"));
        if options.module || is_script || is_package {
            return Step::Again([&[format!("{prefix}/bin/python")], rest].concat());
        }
        self.in_prefix(&prefix, rest)
    }

    /// The options and what follows them.
    fn uv_options<'a>(&mut self, words: &'a [String]) -> Result<(Options, &'a [String]), String> {
        let (mut at, mut options) = (0, Options { project: String::new(), module: false, active: false });
        let mut project = None;
        while let Some(word) = words.get(at).filter(|word| word.starts_with('-') && *word != "-") {
            at += 1;
            let (name, inline) = word.split_once('=').map_or((word.as_str(), None), |(n, v)| (n, Some(v.to_owned())));
            match name {
                "--" => break,
                // The rest is the module's.
                "-m" | "--module" => {
                    options.module = true;
                    break;
                }
                "--active" => options.active = true,
                _ if FLAGS.contains(&name) || name.chars().skip(1).all(|letter| letter == 'v') => {}
                _ if WITH_VALUE.contains(&name) => {
                    let value = match inline {
                        Some(value) => value,
                        None => {
                            at += 1;
                            words.get(at - 1).cloned().unwrap_or_default()
                        }
                    };
                    match name {
                        "--directory" => self.cwd = self.absolute(&value),
                        "--project" => project = Some(value),
                        _ => {}
                    }
                }
                _ => return Err(format!("uv run {name} may make an environment when it is started")),
            }
        }
        options.project = project.map_or_else(|| self.cwd.clone(), |dir| self.absolute(&dir));
        Ok((options, words.get(at..).unwrap_or_default()))
    }

    /// Whether it has them, or cannot be read as text.
    fn has_metadata(&self, path: &str) -> bool {
        let read = self.place.text(path).map(Option::unwrap_or_default);
        read.map_or(true, |text| text.lines().any(|line| line.trim_end() == METADATA))
    }

    /// The environment that the command will run in.
    fn uv_prefix(&self, options: &Options) -> Result<String, &'static str> {
        let is_environment = |dir: &String| self.place.is_file(&format!("{dir}/pyvenv.cfg"));
        let variable =
            |name: &str| self.variables.get(name).filter(|dir| !dir.is_empty()).map(|dir| self.absolute(dir));
        let active = variable("VIRTUAL_ENV").filter(is_environment);
        match self.uv_project(&options.project) {
            Project::At(root) => {
                let active = active.filter(|_| options.active);
                let named = self.variables.get("UV_PROJECT_ENVIRONMENT").filter(|dir| !dir.is_empty());
                let own = named.map_or_else(
                    || format!("{root}/.venv"),
                    |dir| if dir.starts_with('/') { dir.clone() } else { format!("{root}/{dir}") },
                );
                let own = Some(own).filter(is_environment);
                active.or(own).ok_or("uv run makes this project's environment when it is started")
            }
            Project::Unclear(why) => Err(why),
            Project::None => {
                let dirs = Self::upwards(&options.project);
                if dirs.iter().any(|dir| self.place.is_file(&format!("{dir}/.python-version"))) {
                    return Err("uv run looks for the Python that .python-version names");
                }
                let conda = variable("CONDA_PREFIX").filter(|dir| self.place.is_file(&format!("{dir}/bin/python")));
                let is_base = self
                    .variables
                    .get("CONDA_DEFAULT_ENV")
                    .is_some_and(|name| matches!(name.as_str(), "base" | "root"));
                let near = || dirs.iter().map(|dir| format!("{dir}/.venv")).find(is_environment);
                let found = active.or_else(|| conda.clone().filter(|_| !is_base)).or_else(near).or(conda);
                found.ok_or("uv run chooses a Python by itself here")
            }
        }
    }

    /// The nearest `pyproject.toml` makes a project; a workspace above may own it.
    fn uv_project(&self, dir: &str) -> Project {
        let text = |dir: &str| self.place.text(&format!("{dir}/pyproject.toml")).ok().flatten();
        let dirs = Self::upwards(dir);
        let mut found = dirs.iter().filter_map(|dir| Some((dir, text(dir)?)));
        let Some((root, own)) = found.next() else { return Project::None };
        if section(&own, "tool.uv.workspace").is_some() {
            return Project::At(root.clone());
        }
        if section(&own, "project").is_none() {
            return Project::Unclear("the pyproject.toml here has no project");
        }
        let above = found.find_map(|(dir, text)| Some((dir, section(&text, "tool.uv.workspace")?)));
        match above {
            None => Project::At(root.clone()),
            Some((workspace, members)) => match is_member(&members, root.strip_prefix(workspace.as_str())) {
                Some(true) => Project::At(workspace.clone()),
                Some(false) => Project::At(root.clone()),
                None => Project::Unclear("whether this project belongs to the workspace above is not clear"),
            },
        }
    }
}

/// The lines of a TOML table, up to the next one; `None` if it is not there.
fn section(text: &str, name: &str) -> Option<String> {
    let header = |line: &str| {
        let line = line.trim().strip_prefix('[')?;
        let inner = line.split(']').next()?;
        Some(inner.chars().filter(|c| !c.is_whitespace() && !matches!(c, '"' | '\'')).collect::<String>())
    };
    // A nested one (`[project.scripts]`) says that its parent is there.
    let child = format!("{name}.");
    let mut lines = text.lines().skip_while(|line| !header(line).is_some_and(|h| h == name || h.starts_with(&child)));
    let first = lines.next()?;
    let is_child = header(first).is_some_and(|found| found != name);
    let body = lines.take_while(|line| !line.starts_with('['));
    Some(if is_child { String::new() } else { body.map(|line| format!("{line}\n")).collect() })
}

/// Whether a workspace's table counts a directory below it among its members;
/// `None` if that takes more than names and `*` to tell.
fn is_member(table: &str, below: Option<&str>) -> Option<bool> {
    let below: Vec<&str> = below?.split('/').filter(|part| !part.is_empty()).collect();
    let plain: String = table.lines().map(|line| line.split('#').next().unwrap_or_default()).collect();
    if plain.contains("exclude") {
        return None;
    }
    let list = plain.split_once("members").and_then(|(_, rest)| rest.split_once('[')).map_or("", |(_, rest)| rest);
    let list = list.split(']').next().unwrap_or_default();
    let patterns: Vec<&str> = list.split(['"', '\'']).skip(1).step_by(2).collect();
    let fits = |pattern: &&str| {
        let parts: Vec<&str> = pattern.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        parts.len() == below.len() && parts.iter().zip(&below).all(|(part, name)| *part == "*" || part == name)
    };
    if patterns.iter().any(fits) {
        return Some(true);
    }
    let hard = patterns
        .iter()
        .any(|pattern| pattern.split('/').any(|part| part != "*" && part.contains(['*', '?', '[', '{'])));
    (!hard).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::{is_member, section};

    #[test]
    fn a_workspace_names_its_members() {
        let table = "members = [\n  \"packages/*\", # all of them\n  'tool'\n]\n";
        for (below, expected) in
            [("/packages/a", Some(true)), ("/tool", Some(true)), ("/tool/x", Some(false)), ("/other", Some(false))]
        {
            assert_eq!(is_member(table, Some(below)), expected, "{below}");
        }
        assert_eq!(is_member("members = ['a*']", Some("/b")), None);
        assert_eq!(is_member("members = ['*']\nexclude = ['b']", Some("/b")), None);
        assert_eq!(is_member("", Some("/b")), Some(false));
    }

    #[test]
    fn tables_are_found_by_their_headers() {
        let text = "[project]\nname = 'x'\n[tool.uv.workspace]\nmembers = ['a']\n[[tool.uv.index]]\n";
        assert_eq!(section(text, "tool.uv.workspace").as_deref(), Some("members = ['a']\n"));
        assert!(section(text, "project").is_some() && section(text, "tool.ruff").is_none());
        assert!(section("[project.scripts]\n", "project").is_some());
    }
}
