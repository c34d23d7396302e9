// SPDX-License-Identifier: MIT OR Apache-2.0
//! The result as text.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use rdna1_isa::Target;
use rdna1_isa::rules::{Certainty, Severity};
use rdna1_isa::scan::{CodeReport, Counts, FamilyReport, KernelView, Report};

const TITLE: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const WARN: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Widest line of running text.
const WIDTH: usize = 80;

fn wrapped(indent: usize, text: &str) -> String {
    let blank = " ".repeat(indent);
    let options = textwrap::Options::new(WIDTH).initial_indent(&blank).subsequent_indent(&blank).break_words(false);
    textwrap::fill(text, options) + "\n"
}

/// The page of a scan.
pub(super) fn summary(report: &Report) -> String {
    let mut out = String::new();
    for code in &report.total {
        let files = report.files.iter().filter(|file| file.code.iter().any(|part| part.target == code.target)).count();
        let _ = writeln!(
            out,
            "{TITLE}Code for {} on a {} card{TITLE:#}: {} in {}, {} files",
            code.target,
            report.on,
            plural(code.counts().functions, "function"),
            megabytes(code.bytes),
            files
        );
        table(&mut out, code);
        libraries(&mut out, report, code.target);
        out.push('\n');
    }
    meanings(&mut out, report);
    certainty(&mut out, report);
    advice(&mut out, report);
    out
}

