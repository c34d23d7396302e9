// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables that a test measures and a document shows. The document's table is
//! compared with what came out, or written anew.

use std::fmt::Write as _;
use std::path::Path;

/// What ends a table in a document.
const END: &str = "<!-- end -->\n";

/// A table in Markdown.
#[derive(Debug)]
pub struct Table(String);

impl Table {
    /// A table with these headings and no rows yet.
    pub fn new<'a>(headings: impl IntoIterator<Item = &'a str>) -> Self {
        let mut table = Self(String::new());
        let columns = table.line(headings);
        table.line(std::iter::repeat_n("---", columns));
        table
    }

    /// Adds a row.
    pub fn row<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        self.line(cells);
    }

    fn line<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) -> usize {
        let mut columns = 0;
        self.0.push('|');
        for cell in cells {
            columns += 1;
            let _ = write!(self.0, " {cell} |");
        }
        self.0.push('\n');
        columns
    }

    /// Compares with the table that stands in a document between
    /// `<!-- START -->` and `<!-- end -->`; where `RDNA1_BLESS` is set, puts this
    /// one into its place instead.
    ///
    /// # Panics
    /// If the document has another table, or none.
    pub fn assert_committed(&self, document: &Path, start: &str) {
        let text = std::fs::read_to_string(document).expect("the document is committed");
        let (head, committed, tail) = around(&text, start);
        if std::env::var_os("RDNA1_BLESS").is_some() {
            std::fs::write(document, format!("{head}{}{tail}", self.0)).expect("the checkout is writable");
        } else {
            let name = document.display();
            assert_eq!(committed, self.0, "{name} does not have what came out; RDNA1_BLESS=1 writes it anew");
        }
    }
}

/// A document up to a table, the table, and what follows.
fn around<'a>(text: &'a str, start: &str) -> (&'a str, &'a str, &'a str) {
    let start = format!("<!-- {start} -->\n");
    let from = text.find(&start).expect("the document has the table's start") + start.len();
    let length = text[from..].find(END).expect("the document has the table's end");
    (&text[..from], &text[from..from + length], &text[from + length..])
}

#[cfg(test)]
mod tests {
    use assert_fs::NamedTempFile;
    use assert_fs::prelude::*;

    use super::*;

    const DOCUMENT: &str = "before\n<!-- made: here -->\n| a | b |\n| --- | --- |\n| 1 | 2 |\n<!-- end -->\nafter\n";

    /// The document, and a table like its own but for the last cell.
    fn made(last: &str) -> (NamedTempFile, Table) {
        let document = NamedTempFile::new("document.md").expect("a temporary file");
        document.write_str(DOCUMENT).expect("it is ours");
        let mut table = Table::new(["a", "b"]);
        table.row(["1", last]);
        (document, table)
    }

    #[test]
    fn a_document_that_has_the_table_passes() {
        let (document, table) = made("2");
        table.assert_committed(document.path(), "made: here");
        document.assert(DOCUMENT);
    }

    #[test]
    #[should_panic(expected = "does not have what came out")]
    fn another_table_does_not() {
        let (document, table) = made("3");
        table.assert_committed(document.path(), "made: here");
    }

    #[test]
    #[should_panic(expected = "the table's start")]
    fn a_document_without_a_place_for_it_does_not() {
        let (document, table) = made("2");
        table.assert_committed(document.path(), "made: elsewhere");
    }
}
