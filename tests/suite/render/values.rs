// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values that break careless quoting.

use proptest::prelude::*;

/// Written by hand: each has broken some quoting somewhere.
#[rustfmt::skip]
const HOSTILE: &[&str] = &[
    "", "0", "-n", "--", "-", "+", "=", "==", "a=b", "%", "%s%n", "%%", "plain", "/var/lib/x:/usr/lib/y", ":",
    "a::b:", "'", "''", "'''", "\"", "\"\"", "'\"'\"'", "'a'", "\"a\"", "it's", "a'b'c", "'$X'", "\"$X\"", "'\\''",
    "\\", "\\\\", "\\\\\\", "\\'", "\\\"", "\\!", "\\\\!", "\\\n", "\\\\\n", "a\\", "a\\\\", "a\\ ", "\\ a", "\\n",
    "\\t", "\\0", "\\x41", "\\u0041", "\\101", "\\$X", "\\`", "'\\", "\\'\\", "\n\\", "!\\", "\\\r", "\\\r\n", "$X",
    "$$", "$$$", "${X}", "${X:-y}", "$(id)", "$", "a$", "$'a'", "$\"a\"", "$1", "$?", "$HOME", "$$X", "$ X",
    "$((1+1))", "`", "``", "`id`", "$[1+1]", "<(id)", ">(id)", "=(id)", "=ls", "!", "!!", "!$", "!a", "a!", "!!!",
    "! ", "!=", "!(", "!\"", "!'", "!\n", "a!b!c", "^a^b", "\n^a^b", "\n!!", "#!", "%!", "*", "?", "[a-z]", "{a,b}",
    "{}", "{1..3}", "~", "~root", "~/", "a:~", "**", "^", "(", ")", "((", "[[", "]]", "@(a|b)", "#", "#a", "a#b",
    "a #b", " #", "a # b", ";", ";;", "; id", "a;b", "&", "&&", "|", "||", "<", ">", ">>", "<<E", "\nE\n", " ", "  ",
    " a", "a ", "\t", "\ta", "a\t", " a b ", "a  b", "\n", "\n\n", "\na", "a\n", "a\nb", "a\n\nb", "a \n b", "\r",
    "\r\n", "a\rb", "a\r\nb", "a\r", "\ra", "\u{1b}[31m", "\u{7}", "\u{8}", "\u{1}\u{1}", "\u{7f}", "\u{1}\u{7f}",
    "\u{1}'\u{7f}", "é", "e\u{301}", "\u{301}", "ÿ", "\u{80}", "\u{85}", "a\u{85}", "\u{9f}", "\u{a0}", "a\u{a0}",
    "\u{ad}", "\u{200b}", "\u{200d}", "\u{2028}", "\u{2029}", "\u{3000}a", "\u{feff}", "\u{feff}a", "\u{fffd}",
    "👩\u{200d}👩\u{200d}👧", "🏳\u{fe0f}\u{200d}🌈", "😀", "\u{10fffd}", "שלום", "\u{202e}abc", "مرحبا",
    "\u{2066}a\u{2069}", "日本語", "ИИ", "\u{300}\u{301}\u{302}", "\u{e0001}", "\u{1f1e9}\u{1f1ea}",
    // What shells use inside: noncharacters and private use areas.
    "\u{fdd0}", "\u{fdd5}a", "\u{fdef}", "\u{fffe}", "\u{ffff}", "\u{1fffe}", "\u{10ffff}", "\u{e000}", "\u{f600}",
    "\u{f641}", "\u{f6ff}", "\u{f700}", "\u{f8ff}", "\u{f0000}", "\u{100000}", "\u{100041}", "export X=1", "X=1",
    "set -e", "exit 1", "'; exit 1; '", "\"; exit 1; \"", "\nexit 1\n", "\\\nexit 1\n", "'\nexit 1\n'", "NaN", "null",
    "true",
];

/// The whole table: what is written by hand, every ASCII character in the
/// positions where it could mean something, and one long value.
pub fn table() -> Vec<String> {
    let around = |c: char| {
        let c = c.to_string();
        let places = [
            "C", "CC", "aC", "Ca", "aCb", "\\C", "C\\", "'C", "C'", "!C", "C!", "C\n", "\nC", " C", "C ", "$C", "\\\\C",
        ];
        places.map(|place| place.replace('C', &c))
    };
    let mut values: Vec<String> = HOSTILE.iter().map(|value| (*value).to_owned()).collect();
    values.extend(('\u{1}'..='\u{7f}').flat_map(around));
    values.push(long());
    values
}

/// 100 kB that need quoting all along.
fn long() -> String {
    "it's $X \\ \"100\" kB; é! # `~` "
        .chars()
        .cycle()
        .scan(0, |size, c| {
            *size += c.len_utf8();
            (*size <= 100_000).then_some(c)
        })
        .collect()
}

/// Up to 40 values, pieces of the table and any character mixed.
pub fn batch() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(value(), 1..=40)
}

fn value() -> impl Strategy<Value = String> {
    let any_char = any::<char>().prop_filter("no environment holds NUL", |c| *c != '\0').prop_map(String::from);
    let ascii = prop::char::range('\u{1}', '\u{7f}').prop_map(String::from);
    let piece = prop_oneof![
        4 => prop::sample::select(HOSTILE).prop_map(str::to_owned),
        3 => prop::sample::select(&["'", "\"", "\\", "!", "\n", "$", " ", "#", "\r"][..]).prop_map(str::to_owned),
        2 => ascii,
        1 => any_char,
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}