fn plural(count: u32, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn table(out: &mut String, code: &CodeReport) {
    let _ = writeln!(
        out,
        "  {DIM}{:21} {:24} {:>7} {:>7} {:>9} {:>7}{DIM:#}",
        "data type", "origin", "all", "illegal", "hazardous", "clean"
    );
    for FamilyReport { data_type, origin, counts } in &code.families {
        let cell = |style: Style, count: u32, width: usize| {
            let style = if count > 0 { style } else { Style::new() };
            format!("{style}{count:>width$}{style:#}")
        };
        let _ = writeln!(
            out,
            "  {data_type:21} {origin:24} {:>7} {} {} {}{}",
            counts.functions,
            cell(BAD, counts.illegal, 7),
            cell(WARN, counts.hazardous, 9),
            cell(GOOD, counts.clean, 7),
            if counts.unclear > 0 { format!("  {} not decoded throughout", counts.unclear) } else { String::new() }
        );
    }
}

/// Per library, where there is more than one.
fn libraries(out: &mut String, report: &Report, target: Target) {
    let parts = report.files.iter().flat_map(|file| file.code.iter().map(move |code| (file, code)));
    let parts: Vec<_> = parts.filter(|(_, code)| code.target == target).collect();
    if parts.len() < 2 {
        return;
    }
    let _ =
        writeln!(out, "  {DIM}{:64} {:>7} {:>9} {:>7}{DIM:#}", "library, data types", "illegal", "hazardous", "clean");
    for (file, code) in parts {
        let Counts { illegal, hazardous, clean, .. } = code.counts();
        let name = file.member.as_deref().unwrap_or(&file.path);
        let name = name.rsplit('/').next().unwrap_or(name);
        let short: String = if name.chars().count() > 64 {
            let tail: Vec<char> = name.chars().rev().take(61).collect();
            "...".chars().chain(tail.into_iter().rev()).collect()
        } else {
            name.to_owned()
        };
        let _ = writeln!(out, "  {short:64} {illegal:>7} {hazardous:>9} {clean:>7}");
        let types = code.by_data_type();
        // Where no name tells a data type, the line above has said all.
        let told = types.iter().any(|(name, _)| *name != "other");
        for (data_type, Counts { illegal, hazardous, clean, .. }) in types.into_iter().filter(|_| told) {
            let _ = writeln!(out, "    {DIM}{data_type:62} {illegal:>7} {hazardous:>9} {clean:>7}{DIM:#}");
        }
    }
}

fn meanings(out: &mut String, report: &Report) {
    if report.rules.is_empty() {
        return;
    }
    let _ = writeln!(out, "{TITLE}What was found{TITLE:#}");
    for severity in Severity::ALL {
        let rules: Vec<_> = report.rules.iter().filter(|rule| rule.severity == severity).collect();
        if rules.is_empty() {
            continue;
        }
        let style = if severity <= Severity::Wrong { BAD } else { WARN };
        let label = format!("{severity:?}").to_lowercase();
        let _ = writeln!(out, "  {style}{label}{style:#}: {}", severity.meaning());
        for rule in rules {
            let _ = writeln!(out, "    {} ({})", rule.title, rule.id);
            for code in &report.total {
                let counts = code.counts();
                let Some((_, count)) = counts.rules.iter().find(|(found, _)| found.info().id == rule.id) else {
                    continue;
                };
                let _ = write!(out, "      code for {}: {}", code.target, plural(count.functions, "function"));
                let _ = write!(out, ", {}", plural(count.sites, "place"));
                if rule.id == "missing-instruction" {
                    let names: Vec<String> =
                        counts.missing.iter().map(|(name, count)| format!("{name} in {count}")).collect();
                    let _ = write!(out, ": {}", names.join(", "));
                }
                out.push('\n');
            }
            out.push_str(&wrapped(6, rule.meaning));
            out.push_str(&wrapped(6, &format!("Source: {}", rule.source)));
        }
    }
    out.push('\n');
}

fn certainty(out: &mut String, report: &Report) {
    let _ = writeln!(out, "{TITLE}How sure this is{TITLE:#}");
    out.push_str(&wrapped(
        2,
        "Nothing here proves that a run fails: a hit is code that AMD's own compiler would not emit for this card. \
         Whole functions are counted, not the path that a program takes. What the card does at such a place, only a \
         card can tell.",
    ));
    if report.rules.iter().any(|rule| rule.certainty == Certainty::Paths) {
        out.push_str(&wrapped(
            2,
            "Hits that depend on the order of instructions are found along every path of the code, impossible ones \
             included; the compiler inserts its workarounds on the same grounds.",
        ));
    }
    let unresolved: u32 = report.total.iter().map(|code| code.counts().unresolved_jumps).sum();
    if unresolved > 0 {
        let text = format!(
            "{} could not be followed; code behind them was judged as if nothing were pending, so that hits may be \
             missing.",
            plural(unresolved, "jump or call")
        );
        out.push_str(&wrapped(2, &text));
    }
    out.push('\n');
}

fn advice(out: &mut String, report: &Report) {
    let _ = writeln!(out, "{TITLE}What to do{TITLE:#}");
    let hit = |target| report.code(target).map(|code| code.counts()).map(|counts| (counts.illegal, counts.hazardous));
    let is_clean = |target| {
        let counts = report.code(target).map(CodeReport::counts);
        counts.is_some_and(|counts| counts.functions > 0 && counts.clean == counts.functions)
    };
    let on = report.on;
    let mut said = Vec::new();
    let mut say = |text: &str| said.push(wrapped(2, text));
    // On a gfx1010 both are the same.
    let mut targets = vec![on, Target::Gfx1010];
    targets.dedup();
    for target in targets.into_iter().filter(|target| is_clean(*target)) {
        let without = libraries_without(report, target);
        if !without.is_empty() {
            say(&format!(
                "There is code for {target} without a hit, but not in {}: a program that computes with these cannot run \
                 it.",
                without.join(", ")
            ));
            continue;
        }
        let how = if target == on {
            "use it, with no HSA_OVERRIDE_GFX_VERSION".to_owned()
        } else {
            format!(
                "and all RDNA1 cards have its instructions: prefer HSA_OVERRIDE_GFX_VERSION=10.1.0 on this {on} card"
            )
        };
        say(&format!("There is code for {target} without a hit: {how}."));
        break;
    }
    if !report.problems.is_empty() {
        say("Not every file could be read to the end; in what is missing there may be hits.");
    }
    match hit(Target::GFX1030) {
        Some((0, 0)) if is_clean(Target::GFX1030) => say("The code for gfx1030 has no hit."),
        Some((0, 0)) => say("The code for gfx1030 has no hit where it could be decoded."),
        Some(_) => {
            say("Code for gfx1030 (HSA_OVERRIDE_GFX_VERSION=10.3.0) has hits: take it only where the libraries that \
                 a program needs have no code for gfx1010, and compare its results with the CPU's.");
            let illegal = illegal_types(report);
            if !illegal.is_empty() {
                say(&format!("Under 10.3.0 keep away from data types with illegal kernels ({}).", illegal.join(", ")));
            }
            say("If convolutions still fail, the profile `bypass` computes them without MIOpen, through the matrix \
                 products of the same rocBLAS.");
        }
        None => {}
    }
    if said.is_empty() {
        said.push(wrapped(2, "Nothing here says what to prefer."));
    }
    out.extend(said);
}

/// Libraries with code for the choices of this card, but not for one target.
/// rocBLAS's kernel files have one target each and do not count.
fn libraries_without(report: &Report, target: Target) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for file in &report.files {
        let path = file.member.as_deref().unwrap_or(&file.path);
        let name = path.rsplit('/').next().unwrap_or(path);
        let is_library = name.ends_with(".so") || name.contains(".so.");
        if is_library && !file.code.is_empty() && !file.code.iter().any(|code| code.target == target) {
            names.push(name);
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// Data types of gfx1030 matrix products with illegal kernels.
fn illegal_types(report: &Report) -> Vec<&'static str> {
    let families = report.code(Target::GFX1030).map(|code| &code.families[..]).unwrap_or_default();
    let illegal = families.iter().filter(|family| family.counts.illegal > 0 && family.data_type != "other");
    let mut types: Vec<&str> = illegal.map(|family| family.data_type).collect();
    types.dedup();
    types
}

/// The page of `--kernel`.
pub(super) fn kernels(views: &[KernelView]) -> String {
    let mut out = String::new();
    for view in views {
        let mode = match view.wgp_mode {
            Some(true) => ", work-group processor mode",
            Some(false) => ", compute unit mode",
            None => ", called by kernels",
        };
        let _ = writeln!(out, "{TITLE}{}{TITLE:#}", view.name);
        let _ = writeln!(out, "  {} in {}", view.target, view.path);
        let _ = writeln!(
            out,
            "  {} bytes at {:#x}, {} instructions, wave{}{mode}",
            view.size, view.address, view.instructions, view.wavefront
        );
        let _ = writeln!(out, "  {}, {} shown", plural(view.total, "place"), view.hits.len());
        for hit in &view.hits {
            let info = hit.rule.info();
            let _ = write!(out, "\n  {WARN}{}{WARN:#} at {:#x}", info.id, hit.address);
            if let (Some(origin), Some(distance)) = (hit.origin, hit.distance) {
                let _ = write!(out, ", runs into {origin:#x}, {} between", plural(distance, "instruction"));
            }
            out.push('\n');
            for line in &hit.listing {
                let words: Vec<String> = line.words.iter().map(|word| format!("{word:08x}")).collect();
                let mut text =
                    format!("  {} {:#010x}  {:26}  {}", line.mark, line.address, words.join(" "), line.mnemonic);
                for (label, registers) in [("reads", &line.reads), ("writes", &line.writes)] {
                    if !registers.is_empty() {
                        let _ = write!(text, "  {label} {registers}");
                    }
                }
                let style = if line.mark == ' ' { DIM } else { Style::new() };
                let _ = writeln!(out, "  {style}{text}{style:#}");
            }
        }
        out.push('\n');
    }
    out
}
