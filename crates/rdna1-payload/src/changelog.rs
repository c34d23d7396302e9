// SPDX-License-Identifier: MIT OR Apache-2.0
//! CHANGELOG.md in the form of Keep a Changelog: the one place that says which
//! version was released when.

use crate::date::{Date, ParseDateError};

/// One release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its version.
    pub version: String,
    /// Its day.
    pub date: Date,
    /// Its changes, by kind, as in the file.
    pub sections: Vec<Section>,
}

/// The changes of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// `Added`, `Changed`, `Deprecated`, `Removed`, `Fixed` or `Security`.
    pub title: String,
    /// The changes, each as one line of text.
    pub items: Vec<String>,
}

/// Why CHANGELOG.md cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangelogError {
    /// A line that has no place in the form.
    #[error("CHANGELOG.md:{line}: {problem}")]
    Line {
        /// Line number, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// There is no release at all.
    #[error("CHANGELOG.md has no release; expected a heading such as `## [0.1.0] - 2026-11-24`")]
    Empty,
    /// The newest release is not the one that is being built.
    #[error("CHANGELOG.md's newest release is {found}, but Cargo.toml says {expected}; bring them in line")]
    Version {
        /// The newest release's version.
        found: String,
        /// The workspace's version.
        expected: String,
    },
}

const TITLES: [&str; 6] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];

/// Parses the text of CHANGELOG.md: the releases, newest first. What stands
/// under `Unreleased` and before the first heading is left out.
///
/// # Errors
/// The first line that does not fit the form.
pub fn parse(text: &str) -> Result<Vec<Release>, ChangelogError> {
    let mut releases: Vec<Release> = Vec::new();
    // Before the first release, and under `Unreleased`, nothing is recorded.
    let mut recording = false;
    for (i, line) in text.lines().enumerate() {
        let fail = |problem: &str| ChangelogError::Line { line: i + 1, problem: problem.to_owned() };
        let line = line.trim_end();
        if let Some(heading) = line.strip_prefix("## ") {
            recording = !heading.eq_ignore_ascii_case("[Unreleased]");
            if recording {
                let release = release(heading).map_err(|problem| fail(&problem))?;
                if releases.last().is_some_and(|newer| newer.date < release.date) {
                    return Err(fail("an older release must not be dated later"));
                }
                releases.push(release);
            }
            continue;
        }
        let is_link = line.starts_with('[') && line.contains("]: ");
        if !recording || line.is_empty() || is_link {
            continue;
        }
        let Some(release) = releases.last_mut() else { continue };
        if let Some(title) = line.strip_prefix("### ") {
            if !TITLES.contains(&title) {
                return Err(fail(&format!("`{title}` is none of {}", TITLES.join(", "))));
            }
            release.sections.push(Section { title: title.to_owned(), items: Vec::new() });
            continue;
        }
        let section = release.sections.last_mut().ok_or_else(|| fail("a change must stand under a `### ` heading"))?;
        if let Some(item) = line.strip_prefix("- ") {
            section.items.push(item.trim().to_owned());
        } else if let (true, Some(item)) = (line.starts_with("  "), section.items.last_mut()) {
            *item = format!("{item} {}", line.trim());
        } else {
            return Err(fail("expected `- ` and a change, or its continuation after two blanks"));
        }
    }
    if releases.is_empty() { Err(ChangelogError::Empty) } else { Ok(releases) }
}

/// Parses `[0.1.0] - 2026-11-24`.
fn release(heading: &str) -> Result<Release, String> {
    let expected = "expected a heading such as `## [0.1.0] - 2026-11-24`";
    let (version, date) =
        heading.strip_prefix('[').and_then(|rest| rest.split_once("] - ")).ok_or_else(|| expected.to_owned())?;
    let plain = version.bytes().all(|b| b.is_ascii_alphanumeric() || b".+-".contains(&b));
    if !plain || !version.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(expected.to_owned());
    }
    let date = date.parse().map_err(|error: ParseDateError| error.to_string())?;
    Ok(Release { version: version.to_owned(), date, sections: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_and_the_rest_is_left_out() {
        let text = "# Changelog\n\nprose\n\n## [Unreleased]\n\n### Added\n\n- soon\n\n## [1.1.0] - 2026-12-01\n\n\
                    ### Fixed\n\n- one\n  more\n- two\n\n## [1.0.0] - 2026-11-24\n\n[1.0.0]: somewhere\n";
        let releases = parse(text).expect("it has the form");
        let fixed = Section { title: "Fixed".into(), items: vec!["one more".into(), "two".into()] };
        assert_eq!(releases[0].sections, [fixed]);
        assert_eq!(releases.iter().map(|r| r.version.as_str()).collect::<Vec<_>>(), ["1.1.0", "1.0.0"]);
    }

    #[test]
    fn what_has_not_the_form_is_named_with_its_line() {
        for (text, line) in [
            ("## 1.0.0 - 2026-11-24\n", 1),
            ("\n## [1.0.0] - yesterday\n", 2),
            ("## [1.0.0] - 2026-11-24\n- a change\n", 2),
            ("## [1.0.0] - 2026-11-24\n### New\n", 2),
            ("## [1.0.0] - 2026-11-24\n### Added\nprose\n", 3),
            ("## [1.0.0] - 2026-11-24\n\n## [0.9.0] - 2026-11-25\n", 3),
            ("## [one] - 2026-11-24\n", 1),
        ] {
            match parse(text) {
                Err(ChangelogError::Line { line: found, .. }) => assert_eq!(found, line, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        assert_eq!(parse("# Changelog\n"), Err(ChangelogError::Empty));
    }
}
