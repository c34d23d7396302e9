// SPDX-License-Identifier: MIT OR Apache-2.0
//! `env [OPTIONS] [NAME=VALUE]… COMMAND`, as GNU's env(1) reads it.

use super::{Step, Walk};

/// What an option does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Ignore,
    Unset,
    Directory,
    Split,
    Other,
}

/// An option's letter, its long name, whether it takes a value, and what it does.
/// Values of the last four are optional and then part of the same word.
const OPTIONS: [(char, &str, bool, Does); 11] = [
    ('i', "ignore-environment", false, Does::Ignore),
    ('u', "unset", true, Does::Unset),
    ('C', "chdir", true, Does::Directory),
    ('S', "split-string", true, Does::Split),
    ('a', "argv0", true, Does::Other),
    ('0', "null", false, Does::Other),
    ('v', "debug", false, Does::Other),
    ('\0', "block-signal", false, Does::Other),
    ('\0', "default-signal", false, Does::Other),
    ('\0', "ignore-signal", false, Does::Other),
    ('\0', "list-signal-handling", false, Does::Other),
];

/// What profile `bypass` puts into the environment: the variable by which Python
/// finds the hook, and the hook's own switch.
pub const BYPASS: [&str; 2] = ["PYTHONPATH", "RDNA1_BYPASS"];

impl Walk<'_> {
    pub(super) fn env(&mut self, words: &[String]) -> Step {
        self.note("env sets variables and starts it");
        let mut words = words.to_vec();
        let mut at = 0;
        while let Some(word) = words.get(at).filter(|word| word.starts_with('-')).cloned() {
            at += 1;
            if word == "--" {
                break;
            }
            if word == "-" {
                self.ignore();
                continue;
            }
            let found = match word.strip_prefix("--") {
                Some(long) => long_option(long),
                None => short_options(&word[1..]),
            };
            let Some(options) = found else { return self.out_of_reach(&format!("env has no option {word}")) };
            for (does, takes_value, inline) in options {
                let value = match inline {
                    None if takes_value => {
                        at += 1;
                        words.get(at - 1).cloned().unwrap_or_default()
                    }
                    inline => inline.unwrap_or_default(),
                };
                match does {
                    Does::Ignore => self.ignore(),
                    Does::Unset => self.change(&value, None),
                    Does::Directory => self.cwd = self.absolute(&value),
                    Does::Split => {
                        let Some(split) = split(&value) else {
                            return self.out_of_reach(&format!("env -S {value:?} has escapes or variables"));
                        };
                        words = split.into_iter().chain(words.get(at..).unwrap_or_default().iter().cloned()).collect();
                        at = 0;
                    }
                    Does::Other => {}
                }
            }
        }
        while let Some((name, value)) = words.get(at).and_then(|word| word.split_once('=')) {
            let (name, value) = (name.to_owned(), value.to_owned());
            self.change(&name, Some(value));
            at += 1;
        }
        Step::Again(words.split_off(at.min(words.len())))
    }

    fn ignore(&mut self) {
        self.answer.clears_environment = true;
        self.variables.clear();
    }

    fn change(&mut self, name: &str, value: Option<String>) {
        self.answer.clears_environment |= BYPASS.contains(&name);
        match value {
            Some(value) => self.variables.insert(name.to_owned(), value),
            None => self.variables.remove(name),
        };
    }
}

/// What it does, whether it takes a value, and the value within the same word.
type Given = (Does, bool, Option<String>);

/// `--unset=NAME`, `--unset NAME`, and shortened as far as it stays one of them.
fn long_option(text: &str) -> Option<Vec<Given>> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value.to_owned())));
    let mut fit = OPTIONS.iter().filter(|(_, long, _, _)| long.starts_with(name));
    let (_, _, takes_value, does) = fit.next().filter(|_| !name.is_empty())?;
    fit.next().is_none().then(|| vec![(*does, *takes_value, value)])
}

/// `-i`, `-uNAME`, `-u NAME`, `-iu NAME`.
fn short_options(text: &str) -> Option<Vec<Given>> {
    let mut found = Vec::new();
    for (at, letter) in text.char_indices() {
        let (_, _, takes_value, does) = OPTIONS.iter().find(|(known, ..)| *known == letter)?;
        let rest = &text[at + letter.len_utf8()..];
        if *takes_value {
            found.push((*does, true, (!rest.is_empty()).then(|| rest.to_owned())));
            break;
        }
        found.push((*does, false, None));
    }
    Some(found)
}

/// The words of `-S`'s text: blanks part them, quotes hold them together.
/// `None` where it has escapes, variables or comments, or a quote is left open.
fn split(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in text.chars() {
        match (letter, quote) {
            ('\\' | '$', _) => return None,
            ('#', None) if word.is_none() => return None,
            ('\'' | '"', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (end, Some(open)) if end == open => quote = None,
            (blank, None) if blank.is_whitespace() => words.extend(word.take()),
            (other, _) => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_text_is_split_as_env_does() {
        let words = |text: &str| split(text).map(|words| words.join("|"));
        assert_eq!(words(" A='b c' python3  -u \"\" ").as_deref(), Some("A=b c|python3|-u|"));
        for text in ["python ${X}", "a\\_b", "'open", "python #x"] {
            assert_eq!(words(text), None, "{text}");
        }
    }
}
