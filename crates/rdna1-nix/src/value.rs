// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nix values as text, in the official style (RFC 166).

use std::fmt::Write;

/// A Nix value, or an expression that stands for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A text.
    Str(String),
    /// A number.
    Int(i64),
    /// A list.
    List(Vec<Value>),
    /// A set; the order is that in which it is written.
    Attrs(Vec<(String, Value)>),
    /// Nix code, as it is.
    Code(&'static str),
}

impl Value {
    /// A text.
    pub fn str(text: impl ToString) -> Self {
        Self::Str(text.to_string())
    }

    /// A list of texts.
    pub fn strs<T: ToString>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(Self::str).collect())
    }

    /// A set.
    pub fn attrs<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Attrs(pairs.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// As Nix code; lines after the first are indented by `indent` blanks.
    pub fn render(&self, indent: usize) -> String {
        let mut text = String::new();
        self.write(&mut text, indent);
        text
    }

    fn write(&self, out: &mut String, indent: usize) {
        let inner = " ".repeat(indent + 2);
        match self {
            Self::Str(text) => *out += &quote(text),
            Self::Int(number) => *out += &number.to_string(),
            Self::Code(code) => *out += code,
            Self::List(items) if items.is_empty() => *out += "[ ]",
            Self::List(items) if items.len() == 1 => {
                *out += "[ ";
                items[0].write(out, indent);
                *out += " ]";
            }
            Self::List(items) => {
                *out += "[\n";
                for item in items {
                    *out += &inner;
                    item.write(out, indent + 2);
                    *out += "\n";
                }
                *out += &format!("{}]", " ".repeat(indent));
            }
            Self::Attrs(pairs) if pairs.is_empty() => *out += "{ }",
            Self::Attrs(pairs) => {
                *out += "{\n";
                for (name, value) in pairs {
                    *out += &inner;
                    *out += &key(name);
                    *out += " = ";
                    value.write(out, indent + 2);
                    *out += ";\n";
                }
                *out += &format!("{}}}", " ".repeat(indent));
            }
        }
    }
}

/// The name of an attribute, in quotes where it is no identifier.
fn key(name: &str) -> String {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if first && bytes.all(|b| b.is_ascii_alphanumeric() || b"_-'".contains(&b)) { name.to_owned() } else { quote(name) }
}

/// A text between double quotes.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for (i, c) in text.char_indices() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\t' => out += "\\t",
            '$' if text[i..].starts_with("${") => out += "\\$",
            c => {
                let _ = out.write_char(c);
            }
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_what_they_are() {
        assert_eq!(quote("a \"b\" \\ ${c} $d\n"), "\"a \\\"b\\\" \\\\ \\${c} $d\\n\"");
        assert_eq!((key("a-b"), key("10.3"), key("_x")), ("a-b".into(), "\"10.3\"".into(), "_x".into()));
    }

    #[test]
    fn sets_and_lists_are_written_one_entry_a_line() {
        let value = Value::attrs([("a", Value::strs(["x"])), ("b", Value::List(vec![Value::Int(1), Value::Int(2)]))]);
        assert_eq!(value.render(2), "{\n    a = [ \"x\" ];\n    b = [\n      1\n      2\n    ];\n  }");
    }
}
