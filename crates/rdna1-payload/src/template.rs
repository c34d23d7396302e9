// SPDX-License-Identifier: MIT OR Apache-2.0
//! Templates: handlebars, where a missing value is an error and nothing is
//! escaped on the quiet. What needs quoting names the helper that does it.

use handlebars::{
    Context, Handlebars, Helper, HelperResult, Output, RenderContext, RenderError, RenderErrorReason, no_escape,
};
use serde::Serialize;

/// Why a template cannot be rendered.
#[derive(Debug, thiserror::Error)]
#[error("template {template}: {source}")]
pub struct TemplateError {
    template: String,
    source: Box<RenderError>,
}

/// Longest line of generated text.
const WIDTH: usize = 79;

/// Renders templates.
///
/// Helpers: `{{udev x}}` writes a value between the double quotes of a udev
/// rule (a list as alternatives), `{{comment prefix x}}` a text as comment
/// lines of bounded width, the first of them with a prefix.
#[derive(Debug)]
pub struct Renderer(Handlebars<'static>);

impl Default for Renderer {
    fn default() -> Self {
        Self::new()
    }
}

impl Renderer {
    /// Makes one.
    pub fn new() -> Self {
        let mut handlebars = Handlebars::new();
        handlebars.set_strict_mode(true);
        handlebars.register_escape_fn(no_escape);
        handlebars.register_helper("udev", Box::new(udev));
        handlebars.register_helper("comment", Box::new(comment));
        Self(handlebars)
    }

    /// Renders a template; `name` is its name in messages.
    ///
    /// # Errors
    /// It is malformed, names a value that `data` has not, or a value cannot be quoted.
    pub fn render(&self, name: &str, template: &str, data: &impl Serialize) -> Result<String, TemplateError> {
        self.0
            .render_template(template, data)
            .map_err(|source| TemplateError { template: name.to_owned(), source: Box::new(source) })
    }
}

fn refuse(message: String) -> RenderError {
    RenderErrorReason::Other(message).into()
}

fn parameter<'a>(helper: &'a Helper<'_>, index: usize) -> Result<&'a handlebars::JsonValue, RenderError> {
    let parameter = helper.param(index).filter(|parameter| !parameter.is_value_missing());
    Ok(parameter.ok_or_else(|| refuse(format!("{} lacks a value", helper.name())))?.value())
}

/// In a udev rule's quotes `|` separates alternatives, `*?[` match, and `$%\"` are special.
fn udev(
    h: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let value = parameter(h, 0)?;
    let texts: Vec<&str> = match value {
        handlebars::JsonValue::String(text) => vec![text],
        handlebars::JsonValue::Array(list) => list.iter().filter_map(|item| item.as_str()).collect(),
        _ => Vec::new(),
    };
    let plain =
        |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if texts.is_empty() || !texts.iter().all(plain) {
        return Err(refuse(format!("{value} cannot be matched literally in a udev rule")));
    }
    Ok(out.write(&texts.join("|"))?)
}

fn comment(
    h: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let text = |index| Ok::<_, RenderError>(parameter(h, index)?.as_str().unwrap_or_default());
    let (prefix, text) = (text(0)?, text(1)?);
    if text.is_empty() {
        return Err(refuse("comment has no text".to_owned()));
    }
    let indent = " ".repeat(prefix.len());
    for (i, line) in wrap(text, WIDTH - 2 - prefix.len()).iter().enumerate() {
        let start = if i == 0 { prefix } else { &indent };
        let end = if i == 0 { "" } else { "\n" };
        out.write(&format!("{end}# {start}{line}"))?;
    }
    Ok(())
}

/// Breaks a text into lines of at most `width` characters, at blanks.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn render(template: &str, data: &[(&str, &str)]) -> Result<String, TemplateError> {
        Renderer::new().render("test", template, &data.iter().copied().collect::<BTreeMap<_, _>>())
    }

    #[test]
    fn a_missing_value_is_an_error() {
        for template in ["{{absent}}", "{{udev absent}}", "{{comment \"\" absent}}", "{{#each absent}}x{{/each}}"] {
            assert!(render(template, &[("there", "x")]).is_err(), "{template}");
        }
        assert_eq!(render("{{there}}", &[("there", "<&\"'>")]).ok().as_deref(), Some("<&\"'>"));
    }

    #[test]
    fn udev_values_match_literally_or_not_at_all() {
        assert_eq!(render("{{udev v}}", &[("v", "0x731f")]).ok().as_deref(), Some("0x731f"));
        for bad in ["", "a\"b", "0x*", "a|b", "$kernel", "a b", "a\nb"] {
            assert!(render("{{udev v}}", &[("v", bad)]).is_err(), "{bad:?}");
        }
        let list = BTreeMap::from([("v", ["0x731f", "0x7340"])]);
        assert_eq!(Renderer::new().render("t", "{{udev v}}", &list).ok().as_deref(), Some("0x731f|0x7340"));
    }

    #[test]
    fn comments_are_wrapped_and_indented() {
        let words = "word ".repeat(20);
        let text = render("{{comment \"- \" t}}\n", &[("t", &words)]).expect("it renders");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("# - word") && lines[1].starts_with("#   word") && lines[0].len() <= WIDTH);
    }
}
