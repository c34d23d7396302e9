// SPDX-License-Identifier: MIT OR Apache-2.0
//! Text for people: styles and line breaks.

use anstyle::{AnsiColor, Style};

/// Widest line of running text.
const WIDTH: usize = 80;

pub(crate) const TITLE: Style = Style::new().bold();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const NOTE: Style = AnsiColor::Cyan.on_default();
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const DIM: Style = Style::new().dimmed();

/// A text in a style; the output stream drops styles where they do not belong.
pub(crate) fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Running text, each line indented by `indent` blanks.
pub(crate) fn wrapped(indent: usize, text: &str) -> String {
    let blank = " ".repeat(indent);
    let options = textwrap::Options::new(WIDTH).initial_indent(&blank).subsequent_indent(&blank).break_words(false);
    textwrap::fill(text.trim(), options)
}

/// Bytes as people say them: `6.0 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    let gib = bytes as f64 / f64::from(1 << 30);
    if gib >= 1.0 { format!("{gib:.1} GiB") } else { format!("{} MiB", bytes >> 20) }
}
