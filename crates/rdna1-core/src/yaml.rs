// SPDX-License-Identifier: MIT OR Apache-2.0
//! Strict YAML with errors that name the file and the line.
//!
//! serde reports where a value has the wrong shape. What is wrong with a
//! document as a whole (an id twice, a name that does not exist) is found
//! afterwards, when positions are gone; [`line_of`] finds them again.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::root::Problem;

/// A YAML file that cannot be used, with the place and what is allowed there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlError {
    /// The file's name as the user knows it.
    pub file: String,
    /// Line, counted from 1, where known.
    pub line: Option<usize>,
    /// Column, counted from 1, where known.
    pub column: Option<usize>,
    /// What is wrong; starts with the key where there is one.
    pub message: String,
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for YamlError {}

impl From<Problem> for YamlError {
    /// A file that cannot even be read.
    fn from(problem: Problem) -> Self {
        Self { file: problem.path, line: None, column: None, message: problem.problem }
    }
}

/// Parses one YAML document; a file that is empty or holds only comments gives `None`.
///
/// # Errors
/// Anything that is not YAML or has not the shape of `T`, with its place.
pub fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<Option<T>, YamlError> {
    if let Some(line) = too_deep(text) {
        let message = format!("more than {DEPTH_MAX} brackets are open; nothing here nests like that");
        return Err(YamlError { file: file.to_owned(), line: Some(line), column: None, message });
    }
    serde_yaml::from_str(text).map_err(|error| {
        let place = error.location();
        let message = error.to_string();
        // The library appends the place to some messages; ours stands in front.
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        YamlError {
            file: file.to_owned(),
            line: place.as_ref().map(serde_yaml::Location::line),
            column: place.as_ref().map(serde_yaml::Location::column),
            message,
        }
    })
}

/// Most brackets that may be open at once. The parser takes time that grows
/// with the square of their number, and this may run at boot.
const DEPTH_MAX: usize = 100;

/// The line where too many brackets are open, those in texts and comments included.
fn too_deep(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    text.lines()
        .position(|line| {
            line.bytes().any(|byte| {
                match byte {
                    b'[' | b'{' => open += 1,
                    b']' | b'}' => open = open.saturating_sub(1),
                    _ => {}
                }
                open > DEPTH_MAX
            })
        })
        .map(|line| line + 1)
}

/// A step from a YAML node to one of its children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The value of a mapping's key.
    Key(String),
    /// An item of a sequence, counted from 0.
    Item(usize),
}

/// A way from the document to a node, written `cards[3].device`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path(Vec<Step>);

impl Path {
    /// The document itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// This node's child under a mapping key.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.then(Step::Key(key.to_owned()))
    }

    /// This node's child at a position in a sequence.
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        self.then(Step::Item(index))
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if i == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Item(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone)]
struct Line {
    number: usize,
    indent: usize,
    content: String,
}

/// The line, counted from 1, of the node that `path` leads to, or of its
/// nearest ancestor that stands in block style; `None` for the document itself.
pub fn line_of(text: &str, path: &Path) -> Option<usize> {
    let mut block: Vec<Line> = text
        .lines()
        .enumerate()
        .filter_map(|(i, line)| {
            let content = line.trim_start();
            let counts = !content.is_empty() && !content.starts_with('#') && content != "---";
            counts.then(|| Line { number: i + 1, indent: line.len() - content.len(), content: content.to_owned() })
        })
        .collect();
    let mut found = None;
    for step in &path.0 {
        let Some((number, child)) = descend(&block, step) else { break };
        found = Some(number);
        block = child;
    }
    found
}

/// The line where a child of a node begins, and the lines that the child consists of.
fn descend(block: &[Line], step: &Step) -> Option<(usize, Vec<Line>)> {
    let indent = block.first()?.indent;
    match step {
        Step::Key(key) => {
            let is_key = |line: &Line| {
                let rest = line.content.trim_start_matches(['"', '\'']).strip_prefix(key.as_str());
                rest.is_some_and(|rest| rest.trim_start_matches(['"', '\'']).starts_with(':'))
            };
            let start = block.iter().position(|line| line.indent == indent && is_key(line))?;
            let after = &block[start + 1..];
            // A sequence may stand at its key's own indentation.
            let ends = |line: &Line| line.indent < indent || (line.indent == indent && !line.content.starts_with("- "));
            let len = after.iter().position(ends).unwrap_or(after.len());
            Some((block[start].number, after[..len].to_vec()))
        }
        Step::Item(index) => {
            let is_item = |line: &Line| line.indent == indent && line.content.starts_with("- ");
            let starts: Vec<usize> = (0..block.len()).filter(|&i| is_item(&block[i])).collect();
            let start = *starts.get(*index)?;
            let end = starts.get(index + 1).copied().unwrap_or(block.len());
            let mut item = block[start..end].to_vec();
            let content = item[0].content[1..].trim_start().to_owned();
            item[0].indent += item[0].content.len() - content.len();
            item[0].content = content;
            Some((item[0].number, item))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# a comment
sources:
  a: {evidence: code, at: x}

cards:
  - device: \"0x731f\"
    revisions:
      \"0xc1\": one
      \"0xca\": two
    sources: [a]
  # between
  - device: \"0x7340\"
    sources: [b]
flat:
- x: 1
- y: 2
last: z
";

    #[test]
    fn lines_are_found_by_path() {
        let root = Path::root();
        let card = root.key("cards").item(1);
        for (path, line) in [
            (root.key("sources").key("a"), Some(3)),
            (root.key("cards"), Some(5)),
            (root.key("cards").item(0).key("revisions").key("0xca"), Some(9)),
            (card.clone(), Some(12)),
            (card.key("sources"), Some(13)),
            (root.key("flat").item(1).key("y"), Some(16)),
            (root.key("last"), Some(17)),
            // Flow style and missing nodes: the nearest ancestor.
            (root.key("sources").key("a").key("at"), Some(3)),
            (card.key("absent"), Some(12)),
            (root.clone(), None),
        ] {
            assert_eq!(line_of(TEXT, &path), line, "{path}");
        }
        assert_eq!(card.key("sources").item(0).to_string(), "cards[1].sources[0]");
    }

    #[test]
    fn shape_errors_carry_their_place() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Small {
            #[allow(dead_code, reason = "only its shape matters here")]
            number: u8,
        }
        let error = parse::<Small>("x.yaml", "\nnumber: no\n").expect_err("a word is no number");
        assert_eq!((error.line, error.file.as_str()), (Some(2), "x.yaml"));
        assert!(error.to_string().starts_with("x.yaml:2:9: number: invalid type"), "{error}");
        let error = parse::<Small>("x.yaml", "numbre: 1\n").expect_err("a misspelt key");
        assert!(error.message.contains("unknown field `numbre`, expected `number`"), "{error}");
        assert!(parse::<Small>("x.yaml", "# nothing\n").expect("comments are no error").is_none());
    }
}
